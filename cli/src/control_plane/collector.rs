//! Collects the metrics of the trials on this machine: follows each pod's output or file in
//! process, from the collector's library into the store.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use diwan_api::CollectorKind;
use diwan_api::metadata::ANNOTATION_METRICS_COLLECTOR;
use diwan_api::metrics_collector::CollectorPlan;
use diwan_db_manager::{
    Delivery, LogQuery, ObservationStore, Report, SourceRange, StoreError, TrialRef,
};
use diwan_metrics_collector::scrape::DEFAULT_INTERVAL;
use diwan_metrics_collector::{
    Batch, CollectError, Endpoint, EventSource, FileFormat, Outcome, Resume, ScrapeSource, Sink,
    SinkError, Source, Watcher, collect, collect_events, scrape,
};
use diwan_node::{PodFiles, PodHook};
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use crate::port::absences::Absences;

/// Follows the pods of trials.
pub(super) struct Collector {
    sink: Arc<StoreSink>,
    absences: Arc<Absences>,
    watcher: Watcher,
    /// Pods that are older than this may have been collected in part by an earlier process.
    started: Timestamp,
}

impl Collector {
    /// Collects into `store`; pods that were created before `now` may have been collected in part.
    pub(super) fn new(
        store: Arc<dyn ObservationStore>,
        absences: Arc<Absences>,
        now: Timestamp,
    ) -> Self {
        Self {
            sink: Arc::new(StoreSink(store)),
            absences,
            watcher: Watcher::new(),
            started: now,
        }
    }

    fn may_be_resumed(&self, pod: &Value) -> bool {
        let created = pod["metadata"]["creationTimestamp"].as_str();
        let created = created.and_then(|text| text.parse::<Timestamp>().ok());
        // Creation times are whole seconds.
        created.is_none_or(|created| created.as_second() <= self.started.as_second())
    }
}

impl PodHook for Collector {
    fn folders(&self, pod: &Value) -> Vec<(String, PathBuf)> {
        let Some(plan) = plan_of(pod) else {
            return Vec::new();
        };
        folder_of(&plan)
            .map(|folder| (plan.primary_container.clone(), folder))
            .into_iter()
            .collect()
    }

    fn follow(
        &self,
        pod: Arc<Value>,
        files: PodFiles,
        ended: watch::Receiver<bool>,
    ) -> Option<BoxFuture<'static, ()>> {
        let plan = plan_of(&pod)?;
        let source = match source_of(&plan, &pod, &files, self.may_be_resumed(&pod)) {
            Ok(source) => source?,
            Err(error) => {
                tracing::warn!(trial.name = plan.trial, "{error}");
                return None;
            }
        };
        let (sink, watcher) = (Arc::clone(&self.sink), self.watcher.clone());
        let absences = Arc::clone(&self.absences);
        Some(Box::pin(async move {
            match source.follow(&watcher, &plan, ended, &sink).await {
                Ok(outcome) => {
                    if let Some(absence) = outcome.absence {
                        absences.note(&plan, absence.to_string());
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        trial.name = plan.trial,
                        "failed to collect metrics: {error}"
                    );
                    absences.note(&plan, format!("metrics could not be collected: {error}"));
                }
            }
        }))
    }
}

/// What is read of a pod.
enum PodSource {
    /// Lines, in its output or a file.
    Lines(Source),
    /// A folder of event files.
    Events(EventSource),
    /// What an endpoint shows.
    Endpoint(ScrapeSource),
}

impl PodSource {
    async fn follow(
        &self,
        watcher: &Watcher,
        plan: &CollectorPlan,
        ended: watch::Receiver<bool>,
        sink: &StoreSink,
    ) -> Result<Outcome, CollectError> {
        match self {
            Self::Lines(source) => collect(watcher, plan, source, ended, sink).await,
            Self::Events(source) => collect_events(plan, source, ended, sink).await,
            Self::Endpoint(source) => scrape(plan, source, ended, sink).await,
        }
    }
}

