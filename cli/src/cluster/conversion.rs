//! Experiments in other versions: answers to the API server, which keeps them as v1beta1, and what
//! it is told of who converts them.

use diwan_api::crd::{CONVERT, EXPERIMENTS, REVIEW_VERSION};
use diwan_api::trial_template::is_for_all;
use diwan_api::v1alpha3::{convert, template_source};
use diwan_api::{ConfigMapSource, FieldError};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::FIELD_MANAGER;
use super::webhook_configuration::Address;

/// The ConversionReview that answers another.
pub(super) async fn answer(client: &Client, review: &Value) -> Value {
    let request = &review["request"];
    let version = request["desiredAPIVersion"].as_str().unwrap_or_default();
    let mut converted = Vec::new();
    let mut result = json!({"status": "Success"});
    for object in request["objects"].as_array().into_iter().flatten() {
        match converted_one(client, object, version).await {
            Ok(object) => converted.push(object),
            Err(error) => {
                converted.clear();
                result = json!({"status": "Failed", "message": error.to_string()});
                break;
            }
        }
    }
    json!({
        "apiVersion": format!("apiextensions.k8s.io/{REVIEW_VERSION}"),
        "kind": "ConversionReview",
        "response": {"uid": request["uid"], "convertedObjects": converted, "result": result},
    })
}

async fn converted_one(
    client: &Client,
    object: &Value,
    version: &str,
) -> Result<Value, FieldError> {
    let template = match template_source(object, version) {
        Some(source) => config_map_text(client, &source).await.map_err(|error| {
            let field = "spec.trialTemplate.goTemplate.templateSpec";
            let detail = format!("the ConfigMap can't be read: {error}");
            FieldError::invalid(field, source.config_map_name, detail)
        })?,
        None => None,
    };
    // The object comes back with the text in it, and whoever asks may say that it is of any
    // namespace.
    let template = template.filter(|text| text.is_for_all);
    convert(object, version, template.as_ref().map(|t| t.text.as_str()))
}

/// The text of a template in a ConfigMap.
pub(super) struct ConfigMapText {
    pub(super) text: String,
    /// Whether it is meant for experiments of all namespaces.
    pub(super) is_for_all: bool,
}

/// The text of a template in a ConfigMap, if it is there.
pub(super) async fn config_map_text(
    client: &Client,
    source: &ConfigMapSource,
) -> kube::Result<Option<ConfigMapText>> {
    let api = Api::<ConfigMap>::namespaced(client.clone(), &source.config_map_namespace);
    let Some(map) = api.get_opt(&source.config_map_name).await? else {
        return Ok(None);
    };
    let is_for_all = is_for_all(map.metadata.labels.as_ref());
    let text = map.data.and_then(|mut d| d.remove(&source.template_path));
    Ok(text.map(|text| ConfigMapText { text, is_for_all }))
}

/// Tells the API server to let experiments be converted here, unless it knows.
pub(super) async fn keep(client: &Client, address: &Address, bundle: &str) -> kube::Result<()> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let found = api.get(EXPERIMENTS).await?;
    let found = serde_json::to_value(found.spec.conversion).map_err(kube::Error::SerdeError)?;
    let wanted = conversion(address, bundle);
    if is_current(&found, &wanted) {
        return Ok(());
    }
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({"spec": {"conversion": wanted}}));
    api.patch(EXPERIMENTS, &params, &patch).await?;
    Ok(())
}

/// As a merge patch: what is null is not to be there.
fn conversion(address: &Address, bundle: &str) -> Value {
    let mut client_config = json!({"service": null, "url": null});
    if let (Some(all), Value::Object(ours)) = (
        client_config.as_object_mut(),
        address.client_config(CONVERT, bundle),
    ) {
        all.extend(ours);
    }
    json!({
        "strategy": "Webhook",
        "webhook": {
            "clientConfig": client_config,
            "conversionReviewVersions": [REVIEW_VERSION],
        },
    })
}

/// Whether merging `wanted` into `found` would change nothing.
fn is_current(found: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Object(wanted) => wanted
            .iter()
            .all(|(key, wanted)| is_current(&found[key], wanted)),
        wanted => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Address {
        Address::Service {
            namespace: "tuning".to_owned(),
            name: "diwan-controller".to_owned(),
            port: 443,
        }
    }

    #[test]
    fn another_address_or_authority_is_told() {
        let url = conversion(&Address::Url("https://x:1/".to_owned()), "one");
        let config = &url["webhook"]["clientConfig"];
        assert_eq!(config["url"], "https://x:1/convert");
        assert!(config["service"].is_null());
        let wanted = conversion(&service(), "one");
        // As the API server gives it back, without what is null.
        let mut found = wanted.clone();
        let config = found["webhook"]["clientConfig"].as_object_mut().unwrap();
        config.retain(|_, value| !value.is_null());
        assert!(is_current(&found, &wanted));
        assert!(!is_current(&found, &conversion(&service(), "two")));
        assert!(!is_current(&found, &url));
        assert!(!is_current(&json!({"strategy": "None"}), &wanted));
        assert!(!is_current(&Value::Null, &wanted));
    }

    #[tokio::test]
    async fn a_review_is_answered_object_by_object() {
        // No object here names a ConfigMap, so nobody is asked.
        let config = kube::Config::new(http::Uri::from_static("http://127.0.0.1:9"));
        let client = Client::try_from(config).unwrap();
        let object = |raw: &str| {
            json!({
                "apiVersion": "kubeflow.org/v1alpha3", "kind": "Experiment",
                "metadata": {"name": "e", "namespace": "n", "uid": "u"},
                "spec": {"trialTemplate": {"goTemplate": {"rawTemplate": raw}}},
            })
        };
        let review = |objects: Value| {
            json!({"request": {
                "uid": "r", "desiredAPIVersion": "kubeflow.org/v1beta1", "objects": objects,
            }})
        };
        let good = object("kind: Job\nspec: {x: \"{{.Trial}}\"}");
        let answered = answer(&client, &review(json!([good, good]))).await;
        assert_eq!(answered["kind"], "ConversionReview");
        let response = &answered["response"];
        assert_eq!(response["uid"], "r");
        assert_eq!(response["result"]["status"], "Success");
        let converted = response["convertedObjects"].as_array().unwrap();
        assert_eq!(converted.len(), 2);
        assert_eq!(converted[1]["apiVersion"], "kubeflow.org/v1beta1");
        assert_eq!(converted[1]["metadata"]["uid"], "u");

        let answered = answer(&client, &review(json!([good, object("{{")]))).await;
        let response = &answered["response"];
        assert_eq!(response["result"]["status"], "Failed");
        assert_eq!(response["convertedObjects"], json!([]));
        let message = response["result"]["message"].as_str().unwrap();
        let field = "spec.trialTemplate.goTemplate.rawTemplate: ";
        assert!(message.starts_with(field), "{message}");
    }
}
