//! What a node is started with.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::hook::PodHook;
use crate::pod::Pod;

/// Gives the token with which a service account asks the API; none: it gets none.
pub type TokenProvider = Arc<dyn Fn(&AccountToken<'_>) -> Option<String> + Send + Sync>;

/// What a token is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountToken<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The service account's name.
    pub account: &'a str,
    /// The name of the pod that uses it.
    pub pod: &'a str,
    /// Whom it is shown to, when not to the API.
    pub audience: Option<&'a str>,
    /// For how long it is to be good; without, for as long as may be.
    pub expiration_seconds: Option<i64>,
}

impl<'a> AccountToken<'a> {
    /// The token of a pod's service account for the API.
    pub(crate) fn of(pod: &'a Pod) -> Self {
        Self {
            namespace: &pod.namespace,
            account: pod.account(),
            pod: &pod.name,
            audience: None,
            expiration_seconds: None,
        }
    }
}

/// What runs the containers of pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// This machine: they are processes, and images stand for nothing.
    #[default]
    Processes,
    /// The engine (podman, docker) that listens at this socket.
    Engine(PathBuf),
}

/// What a node is started with.
#[derive(Clone)]
pub struct NodeOptions {
    /// The node's name, a DNS name.
    pub node_name: String,
    /// The data folder; pods, logs and the program that holds pods lie in it.
    pub data_dir: PathBuf,
    /// How many pods without requests run at a time. See [`NodeOptions::default_max_pods`].
    pub max_pods: usize,
    /// What runs containers.
    pub runtime: Runtime,
    /// Images by name and the folders that stand for them.
    pub images: Vec<(String, PathBuf)>,
    /// Names that resolve inside pods, and their addresses.
    pub service_hosts: Vec<(String, IpAddr)>,
    /// Host and port of the API as pods see them.
    pub api_address: (String, u16),
    /// The certificate authority of the API, as PEM.
    pub ca_pem: String,
    /// Gives the tokens of service accounts.
    pub token: TokenProvider,
    /// Variables that every container starts with: PATH, HOME, LANG and the like.
    pub environment: Vec<(String, String)>,
    /// Where containers start that name no working directory.
    pub working_directory: PathBuf,
    /// Follows pods while they run.
    pub hook: Option<Arc<dyn PodHook>>,
}

impl NodeOptions {
    /// The number of pods without requests that run at a time unless told otherwise: 4 for each
    /// processor, at least 8.
    pub fn default_max_pods() -> usize {
        std::thread::available_parallelism().map_or(8, |n| (4 * n.get()).max(8))
    }
}
