//! The name of an object within its kind.

use std::fmt::{self, Display, Formatter};

use kube::api::ObjectMeta;

/// The name of an object within its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The key of the object with this metadata.
    pub(crate) fn of(meta: &ObjectMeta) -> Self {
        Self::new(
            meta.namespace.clone().unwrap_or_default(),
            meta.name.clone().unwrap_or_default(),
        )
    }

    /// The key of the controller that owns the object, if it is of this kind.
    pub(crate) fn of_owner(meta: &ObjectMeta, kind: &str) -> Option<Self> {
        let owner = meta
            .owner_references
            .as_ref()?
            .iter()
            .find(|o| o.controller == Some(true) && o.kind == kind)?;
        Some(Self::new(
            meta.namespace.clone().unwrap_or_default(),
            &owner.name,
        ))
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
