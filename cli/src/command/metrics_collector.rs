//! `diwan metrics-collector`: the collector container of a trial's pod.

use std::io::stdout;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use diwan_api::MetricLog;
use diwan_api::metadata::{ENV_TRIAL_NAMESPACE, ENV_TRIAL_TOKEN};
use diwan_db_manager::client::Client;
use diwan_metrics_collector::sidecar::{Flags, Processes, Stopper, USAGE, marks_folder, run};
use diwan_metrics_collector::{Manager, SinkError};
use diwan_suggestion::StatusClient;

use super::{EXIT_INVALID, print};
use crate::signals::interrupted;

/// For how long a service may be away.
const PATIENCE: Duration = Duration::from_mins(10);
/// For how long one call is tried before the collector looks after its source again.
const CALL: Duration = Duration::from_secs(20);

/// Collects what the trial of a pod reports, with the flags of Katib's collectors.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct MetricsCollector {
    /// Flags as Katib's collectors take them; `-help` lists them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "FLAG"
    )]
    flags: Vec<String>,
}

impl MetricsCollector {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let asks_for_help = |flag: &String| matches!(flag.as_str(), "-h" | "-help" | "--help");
        if self.flags.iter().any(asks_for_help) {
            print(&format!(
                "usage: diwan metrics-collector FLAG...\n\n{USAGE}\n"
            ))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut flags = match Flags::parse(self.flags) {
            Ok(flags) => flags,
            Err(error) => {
                eprintln!("{error}\n\n{USAGE}");
                return Ok(ExitCode::from(EXIT_INVALID));
            }
        };
        let interrupt = interrupted();
        if flags.plan.namespace.is_empty() {
            flags.plan.namespace = std::env::var(ENV_TRIAL_NAMESPACE).unwrap_or_default();
        }
        let token = std::env::var(ENV_TRIAL_TOKEN).ok();
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
            let client = client.map_err(anyhow::Error::msg);
            Some(EarlyStopping(client.context("-s-earlystop")?))
        };
        let stopper = stopper.as_ref().map(|stopper| stopper as &dyn Stopper);
        let processes = Processes::new("/proc", marks_folder(&flags));
        let mut echo = stdout();
        let manager = DbManager(client);
        run(&flags, manager, stopper, &processes, interrupt, &mut echo).await?;
        Ok(ExitCode::SUCCESS)
    }
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
