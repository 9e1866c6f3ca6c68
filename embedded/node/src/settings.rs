//! What all pods of a node share: folders, isolation, variables.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use diwan_embedded::Api;
use parking_lot::Mutex;

use crate::environment::Environment;
use crate::holder::{self, Isolation};
use crate::hosts::Hosts;
use crate::options::{NodeOptions, TokenProvider};
use crate::schedule::Resources;
use crate::spares::Spares;

/// So much of a pod's name is in the names of its logs: with a pod's identifier and a container's
/// name they have to stay below 255 bytes.
const LOG_NAME_MAX: usize = 128;

/// What all pods of a node share.
pub(crate) struct Settings {
    /// The node's name.
    pub(crate) node_name: String,
    /// What the machine has.
    pub(crate) capacity: Resources,
    /// How containers get mounts of their own.
    pub(crate) isolation: Isolation,
    /// Why there is no isolation; empty when there is.
    pub(crate) no_isolation: String,
    /// The program that holds pods.
    pub(crate) entrypoint: PathBuf,
    /// An empty folder over which holders assemble folders.
    pub(crate) stage: PathBuf,
    /// Variables that every container gets.
    pub(crate) environment: Environment,
    /// Folders that stand for images.
    pub(crate) images: Vec<(String, PathBuf)>,
    /// Where containers start that name no working directory.
    pub(crate) working_directory: PathBuf,
    /// The files that containers see as `/etc/hosts`.
    pub(crate) hosts: Arc<Hosts>,
    pods: PathBuf,
    logs: PathBuf,
    /// Folders of pods that ended.
    pub(crate) spares: Spares,
    accounts: PathBuf,
    ca_pem: String,
    token: TokenProvider,
    /// Namespaces whose service account's files are written.
    written: Mutex<HashSet<String>>,
}

impl Settings {
    /// Makes the folders of the node and finds out what the machine can do.
    ///
    /// # Errors
    /// The data folder cannot be written.
    pub(crate) fn new(api: Api, options: &NodeOptions, capacity: Resources) -> io::Result<Self> {
        let data =
            fs::create_dir_all(&options.data_dir).and_then(|()| options.data_dir.canonicalize())?;
        let node = data.join("node");
        let (pods, logs, stage) = (data.join("pods"), data.join("logs"), node.join("stage"));
        for folder in [&pods, &logs, &node, &stage] {
            fs::create_dir_all(folder)?;
        }
        // Tokens and volumes of secrets are nobody else's business.
        for folder in [&pods, &node] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
        let entrypoint = holder::install(&data.join("bin"))?;
        let (isolation, no_isolation) = holder::probe(&entrypoint, &stage)?;
        let hosts = Hosts::new(api, node.join("hosts"), hosts_file(&options.service_hosts))?;
        Ok(Self {
            node_name: options.node_name.clone(),
            capacity,
            isolation,
            no_isolation,
            entrypoint,
            stage,
            environment: environment(options),
            images: options.images.clone(),
            working_directory: options.working_directory.clone(),
            hosts: Arc::new(hosts),
            pods,
            spares: Spares::new(node.join("spare"))?,
            logs,
            accounts: node.join("serviceaccount"),
            ca_pem: options.ca_pem.clone(),
            token: Arc::clone(&options.token),
            written: Mutex::default(),
        })
    }

    /// The folder of all pods; each has one named by its unique identifier.
    pub(crate) fn pods(&self) -> &Path {
        &self.pods
    }

    /// A pod's folder.
    pub(crate) fn pod(&self, uid: &str) -> PathBuf {
        self.pods.join(uid)
    }

    /// The folder with the logs of a namespace's pods. They lie side by side: a folder for each pod
    /// costs the file system more than all other files of the pod.
    pub(crate) fn logs(&self, namespace: &str) -> PathBuf {
        self.logs.join(namespace)
    }

    /// The logs of one container, without the number of the run and `.log`.
    pub(crate) fn log(&self, namespace: &str, pod: &str, uid: &str, container: &str) -> PathBuf {
        // Names are of ASCII; the identifier says which pod it is, however long its name.
        let pod = &pod[..pod.len().min(LOG_NAME_MAX)];
        self.logs(namespace)
            .join(format!("{pod}_{uid}_{container}."))
    }

    /// The service account's token of a namespace.
    pub(crate) fn token(&self, namespace: &str) -> String {
        (self.token)(namespace)
    }

    /// The folder with the files of a namespace's service account, written when first asked for.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn account(&self, namespace: &str) -> io::Result<PathBuf> {
        let folder = self.accounts.join(namespace);
        let mut written = self.written.lock();
        if !written.contains(namespace) {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("token"), self.token(namespace))?;
            fs::write(folder.join("ca.crt"), &self.ca_pem)?;
            fs::write(folder.join("namespace"), namespace)?;
            written.insert(namespace.to_owned());
        }
        Ok(folder)
    }
}

/// The variables that every container gets.
fn environment(options: &NodeOptions) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in &options.environment {
        environment.set(name, value);
    }
    let (host, port) = &options.api_address;
    environment.set("KUBERNETES_SERVICE_HOST", host);
    environment.set("KUBERNETES_SERVICE_PORT", port.to_string());
    environment.set("KUBERNETES_SERVICE_PORT_HTTPS", port.to_string());
    environment
}

/// The machine's `/etc/hosts` with the names of our services, which come first.
fn hosts_file(services: &[(String, IpAddr)]) -> String {
    let lines = services.iter().map(|(name, ip)| format!("{ip}\t{name}"));
    let mut lines: Vec<String> = lines.collect();
    // Without the machine's file the names of services are all there is.
    lines.push(fs::read_to_string("/etc/hosts").unwrap_or_default());
    lines.join("\n")
}
