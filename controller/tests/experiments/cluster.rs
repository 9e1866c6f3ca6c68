//! The controllers on the embedded API, with an algorithm that counts and a stand-in for the node
//! that ends Jobs as their arguments say.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use diwan_api::validation::{TemplateText, ValidationContext};
use diwan_api::{
    Comparison, EarlyStoppingRule, Experiment, MetricLog, ObjectiveSpec, ParameterAssignment,
    Trial, TrialAssignment,
};
use diwan_controller::admission::experiment::{mutate_experiment, validate_experiment};
use diwan_controller::admission::trial::validate_trial;
use diwan_controller::{
    EarlyStopper, EarlyStopperError, Metrics, Observations, ObservationsError, Options, Ports,
    Rules, RulesRequest, SuggestReply, SuggestRequest, Suggester, SuggesterError, run,
};
use diwan_embedded::{Admission, Api as Embedded, Operation, Resource, Status, service};
use futures::StreamExt;
use http::Request;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::runtime::{WatchStreamExt, wait, watcher};
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_mins(1);

/// The namespace of most tests.
pub(crate) const NAMESPACE: &str = "default";

/// The observation logs, in memory.
#[derive(Default)]
pub(crate) struct Logs {
    rows: Mutex<HashMap<(String, String), Vec<MetricLog>>>,
}

#[async_trait]
impl Observations for Logs {
    async fn get(
        &self,
        namespace: &str,
        trial: &str,
        _: &ObjectiveSpec,
    ) -> Result<Vec<MetricLog>, ObservationsError> {
        let key = (namespace.to_owned(), trial.to_owned());
        Ok(self.rows.lock().get(&key).cloned().unwrap_or_default())
    }

    async fn report(
        &self,
        namespace: &str,
        trial: &str,
        logs: Vec<MetricLog>,
    ) -> Result<(), ObservationsError> {
        let key = (namespace.to_owned(), trial.to_owned());
        self.rows.lock().entry(key).or_default().extend(logs);
        Ok(())
    }

    async fn delete(&self, namespace: &str, trial: &str) -> Result<(), ObservationsError> {
        self.rows
            .lock()
            .remove(&(namespace.to_owned(), trial.to_owned()));
        Ok(())
    }
}

impl Logs {
    /// How many trials have a log.
    pub(crate) fn len(&self) -> usize {
        self.rows.lock().len()
    }
}

/// Gives x = 1, 2, 3, … in order; the setting `space` says how many there are, `reply` how many it
/// gives at most at a time, `refuse` what is wrong with the settings.
struct Counting;

#[async_trait]
impl Suggester for Counting {
    async fn validate(&self, experiment: &Experiment) -> Result<(), SuggesterError> {
        match setting(experiment, "refuse") {
            Some(text) => Err(SuggesterError::Invalid(text)),
            None => Ok(()),
        }
    }

    async fn suggest(&self, request: SuggestRequest) -> Result<SuggestReply, SuggesterError> {
        let number = |name| setting(&request.experiment, name).and_then(|text| text.parse().ok());
        let space: usize = number("space").unwrap_or(usize::MAX);
        let given = request.total - request.count;
        let count = request
            .count
            .min(space - given)
            .min(number("reply").unwrap_or(usize::MAX));
        let assignments = (given + 1..=given + count).map(|x| TrialAssignment {
            parameter_assignments: vec![ParameterAssignment {
                name: "x".to_owned(),
                value: x.to_string(),
            }],
            ..TrialAssignment::default()
        });
        Ok(SuggestReply {
            assignments: assignments.collect(),
            exhausted: given + count == space,
            ..SuggestReply::default()
        })
    }
}

/// Stops trials whose loss is greater than the value of its only setting.
struct Fixed;

#[async_trait]
impl EarlyStopper for Fixed {
    async fn rules(&self, request: RulesRequest) -> Result<Rules, EarlyStopperError> {
        let spec = request.experiment.spec.early_stopping.as_ref().unwrap();
        let rule = EarlyStoppingRule {
            name: "loss".to_owned(),
            value: spec.algorithm_settings[0].value.clone(),
            comparison: Some(Comparison::Greater),
            start_step: 1,
        };
        Ok(Rules {
            fresh: vec![rule.clone()],
            running: vec![vec![rule]; request.running.len()],
        })
    }
}

