//! What was acknowledged is there after a restart; a directory has one owner.

use crate::world::{config_map, world};
use diwan_embedded::{Api, OpenError, Options, Resource, WatchEvent, resource};
use futures::StreamExt;
use serde_json::json;

static MAPS: &Resource = &resource::CONFIG_MAPS;

#[tokio::test(flavor = "multi_thread")]
async fn everything_acknowledged_is_read_back_by_the_next_process() {
    let world = world();
    let writers = (0..16).map(|writer| {
        let api = world.api.clone();
        tokio::spawn(async move {
            for i in 0..25 {
                let name = format!("m-{writer}-{i}");
                api.create(MAPS, "default", config_map(&name))
                    .await
                    .unwrap();
            }
        })
    });
    futures::future::try_join_all(writers).await.unwrap();
    let (before, version) = world.api.list(MAPS, Some("default"));
    // Those made here, and the certificate that every namespace has.
    assert_eq!(before.len(), 401);
    // The files as they are now, as a crash would leave them.
    let copy = tempfile::tempdir().unwrap();
    for name in ["objects.db", "objects.db-wal"] {
        std::fs::copy(world.directory.path().join(name), copy.path().join(name)).unwrap();
    }
    let reopened = Api::open(Options::new(copy.path())).unwrap();
    let (after, reread) = reopened.list(MAPS, Some("default"));
    assert_eq!((after, reread), (before, version));
}

#[tokio::test]
async fn what_is_stored_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let world = world();
    for name in ["objects.db", "objects.db-wal"] {
        let file = std::fs::metadata(world.directory.path().join(name)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_second_owner_is_told_who_has_the_directory() {
    let world = world();
    let second = Api::open(Options::new(world.directory.path()));
    let Err(OpenError::InUse { holder, .. }) = second else {
        panic!("opened twice")
    };
    assert_eq!(holder, std::process::id().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn modifications_by_many_are_all_kept_and_seen_in_order() {
    let world = world();
    world
        .api
        .create(MAPS, "default", config_map("a"))
        .await
        .unwrap();
    let (_, from) = world.api.list(MAPS, None);
    let events = world.api.watch(MAPS, Some("default"), from);
    let writers = (0..8).map(|_| {
        let api = world.api.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                let none = diwan_embedded::Subresource::None;
                api.modify(MAPS, "default", "a", none, |object| {
                    let count: u64 = object["data"]["n"].as_str().unwrap_or("0").parse().unwrap();
                    object["data"]["n"] = json!((count + 1).to_string());
                    true
                })
                .await
                .unwrap();
            }
        })
    });
    futures::future::try_join_all(writers).await.unwrap();
    let counts: Vec<String> = events
        .take(80)
        .map(|event| match event {
            WatchEvent::Modified(object) => object["data"]["n"].as_str().unwrap().to_owned(),
            other => panic!("unexpected {other:?}"),
        })
        .collect()
        .await;
    let wanted: Vec<String> = (1..=80).map(|n| n.to_string()).collect();
    assert_eq!(counts, wanted);
}
