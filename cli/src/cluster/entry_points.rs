//! What containers run that name no command, as their images say: read with the pod's pull Secrets,
//! and remembered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use diwan_controller::admission::image_program::{self, ImageProgram, Wanted};
use diwan_db_manager::TrialTokens;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::registry::{Credentials, Image, Registries};

/// How long a pod may wait for an answer; the API server waits 10 s for ours.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long what was learned holds unasked, and what was not learned.
const FRESH: Duration = Duration::from_secs(30);
const FRESH_FAILURE: Duration = Duration::from_secs(5);
/// So many images are remembered.
const REMEMBERED: usize = 1_000;

/// What containers run that name no command.
pub(super) struct EntryPoints {
    client: Client,
    registries: Registries,
    /// Know which pods are of the trial that they name.
    tokens: Arc<TrialTokens>,
    /// By namespace, as another may not see the same image. Who asks first holds the others up.
    known: Mutex<HashMap<(String, String), Slot>>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Known>>>;

/// What was learned of an image.
struct Known {
    at: Instant,
    image: Result<Image, String>,
}

impl Known {
    fn is_fresh(&self, now: Instant) -> bool {
        let lasts = if self.image.is_ok() {
            FRESH
        } else {
            FRESH_FAILURE
        };
        now.duration_since(self.at) < lasts
    }
}

impl EntryPoints {
    pub(super) fn new(client: Client, insecure: Vec<String>, tokens: Arc<TrialTokens>) -> Self {
        Self {
            client,
            registries: Registries::new(insecure),
            tokens,
            known: Mutex::default(),
        }
    }

    /// Gives the primary container of a trial's pod its image's program, if it names none and one
    /// is needed; or notes why not.
    pub(super) async fn give(&self, pod: &mut Value, namespace: &str) {
        let Some(wanted) = image_program::wanted(pod, namespace) else {
            return;
        };
        // Anybody may ask the webhook about a pod of any namespace: for a stranger, nothing is read
        // with that namespace's Secrets.
        if !self.tokens.is_of(&wanted.token, namespace, &wanted.trial) {
            return image_program::refuse(pod, "the pod does not show its trial's token");
        }
        match self.program(namespace, &wanted).await {
            Ok(program) => image_program::give(pod, &program),
            Err(why) => image_program::refuse(pod, &why),
        }
    }

    async fn program(&self, namespace: &str, wanted: &Wanted) -> Result<ImageProgram, String> {
        let slot = self.slot(namespace, &wanted.image);
        let mut known = slot.lock().await;
        if let Some(known) = known
            .as_ref()
            .filter(|known| known.is_fresh(Instant::now()))
        {
            return known.image.clone().map(|image| image.program);
        }
        let before = known.take().and_then(|known| known.image.ok());
        let late = || Err(format!("no answer within {} s", PATIENCE.as_secs()));
        let learning = timeout(PATIENCE, self.learn(namespace, wanted, before));
        let image = learning.await.unwrap_or_else(|_| late());
        let learned = known.insert(Known {
            at: Instant::now(),
            image,
        });
        learned.image.clone().map(|image| image.program)
    }

    fn slot(&self, namespace: &str, image: &str) -> Slot {
        let mut known = self.known.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let key = (namespace.to_owned(), image.to_owned());
        known.entry(key).or_default().clone()
    }

    async fn learn(
        &self,
        namespace: &str,
        wanted: &Wanted,
        before: Option<Image>,
    ) -> Result<Image, String> {
        let mut credentials = Credentials::default();
        let mut unread = String::new();
        let api = Api::<Secret>::namespaced(self.client.clone(), namespace);
        for name in &wanted.pull_secrets {
            match api.get_opt(name).await {
                Ok(Some(secret)) => credentials.add(&secret),
                Ok(None) => unread = format!(" (there is no Secret {name})"),
                Err(_) => unread = format!(" (the Secret {name} can't be read)"),
            }
        }
        if let Some(before) = before.filter(|image| image.digest.is_some()) {
            let now = self.registries.digest(&wanted.image, &credentials).await;
            if now == before.digest {
                return Ok(before);
            }
        }
        let read = self.registries.read(&wanted.image, &credentials).await;
        read.map_err(|why| why + &unread)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use diwan_api::metadata::{ANNOTATION_METRICS_COLLECTOR, ANNOTATION_TRIAL_TOKEN};
    use kube::api::PostParams;
    use serde_json::json;

    use super::super::registry::tests::{Door, Registry};
    use super::*;
    use crate::control_plane::Checker;

    fn tokens() -> Arc<TrialTokens> {
        Arc::new(TrialTokens::new(b"key"))
    }

    fn pod(image: &str) -> Value {
        let plan = json!({
            "trial": "tune-b", "namespace": "default", "primaryContainer": "main",
            "objective": "loss", "objectiveType": "minimize", "spec": {},
        });
        json!({
            "metadata": {"annotations": {
                ANNOTATION_METRICS_COLLECTOR: plan.to_string(),
                ANNOTATION_TRIAL_TOKEN: tokens().token("default", "tune-b"),
            }},
            "spec": {
                "imagePullSecrets": [{"name": "pull"}],
                "containers": [{"name": "main", "image": image, "args": ["--fast"]}],
            }
        })
    }

    async fn given(entry_points: &EntryPoints, image: &str) -> Value {
        let mut pod = pod(image);
        entry_points.give(&mut pod, "default").await;
        pod
    }

    fn entry_points(registry: &Registry) -> (EntryPoints, Checker) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let api = Checker::start(None).unwrap();
        let insecure = vec![registry.address.clone()];
        (
            EntryPoints::new(api.client.clone(), insecure, tokens()),
            api,
        )
    }

