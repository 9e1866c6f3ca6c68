//! Creating, reading, changing and deleting objects through a `kube::Client`.

use crate::world::{config_map, eventually, pod, world};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ConfigMap, Namespace, Pod, Secret, ServiceAccount},
};
use kube::{
    Api, Error, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use pretty_assertions::assert_eq;
use serde_json::json;

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, code: u16, reason: &str) -> String {
    match result {
        Err(Error::Api(status)) => {
            assert_eq!(
                (status.code, status.reason.as_str()),
                (code, reason),
                "{}",
                status.message
            );
            status.message.clone()
        }
        other => panic!("expected {reason}, got {other:?}"),
    }
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(config_map(name)).unwrap()
}

#[tokio::test]
async fn an_object_gets_an_identity_and_is_read_back() {
    let world = world();
    let maps: Api<ConfigMap> = Api::default_namespaced(world.client.clone());
    let made = maps
        .create(&PostParams::default(), &map("a"))
        .await
        .unwrap();
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    assert_eq!(made.namespace().as_deref(), Some("default"));
    assert_eq!(maps.get("a").await.unwrap(), made);
    let listed = maps.list(&ListParams::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert!(maps.get_opt("b").await.unwrap().is_none());
    let text = refused(
        maps.create(&PostParams::default(), &map("a")).await,
        409,
        "AlreadyExists",
    );
    assert_eq!(text, "configmaps \"a\" already exists");
    let text = refused(maps.get("b").await, 404, "NotFound");
    assert_eq!(text, "configmaps \"b\" not found");
}

#[tokio::test]
async fn names_are_generated_and_rules_are_kept() {
    let world = world();
    let maps: Api<ConfigMap> = Api::default_namespaced(world.client.clone());
    let mut wanted = map("x");
    wanted.metadata.name = None;
    refused(
        maps.create(&PostParams::default(), &wanted).await,
        422,
        "Invalid",
    );
    wanted.metadata.generate_name = Some("run-".to_owned());
    let first = maps
        .create(&PostParams::default(), &wanted)
        .await
        .unwrap()
        .name_any();
    let second = maps
        .create(&PostParams::default(), &wanted)
        .await
        .unwrap()
        .name_any();
    assert!(first.starts_with("run-") && first.len() == 9 && first != second);
    refused(
        maps.create(&PostParams::default(), &map("Not_A_Name"))
            .await,
        422,
        "Invalid",
    );
    let elsewhere: Api<ConfigMap> = Api::namespaced(world.client.clone(), "nowhere");
    let text = refused(
        elsewhere.create(&PostParams::default(), &map("a")).await,
        404,
        "NotFound",
    );
    assert_eq!(text, "namespaces \"nowhere\" not found");
}

#[tokio::test]
async fn a_stale_update_is_a_conflict_and_an_equal_one_writes_nothing() {
    let world = world();
    let maps: Api<ConfigMap> = Api::default_namespaced(world.client.clone());
    let old = maps
        .create(&PostParams::default(), &map("a"))
        .await
        .unwrap();
    let mut new = old.clone();
    new.data = Some([("b".to_owned(), "2".to_owned())].into());
    let new = maps
        .replace("a", &PostParams::default(), &new)
        .await
        .unwrap();
    assert_ne!(new.resource_version(), old.resource_version());
    refused(
        maps.replace("a", &PostParams::default(), &old).await,
        409,
        "Conflict",
    );
    let same = maps
        .replace("a", &PostParams::default(), &new)
        .await
        .unwrap();
    assert_eq!(same.resource_version(), new.resource_version());
    let stale = json!({ "metadata": { "resourceVersion": old.resource_version() }, "data": {} });
    let params = PatchParams::default();
    refused(
        maps.patch("a", &params, &Patch::Merge(&stale)).await,
        409,
        "Conflict",
    );
}

#[tokio::test]
async fn every_form_of_patch_changes_what_it_names() {
    let world = world();
    let maps: Api<ConfigMap> = Api::default_namespaced(world.client.clone());
    maps.create(&PostParams::default(), &map("a"))
        .await
        .unwrap();
    let params = PatchParams::apply("test");
    let merge = json!({ "data": { "b": "2", "a": null } });
    maps.patch("a", &params, &Patch::Merge(&merge))
        .await
        .unwrap();
    let strategic = json!({ "metadata": { "labels": { "l": "1" } } });
    maps.patch("a", &params, &Patch::Strategic(&strategic))
        .await
        .unwrap();
    let json = json!([{ "op": "add", "path": "/data/c", "value": "3" }]);
    let (path, type_) = (
        "/api/v1/namespaces/default/configmaps/a",
        "application/json-patch+json",
    );
    assert_eq!(world.ask_as("PATCH", path, type_, "", json).await.code, 200);
    let patched = maps.get("a").await.unwrap();
    let data = patched.data.clone().unwrap();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(patched.labels()["l"], "1");
    let mut applied = config_map("new");
    applied["data"] = json!({ "x": "1" });
    maps.patch("new", &params, &Patch::Apply(&applied))
        .await
        .unwrap();
    applied["data"] = json!({ "y": "2" });
    let other = PatchParams::apply("other");
    let both = maps
        .patch("new", &other, &Patch::Apply(&applied))
        .await
        .unwrap();
    assert_eq!(both.data.unwrap().len(), 2);
    refused(
        maps.patch("no", &params, &Patch::Merge(&merge)).await,
        404,
        "NotFound",
    );
}

#[tokio::test]
async fn concurrent_patches_are_all_applied() {
    let world = world();
    let maps: Api<ConfigMap> = Api::default_namespaced(world.client.clone());
    maps.create(&PostParams::default(), &map("a"))
        .await
        .unwrap();
    let patches = (0..16).map(|i| {
        let maps = maps.clone();
        let patch = json!({ "data": { format!("k{i}"): "x" } });
        async move {
            maps.patch("a", &PatchParams::default(), &Patch::Merge(&patch))
                .await
        }
    });
    futures::future::try_join_all(patches).await.unwrap();
    assert_eq!(maps.get("a").await.unwrap().data.unwrap().len(), 17);
}

#[tokio::test]
async fn a_watch_shows_each_change_once_and_in_order() {
    let world = world();
    let maps: Api<ConfigMap> = Api::default_namespaced(world.client.clone());
    let first = maps
        .create(&PostParams::default(), &map("a"))
        .await
        .unwrap();
    let params = WatchParams::default().labels("l=1").timeout(60);
    let version = first.resource_version().unwrap();
    let mut events = maps.watch(&params, &version).await.unwrap().boxed();
    for labels in [
        json!({ "l": "1" }),
        json!({ "l": "1", "m": "1" }),
        json!({ "l": null }),
    ] {
        let patch = json!({ "metadata": { "labels": labels } });
        maps.patch("a", &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let event = events.try_next().await.unwrap().unwrap();
        seen.push(match event {
            WatchEvent::Added(_) => "added",
            WatchEvent::Modified(_) => "modified",
            WatchEvent::Deleted(_) => "deleted",
            WatchEvent::Bookmark(_) => continue,
            WatchEvent::Error(status) => panic!("{status:?}"),
        });
    }
    assert_eq!(seen, ["added", "modified", "deleted"]);
}

#[tokio::test]
async fn the_status_changes_only_through_its_subresource() {
    let world = world();
    let pods: Api<Pod> = Api::default_namespaced(world.client.clone());
    let made: Pod = serde_json::from_value(pod("p")).unwrap();
    pods.create(&PostParams::default(), &made).await.unwrap();
    let running =
        json!({ "status": { "phase": "Running" }, "metadata": { "labels": { "a": "b" } } });
    let main = pods
        .patch("p", &PatchParams::default(), &Patch::Merge(&running))
        .await
        .unwrap();
    assert_eq!(
        main.status.clone().unwrap().phase.as_deref(),
        Some("Pending")
    );
    assert_eq!(main.labels()["a"], "b");
    let running =
        json!({ "status": { "phase": "Running" }, "metadata": { "labels": { "a": "c" } } });
    let both = pods
        .patch_status("p", &PatchParams::default(), &Patch::Merge(&running))
        .await
        .unwrap();
    assert_eq!(
        both.status.clone().unwrap().phase.as_deref(),
        Some("Running")
    );
    assert_eq!(both.labels()["a"], "b");
}

#[tokio::test]
async fn a_finalizer_holds_an_object_until_it_is_removed() {
    let world = world();
    let maps: Api<ConfigMap> = Api::default_namespaced(world.client.clone());
    let mut held = map("a");
    held.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    maps.create(&PostParams::default(), &held).await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(
        maps.get("a")
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    );
    let more = json!({ "metadata": { "finalizers": ["example.com/hold", "example.com/more"] } });
    let params = PatchParams::default();
    refused(
        maps.patch("a", &params, &Patch::Merge(&more)).await,
        422,
        "Invalid",
    );
    let none = json!({ "metadata": { "finalizers": null } });
    maps.patch("a", &params, &Patch::Merge(&none))
        .await
        .unwrap();
    assert!(maps.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn dependents_go_with_their_owner_unless_they_are_orphaned() {
    let world = world();
    let maps: Api<ConfigMap> = Api::default_namespaced(world.client.clone());
    for (owner, policy, stays) in [
        ("background", DeleteParams::background(), false),
        ("foreground", DeleteParams::foreground(), false),
        (
            "orphan",
            DeleteParams {
                propagation_policy: Some(kube::api::PropagationPolicy::Orphan),
                ..DeleteParams::default()
            },
            true,
        ),
    ] {
        let made = maps
            .create(&PostParams::default(), &map(owner))
            .await
            .unwrap();
        let mut reference = kube::Resource::owner_ref(&made, &()).unwrap();
        reference.block_owner_deletion = Some(true);
        let mut child = map(&format!("{owner}-child"));
        child.metadata.owner_references = Some(vec![reference]);
        maps.create(&PostParams::default(), &child).await.unwrap();
        maps.delete(owner, &policy).await.unwrap();
        let (maps, child) = (maps.clone(), child.name_any());
        eventually(owner, || async {
            let gone = maps.get_opt(owner).await.unwrap().is_none();
            let child = maps.get_opt(&child).await.unwrap();
            match child {
                Some(child) if stays => (gone && child.owner_references().is_empty()).then_some(()),
                None if !stays => gone.then_some(()),
                _ => None,
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_object_whose_owner_never_was_is_collected() {
    let world = world();
    let maps: Api<ConfigMap> = Api::default_namespaced(world.client.clone());
    let mut child = map("child");
    child.metadata.owner_references = Some(vec![
        serde_json::from_value(
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "none" }),
        )
        .unwrap(),
    ]);
    maps.create(&PostParams::default(), &child).await.unwrap();
    eventually("the collector", || async {
        maps.get_opt("child").await.unwrap().is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_namespace_takes_its_content_with_it() {
    let world = world();
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let made = serde_json::from_value(json!({ "metadata": { "name": "team" } })).unwrap();
    namespaces
        .create(&PostParams::default(), &made)
        .await
        .unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), "team");
    assert!(accounts.get_opt("default").await.unwrap().is_some());
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), "team");
    let mut held = map("held");
    held.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    maps.create(&PostParams::default(), &held).await.unwrap();
    namespaces
        .delete("team", &DeleteParams::default())
        .await
        .unwrap();
    let phase = namespaces.get("team").await.unwrap().status.unwrap().phase;
    assert_eq!(phase.as_deref(), Some("Terminating"));
    refused(
        maps.create(&PostParams::default(), &map("late")).await,
        403,
        "Forbidden",
    );
    eventually("the mark", || async {
        maps.get("held")
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .map(drop)
    })
    .await;
    let none = json!({ "metadata": { "finalizers": null } });
    maps.patch("held", &PatchParams::default(), &Patch::Merge(&none))
        .await
        .unwrap();
    eventually("the end of the namespace", || async {
        namespaces
            .get_opt("team")
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_running_pod_is_marked_and_others_go_at_once() {
    let world = world();
    let pods: Api<Pod> = Api::default_namespaced(world.client.clone());
    for name in ["waits", "runs"] {
        let made: Pod = serde_json::from_value(pod(name)).unwrap();
        pods.create(&PostParams::default(), &made).await.unwrap();
    }
    let bound = json!({ "spec": { "nodeName": "here" } });
    pods.patch("runs", &PatchParams::default(), &Patch::Merge(&bound))
        .await
        .unwrap();
    pods.delete("waits", &DeleteParams::default())
        .await
        .unwrap();
    assert!(pods.get_opt("waits").await.unwrap().is_none());
    pods.delete("runs", &DeleteParams::default().grace_period(7))
        .await
        .unwrap();
    let marked = pods.get("runs").await.unwrap();
    assert_eq!(marked.metadata.deletion_grace_period_seconds, Some(7));
    pods.delete("runs", &DeleteParams::default().grace_period(0))
        .await
        .unwrap();
    assert!(pods.get_opt("runs").await.unwrap().is_none());
}

#[tokio::test]
async fn built_in_kinds_get_their_defaults() {
    let world = world();
    let jobs: Api<Job> = Api::default_namespaced(world.client.clone());
    let mut wanted = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "j" },
        "spec": { "template": { "spec": pod("x")["spec"] } },
    });
    wanted["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    let job: Job = serde_json::from_value(wanted).unwrap();
    let made = jobs.create(&PostParams::default(), &job).await.unwrap();
    let uid = made.uid().unwrap();
    let spec = made.spec.unwrap();
    assert_eq!(
        (spec.backoff_limit, spec.completions, spec.parallelism),
        (Some(6), Some(1), Some(1))
    );
    let labels = spec.template.metadata.unwrap().labels.unwrap();
    assert_eq!(labels["batch.kubernetes.io/controller-uid"], uid);
    assert_eq!(made.metadata.generation, Some(1));
    let more = json!({ "spec": { "parallelism": 2 } });
    let changed = jobs
        .patch("j", &PatchParams::default(), &Patch::Merge(&more))
        .await
        .unwrap();
    assert_eq!(changed.metadata.generation, Some(2));
    let frozen = json!({ "spec": { "completionMode": "Indexed" } });
    let params = PatchParams::default();
    let text = refused(
        jobs.patch("j", &params, &Patch::Merge(&frozen)).await,
        422,
        "Invalid",
    );
    assert!(text.contains("field is immutable"), "{text}");

    let secrets: Api<Secret> = Api::default_namespaced(world.client.clone());
    let secret = serde_json::from_value(json!({
        "metadata": { "name": "s" }, "stringData": { "k": "v" },
    }))
    .unwrap();
    let made = secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
    assert_eq!(made.data.unwrap()["k"].0, b"v");
}
