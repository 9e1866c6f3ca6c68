//! What an experiment gets when the user left it open. Same values as Katib's webhook sets.

use k8s_openapi::{api::core::v1::HTTPGetAction, apimachinery::pkg::util::intstr::IntOrString};
use serde_json::Value;

use crate::{
    CollectorKind, Distribution, Experiment, MetricStrategy, MetricsCollectorSpec, ObjectiveSpec,
    ObjectiveType, ResumePolicy, StrategyKind, TrialTemplate,
    metadata::{DEFAULT_LOG_PATH, DEFAULT_TFEVENT_PATH},
    metrics_collector::FileSystemPath,
};

const PARALLEL_TRIALS: i32 = 3;
const PROMETHEUS_PORT: i32 = 8080;
const PROMETHEUS_PATH: &str = "/metrics";

/// Fills in what is not set. Doing so twice changes nothing.
pub fn default_experiment(experiment: &mut Experiment) {
    let spec = &mut experiment.spec;
    spec.parallel_trial_count.get_or_insert(PARALLEL_TRIALS);
    spec.resume_policy.get_or_insert(ResumePolicy::Never);
    if let Some(objective) = &mut spec.objective {
        default_strategies(objective);
    }
    for parameter in &mut spec.parameters {
        parameter
            .feasible_space
            .distribution
            .get_or_insert(Distribution::Uniform);
    }
    if let Some(template) = &mut spec.trial_template {
        default_template(template);
    }
    default_collector(spec.metrics_collector_spec.get_or_insert_default());
}

/// Adds what `defaults` has and `object` has not. Lists of the same length are gone through by
/// element, shorter ones are replaced.
pub fn fill_in(object: &mut Value, defaults: Value) {
    match (object, defaults) {
        (Value::Object(object), Value::Object(defaults)) => {
            for (key, default) in defaults {
                match object.get_mut(&key) {
                    Some(value) if !value.is_null() => fill_in(value, default),
                    _ => {
                        object.insert(key, default);
                    }
                }
            }
        }
        (Value::Array(list), Value::Array(defaults)) if list.len() == defaults.len() => {
            for (value, default) in list.iter_mut().zip(defaults) {
                fill_in(value, default);
            }
        }
        (Value::Array(list), Value::Array(defaults)) if list.len() < defaults.len() => {
            *list = defaults;
        }
        (value @ Value::String(_), Value::String(default)) if *value == "" => {
            *value = Value::String(default);
        }
        _ => {}
    }
}

/// Every metric without a strategy gets the one that fits the objective's type.
fn default_strategies(objective: &mut ObjectiveSpec) {
    let value = match objective.type_ {
        Some(ObjectiveType::Minimize) => StrategyKind::Min,
        Some(ObjectiveType::Maximize) => StrategyKind::Max,
        _ => StrategyKind::Latest,
    };
    let names: Vec<String> = objective.metric_names().map(str::to_owned).collect();
    for name in names {
        if !name.is_empty() && objective.strategy(&name).is_none() {
            objective.metric_strategies.push(MetricStrategy {
                name,
                value: value.clone(),
            });
        }
    }
}

/// How the end of an object of a known kind is recognised, and which of its pods is the primary.
struct KindDefaults {
    kinds: &'static [&'static str],
    succeeded: &'static str,
    primary_pod_labels: &'static [(&'static str, &'static str)],
}

const KINDS: [KindDefaults; 3] = [
    KindDefaults {
        kinds: &["Job"],
        succeeded: "Complete",
        primary_pod_labels: &[],
    },
    KindDefaults {
        kinds: &["TFJob", "PyTorchJob", "XGBoostJob", "MPIJob"],
        succeeded: "Succeeded",
        primary_pod_labels: &[("training.kubeflow.org/job-role", "master")],
    },
    KindDefaults {
        kinds: &["TrainJob"],
        succeeded: "Complete",
        primary_pod_labels: &[
            ("jobset.sigs.k8s.io/replicatedjob-name", "node"),
            ("batch.kubernetes.io/job-completion-index", "0"),
        ],
    },
];

