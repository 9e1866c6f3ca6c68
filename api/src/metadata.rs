//! Names that Katib gives to labels, annotations, finalizers, variables and containers, and ours.

/// On suggestions, trials and pods: the experiment they belong to.
pub const LABEL_EXPERIMENT: &str = "katib.kubeflow.org/experiment";
/// On pods of a suggestion service: the suggestion they belong to.
pub const LABEL_SUGGESTION: &str = "katib.kubeflow.org/suggestion";
/// On pods: the trial they belong to.
pub const LABEL_TRIAL: &str = "katib.kubeflow.org/trial";
/// On pods of a suggestion service: the deployment they belong to.
pub const LABEL_DEPLOYMENT: &str = "katib.kubeflow.org/deployment";
/// On ConfigMaps: [`TRIAL_TEMPLATES`] offers them in the UI, and to experiments of all namespaces.
pub const LABEL_COMPONENT: &str = "katib.kubeflow.org/component";
/// What [`LABEL_COMPONENT`] says of templates.
pub const TRIAL_TEMPLATES: &str = "trial-templates";

/// On trials of `pbt`: the trial whose checkpoint they continue.
pub const LABEL_PARENT: &str = "pbt.suggestion.katib.kubeflow.org/parent";
/// The setting of an algorithm by which its trials find checkpoints in a folder, and leave theirs.
pub const SETTING_TRIAL_DIR: &str = "suggestion_trial_dir";

/// Finalizer of an Experiment.
pub const FINALIZER_EXPERIMENT: &str = "update-prometheus-metrics";
/// Finalizer of a Trial: its observation log is deleted with it.
pub const FINALIZER_TRIAL: &str = "clean-metrics-in-db";

/// Variable that tells a trial's primary container the trial's name.
pub const ENV_TRIAL_NAME: &str = "KATIB_TRIAL_NAME";
/// Variable that tells it the trial's namespace.
pub const ENV_TRIAL_NAMESPACE: &str = "DIWAN_TRIAL_NAMESPACE";
/// Variable with which it shows that it speaks for the trial.
pub const ENV_TRIAL_TOKEN: &str = "DIWAN_TRIAL_TOKEN";
/// Container under which clients ask for a trial's log (collectors StdOut and File).
pub const CONTAINER_METRICS_LOGGER: &str = "metrics-logger-and-collector";
/// Container of the other collectors.
pub const CONTAINER_METRICS_COLLECTOR: &str = "metrics-collector";

/// The value of a metric that was never reported.
pub const UNAVAILABLE: &str = "unavailable";
/// The time stamp of a value whose time is not known.
pub const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// On pods, put there by the trial controller: what is to be collected, as JSON of
/// [`crate::metrics_collector::CollectorPlan`].
pub const ANNOTATION_METRICS_COLLECTOR: &str = "diwan.dev/metrics-collector";
/// On pods, put there by the trial controller: with which they show that they speak for the trial.
pub const ANNOTATION_TRIAL_TOKEN: &str = "diwan.dev/trial-token";
/// On a Trial: the place of its assignment among all that were given, from 0.
pub const ANNOTATION_SUGGESTION: &str = "diwan.dev/suggestion";
/// On an Experiment: how long the service of its algorithm may take for an answer, such as `5m`.
pub const ANNOTATION_SUGGESTION_TIMEOUT: &str = "diwan.dev/suggestion-timeout";
/// On an Experiment: `"true"` stops running trials as soon as the goal is reached.
pub const ANNOTATION_STOP_RUNNING_AT_GOAL: &str = "diwan.dev/stop-running-at-goal";

/// Where the StdOut collector of Katib keeps the output.
pub const DEFAULT_LOG_PATH: &str = "/var/log/katib/metrics.log";
/// Where the TensorFlowEvent collector looks.
pub const DEFAULT_TFEVENT_PATH: &str = "/var/log/katib/tfevent/";

/// Where a service in an image listens for the questions of an algorithm.
pub const SUGGESTION_PORT: u16 = 6789;
/// Where a service in an image listens for the questions of early stopping.
pub const EARLY_STOPPING_PORT: u16 = 6788;

/// What the Deployment, the Service and the other objects are called that serve an experiment's
/// algorithm from an image.
pub fn service_name(experiment: &crate::Experiment) -> String {
    let name = experiment.metadata.name.as_deref().unwrap_or_default();
    let algorithm = experiment.spec.algorithm.as_ref();
    let algorithm = algorithm.map_or("", |algorithm| &algorithm.algorithm_name);
    format!("{name}-{algorithm}")
}
