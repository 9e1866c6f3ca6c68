//! The composition on a cluster: controllers, webhooks and the observation log against its API.

mod authority;
mod connection;
mod conversion;
mod entry_points;
#[cfg(test)]
pub(crate) mod fake;
mod guard;
mod health;
mod keeper;
mod owners;
pub(crate) mod page;
mod registry;
mod reviews;
mod trials;
mod webhook;
mod webhook_configuration;

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use clap::builder::BoolishValueParser;
use diwan_controller::admission::injection::Injection;
use diwan_controller::leader::Election;
use diwan_controller::{Metrics, Options, Ports};
use diwan_db_manager::retention::{self, Age};
use diwan_db_manager::url::DatabaseUrl;
use diwan_db_manager::{ObservationStore, OpenOptions, TrialTokens, grpc, store};
use diwan_suggestion::{
    EarlyStoppers, EarlyStoppingService, Services, Suggesters, SuggestionService, by_name,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::database;
use crate::katib_config::{Collectors, ConfigFile, Configured, Place};
use crate::port::checkpoints;
use crate::port::early_stopper::{ApiTrials, EarlyStopper};
use crate::port::observations::Observations;
use crate::port::rules::Rules;
use crate::port::suggester::Suggester;
use authority::{Certificate, Shared};
use connection::Connection;
use entry_points::EntryPoints;
use guard::Guard;
use health::Health;
use keeper::Keeper;
use owners::Owners;
use reviews::Reviews;
use trials::Trials;
use webhook::Webhooks;
use webhook_configuration::Address;

/// By this name the API server knows who wrote a field.
const FIELD_MANAGER: &str = "diwan-controller";
/// The Lease of the replica that runs the controllers.
const LEASE: &str = "diwan-controller";
/// The container of the controller in its pod.
const CONTAINER: &str = "controller";

/// Flags of `diwan controller`.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    connection: Connection,
    /// Where the observation log is kept: sqlite://PATH, postgres://USER:PASSWORD@HOST/DATABASE or
    /// mysql://…; by default what Katib's variables (`DB_NAME` and others) say
    #[arg(long, value_name = "URL", env = "DIWAN_DATABASE_URL")]
    database_url: Option<DatabaseUrl>,
    /// Forget logs of trials that have reported nothing for so long, such as 30d
    #[arg(long, value_name = "AGE", env = "DIWAN_KEEP_LOGS")]
    keep_logs: Option<Age>,
    /// How long something that fails is tried again before the experiment fails, such as 5m
    #[arg(
        long,
        value_name = "TIME",
        env = "DIWAN_PATIENCE",
        default_value = "5m"
    )]
    patience: Age,
    /// Where the DB manager listens
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:6789")]
    db_manager_listen: SocketAddr,
    /// Where pods reach the DB manager; by default the Service katib-db-manager
    #[arg(long, value_name = "ADDR", env = "DIWAN_DB_MANAGER")]
    db_manager: Option<String>,
    /// Let everybody read observation logs over gRPC; Katib's SDK sends nothing that says who asks
    #[arg(long, env = "DIWAN_ALLOW_ANONYMOUS_READS", value_parser = BoolishValueParser::new())]
    allow_anonymous_reads: bool,
    /// Where the algorithms listen: gRPC `Suggestion` and `EarlyStopping`
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:6788")]
    suggestion_listen: SocketAddr,
    /// Where the webhooks listen
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8443")]
    webhook_listen: SocketAddr,
    /// Where the API server reaches the webhooks, as https://HOST:PORT; by default the Service
    /// diwan-controller
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
    /// Where health is asked for: /healthz and /readyz
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:18080")]
    health_listen: SocketAddr,
    /// Where metrics for Prometheus are served: /metrics
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    metrics_listen: SocketAddr,
    /// The image of `diwan`, for what is put into pods of trials; by default that of this pod
    #[arg(long, value_name = "IMAGE", env = "DIWAN_IMAGE")]
    image: Option<String>,
    /// The name of this pod
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pod_name: Option<String>,
    /// When it is pulled: Always, `IfNotPresent` or Never
    #[arg(long, value_name = "POLICY", default_value = "IfNotPresent")]
    image_pull_policy: String,
    /// A registry that is asked without TLS what images of trials run, as HOST:PORT; can be given
    /// several times, or several separated by commas
    #[arg(
        long = "insecure-registry",
        value_name = "HOST",
        env = "DIWAN_INSECURE_REGISTRIES",
        value_delimiter = ','
    )]
    insecure_registries: Vec<String>,
}

