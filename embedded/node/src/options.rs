//! What a node is started with.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::hook::PodHook;

/// Gives the token with which the service account of a namespace asks the API.
pub type TokenProvider = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What a node is started with.
#[derive(Clone)]
pub struct NodeOptions {
    /// The node's name, a DNS name.
    pub node_name: String,
    /// The data folder; pods, logs and the program that holds pods lie in it.
    pub data_dir: PathBuf,
    /// How many pods without requests run at a time. See [`NodeOptions::default_max_pods`].
    pub max_pods: usize,
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
