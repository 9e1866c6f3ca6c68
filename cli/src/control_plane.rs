//! The composition: all parts of Diwan in one process, on one machine.

mod address;
mod admission;
mod base;
mod collector;
mod directory;
mod engine;
mod flags;
mod front;
mod logs;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use diwan_controller::{Metrics, Ports};
use diwan_db_manager::{ObservationStore, SqliteStore, grpc, retention, store};
use diwan_embedded::{Api, Bound, TokenOrder};
use diwan_node::{AccountToken, Node, NodeOptions};
use diwan_suggestion::{EarlyStoppingService, SuggestionService};
use diwan_workloads::Controllers;
use jiff::Timestamp;
use kube::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::port::absences::Absences;
use crate::port::checkpoints;
use crate::port::early_stopper::{ApiTrials, EarlyStopper};
use crate::port::observations::Observations;
use crate::port::suggester::Suggester;
use address::{DEFAULT_DB_MANAGER_PORT, DEFAULT_PORT, DEFAULT_SUGGESTION_PORT, Listen};
use base::Base;
use collector::Collector;
use directory::Directory;
use flags::default_data;
use front::Front;
use logs::KeptLogs;

/// The machine's name as a node.
const NODE_NAME: &str = "local";
pub(crate) use base::Checker;
pub(crate) use flags::Shared;

/// How long pods get to end when the control plane stops.
const GRACE: Duration = Duration::from_secs(10);
/// Variables that the processes of pods inherit; all others come from the pod.
const INHERITED: [&str; 15] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "XDG_CACHE_HOME",
];

/// Where a control plane can be reached.
pub(crate) struct Addresses {
    /// The web page, with a token that signs the browser in.
    pub(crate) ui: String,
    /// gRPC `DBManager`.
    pub(crate) db_manager: SocketAddr,
    /// gRPC `Suggestion` and `EarlyStopping`.
    pub(crate) suggestion: SocketAddr,
    /// Metrics for Prometheus, where they were asked for.
    pub(crate) metrics: Option<SocketAddr>,
    /// For `kubectl` and SDKs.
    pub(crate) kubeconfig: PathBuf,
}

/// A running control plane.
pub(crate) struct ControlPlane {
    /// The API, in process.
    pub(crate) client: Client,
    /// Where it can be reached from outside.
    pub(crate) addresses: Addresses,
    node: Node,
    store: Arc<dyn ObservationStore>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// A data folder that goes with the control plane.
    _fresh: Option<tempfile::TempDir>,
}

/// Where the parts listen.
struct Listeners {
    front: Listen,
    db_manager: Listen,
    suggestion: Listen,
}

impl ControlPlane {
    /// Starts on the data folder of the flags, or the user's.
    pub(crate) async fn start(flags: &Shared) -> anyhow::Result<Self> {
        let data = flags.data.clone().map_or_else(default_data, Ok)?;
        let listeners = Listeners {
            front: Listen::preferring(flags.listen, DEFAULT_PORT),
            db_manager: Listen::preferring(None, DEFAULT_DB_MANAGER_PORT),
            suggestion: Listen::preferring(None, DEFAULT_SUGGESTION_PORT),
        };
        Self::launch(flags, &data, listeners, None).await
    }

    /// Starts on a folder of its own, unless the flags name one, and on free ports. The folder goes
    /// with the control plane unless it is to be kept.
    pub(crate) async fn start_private(flags: &Shared, keep: bool) -> anyhow::Result<Self> {
        let fresh = match &flags.data {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("diwan-").tempdir()?),
        };
        let (data, fresh) = match (&flags.data, fresh) {
            (Some(data), _) => (data.clone(), None),
            (None, Some(fresh)) if keep => {
                let data = fresh.keep();
                eprintln!("data folder: {}", data.display());
                (data, None)
            }
            (None, Some(fresh)) => (fresh.path().to_owned(), Some(fresh)),
            (None, None) => unreachable!("a fresh folder is made when none is given"),
        };
        let any = Listen::exactly(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listeners = Listeners {
            front: flags.listen.map_or(any, Listen::exactly),
            db_manager: any,
            suggestion: any,
        };
        Self::launch(flags, &data, listeners, fresh).await
    }
}

