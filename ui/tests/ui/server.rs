//! The router over a real Kubernetes API in a temporary folder.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, BodyDataStream},
    http::{HeaderMap, Request, StatusCode},
};
use bytes::Bytes;
use diwan_api::{Experiment, MetricLog, Trial, metadata};
use diwan_embedded::{LogOptions, PodLogs, Status};
use diwan_ui::{
    AccessControl, LogArchive, ObservationError, ObservationReader, TrialMetric, UiState,
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use http_body_util::BodyExt;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// The namespace of all tests.
pub(crate) const NAMESPACE: &str = "default";

/// A router and what stands behind it.
pub(crate) struct Server {
    /// Writes what the routes are to show.
    pub(crate) client: Client,
    router: Router,
    _data: TempDir,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect(&self.text)
    }
}

/// Every trial has reported the same loss at 1,000 steps.
struct Observations;

#[async_trait]
impl ObservationReader for Observations {
    async fn series(
        &self,
        _: &str,
        trial: &str,
        _: &[String],
    ) -> Result<Vec<MetricLog>, ObservationError> {
        if trial == "unreadable" {
            return Err(ObservationError("the database is closed".to_owned()));
        }
        let row = |step: i32| MetricLog {
            time_stamp: metadata::ZERO_TIME.to_owned(),
            name: "loss".to_owned(),
            value: (f64::from(step) / 10.0).sin().to_string(),
        };
        Ok((0..1000).map(row).collect())
    }

    async fn overview(
        &self,
        _: &str,
        trials: &[String],
        metric: &str,
        points: usize,
    ) -> Result<Vec<TrialMetric>, ObservationError> {
        if metric == "unreadable" {
            return Err(ObservationError("the database is closed".to_owned()));
        }
        let of = |trial: &String| TrialMetric {
            trial: trial.clone(),
            reported: 1000,
            min: Some(-1.0),
            max: None,
            latest: "NaN".to_owned(),
            points: (0..points as u64).map(|step| (step, 0.5)).collect(),
        };
        Ok(trials.iter().map(of).collect())
    }
}

/// Every pod has written two lines.
struct Logs;

#[async_trait]
impl PodLogs for Logs {
    async fn open(
        &self,
        pod: &Value,
        container: Option<&str>,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Bytes>, Status> {
        let text = format!(
            "{} {container:?}\nfollow={}\n",
            pod["metadata"]["name"], options.follow
        );
        Ok(stream::once(async { Bytes::from(text) }).boxed())
    }
}

/// The log of one trial is kept.
struct Archive;

#[async_trait]
impl LogArchive for Archive {
    async fn read(
        &self,
        namespace: &str,
        trial: &str,
        tail_lines: Option<usize>,
    ) -> Option<String> {
        (trial == "archived").then(|| format!("{namespace} {tail_lines:?}\nbye\n"))
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    pub(crate) fn start_with(access: Option<AccessControl>) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let api = diwan_embedded::Api::open(diwan_embedded::Options::new(data.path()))
            .expect("an API in an empty folder");
        api.set_logs(Arc::new(Logs));
        let client = Client::new(diwan_embedded::service(api), NAMESPACE);
        let router = diwan_ui::router(UiState {
            client: client.clone(),
            observations: Arc::new(Observations),
            logs: Some(Arc::new(Archive)),
            access,
        });
        Self {
            client,
            router,
            _data: data,
        }
    }

    /// Sends a request below the REST interface.
    pub(crate) async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        let path = format!("{}{path}", diwan_ui::API_BASE);
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        self.send(request.body(body.into()).expect("a request"))
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Body::empty()).await
    }

    /// Sends any request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a whole body").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        Answer {
            code: parts.status,
            headers: parts.headers,
            text,
        }
    }

    /// Opens a stream of server-sent events.
    pub(crate) async fn events(&self, path: &str) -> Events {
        let path = format!("{}{path}", diwan_ui::API_BASE);
        let request = Request::builder().uri(path).body(Body::empty());
        self.stream(request.expect("a request")).await
    }

    /// Sends a request that is answered with a stream of server-sent events.
    pub(crate) async fn stream(&self, request: Request<Body>) -> Events {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("an answer");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// Stores an experiment that minimizes `loss`.
    pub(crate) async fn experiment(&self, name: &str) {
        let object = json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
            "metadata": { "name": name },
            "spec": {
                "objective": { "type": "minimize", "objectiveMetricName": "loss" },
                "algorithm": { "algorithmName": "random" },
                "maxTrialCount": 10,
            },
        });
        self.create::<Experiment>(object).await;
    }

    /// Stores a trial with one parameter.
    pub(crate) async fn trial(&self, experiment: &str, name: &str) {
        let object = json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial",
            "metadata": { "name": name, "labels": { metadata::LABEL_EXPERIMENT: experiment } },
            "spec": {
                "objective": { "type": "minimize", "objectiveMetricName": "loss" },
                "parameterAssignments": [{ "name": "lr", "value": "0.1" }],
                "primaryContainerName": "training",
            },
        });
        self.create::<Trial>(object).await;
    }

    /// Ends a trial with a value of `loss`.
    pub(crate) async fn finish(&self, name: &str, condition: &str, loss: &str, time: &str) {
        let status = json!({ "status": {
            "startTime": "2026-01-01T00:00:00Z",
            "completionTime": time,
            "conditions": [condition_of(condition, "it ended")],
            "observation": { "metrics": [
                { "name": "loss", "min": loss, "max": "99", "latest": "50" },
            ] },
        } });
        self.status::<Trial>(name, status).await;
    }

    /// Replaces parts of an object's status.
    pub(crate) async fn status<K>(&self, name: &str, status: Value)
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.client.clone(), NAMESPACE);
        let patch = Patch::Merge(status);
        api.patch_status(name, &PatchParams::default(), &patch)
            .await
            .expect("a status");
    }

    /// Stores an object.
    pub(crate) async fn create<K>(&self, object: Value)
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + Serialize
            + DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.client.clone(), NAMESPACE);
        let object = serde_json::from_value(object).expect("an object of this kind");
        api.create(&PostParams::default(), &object)
            .await
            .expect("a stored object");
    }
}

/// A condition that holds.
pub(crate) fn condition_of(kind: &str, message: &str) -> Value {
    json!({ "type": kind, "status": "True", "reason": "Because", "message": message })
}

/// A stream of server-sent events.
pub(crate) struct Events {
    body: BodyDataStream,
    text: String,
}

impl Events {
    /// Waits for the next event: its name and data. `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let prefix = format!("{name}: ");
                    let line = event.lines().find_map(|line| line.strip_prefix(&prefix));
                    line.unwrap_or_default().to_owned()
                };
                let found = (field("event"), field("data"));
                let rest = rest.len();
                self.text.drain(..self.text.len() - rest);
                if !found.0.is_empty() {
                    return Some(found);
                }
                continue;
            }
            let bytes = self.body.next().await?.expect("a part of the body");
            self.text
                .push_str(std::str::from_utf8(&bytes).expect("text"));
        }
    }
}
