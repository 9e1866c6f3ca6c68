//! Pods of trials that don't say so: of kinds whose controllers make pods without what stands in the
//! trial template. Who owns them is asked of the API, and little of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use diwan_api::Trial;
use diwan_api::metadata::LABEL_TRIAL;
use diwan_controller::admission::mark::{is_marked, mark_pod};
use diwan_controller::admission::owner::{Way, way};
use diwan_db_manager::TrialTokens;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ObjectMeta, TypeMeta};
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::{Instant, timeout};

/// How long a pod may wait for an answer.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// How far a trial may be from its pods, and how many objects are read on the way.
const DEEPEST: usize = 5;
const MOST_READ: usize = 8;
/// How long it is remembered that an owner is not a trial's, and of how many.
const FRESH: Duration = Duration::from_secs(5);
const REMEMBERED: usize = 4_096;

/// Who owns pods.
pub(super) struct Owners {
    client: Client,
    tokens: Arc<TrialTokens>,
    resources: Mutex<HashMap<TypeMeta, ApiResource>>,
    /// Owners that are not a trial's, and when that was learned.
    strangers: Mutex<HashMap<Stranger, Instant>>,
    /// Kinds that may not be read: told once.
    refused: Mutex<HashSet<TypeMeta>>,
}

/// The trial of a pod.
struct Found {
    trial: Trial,
    /// Whether the pod shows the uid of an owner, which only they know who may read objects of the
    /// namespace: anybody may ask the webhook, but only they get a token.
    is_shown: bool,
}

/// Namespace, kind, name and uid.
type Stranger = (String, String, String, String);

