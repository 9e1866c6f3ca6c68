//! The manifests of a cluster installation, as `kubectl` reads them.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use std::fs;
use std::process::Command;

use diwan_tests::process::run;
use diwan_tests::{diwan, root};

#[test]
fn the_kept_definitions_are_those_of_the_program() {
    let kept = fs::read_to_string(root().join("manifests/base/crds.yaml")).unwrap();
    let current = run(Command::new(diwan()).arg("crds")).ok();
    assert!(
        kept == current,
        "renew the file: diwan crds > manifests/base/crds.yaml"
    );
}

#[test]
fn every_installation_is_whole() {
    for (folder, expected) in [
        (
            "manifests/standalone",
            &["sqlite:///data/observations.db", "type: Recreate"][..],
        ),
        (
            "manifests/high-availability",
            &["replicas: 2", "name: diwan-database"],
        ),
        ("tests/kubernetes/install", &["image: diwan.test/diwan:1"]),
    ] {
        let mut kustomize = Command::new("kubectl");
        let made = run(kustomize.arg("kustomize").arg(root().join(folder))).ok();
        let common = ["kind: CustomResourceDefinition", "name: katib-db-manager"];
        for text in common.iter().chain(expected) {
            assert!(made.contains(text), "{folder}: {text}");
        }
    }
}
