//! The kinds that every API has: one row each.

use super::Resource;

/// Names of the tables, as they stand in the database.
pub(crate) const STORAGES: [&str; 31] = [
    "namespaces",
    "pods",
    "events",
    "configmaps",
    "secrets",
    "serviceaccounts",
    "nodes",
    "services",
    "jobs.batch",
    "leases.coordination.k8s.io",
    "experiments.kubeflow.org",
    "suggestions.kubeflow.org",
    "trials.kubeflow.org",
    "customresourcedefinitions.apiextensions.k8s.io",
    "endpoints",
    "limitranges",
    "persistentvolumeclaims",
    "persistentvolumes",
    "resourcequotas",
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "cronjobs.batch",
    "endpointslices.discovery.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "priorityclasses.scheduling.k8s.io",
    "storageclasses.storage.k8s.io",
    "controllerrevisions.apps",
];

const CORE: Resource = Resource {
    group: "",
    version: "v1",
    plural: "",
    singular: "",
    kind: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    status: false,
    scale: false,
    selectable: &[],
    custom: false,
    read_only: false,
    unconditional_update: true,
    returns_deleted: false,
    storage: 0,
};

const OURS: Resource = Resource {
    group: diwan_api::GROUP,
    version: diwan_api::VERSION,
    categories: &["all", "kubeflow", "katib"],
    status: true,
    custom: true,
    unconditional_update: false,
    ..CORE
};

/// Namespaces.
pub static NAMESPACES: Resource = Resource {
    plural: "namespaces",
    singular: "namespace",
    kind: "Namespace",
    short_names: &["ns"],
    namespaced: false,
    status: true,
    storage: 0,
    ..CORE
};
/// Pods.
pub static PODS: Resource = Resource {
    plural: "pods",
    singular: "pod",
    kind: "Pod",
    short_names: &["po"],
    categories: &["all"],
    status: true,
    returns_deleted: true,
    storage: 1,
    ..CORE
};
/// Events, as core/v1 writes them.
pub static EVENTS: Resource = Resource {
    plural: "events",
    singular: "event",
    kind: "Event",
    short_names: &["ev"],
    storage: 2,
    ..CORE
};
/// ConfigMaps.
pub static CONFIG_MAPS: Resource = Resource {
    plural: "configmaps",
    singular: "configmap",
    kind: "ConfigMap",
    short_names: &["cm"],
    storage: 3,
    ..CORE
};
/// Secrets.
pub static SECRETS: Resource = Resource {
    plural: "secrets",
    singular: "secret",
    kind: "Secret",
    storage: 4,
    ..CORE
};
/// ServiceAccounts.
pub static SERVICE_ACCOUNTS: Resource = Resource {
    plural: "serviceaccounts",
    singular: "serviceaccount",
    kind: "ServiceAccount",
    short_names: &["sa"],
    returns_deleted: true,
    storage: 5,
    ..CORE
};
/// Nodes.
pub static NODES: Resource = Resource {
    plural: "nodes",
    singular: "node",
    kind: "Node",
    short_names: &["no"],
    namespaced: false,
    status: true,
    storage: 6,
    ..CORE
};
/// Services.
pub static SERVICES: Resource = Resource {
    plural: "services",
    singular: "service",
    kind: "Service",
    short_names: &["svc"],
    categories: &["all"],
    status: true,
    returns_deleted: true,
    storage: 7,
    ..CORE
};
/// Jobs.
pub static JOBS: Resource = Resource {
    group: "batch",
    plural: "jobs",
    singular: "job",
    kind: "Job",
    categories: &["all"],
    status: true,
    storage: 8,
    ..CORE
};
/// Leases.
pub static LEASES: Resource = Resource {
    group: "coordination.k8s.io",
    plural: "leases",
    singular: "lease",
    kind: "Lease",
    unconditional_update: false,
    storage: 9,
    ..CORE
};
/// Events, as events.k8s.io/v1 writes them: a view of [`EVENTS`].
pub static EVENTS_V1: Resource = Resource {
    group: "events.k8s.io",
    plural: "events",
    singular: "event",
    kind: "Event",
    short_names: &["ev"],
    storage: 2,
    ..CORE
};
/// Experiments.
pub static EXPERIMENTS: Resource = Resource {
    plural: "experiments",
    singular: "experiment",
    kind: "Experiment",
    storage: 10,
    ..OURS
};
/// Suggestions.
pub static SUGGESTIONS: Resource = Resource {
    plural: "suggestions",
    singular: "suggestion",
    kind: "Suggestion",
    storage: 11,
    ..OURS
};
/// Trials.
pub static TRIALS: Resource = Resource {
    plural: "trials",
    singular: "trial",
    kind: "Trial",
    storage: 12,
    ..OURS
};
/// CustomResourceDefinitions: ours and those of users.
pub static CUSTOM_RESOURCE_DEFINITIONS: Resource = Resource {
    group: "apiextensions.k8s.io",
    plural: "customresourcedefinitions",
    singular: "customresourcedefinition",
    kind: "CustomResourceDefinition",
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    namespaced: false,
    status: true,
    unconditional_update: false,
    storage: 13,
    ..CORE
};

