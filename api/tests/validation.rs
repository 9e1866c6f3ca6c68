//! What is wrong with an experiment is named, all of it at once.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use diwan_api::{
    Experiment, FieldError,
    defaults::default_experiment,
    validation::{TemplateText, ValidationContext, validate_experiment},
};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

const MINIMAL: &str = r#"
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: e, namespace: ns}
spec:
  objective: {type: minimize, objectiveMetricName: loss}
  algorithm: {algorithmName: random}
  maxTrialCount: 10
  parameters:
    - name: lr
      parameterType: double
      feasibleSpace: {min: "0.1", max: "1"}
  trialTemplate:
    primaryContainerName: main
    trialParameters: [{name: rate, reference: lr}]
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        template:
          spec:
            restartPolicy: Never
            containers:
              - {name: main, image: i, args: ["--lr=${trialParameters.rate}"]}
"#;

fn context() -> ValidationContext<'static> {
    ValidationContext {
        algorithms: &["tpe", "random"],
        early_stopping: &["medianstop"],
        ..ValidationContext::default()
    }
}

/// The minimal experiment with a JSON merge patch and its defaults.
fn experiment(patch: Value) -> Experiment {
    let mut document: Value = serde_saphyr::from_str(MINIMAL).unwrap();
    merge(&mut document, patch);
    let mut experiment: Experiment = serde_json::from_value(document).unwrap();
    default_experiment(&mut experiment);
    experiment
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            target.remove(&key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn errors_in(
    new: &Experiment,
    old: Option<&Experiment>,
    context: &ValidationContext<'_>,
) -> Vec<String> {
    let errors = validate_experiment(new, old, context)
        .err()
        .unwrap_or_default();
    errors.0.iter().map(FieldError::to_string).collect()
}

fn errors(patch: Value) -> Vec<String> {
    errors_in(&experiment(patch), None, &context())
}

/// Snapshots the errors of each patch, one block each.
macro_rules! assert_errors {
    ($($patch:expr),+ $(,)?) => {{
        let mut text = String::new();
        $(
            let patch = $patch;
            text.push_str(&format!("{patch}\n"));
            for error in errors(patch) {
                text.push_str(&format!("  {error}\n"));
            }
        )+
        insta::assert_snapshot!(text);
    }};
}

#[test]
fn the_minimal_experiment_is_valid() {
    assert_eq!(errors(json!({})), [""; 0]);
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let empty: Experiment = serde_json::from_value(json!({
        "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
        "metadata": {"name": "A_very_long_name_that_breaks_both_of_the_rules"}, "spec": {},
    }))
    .unwrap();
    insta::assert_snapshot!(errors_in(&empty, None, &context()).join("\n"));
}

#[test]
fn names() {
    let name = |name: &str| json!({"metadata": {"name": name}});
    for good in ["a", "a-1", "abc", "a".repeat(40).as_str()] {
        assert_eq!(errors(name(good)), [""; 0], "{good}");
    }
    assert_eq!(
        errors(json!({"metadata": {"name": null, "generateName": "e-"}})),
        [""; 0]
    );
    assert_errors!(
        name("1a"),
        name("aB.C"),
        name("a-"),
        name("a\n"),
        name(&"a".repeat(41)),
        json!({"metadata": {"name": null}}),
    );
}

#[test]
fn counts() {
    let counts = |max: i32, parallel: i32, failed: i32| {
        json!({"spec": {
            "maxTrialCount": max, "parallelTrialCount": parallel, "maxFailedTrialCount": failed,
        }})
    };
    assert_eq!(errors(counts(3, 3, 0)), [""; 0]);
    assert_eq!(
        errors(json!({"spec": {"maxTrialCount": null, "parallelTrialCount": 99}})),
        [""; 0]
    );
    assert_errors!(counts(0, 0, -1), counts(2, 3, 4), counts(-1, 1, 1));
}

#[test]
fn objectives() {
    let objective = |patch: Value| json!({"spec": {"objective": patch}});
    assert_errors!(
        json!({"spec": {"objective": null}}),
        objective(json!({"type": "best", "objectiveMetricName": ""})),
        objective(json!({"type": null, "additionalMetricNames": ["loss", "a", "a", ""]})),
        objective(json!({"metricStrategies": [
            {"name": "loss", "value": "mean"}, {"name": "loss", "value": "min"},
            {"name": "other", "value": "max"}, {"name": "", "value": "max"},
        ]})),
    );
}

#[test]
fn algorithms() {
    assert_eq!(
        errors(json!({"spec": {"earlyStopping": {"algorithmName": "medianstop"}}})),
        [""; 0]
    );
    assert_errors!(
        json!({"spec": {"algorithm": null}}),
        json!({"spec": {"algorithm": {"algorithmName": ""}, "earlyStopping": {}}}),
        json!({"spec": {
            "algorithm": {"algorithmName": "magic", "algorithmSettings": [
                {"name": "a", "value": "1"}, {"name": "a", "value": "2"}, {"value": "3"},
            ]},
            "earlyStopping": {"algorithmName": "never"},
            "resumePolicy": "Always",
        }}),
    );
}

#[test]
fn settings_are_judged_by_the_algorithm_when_the_rest_is_right() {
    let context = ValidationContext {
        settings_errors: &|_| {
            vec![FieldError::invalid(
                "spec.algorithm.algorithmSettings[0]",
                "x",
                "is not known",
            )]
        },
        ..context()
    };
    let error = "spec.algorithm.algorithmSettings[0]: Invalid value: \"x\": is not known";
    assert_eq!(errors_in(&experiment(json!({})), None, &context), [error]);
    let no_container = json!({"spec": {"trialTemplate": {"primaryContainerName": ""}}});
    assert_eq!(
        errors_in(&experiment(no_container), None, &context).len(),
        2
    );
    let unknown = json!({"spec": {"algorithm": {"algorithmName": "magic"}}});
    assert_eq!(errors_in(&experiment(unknown), None, &context).len(), 1);
}

#[test]
fn search_spaces() {
    let layer = |parameters: Value| {
        json!({"spec": {
            "parameters": null,
            "trialTemplate": {"trialParameters": [{"name": "rate", "reference": "architecture"}]},
            "nasConfig": {"operations": [{"operationType": "convolution", "parameters": parameters}]},
        }})
    };
    let good =
        json!([{"name": "f", "parameterType": "categorical", "feasibleSpace": {"list": ["3"]}}]);
    assert_eq!(errors(layer(good)), [""; 0]);
    assert_errors!(
        json!({"spec": {"parameters": null}}),
        json!({"spec": {"nasConfig": {"operations": [{}]}}}),
        layer(json!([{"name": "f", "parameterType": "int", "feasibleSpace": {"min": "a"}}])),
        json!({"spec": {"parameters": [
            {"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "1", "max": "0", "step": "-1"}},
            {"name": "lr", "parameterType": "categorical", "feasibleSpace": {"min": "1"}},
        ]}}),
    );
}

#[test]
fn templates() {
    let template = |patch: Value| json!({"spec": {"trialTemplate": patch}});
    assert_errors!(
        json!({"spec": {"trialTemplate": null}}),
        template(json!({"trialSpec": null, "trialParameters": null, "primaryContainerName": null})),
        template(json!({"configMap": {"configMapName": "c"}})),
        template(json!({"trialSpec": null, "configMap": {"configMapName": "c"}})),
        template(
            json!({"trialSpec": null, "successCondition": "s", "failureCondition": "f",
            "configMap": {"configMapName": "c", "configMapNamespace": "n", "templatePath": "t"}})
        ),
        template(json!({"trialSpec": {"metadata": {"name": "x", "namespace": "y"}}})),
        template(json!({"trialSpec": {"apiVersion": null, "metadata": []}})),
        template(json!({"trialSpec": {"kind": "Workflow"}})),
        template(json!({"primaryContainerName": "other"})),
    );
}

#[test]
fn trial_parameters() {
    let parameters = |list: Value| json!({"spec": {"trialTemplate": {"trialParameters": list}}});
    assert_errors!(
        parameters(json!([])),
        parameters(json!([{"name": "", "reference": ""}])),
        parameters(json!([{"name": "r{a}te", "reference": "lr"}])),
        parameters(json!([
            {"name": "rate", "reference": "lr"}, {"name": "rate", "reference": "lr"},
            {"name": "absent", "reference": "momentum"},
        ])),
        parameters(json!([
            {"name": "rate", "reference": "${trialSpec.Uid}"},
            {"name": "label", "reference": "${trialSpec.Labels[team]}"},
        ])),
    );
}

#[test]
fn jobs() {
    let container = json!({"name": "main", "image": "i", "args": ["${trialParameters.rate}"]});
    let spec = |patch: Value| json!({"spec": {"trialTemplate": {"trialSpec": {"spec": patch}}}});
    let with = |patch: Value| {
        let mut container = container.clone();
        merge(&mut container, patch);
        spec(json!({"template": {"spec": {"containers": [container]}}}))
    };
    let limits =
        json!({"limits": {"cpu": 0.5, "nvidia.com/gpu": 1}, "requests": {"memory": "1Gi"}});
    assert_eq!(errors(with(json!({"resources": limits}))), [""; 0]);
    assert_eq!(
        errors(spec(json!({"parallelism": "${trialParameters.rate}"}))),
        [""; 0]
    );
    assert_errors!(
        spec(json!({"paralelism": 2, "template": {"spec": {"restartpolicy": "Never"}}})),
        spec(json!({"parallelism": "two", "completions": "${trialParameters.rate}"})),
        with(json!({"comand": ["x"], "env": [{"name": "A", "valeu": "1"}]})),
        with(json!({"args": ["${trialParameters.rate}", 1]})),
        spec(json!({"template": {"spec": {"containers": []}}})),
    );
}

#[test]
fn templates_in_a_config_map() {
    let reference = json!({"spec": {"trialTemplate": {
        "trialSpec": null, "successCondition": "s", "failureCondition": "f",
        "configMap": {"configMapName": "c", "configMapNamespace": "n", "templatePath": "t"},
    }}});
    let check = |text: &str| {
        let context = ValidationContext {
            template_text: TemplateText::Known(text),
            ..context()
        };
        errors_in(&experiment(reference.clone()), None, &context)
    };
    let job = "
apiVersion: batch/v1
kind: Job
spec:
  parallelism: ${trialParameters.rate}
  template:
    spec:
      containers: [{name: main, args: [--lr, ${trialParameters.rate}]}]
";
    assert_eq!(check(job), [""; 0]);
    let unseen = |template_text| {
        let context = ValidationContext {
            template_text,
            ..context()
        };
        errors_in(&experiment(reference.clone()), None, &context)
    };
    assert_eq!(unseen(TemplateText::Withheld), [""; 0]);
    let missing = unseen(TemplateText::Missing).join("\n");
    assert!(missing.contains("component: trial-templates"), "{missing}");
    let broken = [
        "a: [".to_owned(),
        "- a".to_owned(),
        job.replace("parallelism", "paralelism"),
        job.replace("name: main", "name: side"),
        job.replace("rate", "speed"),
        job.replace("kind: Job", "metadata: {name: x}"),
    ];
    let text: Vec<_> = broken.iter().map(|text| check(text).join("\n")).collect();
    insta::assert_snapshot!(text.join("\n\n"));
}

#[test]
fn collectors() {
    let collector = |kind: &str, source: Value| json!({"spec": {"metricsCollectorSpec": {"collector": {"kind": kind}, "source": source}}});
    let path = |path: Value| json!({"fileSystemPath": path});
    let filter = |filter: &str| json!({"filter": {"metricsFormat": [filter]}});
    let container = json!({"spec": {"metricsCollectorSpec": {"collector": {
        "kind": "Custom", "customCollector": {"name": "c", "image": "i"},
    }}}});
    for good in [
        collector("None", json!({})),
        collector("Push", json!({})),
        collector("File", json!({})),
        collector("TensorFlowEvent", json!({})),
        collector("PrometheusMetric", json!({"httpGet": {"port": "80"}})),
        collector("PrometheusMetric", json!({"httpGet": {"port": "metrics"}})),
        collector(
            "StdOut",
            filter(r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)"),
        ),
        container,
    ] {
        assert_eq!(errors(good), [""; 0]);
    }
    assert_errors!(
        collector("Pull", json!({})),
        collector("StdOut", filter("loss=(.*)")),
        collector("StdOut", filter("([a-z]+=(.*)")),
        collector("Push", filter(r"(?=a)(b)(c)")),
        collector(
            "File",
            path(json!({"path": "metrics.log", "kind": "Directory", "format": "CSV"}))
        ),
        collector(
            "File",
            json!({
                "fileSystemPath": {"path": "/m", "kind": "File", "format": "JSON"},
                "filter": {"metricsFormat": ["(a)(b)"]},
            })
        ),
        collector(
            "TensorFlowEvent",
            path(json!({"path": "tf", "kind": "File", "format": "TEXT"}))
        ),
        collector(
            "PrometheusMetric",
            json!({"httpGet": {"port": "a_port", "path": "metrics"}})
        ),
        collector("PrometheusMetric", json!({"httpGet": {"port": 70000}})),
        collector("Custom", path(json!({"path": "m", "kind": "Invalid"}))),
    );
}

/// What is stored: `patch` over the minimal experiment, with a status.
fn stored(patch: Value, completed: Option<(&str, &str)>, trials: i32) -> Experiment {
    let mut old = experiment(patch);
    let conditions = completed
        .map(|(type_, reason)| json!([{"type": type_, "status": "True", "reason": reason}]));
    let status = json!({"trials": trials, "conditions": conditions.unwrap_or(json!([]))});
    old.status = serde_json::from_value(status).unwrap();
    old
}

#[test]
fn an_update_may_change_the_budget_of_a_running_experiment() {
    let old = stored(json!({}), None, 10);
    let update = |patch: Value| errors_in(&experiment(patch), Some(&old), &context());
    assert_eq!(update(json!({"spec": {"parallelTrialCount": 5}})), [""; 0]);
    assert_eq!(
        update(json!({"spec": {"maxTrialCount": 11, "maxFailedTrialCount": 1}})),
        [""; 0]
    );
    assert_eq!(update(json!({"spec": {"maxTrialCount": null}})), [""; 0]);
    assert_eq!(
        update(json!({"spec": {"maxTrialCount": 9}})),
        ["spec.maxTrialCount: Invalid value: 9: must be greater than status.trials count (10)"]
    );
    assert_eq!(
        update(json!({"spec": {"maxTrialCount": 11, "parallelTrialCount": 12}})),
        [
            "spec.parallelTrialCount: Invalid value: 12: should be less than or equal to \
          spec.maxTrialCount"
        ]
    );
    assert_eq!(
        update(json!({"spec": {"algorithm": {"algorithmName": "tpe"}}})),
        [
            "spec: Forbidden: only spec.parallelTrialCount, spec.maxTrialCount and \
          spec.maxFailedTrialCount are editable"
        ]
    );
}

#[test]
fn an_update_restarts_only_what_ran_out_of_budget() {
    let reached = ("Succeeded", "ExperimentMaxTrialsReached");
    let goal = ("Succeeded", "ExperimentGoalReached");
    let refused = |policy: &str, completed, max: i32| {
        let spec = |max: i32| json!({"spec": {"resumePolicy": policy, "maxTrialCount": max}});
        let old = stored(spec(10), Some(completed), 10);
        errors_in(&experiment(spec(max)), Some(&old), &context())
    };
    assert_eq!(refused("LongRunning", reached, 12), [""; 0]);
    assert_eq!(refused("FromVolume", reached, 12), [""; 0]);
    let restart = |policy: &str| {
        format!(
            "spec.resumePolicy: Invalid value: \"{policy}\": Experiment can be restarted if it is \
             in succeeded state by reaching max trials and spec.resumePolicy = LongRunning or \
             spec.resumePolicy = FromVolume, when experiment is completed"
        )
    };
    assert_eq!(refused("Never", reached, 12), [restart("Never")]);
    assert_eq!(refused("LongRunning", goal, 12), [restart("LongRunning")]);
    assert_eq!(
        refused("LongRunning", ("Failed", "ExperimentFailed"), 12),
        [restart("LongRunning")]
    );
    assert_eq!(
        refused("LongRunning", reached, 5),
        ["spec.maxTrialCount: Invalid value: 5: must be greater than status.trials count (10)"]
    );
}

#[test]
fn an_update_without_a_new_spec_always_passes() {
    let mut old = stored(json!({}), Some(("Succeeded", "ExperimentGoalReached")), 10);
    old.spec.algorithm.as_mut().unwrap().algorithm_name = "removed".into();
    let mut new = old.clone();
    new.metadata.finalizers = None;
    new.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    assert_eq!(errors_in(&new, Some(&old), &context()), [""; 0]);
}
