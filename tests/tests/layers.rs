//! The crates may depend on each other only as the table in ARCHITECTURE.md allows, and the
//! table names nothing that is not there.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

type Dependencies = BTreeMap<String, BTreeSet<String>>;

/// The rows `| crate | may use |` between the markers in ARCHITECTURE.md.
fn allowed(text: &str) -> Dependencies {
    let table = text
        .split("<!-- layers -->")
        .nth(1)
        .expect("ARCHITECTURE.md marks its table of dependencies with <!-- layers -->");
    table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let names: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
            let (first, rest) = names.split_first().expect("a row names a crate");
            (
                (*first).to_owned(),
                rest.iter().map(|&name| name.to_owned()).collect(),
            )
        })
        .collect()
}

/// The dependencies between our crates as cargo sees them; those of tests don't count.
fn actual(root: &Path) -> Dependencies {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    packages
        .iter()
        .map(|package| {
            let used = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(name)
                .filter(|dependency| ours.contains(dependency))
                .collect();
            (name(package), used)
        })
        .collect()
}

#[test]
fn dependencies_between_crates_are_those_of_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    assert_eq!(actual(root), allowed(&text));
}
