//! Following real files by hand: what each look gives.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{fs, io::Write, path::Path, time::Duration};

use diwan_metrics_collector::{
    Watcher,
    tail::{Chunk, Tail},
};
use tokio::sync::watch;

fn bytes(text: &str) -> Chunk {
    Chunk::Bytes(text.as_bytes().to_vec())
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Looks and waits until there is something.
async fn next(tail: &mut Tail, ended: &mut watch::Receiver<bool>) -> Chunk {
    let looking = async {
        loop {
            match tail.read().await.unwrap() {
                Chunk::Nothing => tail.wait(ended).await,
                chunk => return chunk,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looking)
        .await
        .unwrap()
}

#[tokio::test]
async fn looks_give_what_is_new_from_the_offset_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut tail = Tail::new(Watcher::new(), &path, 0);
    assert_eq!(tail.read().await.unwrap(), Chunk::Nothing);
    append(&path, "abc");
    assert_eq!(tail.read().await.unwrap(), bytes("abc"));
    assert_eq!(tail.read().await.unwrap(), Chunk::Nothing);
    append(&path, "d");
    assert_eq!(tail.read().await.unwrap(), bytes("d"));

    let mut later = Tail::new(Watcher::new(), &path, 2);
    assert_eq!(later.read().await.unwrap(), bytes("cd"));
    let mut beyond = Tail::new(Watcher::new(), &path, 9);
    assert_eq!(beyond.read().await.unwrap(), Chunk::Rewound);
    assert_eq!(beyond.read().await.unwrap(), bytes("abcd"));
}

#[tokio::test]
async fn an_emptied_file_and_another_file_begin_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "abc").unwrap();
    let mut tail = Tail::new(Watcher::new(), &path, 0);
    assert_eq!(tail.read().await.unwrap(), bytes("abc"));
    fs::write(&path, "x").unwrap();
    assert_eq!(tail.read().await.unwrap(), Chunk::Rewound);
    assert_eq!(tail.read().await.unwrap(), bytes("x"));

    let other = folder.path().join("other");
    fs::write(&other, "as long").unwrap();
    append(&path, "y");
    fs::rename(&other, &path).unwrap();
    // What was still written to the old file is read before the new one.
    assert_eq!(tail.read().await.unwrap(), bytes("y"));
    assert_eq!(tail.read().await.unwrap(), Chunk::Rewound);
    assert_eq!(tail.read().await.unwrap(), bytes("as long"));
    fs::remove_file(&path).unwrap();
    assert_eq!(tail.read().await.unwrap(), Chunk::Nothing);
}

#[tokio::test]
async fn waiting_ends_with_a_change_in_a_folder_that_came_later_and_went_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("late/log");
    let (_sender, mut ended) = watch::channel(false);
    let mut tail = Tail::new(Watcher::new(), &path, 0);
    for text in ["first", "second"] {
        let write = async {
            fs::create_dir(folder.path().join("late")).unwrap();
            append(&path, text);
        };
        let (chunk, ()) = tokio::join!(next(&mut tail, &mut ended), write);
        if text == "second" {
            assert_eq!(chunk, Chunk::Rewound);
            assert_eq!(next(&mut tail, &mut ended).await, bytes(text));
        } else {
            assert_eq!(chunk, bytes(text));
        }
        fs::remove_dir_all(folder.path().join("late")).unwrap();
    }
}

#[tokio::test]
async fn waiting_ends_with_the_end_of_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let (sender, mut ended) = watch::channel(false);
    let mut tail = Tail::new(Watcher::new(), folder.path().join("log"), 0);
    tail.wait(&mut ended).await;
    sender.send(true).unwrap();
    tail.wait(&mut ended).await;
    assert!(*ended.borrow());
}
