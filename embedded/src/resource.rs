//! The kinds that are served: one row each.

/// A kind that is served.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version in the group.
    pub version: &'static str,
    /// Name in paths.
    pub plural: &'static str,
    /// Name for one of it.
    pub singular: &'static str,
    /// Name in objects.
    pub kind: &'static str,
    /// Abbreviations that kubectl knows.
    pub short_names: &'static [&'static str],
    /// Groups of kinds that kubectl knows, such as `all`.
    pub categories: &'static [&'static str],
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether `status` is a subresource.
    pub status: bool,
    /// Whether the kind comes from a custom resource definition.
    pub custom: bool,
    /// Whether clients may only read.
    pub read_only: bool,
    /// Whether an update may come without a resource version.
    pub unconditional_update: bool,
    /// Whether a deletion answers with the object instead of a status.
    pub returns_deleted: bool,
    /// Which table holds the objects; two kinds may be views of one table.
    pub(crate) storage: usize,
}

/// Names of the tables, as they stand in the database.
pub(crate) const STORAGES: [&str; 14] = [
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
/// CustomResourceDefinitions: ours, to be read.
pub static CUSTOM_RESOURCE_DEFINITIONS: Resource = Resource {
    group: "apiextensions.k8s.io",
    plural: "customresourcedefinitions",
    singular: "customresourcedefinition",
    kind: "CustomResourceDefinition",
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    namespaced: false,
    status: true,
    read_only: true,
    storage: 13,
    ..CORE
};

/// Every kind, in the order in which discovery lists them.
pub static ALL: [&Resource; 15] = [
    &CONFIG_MAPS,
    &EVENTS,
    &NAMESPACES,
    &NODES,
    &PODS,
    &SECRETS,
    &SERVICE_ACCOUNTS,
    &SERVICES,
    &CUSTOM_RESOURCE_DEFINITIONS,
    &JOBS,
    &LEASES,
    &EVENTS_V1,
    &EXPERIMENTS,
    &SUGGESTIONS,
    &TRIALS,
];

impl Resource {
    /// `group/version`, or `version` in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `plural.group`, as error texts name the kind.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// `Kind.group`, as validation errors name the kind.
    pub fn qualified_kind(&self) -> String {
        if self.group.is_empty() {
            self.kind.to_owned()
        } else {
            format!("{}.{}", self.kind, self.group)
        }
    }

    /// Whether `metadata.generation` counts changes of the specification.
    pub(crate) fn counts_generations(&self) -> bool {
        self.custom || self.group == "batch"
    }
}

/// The kind at a path.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    ALL.iter()
        .copied()
        .find(|r| r.group == group && r.version == version && r.plural == plural)
}

/// The kind of an object.
pub fn find_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    ALL.iter()
        .copied()
        .find(|r| r.kind == kind && r.api_version() == api_version)
}

#[cfg(test)]
mod tests {
    use super::{ALL, STORAGES, find_kind};

    #[test]
    fn every_kind_has_a_table_and_is_found_by_its_name() {
        for resource in ALL {
            assert!(STORAGES[resource.storage].starts_with(resource.plural));
            assert_eq!(
                find_kind(&resource.api_version(), resource.kind),
                Some(resource)
            );
        }
    }
}