    async fn log_in(api: &Checker, registry: &Registry) {
        let login = json!({"username": "good", "password": "p"});
        let auths = json!({"auths": {registry.address.as_str(): login}}).to_string();
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "pull"}, "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": STANDARD.encode(auths)},
        }))
        .unwrap();
        let secrets = Api::<Secret>::namespaced(api.client.clone(), "default");
        secrets
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
    }

    fn annotation(pod: &Value) -> &str {
        let annotations = &pod["metadata"]["annotations"];
        annotations["diwan.dev/not-collected"]
            .as_str()
            .unwrap_or_default()
    }

    #[tokio::test]
    async fn a_pod_gets_its_image_s_program_and_the_next_one_asks_little() {
        let registry = Registry::start(Door::Token).await;
        let (entry_points, api) = entry_points(&registry);
        log_in(&api, &registry).await;
        let pod = given(&entry_points, &registry.image()).await;
        let main = &pod["spec"]["containers"][0];
        assert_eq!(main["command"], json!(["python3", "train.py"]), "{pod:#}");
        assert_eq!(main["args"], json!(["--fast"]));
        registry.asked.lock().clear();

        assert_eq!(given(&entry_points, &registry.image()).await, pod);
        assert_eq!(*registry.asked.lock(), Vec::<String>::new());

        let slot = entry_points.slot("default", &registry.image());
        slot.lock().await.as_mut().unwrap().at -= FRESH;
        assert_eq!(given(&entry_points, &registry.image()).await, pod);
        let asked = registry.asked.lock().clone();
        let without_tokens = asked.iter().filter(|line| !line.contains("/token"));
        let heads = vec!["HEAD /v2/team/train/manifests/1"; 2];
        assert_eq!(without_tokens.collect::<Vec<_>>(), heads);
    }

    #[tokio::test]
    async fn a_program_that_can_t_be_read_is_told_with_the_reason() {
        let registry = Registry::start(Door::Password).await;
        let (entry_points, _api) = entry_points(&registry);
        let pod = given(&entry_points, &registry.image()).await;
        let expected = format!(
            "container main has no command, and that of its image is not known: registry {}: it \
             answers 401 Unauthorized (there is no Secret pull); write the command into the trial \
             template",
            registry.address
        );
        assert_eq!(annotation(&pod), expected);
        assert_eq!(pod["spec"]["containers"][0].get("command"), None);

        let pod = given(&entry_points, "No image").await;
        let why = "No image is not the name of an image (there is no Secret pull)";
        assert!(annotation(&pod).contains(why), "{pod:#}");
    }

    #[tokio::test]
    async fn nothing_is_asked_for_whoever_does_not_speak_for_the_trial() {
        let registry = Registry::start(Door::Token).await;
        let (entry_points, api) = entry_points(&registry);
        log_in(&api, &registry).await;
        for token in [
            json!(null),
            json!("00"),
            json!(tokens().token("other", "tune-b")),
        ] {
            let mut pod = pod(&registry.image());
            pod["metadata"]["annotations"][ANNOTATION_TRIAL_TOKEN] = token;
            entry_points.give(&mut pod, "default").await;
            assert!(annotation(&pod).contains("its trial's token"), "{pod:#}");
            assert_eq!(pod["spec"]["containers"][0].get("command"), None);
        }
        assert_eq!(*registry.asked.lock(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_registry_that_says_nothing_holds_up_no_pod_for_long() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let api = Checker::start(None).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let entry_points = EntryPoints::new(api.client.clone(), vec![address.clone()], tokens());
        let image = format!("{address}/x");
        let (a, b) = tokio::join!(given(&entry_points, &image), given(&entry_points, &image));
        assert!(annotation(&a).contains("no answer within 3 s"), "{a:#}");
        assert_eq!(a, b);
    }
}
