//! Says why a metric is unavailable: where it was looked for, what was there instead, what helps.

use std::{
    collections::BTreeSet,
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

use crate::parse::{self, FileFormat};

/// How much of a file is searched for other names.
const SEARCHED: u64 = 4 << 20;
/// How many other names are told.
const NAMES: usize = 5;

/// The objective metric was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The metric.
    pub metric: String,
    /// Where it was looked for, such as `the output of container main`.
    pub place: String,
    /// What was there.
    pub found: Found,
}

/// What there was in place of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The file, folder or endpoint never was there; with what the system said, if it said anything.
    NoSource(Option<String>),
    /// Something without the metric.
    Other {
        /// How much, such as `1204 lines`.
        amount: String,
        /// Names that were there, the most similar first.
        names: Vec<String>,
        /// What helps.
        hint: String,
    },
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            metric,
            place,
            found,
        } = self;
        write!(f, "metric {metric:?} is unavailable: ")?;
        match found {
            Found::NoSource(None) => write!(f, "{place} was never written"),
            Found::NoSource(Some(reason)) => write!(f, "{place} gave no answer: {reason}"),
            Found::Other {
                amount,
                names,
                hint,
            } => {
                write!(f, "{place} has {amount} without it")?;
                if !names.is_empty() {
                    let quoted: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
                    write!(f, ", but {}", quoted.join(", "))?;
                }
                write!(f, "; {hint}")
            }
        }
    }
}

impl Absence {
    /// Looks into a file for what was there instead. Reads, so it may take a while.
    pub fn of_file(metric: &str, place: &str, path: &Path, format: FileFormat) -> Self {
        let found = match examine(path, format) {
            Ok((lines, names)) => Found::Other {
                amount: counted(lines, "line"),
                names: nearest(metric, names),
                hint: match format {
                    FileFormat::Text => format!("write it as {metric}=0.5 on a line"),
                    FileFormat::Json => {
                        format!("write it as {{\"{metric}\": 0.5}} on a line of its own")
                    }
                },
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::NoSource(None),
            Err(error) => Found::NoSource(Some(error.to_string())),
        };
        Self {
            metric: metric.to_owned(),
            place: place.to_owned(),
            found,
        }
    }
}

/// Prints a number of things.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Counts lines, and collects names of what looks like metrics.
fn examine(path: &Path, format: FileFormat) -> io::Result<(u64, BTreeSet<String>)> {
    let mut file = File::open(path)?;
    let mut begin = Vec::new();
    (&mut file).take(SEARCHED).read_to_end(&mut begin)?;
    let count = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count() as u64;
    let mut lines = count(&begin);
    let mut last = begin.last().copied();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => {
                lines += count(&buffer[..length]);
                last = Some(buffer[length - 1]);
            }
        }
    }
    lines += u64::from(last.is_some_and(|last| last != b'\n'));
    Ok((lines, parse::names_in(&begin, format)))
}

/// Returns some of the names that were met, the most similar to a metric's first.
pub(crate) fn nearest(metric: &str, names: impl IntoIterator<Item = String>) -> Vec<String> {
    let unique: BTreeSet<String> = names.into_iter().filter(|name| name != metric).collect();
    let mut names: Vec<String> = unique.into_iter().collect();
    names.sort_by_cached_key(|name| distance(metric, name));
    names.truncate(NAMES);
    names
}

/// How far one name is from another: 0 if case alone differs, 1 if one holds the other, then by the
/// number of edits.
fn distance(wanted: &str, name: &str) -> usize {
    let (wanted, name) = (wanted.to_lowercase(), name.to_lowercase());
    if wanted == name {
        return 0;
    }
    if name.contains(&wanted) || wanted.contains(&name) {
        return 1;
    }
    let name: Vec<char> = name.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (i, a) in wanted.chars().take(100).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in name.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[name.len()] + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(log: &str, format: FileFormat, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, log).unwrap();
        let absence = Absence::of_file("loss", "the output", &path, format);
        let text = absence.to_string();
        assert_eq!(text, format!("metric \"loss\" is unavailable: {expected}"));
    }

    #[test]
    fn messages_name_what_was_there_and_what_helps() {
        check(
            "2024-03-04T17:55:08Z Loss=1\nval_loss: 2, epoch=3\nlos = 4\nratio: many\nlast",
            FileFormat::Text,
            "the output has 5 lines without it, but \"Loss\", \"los\", \"val_loss\", \"epoch\"; \
             write it as loss=0.5 on a line",
        );
        check(
            "",
            FileFormat::Text,
            "the output has 0 lines without it; write it as loss=0.5 on a line",
        );
        check(
            "{\"Loss\": 1, \"note\": \"x\", \"acc\": \"0.5\"}\nno json: 1\n",
            FileFormat::Json,
            "the output has 2 lines without it, but \"Loss\", \"acc\"; \
             write it as {\"loss\": 0.5} on a line of its own",
        );
        let missing = Path::new("/nowhere/at/all");
        let absence = Absence::of_file("loss", "file x", missing, FileFormat::Text);
        assert!(absence.to_string().ends_with("file x was never written"));
    }
}