fn setting(experiment: &Experiment, name: &str) -> Option<String> {
    let algorithm = experiment.spec.algorithm.as_ref()?;
    let setting = algorithm
        .algorithm_settings
        .iter()
        .find(|s| s.name == name)?;
    Some(setting.value.clone())
}

/// Stands for what a ConfigMap holds, for validation.
const TEMPLATE: &str = r#"{
    "apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "train", "args": ["${trialParameters.x}"]}]
    }}}
}"#;

/// Our admission, as the embedded API calls it.
struct Admitted;

#[async_trait]
impl Admission for Admitted {
    async fn admit(
        &self,
        operation: Operation,
        resource: &'static Resource,
        new: &mut Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        let text = new
            .pointer("/spec/trialTemplate/configMap")
            .map_or(TemplateText::Missing, |_| TemplateText::Known(TEMPLATE));
        let known = ValidationContext {
            algorithms: &["counting"],
            early_stopping: &["fixed"],
            template_text: text,
            ..Default::default()
        };
        let admitted = match resource.kind {
            "Experiment" => mutate_experiment(new, operation == Operation::Create)
                .and_then(|()| validate_experiment(new, old, &known)),
            "Trial" => validate_trial(new, old),
            _ => Ok(()),
        };
        admitted.map_err(|denied| Status::bad_request(denied.to_string()))
    }
}

/// The controllers on the embedded API.
pub(crate) struct Cluster {
    /// A client of the API.
    pub(crate) client: Client,
    /// The observation logs.
    pub(crate) logs: Arc<Logs>,
    /// How many requests the controllers sent, by method and resource.
    pub(crate) requests: Requests,
    embedded: Embedded,
    /// The runtime in which the controllers live and die.
    controllers: Option<Runtime>,
    _data: TempDir,
}

impl Cluster {
    /// Starts everything.
    pub(crate) fn start() -> Self {
        let data = TempDir::new().unwrap();
        let mut options = diwan_embedded::Options::new(data.path());
        options.admission = Some(Arc::new(Admitted));
        let embedded = Embedded::open(options).unwrap();
        let client = Client::new(service(embedded.clone()), NAMESPACE);
        let logs = Arc::new(Logs::default());
        tokio::spawn(end_jobs(client.clone(), logs.clone()));
        let requests = Requests::default();
        let controllers = Some(start(&embedded, &logs, &requests));
        Self {
            client,
            logs,
            requests,
            embedded,
            controllers,
            _data: data,
        }
    }

    /// Kills the controllers in the middle of their work and starts new ones.
    pub(crate) fn restart(&mut self) {
        if let Some(runtime) = self.controllers.take() {
            runtime.shutdown_background();
        }
        self.controllers = Some(start(&self.embedded, &self.logs, &self.requests));
    }

    /// The API of one of our kinds in a namespace.
    pub(crate) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Creates an experiment.
    pub(crate) async fn apply(&self, experiment: &Value) {
        let experiment: Experiment = serde_json::from_value(experiment.clone()).unwrap();
        let namespace = experiment.namespace().unwrap();
        let api: Api<Experiment> = self.api(&namespace);
        api.create(&PostParams::default(), &experiment)
            .await
            .unwrap();
    }

    /// Changes the spec of an experiment.
    pub(crate) async fn patch(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let api: Api<Experiment> = self.api(NAMESPACE);
        api.patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Waits until an object is as it should be.
    pub(crate) async fn wait<K>(&self, namespace: &str, name: &str, is: fn(&K) -> bool) -> K
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        let api: Api<K> = self.api(namespace);
        let condition = move |object: Option<&K>| object.is_some_and(is);
        let waiting = wait::await_condition(api.clone(), name, condition);
        match tokio::time::timeout(DEADLINE, Box::pin(waiting)).await {
            Ok(found) => found.unwrap().unwrap(),
            Err(late) => panic!("{late}: {name} is {:#?}", api.get(name).await),
        }
    }

