//! What the API server is told of the webhooks.

use diwan_api::metadata::LABEL_TRIAL;
use diwan_api::{GROUP, VERSION};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, TypeMeta};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::FIELD_MANAGER;
use super::authority::encoded;
use super::webhook::{MUTATE_EXPERIMENT, MUTATE_POD, VALIDATE_EXPERIMENT};

/// The name of both configurations.
const NAME: &str = "diwan.dev";
/// How long the API server waits for an answer.
const TIMEOUT_SECONDS: u8 = 10;
/// How long it waits about pods that may be anybody's: for their owners, and for an image's registry.
const TIMEOUT_OF_OTHERS: u8 = 5;
/// On namespaces whose pods are asked about although they don't say that they are a trial's.
const LABEL_INJECTION: &str = "katib.kubeflow.org/metrics-collector-injection";

/// Where the API server finds the webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// Behind a Service of a namespace.
    Service {
        namespace: String,
        name: String,
        port: u16,
    },
    /// At a URL without a path.
    Url(String),
}

impl Address {
    /// The host names under which the API server asks.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Service {
                namespace, name, ..
            } => vec![
                format!("{name}.{namespace}.svc"),
                format!("{name}.{namespace}.svc.cluster.local"),
            ],
            Self::Url(url) => {
                let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
                let host = rest.split('/').next().unwrap_or_default();
                let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
                vec![host.trim_matches(['[', ']']).to_owned()]
            }
        }
    }

    /// How the API server reaches what answers at `path`; `bundle` is encoded.
    pub(super) fn client_config(&self, path: &str, bundle: &str) -> Value {
        match self {
            Self::Service {
                namespace,
                name,
                port,
            } => json!({
                "caBundle": bundle,
                "service": {"namespace": namespace, "name": name, "port": port, "path": path},
            }),
            Self::Url(url) => {
                let url = format!("{}{path}", url.trim_end_matches('/'));
                json!({"caBundle": bundle, "url": url})
            }
        }
    }
}

/// Writes both configurations, with the authorities that the API server has to trust.
pub(super) async fn apply(client: &Client, address: &Address, bundle: &str) -> kube::Result<()> {
    let bundle = encoded(bundle);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let bodies = [mutating(address, &bundle), validating(address, &bundle)];
    for ((kind, plural), webhooks) in KINDS.into_iter().zip(bodies) {
        let resource = resource(kind, plural);
        let mut object = DynamicObject::new(NAME, &resource);
        object.types = Some(TypeMeta {
            api_version: resource.api_version.clone(),
            kind: resource.kind.clone(),
        });
        object.data = json!({"webhooks": webhooks});
        let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
        api.patch(NAME, &params, &Patch::Apply(&object)).await?;
    }
    Ok(())
}

/// Whether both configurations are there and trust these authorities.
pub(super) async fn is_current(client: &Client, bundle: &str) -> kube::Result<bool> {
    let bundle = encoded(bundle);
    let trusts = |webhooks: &Value| {
        let webhooks = webhooks.as_array();
        webhooks.is_some_and(|webhooks| {
            !webhooks.is_empty()
                && webhooks
                    .iter()
                    .all(|webhook| webhook["clientConfig"]["caBundle"] == bundle)
        })
    };
    for (kind, plural) in KINDS {
        let api = Api::<DynamicObject>::all_with(client.clone(), &resource(kind, plural));
        let found = api.get_opt(NAME).await?;
        if !found.is_some_and(|object| trusts(&object.data["webhooks"])) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The two kinds of configuration, and how the API server calls them.
const KINDS: [(&str, &str); 2] = [
    (
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
    ),
    (
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
    ),
];

fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "admissionregistration.k8s.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "admissionregistration.k8s.io/v1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

fn mutating(address: &Address, bundle: &str) -> Value {
    let experiments = webhook(
        "mutate-experiment.diwan.dev",
        address.client_config(MUTATE_EXPERIMENT, bundle),
        &experiments(),
    );
    let pods = json!([{
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
        "scope": "Namespaced",
    }]);
    let mut pods = webhook(
        "mutate-pod.diwan.dev",
        address.client_config(MUTATE_POD, bundle),
        &pods,
    );
    // Pods of trials alone carry the label: an outage here holds up nobody else's.
    pods["objectSelector"] = json!({
        "matchExpressions": [{"key": LABEL_TRIAL, "operator": "Exists"}],
    });
    pods["reinvocationPolicy"] = json!("IfNeeded");
    json!([experiments, pods, pods_by_owner(&pods)])
}

/// Of kinds whose controllers copy no labels: in the namespaces of which that was asked.
fn pods_by_owner(pods: &Value) -> Value {
    let mut webhook = pods.clone();
    webhook["name"] = json!("mutate-pod-by-owner.diwan.dev");
    webhook["namespaceSelector"] = json!({"matchLabels": {LABEL_INJECTION: "enabled"}});
    webhook["objectSelector"] = json!({
        "matchExpressions": [{"key": LABEL_TRIAL, "operator": "DoesNotExist"}],
    });
    webhook["failurePolicy"] = json!("Ignore");
    webhook["timeoutSeconds"] = json!(TIMEOUT_OF_OTHERS);
    webhook
}

fn validating(address: &Address, bundle: &str) -> Value {
    json!([webhook(
        "validate-experiment.diwan.dev",
        address.client_config(VALIDATE_EXPERIMENT, bundle),
        &experiments(),
    )])
}

fn experiments() -> Value {
    json!([{
        "apiGroups": [GROUP], "apiVersions": [VERSION], "operations": ["CREATE", "UPDATE"],
        "resources": ["experiments"], "scope": "Namespaced",
    }])
}

fn webhook(name: &str, client_config: Value, rules: &Value) -> Value {
    json!({
        "name": name,
        "clientConfig": client_config,
        "rules": rules,
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": TIMEOUT_SECONDS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_for_the_host_that_is_asked() {
        for (url, host) in [
            ("https://10.1.2.3:8443", "10.1.2.3"),
            ("https://diwan.example/hooks", "diwan.example"),
            ("https://[fd00::1]:443/", "fd00::1"),
        ] {
            assert_eq!(Address::Url(url.to_owned()).names(), [host]);
        }
        let service = Address::Service {
            namespace: "kubeflow".to_owned(),
            name: "diwan-controller".to_owned(),
            port: 443,
        };
        assert_eq!(service.names()[0], "diwan-controller.kubeflow.svc");
    }

    #[test]
    fn pods_of_others_are_never_asked_about() {
        let webhooks = mutating(&Address::Url("https://x:1/".to_owned()), "bundle");
        let pods = &webhooks[1];
        assert_eq!(pods["clientConfig"]["url"], "https://x:1/mutate-pod");
        let expression = &pods["objectSelector"]["matchExpressions"][0];
        assert_eq!(expression["key"], "katib.kubeflow.org/trial");
        assert_eq!(pods["failurePolicy"], "Fail");
    }

    #[test]
    fn pods_that_say_nothing_are_asked_about_where_their_namespace_says_so() {
        let webhooks = mutating(&Address::Url("https://x:1/".to_owned()), "bundle");
        let pods = &webhooks[2];
        assert_eq!(pods["clientConfig"]["url"], "https://x:1/mutate-pod");
        let label = &pods["namespaceSelector"]["matchLabels"];
        let expected = json!({"katib.kubeflow.org/metrics-collector-injection": "enabled"});
        assert_eq!(*label, expected);
        let expression = &pods["objectSelector"]["matchExpressions"][0];
        assert_eq!(expression["operator"], "DoesNotExist");
        assert_eq!(pods["failurePolicy"], "Ignore");
    }
}
