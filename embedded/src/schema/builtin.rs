//! Schemas of built-in kinds, from the types of `k8s-openapi`.

use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, Deployment, ReplicaSet, StatefulSet},
        batch::v1::{CronJob, Job},
        coordination::v1::Lease,
        core::v1::{
            ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume,
            PersistentVolumeClaim, Pod, ResourceQuota, Secret, Service, ServiceAccount,
        },
        discovery::v1::EndpointSlice,
        events::v1::Event as EventV1,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
        scheduling::v1::PriorityClass,
        storage::v1::StorageClass,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::{DeleteOptions, ListMeta, ObjectMeta, Status},
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::lists;
use crate::resource::Resource;

/// How one schema refers to another.
pub(crate) const REFERENCE_PREFIX: &str = "#/components/schemas/";
/// The schema of `metadata`.
pub(super) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// One built-in kind: group, kind, name of its schema, and how to make it.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    fn(&mut SchemaGenerator),
);

const ROWS: &[Row] = &[
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        add::<CustomResourceDefinition>,
    ),
    (
        "",
        "ConfigMap",
        "io.k8s.api.core.v1.ConfigMap",
        add::<ConfigMap>,
    ),
    (
        "",
        "Endpoints",
        "io.k8s.api.core.v1.Endpoints",
        add::<Endpoints>,
    ),
    ("", "Event", "io.k8s.api.core.v1.Event", add::<Event>),
    (
        "",
        "LimitRange",
        "io.k8s.api.core.v1.LimitRange",
        add::<LimitRange>,
    ),
    (
        "",
        "Namespace",
        "io.k8s.api.core.v1.Namespace",
        add::<Namespace>,
    ),
    ("", "Node", "io.k8s.api.core.v1.Node", add::<Node>),
    (
        "",
        "PersistentVolume",
        "io.k8s.api.core.v1.PersistentVolume",
        add::<PersistentVolume>,
    ),
    (
        "",
        "PersistentVolumeClaim",
        "io.k8s.api.core.v1.PersistentVolumeClaim",
        add::<PersistentVolumeClaim>,
    ),
    ("", "Pod", "io.k8s.api.core.v1.Pod", add::<Pod>),
    (
        "",
        "ResourceQuota",
        "io.k8s.api.core.v1.ResourceQuota",
        add::<ResourceQuota>,
    ),
    ("", "Secret", "io.k8s.api.core.v1.Secret", add::<Secret>),
    ("", "Service", "io.k8s.api.core.v1.Service", add::<Service>),
    (
        "",
        "ServiceAccount",
        "io.k8s.api.core.v1.ServiceAccount",
        add::<ServiceAccount>,
    ),
    (
        "apps",
        "ControllerRevision",
        "io.k8s.api.apps.v1.ControllerRevision",
        add::<ControllerRevision>,
    ),
    (
        "apps",
        "Deployment",
        "io.k8s.api.apps.v1.Deployment",
        add::<Deployment>,
    ),
    (
        "apps",
        "ReplicaSet",
        "io.k8s.api.apps.v1.ReplicaSet",
        add::<ReplicaSet>,
    ),
    (
        "apps",
        "StatefulSet",
        "io.k8s.api.apps.v1.StatefulSet",
        add::<StatefulSet>,
    ),
    (
        "batch",
        "CronJob",
        "io.k8s.api.batch.v1.CronJob",
        add::<CronJob>,
    ),
    ("batch", "Job", "io.k8s.api.batch.v1.Job", add::<Job>),
    (
        "coordination.k8s.io",
        "Lease",
        "io.k8s.api.coordination.v1.Lease",
        add::<Lease>,
    ),
    (
        "discovery.k8s.io",
        "EndpointSlice",
        "io.k8s.api.discovery.v1.EndpointSlice",
        add::<EndpointSlice>,
    ),
    (
        "events.k8s.io",
        "Event",
        "io.k8s.api.events.v1.Event",
        add::<EventV1>,
    ),
    (
        "rbac.authorization.k8s.io",
        "ClusterRole",
        "io.k8s.api.rbac.v1.ClusterRole",
        add::<ClusterRole>,
    ),
    (
        "rbac.authorization.k8s.io",
        "ClusterRoleBinding",
        "io.k8s.api.rbac.v1.ClusterRoleBinding",
        add::<ClusterRoleBinding>,
    ),
    (
        "rbac.authorization.k8s.io",
        "Role",
        "io.k8s.api.rbac.v1.Role",
        add::<Role>,
    ),
    (
        "rbac.authorization.k8s.io",
        "RoleBinding",
        "io.k8s.api.rbac.v1.RoleBinding",
        add::<RoleBinding>,
    ),
    (
        "scheduling.k8s.io",
        "PriorityClass",
        "io.k8s.api.scheduling.v1.PriorityClass",
        add::<PriorityClass>,
    ),
    (
        "storage.k8s.io",
        "StorageClass",
        "io.k8s.api.storage.v1.StorageClass",
        add::<StorageClass>,
    ),
];

fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

/// The name of a kind's schema.
pub(crate) fn name(resource: &Resource) -> Option<&'static str> {
    let mut rows = ROWS.iter();
    let (.., name, _) = rows.find(|row| row.0 == resource.group && row.1 == resource.kind)?;
    Some(*name)
}

/// The schemas of the kinds of one group, or of all that can be written, by name.
pub(crate) fn definitions(group: Option<&str>) -> Map<String, Value> {
    let settings = SchemaSettings::draft2019_09().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    add::<ObjectMeta>(&mut generator);
    if group.is_some() {
        add::<ListMeta>(&mut generator);
        add::<DeleteOptions>(&mut generator);
        add::<Status>(&mut generator);
    }
    for row in ROWS
        .iter()
        .filter(|row| group.is_none_or(|group| group == row.0))
    {
        row.3(&mut generator);
    }
    let mut definitions = generator.take_definitions(false);
    lists::annotate(&mut definitions);
    definitions
}

/// Describes what in definitions of kinds may be of several types: any value, and a schema or
/// something else. Without a type any is right, and a schema is looked into.
pub(super) fn describe_alternatives(definitions: &mut Map<String, Value>) {
    const PREFIX: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON";
    let fields = definitions[&format!("{PREFIX}SchemaProps")]["properties"].clone();
    definitions.insert(PREFIX.to_owned(), json!({}));
    for name in ["SchemaPropsOrArray", "SchemaPropsOrBool"] {
        let schema = json!({ "properties": fields });
        definitions.insert(format!("{PREFIX}{name}"), schema);
    }
}

#[cfg(test)]
mod tests {
    use super::{OBJECT_META, definitions, name};
    use crate::resource::ALL;

    #[test]
    fn every_built_in_kind_that_can_be_written_has_a_schema() {
        let definitions = definitions(None);
        assert!(definitions.contains_key(OBJECT_META));
        for resource in ALL.into_iter().filter(|r| !r.custom && !r.read_only) {
            let name = name(resource).unwrap();
            assert!(definitions[name]["properties"].is_object(), "{name}");
        }
    }
}