/// Endpoints of services, as core/v1 writes them.
pub static ENDPOINTS: Resource = Resource {
    plural: "endpoints",
    singular: "endpoints",
    kind: "Endpoints",
    short_names: &["ep"],
    storage: 14,
    ..CORE
};
/// LimitRanges.
pub static LIMIT_RANGES: Resource = Resource {
    plural: "limitranges",
    singular: "limitrange",
    kind: "LimitRange",
    short_names: &["limits"],
    storage: 15,
    ..CORE
};
/// PersistentVolumeClaims.
pub static PERSISTENT_VOLUME_CLAIMS: Resource = Resource {
    plural: "persistentvolumeclaims",
    singular: "persistentvolumeclaim",
    kind: "PersistentVolumeClaim",
    short_names: &["pvc"],
    status: true,
    returns_deleted: true,
    storage: 16,
    ..CORE
};
/// PersistentVolumes.
pub static PERSISTENT_VOLUMES: Resource = Resource {
    plural: "persistentvolumes",
    singular: "persistentvolume",
    kind: "PersistentVolume",
    short_names: &["pv"],
    namespaced: false,
    status: true,
    returns_deleted: true,
    storage: 17,
    ..CORE
};
/// ResourceQuotas.
pub static RESOURCE_QUOTAS: Resource = Resource {
    plural: "resourcequotas",
    singular: "resourcequota",
    kind: "ResourceQuota",
    short_names: &["quota"],
    status: true,
    returns_deleted: true,
    storage: 18,
    ..CORE
};
/// Deployments.
pub static DEPLOYMENTS: Resource = Resource {
    group: "apps",
    plural: "deployments",
    singular: "deployment",
    kind: "Deployment",
    short_names: &["deploy"],
    categories: &["all"],
    status: true,
    scale: true,
    storage: 19,
    ..CORE
};
/// ReplicaSets.
pub static REPLICA_SETS: Resource = Resource {
    group: "apps",
    plural: "replicasets",
    singular: "replicaset",
    kind: "ReplicaSet",
    short_names: &["rs"],
    categories: &["all"],
    status: true,
    scale: true,
    storage: 20,
    ..CORE
};
/// StatefulSets.
pub static STATEFUL_SETS: Resource = Resource {
    group: "apps",
    plural: "statefulsets",
    singular: "statefulset",
    kind: "StatefulSet",
    short_names: &["sts"],
    categories: &["all"],
    status: true,
    scale: true,
    storage: 21,
    ..CORE
};
/// CronJobs.
pub static CRON_JOBS: Resource = Resource {
    group: "batch",
    plural: "cronjobs",
    singular: "cronjob",
    kind: "CronJob",
    short_names: &["cj"],
    categories: &["all"],
    status: true,
    storage: 22,
    ..CORE
};
/// EndpointSlices.
pub static ENDPOINT_SLICES: Resource = Resource {
    group: "discovery.k8s.io",
    plural: "endpointslices",
    singular: "endpointslice",
    kind: "EndpointSlice",
    storage: 23,
    ..CORE
};
/// ClusterRoleBindings.
pub static CLUSTER_ROLE_BINDINGS: Resource = Resource {
    group: "rbac.authorization.k8s.io",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    kind: "ClusterRoleBinding",
    namespaced: false,
    storage: 24,
    ..CORE
};
/// ClusterRoles.
pub static CLUSTER_ROLES: Resource = Resource {
    group: "rbac.authorization.k8s.io",
    plural: "clusterroles",
    singular: "clusterrole",
    kind: "ClusterRole",
    namespaced: false,
    storage: 25,
    ..CORE
};
/// RoleBindings.
pub static ROLE_BINDINGS: Resource = Resource {
    group: "rbac.authorization.k8s.io",
    plural: "rolebindings",
    singular: "rolebinding",
    kind: "RoleBinding",
    storage: 26,
    ..CORE
};
/// Roles.
pub static ROLES: Resource = Resource {
    group: "rbac.authorization.k8s.io",
    plural: "roles",
    singular: "role",
    kind: "Role",
    storage: 27,
    ..CORE
};
/// PriorityClasses.
pub static PRIORITY_CLASSES: Resource = Resource {
    group: "scheduling.k8s.io",
    plural: "priorityclasses",
    singular: "priorityclass",
    kind: "PriorityClass",
    short_names: &["pc"],
    namespaced: false,
    storage: 28,
    ..CORE
};
/// StorageClasses.
pub static STORAGE_CLASSES: Resource = Resource {
    group: "storage.k8s.io",
    plural: "storageclasses",
    singular: "storageclass",
    kind: "StorageClass",
    short_names: &["sc"],
    namespaced: false,
    returns_deleted: true,
    storage: 29,
    ..CORE
};

/// ControllerRevisions.
pub static CONTROLLER_REVISIONS: Resource = Resource {
    group: "apps",
    plural: "controllerrevisions",
    singular: "controllerrevision",
    kind: "ControllerRevision",
    storage: 30,
    ..CORE
};

/// Every kind, in the order in which discovery lists them.
pub static ALL: [&Resource; 32] = [
    &CONFIG_MAPS,
    &ENDPOINTS,
    &EVENTS,
    &LIMIT_RANGES,
    &NAMESPACES,
    &NODES,
    &PERSISTENT_VOLUME_CLAIMS,
    &PERSISTENT_VOLUMES,
    &PODS,
    &RESOURCE_QUOTAS,
    &SECRETS,
    &SERVICE_ACCOUNTS,
    &SERVICES,
    &CUSTOM_RESOURCE_DEFINITIONS,
    &CONTROLLER_REVISIONS,
    &DEPLOYMENTS,
    &REPLICA_SETS,
    &STATEFUL_SETS,
    &CRON_JOBS,
    &JOBS,
    &LEASES,
    &ENDPOINT_SLICES,
    &EVENTS_V1,
    &CLUSTER_ROLE_BINDINGS,
    &CLUSTER_ROLES,
    &ROLE_BINDINGS,
    &ROLES,
    &PRIORITY_CLASSES,
    &STORAGE_CLASSES,
    &EXPERIMENTS,
    &SUGGESTIONS,
    &TRIALS,
];
