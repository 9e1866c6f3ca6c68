//! The definitions of the three kinds, as a cluster's API server takes them.
//!
//! The schemas are structural and come from the types. Unknown fields are kept only where users
//! put foreign objects.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, CustomResourceDefinitionVersion,
    CustomResourceValidation, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
    ServiceReference, WebhookClientConfig, WebhookConversion,
};
use kube::CustomResourceExt;

use crate::{Experiment, Suggestion, Trial, v1alpha3};

/// The definition of Experiment, by name.
pub const EXPERIMENTS: &str = "experiments.kubeflow.org";
/// Where experiments are converted, as a path of the webhooks.
pub const CONVERT: &str = "/convert";
/// How the webhooks speak of conversions.
pub const REVIEW_VERSION: &str = "v1";
/// The Service of the webhooks, and its namespace unless it is installed elsewhere.
const SERVICE: (&str, &str) = ("kubeflow", "diwan-controller");

/// The definitions of Experiment, Suggestion and Trial.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![Experiment::crd(), Suggestion::crd(), Trial::crd()];
    for crd in &mut crds {
        for version in &mut crd.spec.versions {
            let schema = version
                .schema
                .as_mut()
                .and_then(|s| s.open_api_v3_schema.as_mut());
            if let Some(schema) = schema {
                tidy(schema);
            }
        }
    }
    crds
}

/// The definitions on a cluster, where experiments are served as v1alpha3, too, and a webhook
/// converts them. The controller puts its own address and the authority to trust in their place.
pub fn cluster_crds() -> Vec<CustomResourceDefinition> {
    let mut crds = crds();
    for crd in &mut crds {
        if crd.metadata.name.as_deref() == Some(EXPERIMENTS) {
            let older = crd.spec.versions.iter().map(older).collect::<Vec<_>>();
            crd.spec.versions.extend(older);
            crd.spec.conversion = Some(conversion());
        }
    }
    crds
}

/// The older version of Experiments: any fields, all kept.
fn older(current: &CustomResourceDefinitionVersion) -> CustomResourceDefinitionVersion {
    CustomResourceDefinitionVersion {
        name: v1alpha3::VERSION.to_owned(),
        served: true,
        storage: false,
        schema: Some(CustomResourceValidation {
            open_api_v3_schema: Some(JSONSchemaProps {
                type_: Some("object".to_owned()),
                x_kubernetes_preserve_unknown_fields: Some(true),
                ..JSONSchemaProps::default()
            }),
        }),
        ..current.clone()
    }
}

fn conversion() -> CustomResourceConversion {
    let (namespace, name) = SERVICE;
    CustomResourceConversion {
        strategy: "Webhook".to_owned(),
        webhook: Some(WebhookConversion {
            client_config: Some(WebhookClientConfig {
                service: Some(ServiceReference {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    path: Some(CONVERT.to_owned()),
                    port: Some(443),
                }),
                ..WebhookClientConfig::default()
            }),
            conversion_review_versions: vec![REVIEW_VERSION.to_owned()],
        }),
    }
}

/// Drops what the derived schema has too much of: defaults, which the API server would write into
/// every object, and null as a value of an enumeration.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.default = None;
    if let Some(values) = &mut schema.enum_ {
        values.retain(|value| !value.0.is_null());
        schema.nullable = None;
    }
    for property in schema.properties.iter_mut().flat_map(|p| p.values_mut()) {
        tidy(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}
