//! `diwan run`: applies files to a private control plane, or to a running one, shows progress and
//! prints the best trials.

use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use diwan_api::metadata::LABEL_EXPERIMENT;
use diwan_api::{Conditions as _, Experiment, ExperimentStatus, Trial};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, ListParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::Value;
use tokio::time::timeout;

use super::{EXIT_FAILED, EXIT_INTERRUPTED, refuse};
use crate::apply::{self, ApplyError, Mode};
use crate::control_plane::{ControlPlane, Shared};
use crate::manifest::{self, Manifest, Problem};
use crate::progress::Progress;
use crate::report::{self, Finished, Output};
use crate::signals::interrupted;

/// Runs the experiments of files to their end and prints the best trials.
#[derive(clap::Args)]
pub(crate) struct Run {
    /// Files with one or several YAML or JSON documents, at least one of them an Experiment
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Format of the report
    #[arg(long, value_enum, default_value_t = Output::Table, env = "DIWAN_OUTPUT")]
    output: Output,
    /// Keep the data folder (objects, observation log, logs of the trials) and say where it is
    #[arg(long, env = "DIWAN_KEEP")]
    keep: bool,
    /// Run on the cluster, or the `diwan up`, of this kubeconfig instead of a private one
    #[arg(
        long,
        value_name = "FILE",
        env = "DIWAN_KUBECONFIG",
        conflicts_with_all = ["data", "listen", "config", "max_pods", "runtime", "images", "keep"]
    )]
    kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    shared: Shared,
}

/// How waiting for experiments ended.
enum Outcome {
    Finished(Vec<Finished>),
    Refused(Vec<Problem>),
    /// With what there is of the experiments until then.
    Interrupted(Vec<Finished>),
}

/// So long is asked for what there is when a run is interrupted.
const LAST_LOOK: Duration = Duration::from_secs(5);

impl Run {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let interrupt = interrupted();
        let manifests = match manifest::read_files(&self.files) {
            Ok(manifests) => manifests,
            Err(problems) => return Ok(refuse(&problems)),
        };
        if let Some(problem) = what_is_missing(&manifests) {
            return Ok(refuse(&[problem]));
        }
        if let Some(kubeconfig) = &self.kubeconfig {
            let client = client_of(kubeconfig).await?;
            let driven = self.drive(&client, &manifests, interrupt).await;
            if matches!(driven, Ok(Outcome::Interrupted(_))) {
                eprintln!("the experiments go on; `kubectl delete` stops them");
            }
            return self.conclude(driven?);
        }
        // A signal during the start is acted on right after it: only then can all be taken back.
        let plane = ControlPlane::start_private(&self.shared, self.keep).await?;
        eprintln!("watch it: {}", plane.addresses.ui);
        let driven = self.drive(&plane.client, &manifests, interrupt).await;
        tokio::select! {
            () = plane.stop() => {}
            () = interrupted() => eprintln!("left at once; trials may still run"),
        }
        if let (Ok(Outcome::Interrupted(_)), Some(data)) = (&driven, self.shared.data()) {
            eprintln!("`diwan up --data {}` goes on with it", data.display());
        }
        self.conclude(driven?)
    }

    /// Applies the objects and waits for the experiments, or for the interrupt.
    async fn drive(
        &self,
        client: &Client,
        manifests: &[Manifest],
        interrupt: impl Future<Output = ()>,
    ) -> anyhow::Result<Outcome> {
        let mut interrupt = pin!(interrupt);
        let work = async {
            let created = apply::create_namespaces(client, manifests).await;
            created.map_err(ApplyError::Other)?;
            apply::apply(client, manifests, Mode::Store).await
        };
        let applied = tokio::select! {
            applied = work => applied,
            () = &mut interrupt => return Ok(Outcome::Interrupted(Vec::new())),
        };
        let stored = match applied {
            Ok(stored) => names(&stored),
            Err(ApplyError::Invalid(problems)) => return Ok(Outcome::Refused(problems)),
            Err(ApplyError::Other(error)) => return Err(error),
        };
        tokio::select! {
            outcome = wait(client, &stored) => outcome,
            () = interrupt => {
                let found = timeout(LAST_LOOK, fetch_all(client, &stored)).await;
                Ok(Outcome::Interrupted(found.ok().and_then(Result::ok).unwrap_or_default()))
            }
        }
    }

    /// Prints what there is to print; the exit status tells how it ended.
    fn conclude(&self, outcome: Outcome) -> anyhow::Result<ExitCode> {
        match outcome {
            Outcome::Refused(problems) => Ok(refuse(&problems)),
            Outcome::Interrupted(found) => {
                // What nobody has waited for to the end is worth a look if it has found anything.
                if found.iter().any(report::has_values) {
                    super::print(&report::render(&found, self.output)?)?;
                }
                eprintln!("stopped");
                Ok(ExitCode::from(EXIT_INTERRUPTED))
            }
            Outcome::Finished(finished) => {
                super::print(&report::render(&finished, self.output)?)?;
                let succeeded = finished.iter().all(|one| succeeded(&one.experiment));
                Ok(if succeeded {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::from(EXIT_FAILED)
                })
            }
        }
    }
}

