//! What all pods of a node share: folders, isolation, variables.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use diwan_embedded::Api;
use nix::unistd::Uid;
use parking_lot::Mutex;

use crate::cgroup;
use crate::engine::Engine;
use crate::environment::Environment;
use crate::holder::{self, Isolation};
use crate::hosts::Hosts;
use crate::ignored::Abilities;
use crate::options::{AccountToken, NodeOptions, TokenProvider};
use crate::pod::Pod;
use crate::rights;
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
    /// The engine that runs containers, where one does.
    pub(crate) engine: Option<Engine>,
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
    /// The control group of all containers, if their processors and memory can be limited.
    pub(crate) cgroup: Option<PathBuf>,
    pods: PathBuf,
    logs: PathBuf,
    /// Folders of pods that ended.
    pub(crate) spares: Spares,
    accounts: PathBuf,
    ca_pem: String,
    token: TokenProvider,
    /// Namespaces and names of the service accounts whose files are written.
    written: Mutex<HashSet<(String, String)>>,
}

impl Settings {
    /// Makes the folders of the node and finds out what the machine can do.
    ///
    /// # Errors
    /// The data folder cannot be written.
    pub(crate) fn new(
        api: Api,
        options: &NodeOptions,
        capacity: Resources,
        engine: Option<Engine>,
    ) -> io::Result<Self> {
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
        let (isolation, no_isolation) = match &engine {
            Some(_) if Uid::effective().is_root() => (Isolation::Root, String::new()),
            Some(_) => (Isolation::User, String::new()),
            None => holder::probe(&entrypoint, &stage)?,
        };
        let hosts = Hosts::new(api, node.join("hosts"), hosts_file(&options.service_hosts))?;
        Ok(Self {
            node_name: options.node_name.clone(),
            capacity,
            isolation,
            no_isolation,
            entrypoint,
            stage,
            environment: environment(options, engine.is_some()),
            images: options.images.clone(),
            working_directory: options.working_directory.clone(),
            hosts: Arc::new(hosts),
            cgroup: cgroup::find().filter(|_| engine.is_none()),
            engine,
            pods,
            spares: Spares::new(node.join("spare"))?,
            logs,
            accounts: node.join("serviceaccount"),
            ca_pem: options.ca_pem.clone(),
            token: Arc::clone(&options.token),
            written: Mutex::default(),
        })
    }

    /// What this machine can do for containers.
    pub(crate) fn abilities(&self) -> Abilities {
        Abilities {
            users: self.engine.is_some() || rights::is_root(self.isolation),
            mounts: self.isolation != Isolation::None,
            memory: rights::is_root(self.isolation),
            limits: self.engine.is_some() || self.cgroup.is_some(),
        }
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

    /// A token of a service account, if it gets one.
    pub(crate) fn token(&self, wanted: &AccountToken<'_>) -> Option<String> {
        (self.token)(wanted)
    }

    /// The folder with the files of a pod's service account, written when first asked for.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn account(&self, pod: &Pod) -> io::Result<PathBuf> {
        let key = (pod.namespace.clone(), pod.account().to_owned());
        let folder = self.accounts.join(&key.0).join(&key.1);
        let mut written = self.written.lock();
        if !written.contains(&key) {
            fs::create_dir_all(&folder)?;
            if let Some(token) = self.token(&AccountToken::of(pod)) {
                fs::write(folder.join("token"), token)?;
            }
            fs::write(folder.join("ca.crt"), &self.ca_pem)?;
            fs::write(folder.join("namespace"), &pod.namespace)?;
            written.insert(key);
        }
        Ok(folder)
    }
}

/// The variables that every container gets. Images have their own for what is the machine's.
fn environment(options: &NodeOptions, has_images: bool) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in options.environment.iter().filter(|_| !has_images) {
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
