//! Event files that come and grow while they are followed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{fs, io::Write, path::Path};

use diwan_api::MetricsCollectorSpec;
use diwan_metrics_collector::{EventSource, collect_events};
use support::{Memory, plan};
use tokio::sync::watch;

fn sample(path: &str) -> Vec<u8> {
    fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/events")
            .join(path),
    )
    .unwrap()
}

fn source(folder: &Path) -> EventSource {
    EventSource {
        key: "pod".into(),
        folder: folder.into(),
        resumed: true,
    }
}

#[tokio::test]
async fn files_in_new_folders_are_read_as_they_grow_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("logs");
    let plan = plan(
        "train/accuracy",
        &["validation/accuracy"],
        MetricsCollectorSpec::default(),
    );
    let (sender, ended) = watch::channel(false);
    let (memory, source) = (Memory::default(), source(&root));
    let script = async {
        fs::create_dir_all(root.join("train")).unwrap();
        fs::write(root.join("train/notes.txt"), "no event file").unwrap();
        let train = sample("tensorflow/train/events.out.tfevents.0");
        let mut file = fs::File::create(root.join("train/events.out.tfevents.1")).unwrap();
        file.write_all(&train[..400]).unwrap();
        memory.until(1).await;
        assert!(memory.rows().len() < 8);
        file.write_all(&train[400..]).unwrap();
        memory.until(8).await;
        fs::create_dir_all(root.join("validation")).unwrap();
        let validation = sample("tensorflow/validation/events.out.tfevents.2");
        fs::write(
            root.join("validation/a.tfevents.b"),
            &validation[..validation.len() - 3],
        )
        .unwrap();
        sender.send(true).unwrap();
    };
    let (outcome, ()) = tokio::join!(collect_events(&plan, &source, ended, &memory), script);
    let outcome = outcome.unwrap();
    assert_eq!(
        (outcome.rows, outcome.objective_seen, outcome.absence),
        (16, true, None)
    );
    let rows = memory.rows();
    assert_eq!(
        (rows[0].as_str(), rows[7].as_str()),
        ("train/accuracy=1", "train/accuracy=1.875")
    );
    assert_eq!(rows[15], "validation/accuracy=0.875");

    // Another process finds nothing new.
    let (_sender, ended) = watch::channel(true);
    let again = collect_events(&plan, &source, ended, &memory)
        .await
        .unwrap();
    assert_eq!((again.rows, again.objective_seen), (0, true));
}

#[tokio::test]
async fn the_lack_of_a_tag_names_those_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan("train/acc", &[], MetricsCollectorSpec::default());
    for expected in [
        "no file there has \"tfevents\" in its name",
        "has 1 event file without it, but \"accuracy\", ",
    ] {
        let (_sender, ended) = watch::channel(true);
        let memory = Memory::default();
        let source = source(folder.path());
        let outcome = collect_events(&plan, &source, ended, &memory)
            .await
            .unwrap();
        assert_eq!(memory.rows(), ["train/acc=unavailable"]);
        let text = outcome.absence.unwrap().to_string();
        assert!(text.contains(expected), "{text}");
        let file = sample("tensorflow/train/events.out.tfevents.0");
        fs::create_dir_all(folder.path().join("train")).unwrap();
        fs::write(folder.path().join("train/tfevents"), file).unwrap();
    }
}