impl ControlPlane {
    async fn launch(
        flags: &Shared,
        data: &Path,
        listeners: Listeners,
        fresh: Option<tempfile::TempDir>,
    ) -> anyhow::Result<Self> {
        let runtime = engine::runtime(flags.runtime, &flags.images)?;
        // Folders of volumes are named to people and to pods: in full.
        std::fs::create_dir_all(data)?;
        let data = &data.canonicalize()?;
        let base = Base::open(data, flags.config.as_deref(), &runtime)?;
        let store: Arc<dyn ObservationStore> = match &flags.database_url {
            Some(url) => store::open(url).await?,
            None => Arc::new(SqliteStore::open(&data.join("observations.db")).await?),
        };
        let front = Front::prepare(listeners.front.bind().await?, data)?;
        let db_manager = listeners.db_manager.bind().await?;
        let suggestion = listeners.suggestion.bind().await?;
        let for_pods = address::bind_for_pods(data).await?;
        let scraped = match flags.metrics_listen {
            Some(address) => Some(Listen::exactly(address).bind().await?),
            None => None,
        };
        let addresses = Addresses {
            ui: front.page(),
            db_manager: db_manager.local_addr()?,
            suggestion: suggestion.local_addr()?,
            metrics: scraped.as_ref().map(TcpListener::local_addr).transpose()?,
            kubeconfig: front.kubeconfig.clone(),
        };
        let pods = PodSurroundings {
            api: front.api_address(),
            db_manager: for_pods.local_addr()?.ip(),
            ca_pem: front.credentials().ca().to_owned(),
            accounts: base.api.clone(),
        };
        let absences = Arc::new(Absences::default());
        let collector = Collector::new(Arc::clone(&store), absences.clone(), Timestamp::now());
        let collector = Arc::new(collector);
        let options = node_options(flags, runtime, data, pods, collector)?;
        let node = Node::start(base.api.clone(), options).await?;
        let shutdown = CancellationToken::new();
        let tasks = TaskTracker::new();
        let plane = Self {
            client: base.client.clone(),
            addresses,
            node,
            store: Arc::clone(&store),
            tasks,
            shutdown,
            _fresh: fresh,
        };
        plane.start_log(&base, [db_manager, for_pods]);
        plane.start_algorithms(&base, suggestion);
        let maps = kube::Api::namespaced(base.client.clone(), admission::CORE_NAMESPACE);
        let following = base.configured.clone().follow(maps, plane.shutdown.clone());
        plane.tasks.spawn(following);
        plane.tasks.spawn(retention::run(
            Arc::clone(&store),
            flags.keep_logs,
            plane.shutdown.clone().cancelled_owned(),
        ));
        let observations = Observations {
            store: Arc::clone(&store),
            absences,
        };
        let metrics = crate::metrics::of_this_process();
        plane.start_controllers(&base, data, observations.clone(), Arc::clone(&metrics));
        if let Some(listener) = scraped {
            let stop = plane.shutdown.clone();
            plane
                .tasks
                .spawn(crate::metrics::serve(listener, metrics, stop));
        }
        let stop = plane.shutdown.clone();
        let logs = KeptLogs {
            api: base.api.clone(),
            folder: data.join("logs"),
        };
        plane
            .tasks
            .spawn(front.serve(base, observations, logs, stop));
        plane.tasks.close();
        Ok(plane)
    }

