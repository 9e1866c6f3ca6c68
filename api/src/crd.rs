//! The definitions of the three kinds, as a cluster's API server takes them.
//!
//! The schemas are structural and come from the types. Unknown fields are kept only where users
//! put foreign objects.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use crate::{Experiment, Suggestion, Trial};

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