/// Runs until `stop`; an error when the lease is lost, after which nothing may go on.
pub(crate) async fn run(flags: Flags, stop: CancellationToken) -> anyhow::Result<()> {
    let client = flags.connection.client().await?;
    let (url, schema) = database::named(flags.database_url.as_ref())?;
    let options = OpenOptions {
        schema,
        ..OpenOptions::default()
    };
    // Before the API server is told to ask us.
    let store = store::open_with(&url, options).await?;
    let namespace = flags.connection.namespace();
    let shared = authority::shared(&client, &namespace, None).await?;
    let tokens = Arc::new(TrialTokens::new(&shared.trial_tokens));
    let image = image(&flags, &client, &namespace).await?;
    let replica = Replica {
        guard: Arc::new(Guard {
            tokens: tokens.clone(),
            reviews: Arc::new(Reviews::new(client.clone())),
            trials: Trials(client.clone()),
            anonymous_reads: flags.allow_anonymous_reads,
        }),
        tokens,
        rules: Rules {
            suggesters: Arc::new(Suggesters::with_images(by_name())),
            early_stoppers: Arc::new(EarlyStoppers::with_images(by_name())),
            hands_checkpoints: true,
        },
        collectors: Collectors::default(),
        db_manager: flags
            .db_manager
            .clone()
            .unwrap_or_else(|| format!("katib-db-manager.{namespace}:6789")),
        client,
        namespace,
        image,
        store,
        flags,
        metrics: crate::metrics::of_this_process(),
        tasks: TaskTracker::new(),
        stop,
    };
    let served = replica.serve(shared).await;
    let lost = match served {
        Ok(()) => replica.lead().await,
        Err(_) => false,
    };
    replica.stop.cancel();
    replica.tasks.close();
    replica.tasks.wait().await;
    replica.store.close().await?;
    served?;
    anyhow::ensure!(!lost, "the lease {LEASE} was lost");
    Ok(())
}