impl Owners {
    pub(super) fn new(client: Client, tokens: Arc<TrialTokens>) -> Self {
        Self {
            client,
            tokens,
            resources: Mutex::default(),
            strangers: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// Marks a pod as a trial's when it is one and does not say so.
    pub(super) async fn mark(&self, pod: &mut Value, namespace: &str) {
        if is_marked(pod) {
            return;
        }
        let Ok(metadata) = serde_json::from_value::<ObjectMeta>(pod["metadata"].clone()) else {
            return;
        };
        match timeout(PATIENCE, self.trial_of(&metadata, namespace)).await {
            Ok(Ok(Some(Found { trial, is_shown }))) => {
                let token = is_shown.then(|| self.tokens.token(namespace, &trial.name_any()));
                mark_pod(pod, &trial, token);
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::warn!(namespace, "whose a pod is can't be learned: {error}"),
            Err(_) => tracing::warn!(namespace, "whose a pod is was not learned in time"),
        }
    }

    async fn trial_of(&self, pod: &ObjectMeta, namespace: &str) -> kube::Result<Option<Found>> {
        if let Some(trial) = self.owner_of(pod, namespace).await? {
            let is_shown = true;
            return Ok(Some(Found { trial, is_shown }));
        }
        let label = pod
            .labels
            .as_ref()
            .and_then(|labels| labels.get(LABEL_TRIAL));
        let Some(name) = label else {
            return Ok(None);
        };
        let trial = self.trials(namespace).get_opt(name).await?;
        let is_shown = false;
        Ok(trial.map(|trial| Found { trial, is_shown }))
    }

    async fn owner_of(&self, pod: &ObjectMeta, namespace: &str) -> kube::Result<Option<Trial>> {
        let mut owners = pod.owner_references.clone().unwrap_or_default();
        owners.retain(|owner| !self.is_stranger(namespace, owner));
        let trial = self.follow(owners.clone(), namespace).await?;
        if trial.is_none() {
            self.remember(namespace, &owners);
        }
        Ok(trial)
    }

    /// Goes from owner to owner until one is a trial's.
    async fn follow(
        &self,
        mut owners: Vec<OwnerReference>,
        namespace: &str,
    ) -> kube::Result<Option<Trial>> {
        let mut left = MOST_READ;
        for _ in 0..DEEPEST {
            let next = match way(&owners) {
                Way::Trial(owner) => {
                    let trial = self.trials(namespace).get_opt(&owner.name).await?;
                    return Ok(trial.filter(|trial| trial.uid().as_ref() == Some(&owner.uid)));
                }
                Way::Owners(owners) => owners.into_iter().take(left),
            };
            let mut found = Vec::new();
            for owner in next {
                left -= 1;
                found.extend(self.owners_of(owner, namespace).await?);
            }
            owners = found;
        }
        Ok(None)
    }

    /// The owners of an owner; none where it may not be read.
    async fn owners_of(
        &self,
        owner: &OwnerReference,
        namespace: &str,
    ) -> kube::Result<Vec<OwnerReference>> {
        let types = TypeMeta {
            api_version: owner.api_version.clone(),
            kind: owner.kind.clone(),
        };
        let Some(resource) = self.resource(&types).await? else {
            return Ok(Vec::new());
        };
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &resource);
        let found = match api.get_metadata_opt(&owner.name).await {
            Err(kube::Error::Api(status)) if status.code == 403 => {
                self.tell_refused(types);
                None
            }
            found => found?,
        };
        let found = found.filter(|found| found.uid().as_ref() == Some(&owner.uid));
        let owners = found.and_then(|found| found.metadata.owner_references);
        Ok(owners.unwrap_or_default())
    }

    /// How the API calls a kind, if it serves it and its objects have namespaces.
    async fn resource(&self, types: &TypeMeta) -> kube::Result<Option<ApiResource>> {
        if let Some(resource) = self.resources.lock().get(types) {
            return Ok(Some(resource.clone()));
        }
        let Ok(gvk) = GroupVersionKind::try_from(types) else {
            return Ok(None);
        };
        match pinned_kind(&self.client, &gvk).await {
            Ok((resource, capabilities)) if capabilities.scope == Scope::Namespaced => {
                let mut resources = self.resources.lock();
                resources.insert(types.clone(), resource.clone());
                Ok(Some(resource))
            }
            Ok(_) | Err(kube::Error::Discovery(_)) => Ok(None),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn trials(&self, namespace: &str) -> Api<Trial> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn is_stranger(&self, namespace: &str, owner: &OwnerReference) -> bool {
        let strangers = self.strangers.lock();
        let learned = strangers.get(&stranger(namespace, owner));
        learned.is_some_and(|learned| learned.elapsed() < FRESH)
    }

    fn remember(&self, namespace: &str, owners: &[OwnerReference]) {
        let mut strangers = self.strangers.lock();
        if strangers.len() >= REMEMBERED {
            strangers.clear();
        }
        let now = Instant::now();
        let keys = owners.iter().map(|owner| stranger(namespace, owner));
        strangers.extend(keys.map(|key| (key, now)));
    }

    fn tell_refused(&self, types: TypeMeta) {
        let TypeMeta { api_version, kind } = &types;
        let text = format!(
            "the kind {kind} of {api_version} owns pods and can't be read, so none of them counts as \
             a trial's; if trials run with it, allow `get` by a ClusterRole labelled \
             diwan.dev/aggregate-to-trial-kinds"
        );
        if self.refused.lock().insert(types) {
            tracing::info!("{text}");
        }
    }
}

fn stranger(namespace: &str, owner: &OwnerReference) -> Stranger {
    let OwnerReference {
        kind, name, uid, ..
    } = owner;
    (
        namespace.to_owned(),
        kind.clone(),
        name.clone(),
        uid.clone(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use diwan_api::metadata::ANNOTATION_TRIAL_TOKEN;

    use super::super::fake::{Asked, FakeApi};
    use super::*;

    fn tokens() -> Arc<TrialTokens> {
        Arc::new(TrialTokens::new(b"key"))
    }

    fn owner(api_version: &str, kind: &str, name: &str) -> Value {
        json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": format!("uid-{name}")})
    }

    fn pod(owners: &[Value]) -> Value {
        json!({"metadata": {"ownerReferences": owners}, "spec": {"containers": [{"name": "main"}]}})
    }

    fn object(name: &str, owners: &[Value]) -> (u16, Value) {
        let metadata =
            json!({"name": name, "uid": format!("uid-{name}"), "ownerReferences": owners});
        let body = json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata,
        });
        (200, body)
    }

    /// A Job of a Set of the trial `tune-b`, and much else.
    fn answer(asked: Asked) -> (u16, Value) {
        let version = asked.path.trim_start_matches("/apis/");
        let kinds = |kinds: &[(&str, &str, bool)]| {
            let resource = |(kind, name, namespaced): &(&str, &str, bool)| {
                json!({
                    "kind": kind, "name": name, "singularName": "", "namespaced": namespaced,
                    "verbs": ["get"],
                })
            };
            let resources: Vec<_> = kinds.iter().map(resource).collect();
            (
                200,
                json!({"groupVersion": version, "resources": resources}),
            )
        };
        let set = owner("sets.example/v1", "Set", "set");
        match asked.path.as_str() {
            "/apis/batch/v1" => kinds(&[("Job", "jobs", true)]),
            "/apis/sets.example/v1" => kinds(&[
                ("Set", "setties", true),
                ("Hidden", "hiddens", true),
                ("Wide", "wides", false),
            ]),
            "/apis/batch/v1/namespaces/team/jobs/job" => object("job", &[set]),
            "/apis/batch/v1/namespaces/team/jobs/lone" => object("lone", &[]),
            "/apis/batch/v1/namespaces/team/jobs/ring" => {
                object("ring", &[owner("batch/v1", "Job", "ring")])
            }
            "/apis/sets.example/v1/namespaces/team/setties/set" => {
                object("set", &[owner("kubeflow.org/v1beta1", "Trial", "tune-b")])
            }
            "/apis/sets.example/v1/namespaces/team/hiddens/h" => {
                (403, json!({"message": "no", "reason": "Forbidden"}))
            }
            "/apis/sets.example/v1/namespaces/team/hiddens/broken" => {
                (500, json!({"message": "?"}))
            }
            "/apis/kubeflow.org/v1beta1/namespaces/team/trials/tune-b" => {
                let metadata = json!({"name": "tune-b", "namespace": "team", "uid": "uid-tune-b"});
                let trial = json!({
                    "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial", "metadata": metadata,
                    "spec": {"primaryContainerName": "main"},
                });
                (200, trial)
            }
            path if path.contains("/namespaces/") => (404, json!({"reason": "NotFound"})),
            path => panic!("{path}"),
        }
    }

    async fn trial(owners: &Owners, mut pod: Value) -> Option<String> {
        let before = pod.clone();
        owners.mark(&mut pod, "team").await;
        if !is_marked(&pod) {
            assert_eq!(pod, before, "a pod of others stays as it is");
            return None;
        }
        let label = &pod["metadata"]["labels"][LABEL_TRIAL];
        Some(label.as_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn the_way_to_the_trial_is_found_over_several_owners() {
        let api = FakeApi::new(answer);
        let owners = Owners::new(api.client(), tokens());
        let of_job = || pod(&[owner("batch/v1", "Job", "job")]);
        assert_eq!(trial(&owners, of_job()).await.as_deref(), Some("tune-b"));
        let asked = api.asked();
        assert_eq!(asked, 5, "two kinds, two owners and the trial");
        assert_eq!(trial(&owners, of_job()).await.as_deref(), Some("tune-b"));
        assert_eq!(api.asked() - asked, 3, "kinds are known by then");
        let direct = pod(&[owner("kubeflow.org/v1beta1", "Trial", "tune-b")]);
        assert_eq!(trial(&owners, direct).await.as_deref(), Some("tune-b"));
        let mut shown = of_job();
        owners.mark(&mut shown, "team").await;
        let token = &shown["metadata"]["annotations"][ANNOTATION_TRIAL_TOKEN];
        assert_eq!(*token, tokens().token("team", "tune-b"));
    }

    #[tokio::test]
    async fn a_label_without_the_rest_names_the_trial() {
        let api = FakeApi::new(answer);
        let owners = Owners::new(api.client(), tokens());
        let mut labelled = pod(&[]);
        labelled["metadata"]["labels"] = json!({LABEL_TRIAL: "tune-b"});
        assert_eq!(
            trial(&owners, labelled.clone()).await.as_deref(),
            Some("tune-b")
        );
        owners.mark(&mut labelled, "team").await;
        let annotations = &labelled["metadata"]["annotations"];
        assert!(
            annotations.get(ANNOTATION_TRIAL_TOKEN).is_none(),
            "names are not secret"
        );
        let mut labelled = pod(&[]);
        labelled["metadata"]["labels"] = json!({LABEL_TRIAL: "gone"});
        assert_eq!(trial(&owners, labelled).await, None);
    }

    #[tokio::test]
    async fn pods_of_others_are_asked_about_once_in_a_while() {
        let api = FakeApi::new(answer);
        let owners = Owners::new(api.client(), tokens());
        for (owner, requests) in [
            (owner("apps/v1", "ReplicaSet", "r"), 0),
            (owner("v1", "Node", "n"), 0),
            (owner("batch/v1", "Job", "lone"), 2),
            (owner("batch/v1", "Job", "gone"), 1),
            (owner("batch/v1", "Job", "ring"), DEEPEST),
            (owner("sets.example/v1", "Hidden", "h"), 2),
            (owner("sets.example/v1", "Wide", "w"), 1),
            (owner("sets.example/v1", "Unheard", "u"), 1),
            // Of another object of that name.
            (
                json!({"apiVersion": "batch/v1", "kind": "Job", "name": "job", "uid": "other"}),
                1,
            ),
        ] {
            let before = api.asked();
            for _ in 0..3 {
                assert_eq!(
                    trial(&owners, pod(std::slice::from_ref(&owner))).await,
                    None
                );
            }
            assert_eq!(api.asked() - before, requests, "{owner}");
        }
        assert_eq!(trial(&owners, pod(&[])).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_learned_is_asked_again() {
        let api = FakeApi::new(answer);
        let owners = Owners::new(api.client(), tokens());
        let broken = || pod(&[owner("sets.example/v1", "Hidden", "broken")]);
        assert_eq!(trial(&owners, broken()).await, None);
        let before = api.asked();
        assert_eq!(trial(&owners, broken()).await, None);
        assert_eq!(api.asked() - before, 1);
        let lone = || pod(&[owner("batch/v1", "Job", "lone")]);
        assert_eq!(trial(&owners, lone()).await, None);
        let before = api.asked();
        tokio::time::advance(FRESH).await;
        assert_eq!(trial(&owners, lone()).await, None);
        assert_eq!(api.asked() - before, 1);
    }
}
