//! kube-rs as its users have it: a controller over TLS, with a kubeconfig.

use std::sync::Arc;
use std::time::Duration;

use diwan_tests::clients::Server;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::events::v1::Event as Seen;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::finalizer::{Event as Finalizer, finalizer};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher;
use kube::{
    Api, Client, Config, CustomResource, CustomResourceExt as _, Resource as _, ResourceExt as _,
};
use kube_lease_manager::LeaseManagerBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

const NAMESPACE: &str = "clients-kube-rs";
const MANAGER: &str = "kite-controller";

/// A kind of this program's own.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "kube-rs.clients.test",
    version = "v1",
    kind = "Kite",
    namespaced
)]
#[kube(status = "KiteStatus", derive = "Default")]
#[kube(printcolumn = r#"{"name":"Length","type":"integer","jsonPath":".spec.length"}"#)]
#[derive(Default)]
struct KiteSpec {
    #[schemars(range(min = 1))]
    length: u32,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
struct KiteStatus {
    flies: Option<u32>,
}

struct Context {
    client: Client,
    recorder: Recorder,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error(transparent)]
    Finalizer(#[from] Box<kube::runtime::finalizer::Error<kube::Error>>),
}

async fn reconcile(kite: Arc<Kite>, context: Arc<Context>) -> Result<Action, Failure> {
    let kites: Api<Kite> = Api::namespaced(context.client.clone(), NAMESPACE);
    let step = |event| async {
        match event {
            Finalizer::Apply(kite) => fly(&kite, &context).await,
            Finalizer::Cleanup(kite) => land(&kite, &context).await,
        }
    };
    let done = finalizer(&kites, "kube-rs.clients.test/land", kite, step).await;
    Ok(done.map_err(Box::new)?)
}

/// Keeps a ConfigMap for the kite, applied by the server, and says so in its status.
async fn fly(kite: &Kite, context: &Context) -> Result<Action, kube::Error> {
    let apply = PatchParams::apply(MANAGER).force();
    let string = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": kite.name_any(), "ownerReferences": [kite.controller_owner_ref(&())]},
        "data": {"length": kite.spec.length.to_string()},
    });
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), NAMESPACE);
    maps.patch(&kite.name_any(), &apply, &Patch::Apply(string))
        .await?;
    let status = json!({
        "apiVersion": Kite::api_version(&()),
        "kind": Kite::kind(&()),
        "status": {"flies": kite.spec.length},
    });
    let kites: Api<Kite> = Api::namespaced(context.client.clone(), NAMESPACE);
    kites
        .patch_status(&kite.name_any(), &apply, &Patch::Apply(status))
        .await?;
    Ok(Action::await_change())
}

/// Tells of the end.
async fn land(kite: &Kite, context: &Context) -> Result<Action, kube::Error> {
    let event = Event {
        type_: EventType::Normal,
        reason: "Landed".to_owned(),
        note: Some(format!("{} has landed", kite.name_any())),
        action: "Land".to_owned(),
        secondary: None,
    };
    context
        .recorder
        .publish(&event, &kite.object_ref(&()))
        .await?;
    Ok(Action::await_change())
}