/// The folder with what is read, as on a cluster a volume for it is in the container.
fn folder_of(plan: &CollectorPlan) -> Option<PathBuf> {
    let path = PathBuf::from(&plan.spec.path()?.path);
    match plan.spec.kind() {
        CollectorKind::TensorFlowEvent => Some(path),
        CollectorKind::File => Some(path.parent()?.to_path_buf()),
        _ => None,
    }
}

fn plan_of(pod: &Value) -> Option<CollectorPlan> {
    let text = pod["metadata"]["annotations"][ANNOTATION_METRICS_COLLECTOR].as_str()?;
    serde_json::from_str(text)
        .inspect_err(|error| tracing::warn!("{ANNOTATION_METRICS_COLLECTOR} of a pod: {error}"))
        .ok()
}

/// What is read for a plan; `None` where the trial reports by itself or nothing is collected.
fn source_of(
    plan: &CollectorPlan,
    pod: &Value,
    files: &PodFiles,
    resumed: bool,
) -> Result<Option<PodSource>, String> {
    let container = &plan.primary_container;
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let key = format!("{uid}/{container}");
    let no_container = || format!("the pod has no container {container}");
    let given = || {
        let path = plan.spec.path().map(|given| given.path.as_str());
        files.resolve(container, path.unwrap_or_default())
    };
    match plan.spec.kind() {
        CollectorKind::TensorFlowEvent => {
            let folder = given().ok_or_else(no_container)?;
            return Ok(Some(PodSource::Events(EventSource {
                key,
                folder,
                resumed,
            })));
        }
        CollectorKind::PrometheusMetric => {
            let port = |name: &str| port(pod, container, name);
            let endpoint = Endpoint::of(&plan.spec, "127.0.0.1", port);
            return Ok(Some(PodSource::Endpoint(ScrapeSource {
                key,
                endpoint: endpoint.map_err(|error| error.to_string())?,
                interval: DEFAULT_INTERVAL,
                resumed,
            })));
        }
        _ => {}
    }
    let Some(format) = FileFormat::of(&plan.spec).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let path = match plan.spec.kind() {
        CollectorKind::File => given(),
        _ => files.log(container),
    };
    Ok(Some(PodSource::Lines(Source {
        key,
        path: path.ok_or_else(no_container)?,
        format,
        resumed,
    })))
}

/// The number of a container's port.
fn port(pod: &Value, container: &str, name: &str) -> Option<u16> {
    let containers = pod["spec"]["containers"].as_array()?;
    let container = containers.iter().find(|c| c["name"] == container)?;
    let ports = container["ports"].as_array()?;
    let port = ports.iter().find(|port| port["name"] == name)?;
    u16::try_from(port["containerPort"].as_u64()?).ok()
}

/// The store as the collector's sink.
struct StoreSink(Arc<dyn ObservationStore>);

#[async_trait]
impl Sink for StoreSink {
    async fn resume(
        &self,
        namespace: &str,
        trial: &str,
        source: &str,
        objective: &str,
    ) -> Result<Resume, SinkError> {
        let trial = TrialRef::new(namespace, trial);
        let position = self.0.collected(&trial, source).await.map_err(into_sink)?;
        let metric = Some(objective.to_owned());
        let query = LogQuery {
            trial,
            metric,
            ..LogQuery::default()
        };
        let objective_seen = !self.0.get(query).await.map_err(into_sink)?.is_empty();
        Ok(Resume {
            position,
            objective_seen,
        })
    }

    async fn report(&self, batch: &Batch) -> Result<(), SinkError> {
        let delivery = Delivery::Source(SourceRange {
            source: batch.source.clone(),
            from: batch.from,
            to: batch.to,
            rewound: batch.rewound,
        });
        let trial = TrialRef::new(&batch.namespace, &batch.trial);
        let report = Report {
            trial,
            rows: batch.rows.clone(),
            delivery,
        };
        self.0.report(report).await.map_err(into_sink)
    }
}

fn into_sink(error: StoreError) -> SinkError {
    match error {
        StoreError::Database(_) => SinkError::Away(error.to_string()),
        other => SinkError::Refused(other.to_string()),
    }
}
