//! What programs that know nothing of Diwan are told to do: `tests/clients`.

use std::fs;
use std::path::PathBuf;

use crate::kubectl::Kubectl;
use crate::root;
use crate::transcript::{Step, faults, parse, play, print};

/// The folder of a client.
pub fn folder(client: &str) -> PathBuf {
    root().join("tests/clients").join(client)
}

/// The names of the scripts of kubectl.
pub fn transcripts() -> Vec<String> {
    let files = fs::read_dir(folder("kubectl")).unwrap().flatten();
    let mut names: Vec<String> = files
        .filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".txt")?.to_owned()))
        .collect();
    names.sort();
    names
}

fn read(file: &PathBuf) -> Vec<Step> {
    parse(&fs::read_to_string(file).unwrap_or_default())
}

/// Plays a script and writes down what it prints.
pub fn record(name: &str, client: &Kubectl) {
    let file = folder("kubectl").join(format!("{name}.txt"));
    let played = play(&read(&file), client, &folder("kubectl"));
    fs::write(file, print(&played)).unwrap();
}

/// How a Kubernetes answers otherwise than was recorded.
pub fn faults_on_kubernetes(name: &str, client: &Kubectl) -> Vec<String> {
    let recorded = read(&folder("kubectl").join(format!("{name}.txt")));
    let played = play(&recorded, client, &folder("kubectl"));
    faults(&recorded, &[], &played)
}

/// How Diwan answers otherwise than Kubernetes, apart from what is written down with a reason.
pub fn faults_on_diwan(name: &str, client: &Kubectl) -> Vec<String> {
    let folder = folder("kubectl");
    let recorded = read(&folder.join(format!("{name}.txt")));
    let differences = read(&folder.join(format!("differences/{name}.txt")));
    let played = play(&recorded, client, &folder);
    faults(&recorded, &differences, &played)
}