    /// Serves the built-in algorithms over gRPC, for collectors and for clients of other languages.
    fn start_algorithms(&self, base: &Base, listener: TcpListener) {
        let trials = ApiTrials {
            client: base.client.clone(),
            directory: Arc::new(Directory(base.api.clone())),
            guard: Arc::clone(&base.tokens) as Arc<dyn grpc::TrialGuard>,
        };
        let services = diwan_suggestion::Services {
            suggestion: SuggestionService::default(),
            early_stopping: EarlyStoppingService::new(Arc::new(trials)),
        };
        let stop = self.shutdown.clone().cancelled_owned();
        let serving = diwan_suggestion::serve(listener, services, stop);
        self.tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!("suggestion service ended: {error}");
            }
        });
    }

    /// Serves the observation log over gRPC.
    fn start_log(&self, base: &Base, listeners: [TcpListener; 2]) {
        let context = grpc::Context {
            directory: Some(Arc::new(Directory(base.api.clone()))),
            guard: Some(Arc::clone(&base.tokens) as Arc<dyn grpc::TrialGuard>),
        };
        for listener in listeners {
            let stop = self.shutdown.clone().cancelled_owned();
            let store = Arc::clone(&self.store);
            let serving = grpc::serve_with(listener, store, context.clone(), stop);
            self.tasks.spawn(async move {
                if let Err(error) = serving.await {
                    tracing::error!("DB manager ended: {error}");
                }
            });
        }
    }

    fn start_controllers(
        &self,
        base: &Base,
        data: &Path,
        observations: Observations,
        metrics: Arc<Metrics>,
    ) {
        let suggester = Arc::new(Suggester(Arc::clone(&base.suggesters)));
        let early_stopper = Arc::new(EarlyStopper {
            stoppers: Arc::clone(&base.early_stoppers),
            db_manager: self.addresses.db_manager.to_string(),
        });
        let ports = Ports::new(suggester, early_stopper, Arc::new(observations))
            .with_tokens(Arc::new(base.tokens.clone().maker()))
            .with_checkpoints(checkpoints::in_process());
        let client = self.client.clone();
        let options = diwan_controller::Options::default();
        self.tasks.spawn(diwan_controller::run(
            client,
            ports,
            options,
            metrics,
            self.shutdown.clone(),
        ));
        let workloads = Controllers::start(&base.api, NODE_NAME, data);
        let stop = self.shutdown.clone();
        self.tasks.spawn(async move {
            stop.cancelled().await;
            drop(workloads);
        });
    }

    /// Ends pods and all else; what was acknowledged is on disk.
    pub(crate) async fn stop(self) {
        let Self {
            node,
            store,
            tasks,
            shutdown,
            ..
        } = self;
        shutdown.cancel();
        tasks.wait().await;
        node.stop(GRACE).await;
        if let Err(error) = store.close().await {
            tracing::error!("{error}");
        }
    }
}

/// What pods are told of the control plane.
struct PodSurroundings {
    api: SocketAddr,
    db_manager: IpAddr,
    ca_pem: String,
    accounts: Api,
}

/// The token of a pod's service account. It is good for a year, as one is that Kubernetes gives to a
/// pod for the API by itself, since programs may read it only once.
fn account_token(api: &Api, wanted: &AccountToken<'_>) -> Option<String> {
    const YEAR: i64 = 365 * 24 * 3600;
    let for_the_api = wanted.audience.is_none();
    let order = TokenOrder {
        audiences: wanted.audience.map(str::to_owned).into_iter().collect(),
        seconds: if for_the_api {
            Some(YEAR)
        } else {
            wanted.expiration_seconds
        },
        bound: Some(Bound {
            kind: "Pod".to_owned(),
            name: wanted.pod.to_owned(),
            uid: String::new(),
        }),
    };
    match api.issue_token(wanted.namespace, wanted.account, &order) {
        Ok(issued) => Some(issued.token),
        Err(status) => {
            let (namespace, account) = (wanted.namespace, wanted.account);
            tracing::warn!(%status, namespace, account, "a pod gets no token");
            None
        }
    }
}

fn node_options(
    flags: &Shared,
    runtime: diwan_node::Runtime,
    data: &Path,
    pods: PodSurroundings,
    collector: Arc<Collector>,
) -> anyhow::Result<NodeOptions> {
    let mut service_hosts = Vec::new();
    for suffix in [
        "",
        ".kubeflow",
        ".kubeflow.svc",
        ".kubeflow.svc.cluster.local",
    ] {
        service_hosts.push((format!("katib-db-manager{suffix}"), pods.db_manager));
    }
    for name in ["kubernetes", "kubernetes.default", "kubernetes.default.svc"] {
        service_hosts.push((name.to_owned(), pods.api.ip()));
    }
    let inherited = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
    let accounts = pods.accounts;
    Ok(NodeOptions {
        node_name: NODE_NAME.to_owned(),
        data_dir: data.to_owned(),
        max_pods: flags.max_pods,
        runtime,
        images: flags.images.clone(),
        service_hosts,
        api_address: (pods.api.ip().to_string(), pods.api.port()),
        ca_pem: pods.ca_pem,
        token: Arc::new(move |wanted| account_token(&accounts, wanted)),
        environment: INHERITED.into_iter().filter_map(inherited).collect(),
        working_directory: std::env::current_dir().context("can't tell the current folder")?,
        hook: Some(collector),
    })
}