/// One of the processes that serve a cluster; one of them leads.
struct Replica {
    client: Client,
    namespace: String,
    /// What is put beside trials, and before them.
    image: String,
    flags: Flags,
    store: Arc<dyn ObservationStore>,
    tokens: Arc<TrialTokens>,
    guard: Arc<Guard>,
    rules: Rules,
    collectors: Collectors,
    /// Where pods reach the DB manager.
    db_manager: String,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Replica {
    /// Starts what every replica does.
    async fn serve(&self, shared: Shared) -> anyhow::Result<()> {
        let health = Arc::new(Health::default());
        let (metrics, stop) = (|| self.metrics.clone(), || self.stop.clone());
        let listener = bind(self.flags.health_listen).await?;
        self.tasks
            .spawn(health::serve(listener, health.clone(), metrics(), stop()));
        let listener = bind(self.flags.metrics_listen).await?;
        self.tasks
            .spawn(crate::metrics::serve(listener, metrics(), stop()));
        self.follow_configuration().await?;
        self.serve_algorithms().await?;
        self.serve_log().await?;
        self.serve_webhooks(shared, health).await
    }

    /// Takes in `katib-config`, now and whenever it changes.
    async fn follow_configuration(&self) -> anyhow::Result<()> {
        let (rules, namespace) = (self.rules.clone(), self.namespace.clone());
        let (file, collectors) = (ConfigFile::default(), self.collectors.clone());
        let configured = Configured::new(Place::Cluster, file, rules, collectors);
        let maps = Api::namespaced(self.client.clone(), &namespace);
        configured.read(&maps).await?;
        self.tasks.spawn(configured.follow(maps, self.stop.clone()));
        Ok(())
    }

    async fn serve_webhooks(&self, shared: Shared, health: Arc<Health>) -> anyhow::Result<()> {
        let webhooks = Webhooks {
            client: self.client.clone(),
            rules: self.rules.clone(),
            injection: Injection {
                image: self.image.clone(),
                pull_policy: self.flags.image_pull_policy.clone(),
                db_manager: self.db_manager.clone(),
                collectors: Vec::new(),
            },
            collectors: self.collectors.clone(),
            entry_points: Arc::new(EntryPoints::new(
                self.client.clone(),
                self.flags.insecure_registries.clone(),
                self.tokens.clone(),
            )),
            owners: Arc::new(Owners::new(self.client.clone(), self.tokens.clone())),
        };
        let address = address(&self.flags, &self.namespace);
        let certificate = Arc::new(Certificate::default());
        certificate.renew(&shared, &address.names())?;
        let listener = bind(self.flags.webhook_listen).await?;
        let serving = webhooks.serve(listener, certificate.clone(), self.stop.clone());
        self.spawn("webhooks", serving);
        let keeper = Keeper {
            client: self.client.clone(),
            namespace: self.namespace.clone(),
            address,
            certificate,
            health,
        };
        self.tasks.spawn(keeper.run(shared, self.stop.clone()));
        Ok(())
    }

    async fn serve_algorithms(&self) -> anyhow::Result<()> {
        let trials = ApiTrials {
            client: self.client.clone(),
            directory: Arc::new(Trials(self.client.clone())),
            guard: self.guard.clone(),
        };
        let services = Services {
            suggestion: SuggestionService::default(),
            early_stopping: EarlyStoppingService::new(Arc::new(trials))
                .reading_from(reachable(self.flags.db_manager_listen).to_string()),
        };
        let listener = bind(self.flags.suggestion_listen).await?;
        let stop = self.stop.clone().cancelled_owned();
        let serving = diwan_suggestion::serve(listener, services, stop);
        self.spawn("suggestion service", serving);
        Ok(())
    }

    async fn serve_log(&self) -> anyhow::Result<()> {
        let context = grpc::Context {
            directory: Some(Arc::new(Trials(self.client.clone()))),
            guard: Some(self.guard.clone()),
        };
        let listener = bind(self.flags.db_manager_listen).await?;
        let stop = || self.stop.clone().cancelled_owned();
        let serving = grpc::serve_with(listener, self.store.clone(), context, stop());
        self.spawn("DB manager", serving);
        let sweeping = retention::run(self.store.clone(), self.flags.keep_logs, stop());
        self.tasks.spawn(sweeping);
        Ok(())
    }

    /// Serves until told to stop; an end before that is logged.
    fn spawn<E: Display + Send>(
        &self,
        what: &'static str,
        serving: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!("{what} ended: {error}");
            }
        });
    }

    /// Runs the controllers for as long as the lease is held; whether it was lost.
    async fn lead(&self) -> bool {
        // A container that is started again in its pod is alone there: it goes on at once.
        let identity = self.flags.pod_name.clone().unwrap_or_else(identity);
        let mut election = Election::new(&self.client, &self.namespace, LEASE, &identity);
        tracing::info!(identity, "waiting for the lease");
        if !election.win(&self.stop).await {
            return false;
        }
        tracing::info!(identity, "leading");
        let leading = CancellationToken::new();
        let controllers = tokio::spawn(diwan_controller::run(
            self.client.clone(),
            self.ports(),
            self.options(),
            self.metrics.clone(),
            leading.clone(),
        ));
        // The lease is given back after the controllers have ended, so that no two run at once.
        let over = CancellationToken::new();
        let ending = async {
            self.stop.cancelled().await;
            leading.cancel();
            let _ = controllers.await;
            over.cancel();
        };
        let holding = election.hold(&over);
        tokio::pin!(ending, holding);
        tokio::select! {
            () = &mut ending => {
                holding.await;
                false
            }
            // Whatever still runs is not to write any more; others take over in a few seconds.
            () = &mut holding => {
                leading.cancel();
                !self.stop.is_cancelled()
            }
        }
    }

    fn options(&self) -> Options {
        Options {
            patience: self.flags.patience.0,
            ..Options::cluster()
        }
    }

    fn ports(&self) -> Ports {
        let stopper = EarlyStopper {
            stoppers: self.rules.early_stoppers.clone(),
            db_manager: self.db_manager.clone(),
        };
        let observations = Observations {
            store: self.store.clone(),
            absences: Arc::default(),
        };
        Ports::new(
            Arc::new(Suggester(self.rules.suggesters.clone())),
            Arc::new(stopper),
            Arc::new(observations),
        )
        .with_tokens(Arc::new(self.tokens.clone().maker()))
        .with_checkpoints(checkpoints::in_image(
            &self.image,
            &self.flags.image_pull_policy,
        ))
    }
}

/// The image that is put beside trials, and before them: unless a flag names one, that of this pod.
async fn image(flags: &Flags, client: &Client, namespace: &str) -> anyhow::Result<String> {
    if let Some(image) = &flags.image {
        return Ok(image.clone());
    }
    let name = flags.pod_name.as_deref();
    let name = name.context("give the image of diwan by --image, or this pod's name")?;
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    let describe = || format!("can't read pod {name} of namespace {namespace}");
    let pod = api.get(name).await.with_context(describe)?;
    let containers = pod.spec.map(|spec| spec.containers).unwrap_or_default();
    // Others may have been put in front of ours.
    let ours = containers
        .iter()
        .find(|container| container.name == CONTAINER);
    let image = ours
        .or(containers.first())
        .and_then(|container| container.image.clone());
    image.context("this pod has no image; give one by --image")
}

fn address(flags: &Flags, namespace: &str) -> Address {
    match &flags.webhook_url {
        Some(url) => Address::Url(url.clone()),
        None => Address::Service {
            namespace: namespace.to_owned(),
            name: "diwan-controller".to_owned(),
            port: 443,
        },
    }
}

/// No other replica's: the machine's name, the process, and when it started.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}-{:x}", host.trim(), std::process::id(), started())
}

fn started() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_micros() as u64)
}

/// Where this process reaches itself.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("can't listen on {address}"))
}
