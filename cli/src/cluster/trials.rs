//! Which trials there are, for calls that name a trial.

use async_trait::async_trait;
use diwan_api::{Trial, TrialStatus};
use diwan_db_manager::TrialRef;
use diwan_db_manager::grpc::{LookupError, TrialDirectory};
use kube::api::ListParams;
use kube::{Api, Client};

use super::reviews::within;

/// The trials of the cluster.
#[derive(Clone)]
pub(super) struct Trials(pub(super) Client);

impl Trials {
    /// Whether there is such a trial, and it has not ended.
    pub(super) async fn is_open(&self, trial: &TrialRef) -> Result<bool, LookupError> {
        if trial.namespace.is_empty() || !is_name(&trial.namespace) || !is_name(&trial.name) {
            return Ok(false);
        }
        let api = Api::<Trial>::namespaced(self.0.clone(), &trial.namespace);
        let found = within(api.get_opt(&trial.name))
            .await
            .map_err(LookupError)?;
        let is_open = |trial: Trial| !trial.status.as_ref().is_some_and(TrialStatus::is_completed);
        Ok(found.is_some_and(is_open))
    }
}

#[async_trait]
impl TrialDirectory for Trials {
    async fn namespaces(&self, trial: &str) -> Result<Vec<String>, LookupError> {
        if !is_name(trial) {
            return Ok(Vec::new());
        }
        let named = ListParams::default().fields(&format!("metadata.name={trial}"));
        let api = Api::<Trial>::all(self.0.clone());
        let found = within(api.list_metadata(&named))
            .await
            .map_err(LookupError)?;
        let found = found.items.into_iter();
        Ok(found.filter_map(|trial| trial.metadata.namespace).collect())
    }
}

/// Whether a text can be a name: it goes into addresses and selectors as it is.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fake::FakeApi;
    use super::*;

    fn trials(api: &FakeApi) -> Trials {
        Trials(api.client())
    }

    #[tokio::test]
    async fn a_failing_api_is_an_error_and_not_a_missing_trial() {
        let api = FakeApi::new(|_| (500, json!({"message": "etcd is away"})));
        let found = trials(&api).namespaces("t").await;
        assert!(found.unwrap_err().to_string().contains("etcd is away"));
        let found = trials(&api).is_open(&TrialRef::new("team", "t")).await;
        assert!(found.is_err());
    }

    #[tokio::test]
    async fn a_trial_is_found_in_its_namespaces() {
        let api = FakeApi::new(|asked| {
            assert_eq!(asked.path, "/apis/kubeflow.org/v1beta1/trials");
            assert!(asked.query.contains("metadata.name%3Dt"), "{}", asked.query);
            let item = |namespace: &str| json!({"metadata": {"name": "t", "namespace": namespace}});
            (
                200,
                json!({
                    "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
                    "metadata": {}, "items": [item("a"), item("b")],
                }),
            )
        });
        assert_eq!(trials(&api).namespaces("t").await.unwrap(), ["a", "b"]);
        assert_eq!(trials(&api).namespaces("t,x").await.unwrap(), [""; 0]);
        assert_eq!(api.asked(), 1);
    }

    #[tokio::test]
    async fn a_trial_is_open_until_it_ends() {
        let trial = |status: serde_json::Value| {
            json!({
                "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial",
                "metadata": {"name": "t", "namespace": "team"}, "spec": {}, "status": status,
            })
        };
        let ended = json!({"conditions": [{
            "type": "Succeeded", "status": "True", "reason": "r", "message": "m",
        }]});
        for (answer, open) in [
            ((200, trial(json!({}))), true),
            ((200, trial(ended)), false),
            ((404, json!({"reason": "NotFound"})), false),
        ] {
            let api = FakeApi::new(move |_| answer.clone());
            let found = trials(&api).is_open(&TrialRef::new("team", "t")).await;
            assert_eq!(found.unwrap(), open);
        }
        let api = FakeApi::new(|asked| panic!("{}", asked.path));
        for (namespace, name) in [("", "t"), ("a/b", "t"), ("team", "../x"), ("team", "")] {
            let found = trials(&api).is_open(&TrialRef::new(namespace, name)).await;
            assert!(!found.unwrap(), "{namespace} {name}");
        }
    }
}
