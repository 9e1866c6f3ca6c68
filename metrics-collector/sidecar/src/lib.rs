//! The collector container of a trial's pod: what the library collects, reported to the DB manager
//! and the early stopping service over gRPC.
//!
//! It is a command of `diwan`, and a program of its own: one runs beside every trial, and of a
//! binary that holds everything, ten times as much would be resident.

use std::env;
use std::future::Future;
use std::io::stdout;
use std::time::Duration;

use async_trait::async_trait;
use diwan_api::MetricLog;
use diwan_api::metadata::{ENV_TRIAL_NAMESPACE, ENV_TRIAL_TOKEN};
use diwan_db_manager::client::{Client, ClientError};
use diwan_metrics_collector::sidecar::{
    FlagError, Flags, Processes, SidecarError, Stopper, USAGE, marks_folder, run,
};
use diwan_metrics_collector::{Manager, SinkError};
use diwan_suggestion::StatusClient;

/// For how long a service may be away.
const PATIENCE: Duration = Duration::from_mins(10);
/// For how long one call is tried before the collector looks after its source again.
const CALL: Duration = Duration::from_secs(20);

/// Why nothing more is collected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag can't be followed.
    #[error("{0}\n\n{USAGE}")]
    Flag(#[from] FlagError),
    /// An address can't be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The address of the early stopping service can't be used.
    #[error("-s-earlystop: {0}")]
    Stopper(String),
    /// The trial failed, or its rows did not arrive.
    #[error(transparent)]
    Collect(#[from] SidecarError),
}

impl Error {
    /// The exit status: 2 for a wrong command line, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Flag(_) => 2,
            _ => 1,
        }
    }
}

/// The help text, where the command line asks for it.
pub fn help(words: &[String]) -> Option<String> {
    let asks = |word: &String| matches!(word.as_str(), "-h" | "-help" | "--help");
    let usage = || format!("usage: diwan metrics-collector FLAG...\n\n{USAGE}\n");
    words.iter().any(asks).then(usage)
}

/// Collects until the trial has ended, or until `leave` is ready.
///
/// # Errors
/// See [`Error`].
pub async fn collect(words: Vec<String>, leave: impl Future<Output = ()>) -> Result<(), Error> {
    let mut flags = Flags::parse(words)?;
    if flags.plan.namespace.is_empty() {
        flags.plan.namespace = env::var(ENV_TRIAL_NAMESPACE).unwrap_or_default();
    }
    let token = env::var(ENV_TRIAL_TOKEN).ok();
    let namespace = Some(flags.plan.namespace.as_str()).filter(|name| !name.is_empty());
    let mut client = Client::new(&flags.db_manager, namespace, CALL)?;
    if let Some(token) = &token {
        client = client.with_token(token)?;
    }
    let stopper = if flags.early_stopping.is_empty() {
        None
    } else {
        let address = &flags.early_stopping;
        let client = StatusClient::new(address, namespace, token.as_deref(), PATIENCE);
        Some(EarlyStopping(client.map_err(Error::Stopper)?))
    };
    let stopper = stopper.as_ref().map(|stopper| stopper as &dyn Stopper);
    let processes = Processes::new("/proc", marks_folder(&flags));
    let mut echo = stdout();
    run(
        &flags,
        DbManager(client),
        stopper,
        &processes,
        leave,
        &mut echo,
    )
    .await?;
    Ok(())
}

/// The DB manager over gRPC.
struct DbManager(Client);

#[async_trait]
impl Manager for DbManager {
    async fn report(
        &self,
        _: &str,
        trial: &str,
        rows: &[MetricLog],
        id: &str,
    ) -> Result<(), SinkError> {
        let reported = self.0.report_as(trial, id, rows.to_vec()).await;
        reported.map_err(|error| {
            if error.may_pass() {
                SinkError::Away(error.to_string())
            } else {
                SinkError::Refused(error.to_string())
            }
        })
    }
}

/// The early stopping service over gRPC.
struct EarlyStopping(StatusClient);

#[async_trait]
impl Stopper for EarlyStopping {
    async fn set_trial_status(&self, _: &str, trial: &str) -> Result<(), SinkError> {
        let told = self.0.set_trial_status(trial).await;
        told.map_err(|status| SinkError::Refused(status.message().to_owned()))
    }
}
