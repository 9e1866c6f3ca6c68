//! The image of a cluster installation: the Dockerfile and the script that needs no registry agree on
//! what is in it and how it runs.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use std::fs;
use std::path::Path;
use std::process::Command;

use diwan_tests::process::run;
use diwan_tests::root;
use serde_json::Value;

/// What matters to those who use an image.
#[derive(Debug, PartialEq)]
struct Image {
    programs: Vec<String>,
    user: String,
    folder: String,
    entrypoint: Vec<String>,
}

#[test]
fn the_script_makes_the_image_of_the_dockerfile() {
    let folder = tempfile::tempdir().unwrap();
    for program in ["diwan", "diwan-metrics-collector"] {
        fs::copy("/bin/true", folder.path().join(program)).unwrap();
    }
    let out = folder.path().join("image.tar");
    let mut script = Command::new(root().join("tests/kubernetes/diwan-image.sh"));
    run(script
        .arg("diwan.test/diwan:1")
        .arg(&out)
        .arg(folder.path()))
    .ok();
    let expected = Image {
        programs: vec!["/diwan".into(), "/diwan-metrics-collector".into()],
        user: "65532:65532".into(),
        folder: "/".into(),
        entrypoint: vec!["/diwan".into()],
    };
    assert_eq!(of_archive(&out), expected);
    assert_eq!(of_dockerfile(&dockerfile()), expected);
}

#[test]
fn what_the_dockerfile_copies_is_there() {
    for line in dockerfile().lines().filter(|line| line.starts_with("COPY")) {
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        let [sources @ .., _] = &words[..] else {
            continue;
        };
        let (from, sources) = match sources {
            [from, sources @ ..] if from.starts_with("--from=") => (Some(*from), sources),
            sources => (None, sources),
        };
        for source in sources.iter().filter(|_| from.is_none()) {
            assert!(root().join(source).exists(), "{line}");
        }
    }
}

/// Programs are compiled against the C library of the Debian that they run on.
#[test]
fn programs_run_on_the_debian_that_they_were_built_on() {
    let text = dockerfile();
    let images: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("FROM "))
        .collect();
    assert!(images[1].starts_with("rust:1.95-bookworm"), "{images:?}");
    assert!(images[2].contains("cc-debian12:nonroot"), "{images:?}");
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(workspace.contains("rust-version = \"1.95\""));
}

fn dockerfile() -> String {
    fs::read_to_string(root().join("Dockerfile")).unwrap()
}

fn of_archive(archive: &Path) -> Image {
    let extract = |file: &str| {
        let mut tar = Command::new("tar");
        tar.arg("-xOf").arg(archive).arg(file);
        tar
    };
    let config: Value = serde_json::from_str(&run(&mut extract("config.json")).ok()).unwrap();
    let config = &config["config"];
    let layer = archive.with_extension("layer");
    let bytes = extract("layer.tar").output().unwrap().stdout;
    fs::write(&layer, bytes).unwrap();
    let listed = run(Command::new("tar").arg("-tf").arg(&layer)).ok();
    // Programs lie at the root, libraries where the loader looks.
    let programs = listed.lines().filter_map(|path| path.strip_prefix('.'));
    let programs = programs.filter(|path| path.len() > 1 && path.rfind('/') == Some(0));
    let words = config["Entrypoint"].as_array().unwrap().iter();
    Image {
        programs: programs.map(str::to_owned).collect(),
        user: config["User"].as_str().unwrap().to_owned(),
        folder: config["WorkingDir"].as_str().unwrap().to_owned(),
        entrypoint: words
            .map(|word| word.as_str().unwrap().to_owned())
            .collect(),
    }
}

/// Of the last stage.
fn of_dockerfile(text: &str) -> Image {
    let (_, stage) = text.rsplit_once("\nFROM ").unwrap();
    let value = |instruction: &str| {
        let mut lines = stage.lines().rev();
        let found = lines.find_map(|line| line.strip_prefix(instruction));
        found.unwrap_or_default().trim().to_owned()
    };
    let copies = stage.lines().filter_map(|line| line.strip_prefix("COPY "));
    let programs = copies.flat_map(|line| {
        let words: Vec<&str> = line
            .split(' ')
            .filter(|word| !word.starts_with("--"))
            .collect();
        let (target, sources) = words.split_last().unwrap();
        let names = sources
            .iter()
            .filter_map(|source| source.rsplit('/').next());
        names
            .map(|name| format!("{target}{name}"))
            .collect::<Vec<_>>()
    });
    Image {
        programs: programs.collect(),
        user: value("USER"),
        folder: value("WORKDIR"),
        entrypoint: serde_json::from_str(&value("ENTRYPOINT")).unwrap(),
    }
}
