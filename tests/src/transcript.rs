//! Commands of a client and what a server made it print, as a file: recorded from a Kubernetes,
//! compared on `diwan up`.
//!
//! ```text
//! # why
//! $ a command of sh
//! > its further lines
//!   a line of its output
//! ! a line of its errors
//! ? its exit status, unless it is 0
//! ```

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::kubectl::Kubectl;
use crate::normal::normal;
use crate::process::run;

/// A command and what it printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Comments before it.
    pub why: Vec<String>,
    pub command: String,
    /// Lines with their marks, as in the file.
    pub said: Vec<String>,
}

/// Reads a transcript; what can't be understood is named with its line.
#[track_caller]
pub fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut why = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let last = steps.last_mut();
        match (line.split_at_checked(2), last) {
            _ if line.is_empty() => {}
            _ if line.starts_with('#') => why.push(line.to_owned()),
            (Some(("$ ", command)), _) => steps.push(Step {
                why: std::mem::take(&mut why),
                command: command.to_owned(),
                said: Vec::new(),
            }),
            (Some(("> ", rest)), Some(step)) if step.said.is_empty() => {
                step.command.push('\n');
                step.command.push_str(rest);
            }
            (Some(("  " | "! " | "? ", _)), Some(step)) => step.said.push(line.to_owned()),
            _ => panic!("line {} is nothing of a transcript: {line}", number + 1),
        }
    }
    steps
}

/// The file of these steps.
pub fn print(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        if !text.is_empty() {
            text.push('\n');
        }
        for line in &step.why {
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(text, "$ {}", step.command.replace('\n', "\n> "));
        for line in &step.said {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// Runs the commands one after the other in a folder, and returns them with what they print now.
pub fn play(steps: &[Step], client: &Kubectl, folder: &Path) -> Vec<Step> {
    let home = tempfile::tempdir().unwrap();
    // A copy: scripts choose a namespace in it.
    let kubeconfig = home.path().join("kubeconfig");
    fs::copy(&client.kubeconfig, &kubeconfig).unwrap();
    let client = Kubectl::new(kubeconfig, home.path());
    let played = steps.iter().map(|step| {
        let mut command = client.command("bash");
        command.args(["-c", &step.command]).current_dir(folder);
        command.env("OUT", home.path()).env("TZ", "UTC");
        let ran = run(&mut command);
        let marked = |mark: &str, text: &str| {
            let lines = normal(text).into_iter();
            lines
                .map(|line| format!("{mark} {line}"))
                .collect::<Vec<_>>()
        };
        let mut said = marked(" ", &ran.stdout);
        said.extend(marked("!", &ran.stderr));
        if ran.code != Some(0) {
            said.push(format!("? {}", ran.code.unwrap_or(-1)));
        }
        Step {
            said,
            ..step.clone()
        }
    });
    played.collect()
}

/// What is wrong with what was played: each step that printed something else than was recorded, or than
/// the file of differences says; a difference that is none, or has no reason, is wrong too.
pub fn faults(recorded: &[Step], differences: &[Step], played: &[Step]) -> Vec<String> {
    let mut faults = Vec::new();
    for (recorded, played) in recorded.iter().zip(played) {
        let difference = differences.iter().find(|d| d.command == recorded.command);
        let expected = difference.unwrap_or(recorded);
        if played.said != expected.said {
            faults.push(format!(
                "$ {}\n{}",
                recorded.command,
                compare(&expected.said, &played.said)
            ));
        } else if difference.is_some_and(|difference| difference.said == recorded.said) {
            faults.push(format!("$ {}\nis no difference any more", recorded.command));
        }
    }
    for difference in differences {
        if !recorded
            .iter()
            .any(|step| step.command == difference.command)
        {
            faults.push(format!("$ {}\nis not in the script", difference.command));
        }
        if difference.why.is_empty() {
            faults.push(format!(
                "$ {}\ndiffers without a reason",
                difference.command
            ));
        }
    }
    faults
}

/// Two lists of lines, with those that only one of them has marked.
fn compare(expected: &[String], found: &[String]) -> String {
    let mut text = String::new();
    let same_start = expected
        .iter()
        .zip(found)
        .take_while(|(a, b)| a == b)
        .count();
    let rest = expected.len().min(found.len()) - same_start;
    let ends = expected.iter().rev().zip(found.iter().rev()).take(rest);
    let same_end = ends.take_while(|(a, b)| a == b).count();
    for line in &expected[..same_start] {
        let _ = writeln!(text, "   {line}");
    }
    for line in &expected[same_start..expected.len() - same_end] {
        let _ = writeln!(text, "-- {line}");
    }
    for line in &found[same_start..found.len() - same_end] {
        let _ = writeln!(text, "++ {line}");
    }
    for line in &found[found.len() - same_end..] {
        let _ = writeln!(text, "   {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Step, faults, parse, print};

    const TEXT: &str = "\
# Begin.
$ cat <<EOF
> a
> EOF
  a

$ false
! no
? 1
";

    #[test]
    fn a_file_is_read_and_printed_as_it_was() {
        let steps = parse(TEXT);
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].command, "cat <<EOF\na\nEOF");
        assert_eq!(steps[1].said, ["! no", "? 1"]);
        assert_eq!(print(&steps), TEXT);
    }

    fn step(command: &str, said: &str, why: &[&str]) -> Step {
        Step {
            why: why.iter().map(|&line| line.to_owned()).collect(),
            command: command.to_owned(),
            said: vec![said.to_owned()],
        }
    }

    #[test]
    fn a_difference_needs_a_reason_a_step_and_to_be_one() {
        let recorded = [step("a", "  1", &[]), step("b", "  1", &[])];
        let played = [step("a", "  2", &[]), step("b", "  1", &[])];
        assert_eq!(faults(&recorded, &[], &played).len(), 1);
        let reasoned = [step("a", "  2", &["# it counts from 2"])];
        assert_eq!(faults(&recorded, &reasoned, &played), Vec::<String>::new());
        let silent = [step("a", "  2", &[])];
        assert_eq!(faults(&recorded, &silent, &played).len(), 1);
        let stale = [
            step("b", "  1", &["# no more"]),
            step("c", "  1", &["# gone"]),
        ];
        assert_eq!(faults(&recorded, &stale, &recorded).len(), 2);
    }
}