/// What keeps the files from being run, whatever a server says.
fn what_is_missing(manifests: &[Manifest]) -> Option<Problem> {
    let experiments: Vec<_> = manifests
        .iter()
        .filter(|m| m.kind() == "Experiment")
        .collect();
    let Some(last) = experiments.len().checked_sub(1) else {
        return Some(manifests[0].problem("kind", "no Experiment in the given files"));
    };
    let key = |manifest: &Manifest| (manifest.namespace().to_owned(), manifest.name().to_owned());
    (1..=last)
        .find(|&i| {
            experiments[..i]
                .iter()
                .any(|earlier| key(earlier) == key(experiments[i]))
        })
        .map(|i| experiments[i].problem("metadata.name", "this experiment is given twice"))
}

/// Shows progress until every experiment has succeeded or failed.
async fn wait(client: &Client, all: &[(String, String)]) -> anyhow::Result<Outcome> {
    let mut progress = Progress::new();
    let mut waiting = all.to_vec();
    // Applied objects may be finished before the watch starts, so it starts with a list.
    let mut events = watcher(
        Api::<Experiment>::all(client.clone()),
        watcher::Config::default(),
    )
    .default_backoff()
    .boxed();
    while !waiting.is_empty() {
        let event = match events.try_next().await {
            Ok(event) => event.context("the watch for experiments ended")?,
            Err(error) => {
                tracing::warn!(%error, "watch for experiments failed, retrying");
                continue;
            }
        };
        let gone = matches!(event, watcher::Event::Delete(_));
        let (watcher::Event::Apply(experiment)
        | watcher::Event::InitApply(experiment)
        | watcher::Event::Delete(experiment)) = event
        else {
            continue;
        };
        let key = (
            experiment.namespace().unwrap_or_default(),
            experiment.name_any(),
        );
        if !waiting.contains(&key) {
            continue;
        }
        if gone {
            progress.finish();
            anyhow::bail!("experiment {} was deleted", key.1);
        }
        progress.update(&experiment);
        if experiment
            .status
            .as_ref()
            .is_some_and(ExperimentStatus::is_completed)
        {
            waiting.retain(|waited| *waited != key);
        }
    }
    progress.finish();
    Ok(Outcome::Finished(fetch_all(client, all).await?))
}

/// Namespaces and names of objects.
fn names(objects: &[Value]) -> Vec<(String, String)> {
    let metadata = objects.iter().map(|object| &object["metadata"]);
    metadata
        .map(|metadata| (text(&metadata["namespace"]), text(&metadata["name"])))
        .collect()
}

async fn fetch_all(client: &Client, all: &[(String, String)]) -> anyhow::Result<Vec<Finished>> {
    let mut found = Vec::new();
    for (namespace, name) in all {
        found.push(fetch(client, namespace, name).await?);
    }
    Ok(found)
}

async fn fetch(client: &Client, namespace: &str, name: &str) -> anyhow::Result<Finished> {
    let experiment = Api::<Experiment>::namespaced(client.clone(), namespace)
        .get(name)
        .await?;
    let of_experiment = ListParams::default().labels(&format!("{LABEL_EXPERIMENT}={name}"));
    let trials = Api::<Trial>::namespaced(client.clone(), namespace)
        .list(&of_experiment)
        .await?;
    Ok(Finished {
        experiment,
        trials: trials.items,
    })
}

fn succeeded(experiment: &Experiment) -> bool {
    use diwan_api::experiment::condition_type::SUCCEEDED;
    experiment
        .status
        .as_ref()
        .is_some_and(|status| status.is(SUCCEEDED))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

async fn client_of(kubeconfig: &std::path::Path) -> anyhow::Result<Client> {
    let describe = || format!("can't use the kubeconfig {}", kubeconfig.display());
    let read = kube::config::Kubeconfig::read_from(kubeconfig).with_context(describe)?;
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(read, &options)
        .await
        .with_context(describe)?;
    Client::try_from(config).with_context(describe)
}