fn default_template(template: &mut TrialTemplate) {
    let kind = template
        .trial_spec
        .as_ref()
        .and_then(|s| s.get("kind"))
        .and_then(Value::as_str);
    let Some(defaults) = KINDS
        .iter()
        .find(|d| kind.is_some_and(|k| d.kinds.contains(&k)))
    else {
        return;
    };
    if template.success_condition.is_empty() {
        template.success_condition = condition(defaults.succeeded);
    }
    if template.failure_condition.is_empty() {
        template.failure_condition = condition("Failed");
    }
    if template.primary_pod_labels.is_empty() {
        let labels = defaults.primary_pod_labels.iter();
        template.primary_pod_labels = labels.map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    }
}

fn condition(type_: &str) -> String {
    format!(r#"status.conditions.#(type=="{type_}")#|#(status=="True")#"#)
}

fn default_collector(spec: &mut MetricsCollectorSpec) {
    let kind = spec
        .collector
        .get_or_insert_default()
        .kind
        .get_or_insert(CollectorKind::StdOut);
    if *kind == CollectorKind::Other(String::new()) {
        *kind = CollectorKind::StdOut;
    }
    match kind.clone() {
        CollectorKind::File => default_path(spec, DEFAULT_LOG_PATH, "File", "TEXT"),
        CollectorKind::TensorFlowEvent => {
            default_path(spec, DEFAULT_TFEVENT_PATH, "Directory", "");
        }
        CollectorKind::PrometheusMetric => default_endpoint(spec),
        _ => {}
    }
}

fn default_path(spec: &mut MetricsCollectorSpec, path: &str, kind: &str, format: &str) {
    let source = spec.source.get_or_insert_default();
    let FileSystemPath {
        path: to,
        kind: to_kind,
        format: to_format,
    } = source.file_system_path.get_or_insert_default();
    for (field, value) in [(to, path), (to_kind, kind), (to_format, format)] {
        if field.is_empty() {
            value.clone_into(field);
        }
    }
}

fn default_endpoint(spec: &mut MetricsCollectorSpec) {
    let endpoint: &mut HTTPGetAction = spec
        .source
        .get_or_insert_default()
        .http_get
        .get_or_insert_default();
    if endpoint.path.as_ref().is_none_or(String::is_empty) {
        endpoint.path = Some(PROMETHEUS_PATH.to_owned());
    }
    let unset = match &endpoint.port {
        IntOrString::Int(port) => *port == 0,
        IntOrString::String(port) => port.is_empty(),
    };
    if unset {
        endpoint.port = IntOrString::Int(PROMETHEUS_PORT);
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::default_experiment;
    use crate::Experiment;

    /// The spec after defaulting, and proof that a second time changes nothing.
    #[track_caller]
    fn defaulted(spec: Value) -> Value {
        let object = json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
            "metadata": {"name": "e"}, "spec": spec,
        });
        let mut once: Experiment = serde_json::from_value(object).unwrap();
        default_experiment(&mut once);
        let mut twice = once.clone();
        default_experiment(&mut twice);
        assert_eq!(twice, once);
        serde_json::to_value(&once.spec).unwrap()
    }

    #[test]
    fn an_empty_experiment_gets_counts_policy_and_collector() {
        assert_eq!(
            defaulted(json!({})),
            json!({
                "parallelTrialCount": 3,
                "resumePolicy": "Never",
                "metricsCollectorSpec": {"collector": {"kind": "StdOut"}},
            })
        );
    }

    #[test]
    fn what_is_set_stays() {
        let spec = json!({
            "parameters": [{"name": "x", "feasibleSpace": {"distribution": "normal"}}],
            "objective": {
                "type": "maximize", "objectiveMetricName": "a",
                "metricStrategies": [{"name": "a", "value": "latest"}],
            },
            "trialTemplate": {
                "trialSpec": {"kind": "Job"},
                "successCondition": "s", "failureCondition": "f",
            },
            "parallelTrialCount": 1,
            "metricsCollectorSpec": {
                "source": {"fileSystemPath": {"path": "/a", "kind": "File", "format": "JSON"}},
                "collector": {"kind": "File"},
            },
            "resumePolicy": "LongRunning",
        });
        assert_eq!(defaulted(spec.clone()), spec);
    }

    #[test]
    fn metrics_without_a_strategy_follow_the_objective() {
        for (type_, strategy) in [("minimize", "min"), ("maximize", "max"), ("best", "latest")] {
            let spec = defaulted(json!({"objective": {
                "type": type_, "objectiveMetricName": "a", "additionalMetricNames": ["b", "c"],
                "metricStrategies": [{"name": "c", "value": "latest"}],
            }}));
            assert_eq!(
                spec["objective"]["metricStrategies"],
                json!([
                    {"name": "c", "value": "latest"},
                    {"name": "a", "value": strategy},
                    {"name": "b", "value": strategy},
                ])
            );
        }
    }

    #[test]
    fn parameters_are_uniform_and_those_of_operations_untouched() {
        let spec = defaulted(json!({
            "parameters": [{"name": "x", "feasibleSpace": {"min": "1"}}],
            "nasConfig": {"operations": [{"parameters": [{"name": "y", "feasibleSpace": {}}]}]},
        }));
        assert_eq!(
            spec["parameters"][0]["feasibleSpace"],
            json!({"min": "1", "distribution": "uniform"})
        );
        assert_eq!(
            spec["nasConfig"]["operations"][0]["parameters"][0]["feasibleSpace"],
            json!({})
        );
    }

    #[test]
    fn known_kinds_get_conditions_and_labels() {
        let condition = |t| format!(r#"status.conditions.#(type=="{t}")#|#(status=="True")#"#);
        let master = json!({"training.kubeflow.org/job-role": "master"});
        let node = json!({
            "jobset.sigs.k8s.io/replicatedjob-name": "node",
            "batch.kubernetes.io/job-completion-index": "0",
        });
        let cases = [
            ("Job", "Complete", Value::Null),
            ("TFJob", "Succeeded", master.clone()),
            ("PyTorchJob", "Succeeded", master.clone()),
            ("XGBoostJob", "Succeeded", master.clone()),
            ("MPIJob", "Succeeded", master),
            ("TrainJob", "Complete", node),
        ];
        for (kind, succeeded, labels) in cases {
            let spec = defaulted(json!({"trialTemplate": {"trialSpec": {"kind": kind}}}));
            let template = &spec["trialTemplate"];
            assert_eq!(template["successCondition"], condition(succeeded), "{kind}");
            assert_eq!(template["failureCondition"], condition("Failed"), "{kind}");
            assert_eq!(template["primaryPodLabels"], labels, "{kind}");
        }
        for template in [
            json!({"trialSpec": {"kind": "Workflow"}}),
            json!({"configMap": {}}),
        ] {
            let spec = defaulted(json!({"trialTemplate": template}));
            assert_eq!(spec["trialTemplate"]["successCondition"], Value::Null);
        }
    }

    #[test]
    fn collectors_get_their_source() {
        let source = |collector| {
            let spec = defaulted(json!({"metricsCollectorSpec": collector}));
            spec["metricsCollectorSpec"].clone()
        };
        assert_eq!(
            source(json!({"collector": {"kind": ""}})),
            json!({"collector": {"kind": "StdOut"}})
        );
        assert_eq!(
            source(json!({"collector": {"kind": "File"}}))["source"],
            json!({"fileSystemPath": {
                "path": "/var/log/katib/metrics.log", "kind": "File", "format": "TEXT",
            }})
        );
        assert_eq!(
            source(json!({"collector": {"kind": "TensorFlowEvent"}}))["source"],
            json!({"fileSystemPath": {"path": "/var/log/katib/tfevent/", "kind": "Directory"}})
        );
        assert_eq!(
            source(json!({"collector": {"kind": "PrometheusMetric"}}))["source"],
            json!({"httpGet": {"path": "/metrics", "port": 8080}})
        );
        assert_eq!(
            source(json!({"collector": {"kind": "Push"}})),
            json!({"collector": {"kind": "Push"}})
        );
    }
}