/// A client with a kubeconfig, as programs of others make it.
async fn client(server: &Server) -> Client {
    let file = Kubeconfig::read_from(&server.kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(file, &options)
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}

/// Waits until an object is as wanted; the deadline ends a test that would hang.
async fn until<K>(api: &Api<K>, name: &str, why: &str, holds: impl Fn(Option<&K>) -> bool)
where
    K: Clone + std::fmt::Debug + Send + serde::de::DeserializeOwned + kube::Resource + 'static,
{
    let waiting = await_condition(api.clone(), name, holds);
    let waited = tokio::time::timeout(Duration::from_mins(1), waiting).await;
    waited
        .unwrap_or_else(|_| panic!("waited in vain: {why}"))
        .unwrap();
}

async fn prepare(client: &Client) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = Namespace {
        metadata: ObjectMeta {
            name: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    let kinds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let apply = PatchParams::apply(MANAGER);
    kinds
        .patch(Kite::crd_name(), &apply, &Patch::Apply(Kite::crd()))
        .await
        .unwrap();
    let established = conditions::is_crd_established();
    until(&kinds, Kite::crd_name(), "the kind is served", |kind| {
        kube::runtime::wait::Condition::matches_object(&established, kind)
    })
    .await;
}

#[tokio::test]
async fn a_controller_reconciles_what_a_user_does() {
    let server = Server::start();
    let client = client(&server).await;
    prepare(&client).await;
    let kites: Api<Kite> = Api::namespaced(client.clone(), NAMESPACE);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let streaming = watcher::Config::default().streaming_lists();
    let context = Arc::new(Context {
        client: client.clone(),
        recorder: Recorder::new(client.clone(), Reporter::from(MANAGER.to_owned())),
    });
    let controller =
        Controller::new(kites.clone(), streaming.clone()).owns(maps.clone(), streaming.clone());
    let retry = |_, _: &Failure, _| Action::requeue(Duration::from_millis(100));
    let running = tokio::spawn(
        controller
            .run(reconcile, retry, context)
            .for_each(|_| async {}),
    );

    let kite = Kite::new("red", KiteSpec { length: 3 });
    kites.create(&PostParams::default(), &kite).await.unwrap();
    let flies = |length| {
        move |kite: Option<&Kite>| kite.and_then(|kite| kite.status.as_ref()?.flies) == Some(length)
    };
    until(&kites, "red", "a new object is reconciled", flies(3)).await;
    let string = maps.get("red").await.unwrap();
    assert_eq!(string.data.unwrap()["length"], "3");
    assert_eq!(string.metadata.owner_references.unwrap()[0].kind, "Kite");

    let longer = json!({"spec": {"length": 5}});
    kites
        .patch("red", &PatchParams::default(), &Patch::Merge(longer))
        .await
        .unwrap();
    until(&kites, "red", "a changed object is reconciled", flies(5)).await;
    let bad = Kite::new("none", KiteSpec { length: 0 });
    let refused = kites
        .create(&PostParams::default(), &bad)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("spec.length"), "{refused}");

    let deleted = maps.delete("red", &DeleteParams::default()).await.unwrap();
    let old = deleted.left().and_then(|map| map.metadata.uid);
    until(&maps, "red", "what was taken is made again", |map| {
        map.is_some_and(|map| old.is_none() || map.metadata.uid != old)
    })
    .await;

    kites.delete("red", &DeleteParams::default()).await.unwrap();
    until(&kites, "red", "it is gone", |kite| kite.is_none()).await;
    until(&maps, "red", "with what it made", |map| map.is_none()).await;
    let events: Api<Seen> = Api::namespaced(client.clone(), NAMESPACE);
    let told = events
        .list(&ListParams::default().fields("reason=Landed"))
        .await
        .unwrap();
    assert_eq!(told.items[0].note.as_deref(), Some("red has landed"));

    running.abort();
    watches_by_streams(&maps, &streaming).await;
    leads(&client).await;
    let kinds: Api<CustomResourceDefinition> = Api::all(client.clone());
    kinds
        .delete(Kite::crd_name(), &DeleteParams::default())
        .await
        .unwrap();
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces
        .delete(NAMESPACE, &DeleteParams::default())
        .await
        .unwrap();
}

/// A list by a stream ends with a bookmark, and goes on as a watch.
async fn watches_by_streams(maps: &Api<ConfigMap>, streaming: &watcher::Config) {
    let selected = streaming.clone().fields("metadata.name=leaf");
    let mut events = Box::pin(watcher(maps.clone(), selected));
    assert!(matches!(
        events.try_next().await.unwrap(),
        Some(watcher::Event::Init)
    ));
    assert!(matches!(
        events.try_next().await.unwrap(),
        Some(watcher::Event::InitDone)
    ));
    let leaf = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "leaf"}});
    let apply = PatchParams::apply(MANAGER);
    maps.patch("leaf", &apply, &Patch::Apply(leaf))
        .await
        .unwrap();
    let Some(watcher::Event::Apply(seen)) = events.try_next().await.unwrap() else {
        panic!("a new object is not seen");
    };
    assert_eq!(seen.name_any(), "leaf");
}

/// Two managers of one Lease: one leads, and the other when that one has gone.
async fn leads(client: &Client) {
    let manager = |identity: &str| {
        let builder = LeaseManagerBuilder::new(client.clone(), "kites").with_namespace(NAMESPACE);
        builder
            .with_identity(identity)
            .with_duration(6)
            .with_grace(2)
            .build()
    };
    let (mut first, one) = manager("first").await.unwrap().watch().await;
    first.wait_for(|leads| *leads).await.unwrap();
    let (mut second, other) = manager("second").await.unwrap().watch().await;
    assert!(!*second.borrow());
    // Who nobody listens to gives the Lease back.
    drop(first);
    one.await.unwrap().unwrap();
    second.wait_for(|leads| *leads).await.unwrap();
    drop(second);
    other.await.unwrap().unwrap();
}
