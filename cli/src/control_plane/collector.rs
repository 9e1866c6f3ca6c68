//! Collects the metrics of the trials on this machine: follows each pod's output or file in
//! process, from the collector's library into the store.

use std::sync::Arc;

use async_trait::async_trait;
use diwan_api::CollectorKind;
use diwan_api::metadata::ANNOTATION_METRICS_COLLECTOR;
use diwan_api::metrics_collector::CollectorPlan;
use diwan_db_manager::{
    Delivery, LogQuery, ObservationStore, Report, SourceRange, StoreError, TrialRef,
};
use diwan_metrics_collector::{
    Batch, FileFormat, Resume, Sink, SinkError, Source, Watcher, collect,
};
use diwan_node::{PodFiles, PodHook};
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

/// Follows the pods of trials.
pub(super) struct Collector {
    sink: Arc<StoreSink>,
    watcher: Watcher,
    /// Pods that are older than this may have been collected in part by an earlier process.
    started: Timestamp,
}

impl Collector {
    /// Collects into `store`; pods that were created before `now` may have been collected in part.
    pub(super) fn new(store: Arc<dyn ObservationStore>, now: Timestamp) -> Self {
        Self {
            sink: Arc::new(StoreSink(store)),
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
        Some(Box::pin(async move {
            if let Err(error) = collect(&watcher, &plan, &source, ended, &*sink).await {
                tracing::warn!(
                    trial.name = plan.trial,
                    "failed to collect metrics: {error}"
                );
            }
        }))
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
) -> Result<Option<Source>, String> {
    let Some(format) = FileFormat::of(&plan.spec).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let container = &plan.primary_container;
    let path = match (plan.spec.kind(), plan.spec.path()) {
        (CollectorKind::File, Some(given)) => files.resolve(container, &given.path),
        _ => files.log(container),
    };
    let path = path.ok_or_else(|| format!("the pod has no container {container}"))?;
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    Ok(Some(Source {
        key: format!("{uid}/{container}"),
        path,
        format,
        resumed,
    }))
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
