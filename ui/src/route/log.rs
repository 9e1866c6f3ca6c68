//! The log of a trial: what its primary container writes.

use std::{convert::Infallible, sync::Arc};

use async_stream::stream;
use axum::{
    extract::{Path, State},
    http::header,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use diwan_api::{Trial, metadata::LABEL_TRIAL};
use futures::{AsyncBufRead, AsyncBufReadExt, Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams},
    runtime::{WatchStreamExt, watcher},
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    App, LogArchive,
    error::{ApiError, ErrorBody},
    extract::Query,
};

/// How many lines are joined into one event when they come fast.
const LINES_PER_EVENT: usize = 500;

/// How much of a log is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// Whether to go on as the trial writes, as server-sent events.
    #[serde(default)]
    follow: bool,
    /// How many of the last lines are wanted; all when absent.
    tail_lines: Option<u32>,
}

/// Returns the log of a trial as text, or follows it.
///
/// With `follow=true` it waits for the trial to start and streams server-sent events: `lines` with
/// a JSON list of lines, `failed` with a text when the log can't be read, `end` when the trial
/// writes no more.
#[utoipa::path(
    get,
    path = "/namespaces/{namespace}/trials/{name}/log",
    operation_id = "getLog",
    params(("namespace" = String, Path), ("name" = String, Path), LogQuery),
    responses(
        (status = 200, content_type = "text/plain", body = String),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
    Query(query): Query<LogQuery>,
) -> Result<Response, ApiError> {
    let trial = Api::<Trial>::namespaced(app.client.clone(), &namespace)
        .get(&name)
        .await?;
    let source = Source::new(app, namespace, &trial);
    if query.follow {
        let events = source.follow(query.tail_lines);
        return Ok(Sse::new(events)
            .keep_alive(KeepAlive::default())
            .into_response());
    }
    let text = source.read(query.tail_lines).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// Where the log of one trial comes from.
struct Source {
    trials: Api<Trial>,
    pods: Api<Pod>,
    archive: Option<Arc<dyn LogArchive>>,
    namespace: String,
    trial: String,
    container: Option<String>,
    /// Selects the trial's pods, of several the primary one.
    selector: String,
}

impl Source {
    fn new(app: App, namespace: String, trial: &Trial) -> Self {
        let name = trial.name_any();
        let primary = trial.spec.primary_pod_labels.iter();
        let primary = primary.map(|(key, value)| format!("{key}={value}"));
        let own = std::iter::once(format!("{LABEL_TRIAL}={name}"));
        let selector = own.chain(primary).collect::<Vec<_>>().join(",");
        let container = &trial.spec.primary_container_name;
        Self {
            trials: Api::namespaced(app.client.clone(), &namespace),
            pods: Api::namespaced(app.client, &namespace),
            archive: app.logs,
            namespace,
            trial: name,
            container: Some(container.clone()).filter(|name| !name.is_empty()),
            selector,
        }
    }

    fn params(&self, follow: bool, tail_lines: Option<u32>) -> LogParams {
        let container = self.container.clone();
        let tail_lines = tail_lines.map(i64::from);
        LogParams {
            container,
            follow,
            tail_lines,
            ..LogParams::default()
        }
    }

    async fn read(&self, tail_lines: Option<u32>) -> Result<String, ApiError> {
        if let Some(pod) = self.newest_pod().await? {
            return Ok(self
                .pods
                .logs(&pod, &self.params(false, tail_lines))
                .await?);
        }
        let kept = self.archived(tail_lines).await;
        kept.ok_or_else(|| ApiError::NotFound(format!("trial {} has no log", self.trial)))
    }

    async fn newest_pod(&self) -> Result<Option<String>, kube::Error> {
        let pods = self
            .pods
            .list(&ListParams::default().labels(&self.selector))
            .await?;
        let newest = pods
            .items
            .into_iter()
            .max_by_key(ResourceExt::creation_timestamp);
        Ok(newest.map(|pod| pod.name_any()))
    }

    async fn archived(&self, tail_lines: Option<u32>) -> Option<String> {
        let tail_lines = tail_lines.map(|lines| lines as usize);
        self.archive
            .as_ref()?
            .read(&self.namespace, &self.trial, tail_lines)
            .await
    }

    fn follow(
        self,
        tail_lines: Option<u32>,
    ) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
        stream! {
            let log = match self.started_pod().await {
                Some(pod) => self.pods.log_stream(&pod, &self.params(true, tail_lines)).await.ok(),
                None => None,
            };
            if let Some(log) = log {
                let mut parts = Box::pin(lines(log).ready_chunks(LINES_PER_EVENT));
                while let Some(part) = parts.next().await {
                    yield Ok(lines_event(&part));
                }
            } else if let Some(text) = self.archived(tail_lines).await {
                yield Ok(lines_event(&text.lines().map(str::to_owned).collect::<Vec<_>>()));
            } else {
                let text = format!("the log of trial {} is not kept", self.trial);
                yield Ok(Event::default().event("failed").data(text));
                return;
            }
            yield Ok(Event::default().event("end").data("{}"));
        }
    }

    /// Waits for a pod whose container has started; `None` when the trial ended without one.
    async fn started_pod(&self) -> Option<String> {
        let pods = watcher::Config::default().labels(&self.selector);
        let pods = watcher(self.pods.clone(), pods)
            .default_backoff()
            .applied_objects();
        let pods = pods.filter_map(async |pod| {
            let pod = pod
                .ok()
                .filter(|pod| has_started(pod, self.container.as_deref()))?;
            Some(Some(pod.name_any()))
        });
        let trial = watcher::Config::default().fields(&format!("metadata.name={}", self.trial));
        let trial = watcher(self.trials.clone(), trial).default_backoff();
        let ended = trial.filter_map(async |event| match event.ok()? {
            watcher::Event::Delete(_) => Some(None),
            watcher::Event::Apply(trial) | watcher::Event::InitApply(trial) => trial
                .status
                .is_some_and(|status| status.is_completed())
                .then_some(None),
            watcher::Event::Init | watcher::Event::InitDone => None,
        });
        // The pod of a trial that ended long ago is listed at once: ask for it before giving up.
        let first = stream::select(pods.boxed(), ended.boxed())
            .next()
            .await
            .flatten();
        match first {
            Some(pod) => Some(pod),
            None => self.newest_pod().await.ok().flatten(),
        }
    }
}

fn has_started(pod: &Pod, container: Option<&str>) -> bool {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| &status.container_statuses)
        .flatten();
    statuses
        .filter(|status| container.is_none_or(|name| status.name == name))
        .filter_map(|status| status.state.as_ref())
        .any(|state| state.running.is_some() || state.terminated.is_some())
}

fn lines(log: impl AsyncBufRead + Send) -> impl Stream<Item = String> + Send {
    stream! {
        let mut log = Box::pin(log);
        let mut bytes = Vec::new();
        while let Ok(1..) = log.read_until(b'\n', &mut bytes).await {
            let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            yield String::from_utf8_lossy(line).into_owned();
            bytes.clear();
        }
    }
}

fn lines_event(lines: &[String]) -> Event {
    let json = serde_json::to_string(lines).expect("a list of texts is JSON");
    Event::default().event("lines").data(json)
}
