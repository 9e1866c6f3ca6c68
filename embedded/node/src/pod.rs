//! A pod as the node sees it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use diwan_embedded::address;
use k8s_openapi::api::core::v1::{Container, LifecycleHandler, PodSpec};
use serde::Deserialize as _;
use serde_json::Value;

use crate::schedule::Resources;

/// A pod: the object and its specification in typed form.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    /// The object.
    pub(crate) object: Arc<Value>,
    /// Its name.
    pub(crate) name: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its unique identifier, which names its folder.
    pub(crate) uid: String,
    /// Its specification.
    pub(crate) spec: PodSpec,
    /// The node's name.
    pub(crate) node_name: String,
    /// What the machine has.
    pub(crate) capacity: Resources,
}

impl Pod {
    /// Reads a pod.
    ///
    /// # Errors
    /// The specification is not one of a pod; the message says where.
    pub(crate) fn read(
        object: Arc<Value>,
        node_name: &str,
        capacity: Resources,
    ) -> Result<Self, serde_json::Error> {
        let spec = PodSpec::deserialize(&object["spec"])?;
        let text = |field: &str| {
            object["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        Ok(Self {
            name: text("name"),
            namespace: text("namespace"),
            uid: text("uid"),
            spec,
            node_name: node_name.to_owned(),
            capacity,
            object,
        })
    }

    /// How the pod names itself.
    pub(crate) fn host_name(&self) -> &str {
        self.spec.hostname.as_deref().unwrap_or(&self.name)
    }

    /// All containers, init containers first.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &Container> {
        self.spec
            .init_containers
            .iter()
            .flatten()
            .chain(&self.spec.containers)
    }

    /// The name of its service account.
    pub(crate) fn account(&self) -> &str {
        let name = self.spec.service_account_name.as_deref();
        name.filter(|name| !name.is_empty()).unwrap_or("default")
    }

    /// What the machine has of a resource.
    pub(crate) fn machine(&self, resource: &str) -> Option<f64> {
        match resource {
            "cpu" => Some(self.capacity.cpu as f64 / 1000.0),
            "memory" => Some(self.capacity.memory as f64),
            "ephemeral-storage" => Some(0.0),
            _ => None,
        }
    }

    /// The address that is its own; the machine's when it asks for that.
    pub(crate) fn address(&self) -> Ipv4Addr {
        if self.spec.host_network == Some(true) {
            Ipv4Addr::LOCALHOST
        } else {
            address::of_pod(&self.uid)
        }
    }

    /// The seconds that processes may take to end after SIGTERM.
    pub(crate) fn grace(&self) -> u64 {
        self.spec
            .termination_grace_period_seconds
            .unwrap_or(30)
            .max(0) as u64
    }
}

/// Whether a container of those that come first runs beside the others until they end.
pub(crate) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Whether a container counts as started only when a probe or a hook says so.
pub(crate) fn is_awaited(container: &Container) -> bool {
    container.startup_probe.is_some()
        || container
            .lifecycle
            .as_ref()
            .is_some_and(|lifecycle| lifecycle.post_start.is_some())
}

/// What is done before a container is asked to end.
pub(crate) fn pre_stop(container: &Container) -> Option<&LifecycleHandler> {
    container.lifecycle.as_ref()?.pre_stop.as_ref()
}

/// Whether a pod's object says that it has ended.
pub(crate) fn is_terminal(object: &Value) -> bool {
    matches!(
        object["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    )
}

/// Whether a pod's object is being deleted.
pub(crate) fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// A text field of the metadata; empty when absent.
pub(crate) fn metadata<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}
