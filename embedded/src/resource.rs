//! The kinds that are served.

mod builtin;
pub(crate) mod intern;
mod kinds;

pub use self::{builtin::*, kinds::Kinds};

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
    /// Whether `scale` is a subresource.
    pub scale: bool,
    /// Fields, beside name and namespace, by which objects of a custom kind can be selected.
    pub selectable: &'static [&'static str],
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
        self.custom
            || matches!(
                self.kind,
                "Deployment"
                    | "ReplicaSet"
                    | "StatefulSet"
                    | "Job"
                    | "CronJob"
                    | "CustomResourceDefinition"
                    | "PriorityClass"
                    | "EndpointSlice"
            )
    }
}