    /// Waits until no object of a kind is left.
    pub(crate) async fn wait_for_none<K>(&self, namespace: &str)
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        let api: Api<K> = self.api(namespace);
        let events = watcher(api.clone(), watcher::Config::default());
        let mut events = std::pin::pin!(events);
        let gone = async {
            while !api
                .list(&ListParams::default())
                .await
                .unwrap()
                .items
                .is_empty()
            {
                events.next().await;
            }
        };
        tokio::time::timeout(DEADLINE, gone)
            .await
            .expect("objects are left over");
    }

    /// The trials of a namespace.
    pub(crate) async fn trials(&self, namespace: &str) -> Vec<Trial> {
        self.api::<Trial>(namespace)
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(runtime) = self.controllers.take() {
            runtime.shutdown_background();
        }
    }
}

/// How many requests were sent, by method and resource.
pub(crate) type Requests = Arc<Mutex<BTreeMap<String, usize>>>;

fn start(embedded: &Embedded, logs: &Arc<Logs>, requests: &Requests) -> Runtime {
    let runtime = Runtime::new().unwrap();
    let guard = runtime.enter();
    let requests = requests.clone();
    let counted = service(embedded.clone()).map_request(move |request: Request<Body>| {
        let mut words = request
            .uri()
            .path()
            .split('/')
            .skip_while(|w| *w != "namespaces")
            .skip(2);
        let (resource, rest) = (words.next(), words.nth(1));
        if let Some(resource) = resource {
            let what = [Some(request.method().as_str()), Some(resource), rest];
            let what = what.into_iter().flatten().collect::<Vec<_>>().join(" ");
            *requests.lock().entry(what).or_default() += 1;
        }
        request
    });
    let client = Client::new(counted, NAMESPACE);
    let ports = Ports::new(Arc::new(Counting), Arc::new(Fixed), logs.clone());
    runtime.spawn(run(
        client,
        ports,
        Options::default(),
        Arc::new(Metrics::new(Vec::new())),
        CancellationToken::new(),
    ));
    drop(guard);
    runtime
}

/// Ends each Job as its first argument says; the second is what it reports.
async fn end_jobs(client: Client, logs: Arc<Logs>) {
    let jobs: Api<Job> = Api::all(client.clone());
    let events = watcher(jobs, watcher::Config::default()).applied_objects();
    let mut events = std::pin::pin!(events);
    while let Some(Ok(job)) = events.next().await {
        let is_new = job
            .status
            .as_ref()
            .is_none_or(|status| status.conditions.is_none());
        if is_new && job.metadata.deletion_timestamp.is_none() {
            tokio::spawn(end_job(client.clone(), logs.clone(), job));
        }
    }
}

async fn end_job(client: Client, logs: Arc<Logs>, job: Job) {
    let (namespace, name) = (job.namespace().unwrap(), job.name_any());
    let template = job.spec.unwrap().template.spec.unwrap();
    let args = template.containers[0].args.clone().unwrap();
    let row = |value: &str| MetricLog {
        time_stamp: "2026-01-01T00:00:00Z".to_owned(),
        name: "loss".to_owned(),
        value: value.to_owned(),
    };
    let condition = match args[0].as_str() {
        "hang" => return,
        "linger" => {
            let _ = logs.report(&namespace, &name, vec![row(&args[1])]).await;
            return;
        }
        "fail" => json!({
            "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
            "message": "no such program: train"
        }),
        "silent" => json!({"type": "Complete", "status": "True"}),
        _ => {
            logs.report(&namespace, &name, vec![row(&args[1])])
                .await
                .unwrap();
            json!({"type": "Complete", "status": "True"})
        }
    };
    let jobs: Api<Job> = Api::namespaced(client, &namespace);
    let status = Patch::Merge(json!({"status": {"conditions": [condition]}}));
    // The Job may be gone already: its trial was stopped.
    let _ = jobs
        .patch_status(&name, &PatchParams::default(), &status)
        .await;
}

/// An experiment whose trials end as `behaviour` says and report x.
pub(crate) fn experiment(name: &str, behaviour: &str) -> Value {
    let container = json!({
        "name": "main", "image": "train", "command": ["train"],
        "args": [behaviour, "${trialParameters.x}"]
    });
    json!({
        "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"team": "blue"}},
        "spec": {
            "parallelTrialCount": 3, "maxTrialCount": 10,
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "counting"},
            "parameters": [{
                "name": "x", "parameterType": "int",
                "feasibleSpace": {"min": "1", "max": "1000"}
            }],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {
                    "spec": {"containers": [container], "restartPolicy": "Never"}
                }}}
            }
        }
    })
}
