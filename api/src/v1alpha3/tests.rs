mod template;

use pretty_assertions::assert_eq;
use proptest::prelude::{prop_assert_eq, proptest};
use serde_json::{Value, json};

use super::{ANNOTATION, API_VERSION, STORED_API_VERSION, convert, template_source};
use crate::validation::{ValidationContext, validate_experiment};
use crate::{Experiment, FieldError};

const OLD_FILE: &str = r#"
apiVersion: "kubeflow.org/v1alpha3"
kind: Experiment
metadata:
  namespace: kubeflow
  labels: {controller-tools.k8s.io: "1.0"}
  name: old-file
spec:
  parallelTrialCount: 5
  maxTrialCount: 30
  maxFailedTrialCount: 3
  objective:
    type: maximize
    goal: 0.99
    objectiveMetricName: validation-accuracy
    additionalMetricNames: [accuracy, loss]
  algorithm:
    algorithmName: random
  trialTemplate:
    goTemplate:
      rawTemplate: |-
        apiVersion: batch/v1
        kind: Job
        metadata:
          name: {{.Trial}}
          namespace: {{.NameSpace}}
        spec:
          template:
            spec:
              containers:
                - name: {{.Trial}}
                  image: example/train
                  command:
                    - "python"
                    - "/app/train.py"
                    {{- with .HyperParameters}} # a comment here is part of the document
                    {{- range .}}
                    - "{{.Name}}={{.Value}}"
                    {{- end}}
                    {{- end}}
              restartPolicy: Never
  parameters:
    - name: --learning_rate
      parameterType: double
      feasibleSpace: {min: "0.01", max: "0.03"}
    - name: --dropout_rate
      parameterType: double
      feasibleSpace: {min: "0.1", max: "0.9"}
"#;

fn old_file() -> Value {
    serde_saphyr::from_str(OLD_FILE).unwrap()
}

/// The file with another template.
fn with_template(raw: &str) -> Value {
    let mut old = old_file();
    old["spec"]["trialTemplate"]["goTemplate"]["rawTemplate"] = raw.into();
    old
}

fn up(old: &Value) -> Value {
    convert(old, STORED_API_VERSION, None).unwrap()
}

fn down(new: &Value) -> Value {
    convert(new, API_VERSION, None).unwrap()
}

fn refusal(old: &Value) -> FieldError {
    convert(old, STORED_API_VERSION, None).unwrap_err()
}

/// The object without what is kept in it.
fn plain(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.remove(ANNOTATION);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    object
}

fn new_experiment() -> Value {
    json!({
        "apiVersion": STORED_API_VERSION, "kind": "Experiment",
        "metadata": {"name": "new", "namespace": "team", "uid": "u", "annotations": {"mine": "1"}},
        "spec": {
            "parallelTrialCount": 2,
            "objective": {
                "type": "minimize", "objectiveMetricName": "loss",
                "metricStrategies": [{"name": "loss", "value": "min"}],
            },
            "algorithm": {"algorithmName": "tpe"},
            "earlyStopping": {
                "algorithmName": "medianstop",
                "algorithmSettings": [{"name": "start_step", "value": "2"}],
            },
            "parameters": [{
                "name": "lr", "parameterType": "double",
                "feasibleSpace": {"min": "0.1", "max": "1", "distribution": "logUniform"},
            }],
            "metricsCollectorSpec": {"collector": {"kind": "None"}},
            "resumePolicy": "FromVolume",
            "trialTemplate": {
                "retain": true,
                "primaryContainerName": "main",
                "successCondition": "ok", "failureCondition": "not",
                "trialParameters": [
                    {"name": "rate", "reference": "lr"},
                    {"name": "me", "reference": "${trialSpec.Name}"},
                    {"name": "team", "reference": "${trialSpec.Labels[team]}"},
                ],
                "trialSpec": {
                    "apiVersion": "batch/v1", "kind": "Job",
                    "metadata": {"labels": {"team": "blue"}},
                    "spec": {"template": {"spec": {"containers": [{
                        "name": "main", "image": "x",
                        "args": [
                            "--lr=${trialParameters.rate}", "${trialParameters.me} \"{{q}}\"",
                            "${trialParameters.team}", "${trialParameters.rate}",
                        ],
                    }]}}},
                },
            },
        },
        "status": {
            "trials": 3,
            "currentOptimalTrial": {"observation": {"metrics": [
                {"name": "loss", "min": "0.25", "max": "9", "latest": "0.5"},
                {"name": "other", "min": "1", "max": "3", "latest": "NaN"},
            ]}},
        },
    })
}

#[test]
fn an_old_file_becomes_one_that_validation_accepts() {
    let new = up(&old_file());
    assert_eq!(
        new["spec"]["trialTemplate"],
        json!({
            "primaryContainerName": "${trialParameters.trialName}",
            "successCondition": "status.conditions.#(type==\"Complete\")#|#(status==\"True\")#",
            "failureCondition": "status.conditions.#(type==\"Failed\")#|#(status==\"True\")#",
            "trialParameters": [
                {"name": "learning_rate", "reference": "--learning_rate"},
                {"name": "dropout_rate", "reference": "--dropout_rate"},
                {"name": "trialName", "reference": "${trialSpec.Name}"},
            ],
            "trialSpec": {
                "apiVersion": "batch/v1", "kind": "Job", "metadata": {},
                "spec": {"template": {"spec": {
                    "containers": [{
                        "name": "${trialParameters.trialName}",
                        "image": "example/train",
                        "command": [
                            "python", "/app/train.py",
                            "--learning_rate=${trialParameters.learning_rate}",
                            "--dropout_rate=${trialParameters.dropout_rate}",
                        ],
                    }],
                    "restartPolicy": "Never",
                }}},
            },
        })
    );
    let strategies = &new["spec"]["objective"]["metricStrategies"];
    assert_eq!(strategies.as_array().unwrap().len(), 3);
    let experiment: Experiment = serde_json::from_value(new.clone()).unwrap();
    let context = ValidationContext {
        algorithms: &["random"],
        ..ValidationContext::default()
    };
    validate_experiment(&experiment, None, &context).unwrap();
    // Of the metadata only an annotation changed.
    assert_eq!(plain(&new)["metadata"], old_file()["metadata"]);
}

#[test]
fn the_way_back_gives_the_file_as_it_was_written() {
    let old = old_file();
    let new = up(&old);
    let back = down(&new);
    assert_eq!(plain(&back), old);
    assert_eq!(up(&back), new);
    assert_eq!(down(&up(&back)), back);
    assert_eq!(convert(&new, STORED_API_VERSION, None).unwrap(), new);
}

#[test]
fn counts_that_were_changed_are_taken_over() {
    let mut old = old_file();
    old["spec"]
        .as_object_mut()
        .unwrap()
        .remove("parallelTrialCount");
    let mut new = up(&old);
    assert_eq!(new["spec"]["parallelTrialCount"], 3);
    new["spec"]["maxTrialCount"] = json!(99);
    new["spec"]
        .as_object_mut()
        .unwrap()
        .remove("maxFailedTrialCount");
    let back = down(&new);
    let mut expected = old.clone();
    expected["spec"]["maxTrialCount"] = json!(99);
    expected["spec"]
        .as_object_mut()
        .unwrap()
        .remove("maxFailedTrialCount");
    assert_eq!(plain(&back), expected);
    // And from the old version towards the new one.
    let mut edited = back;
    edited["spec"]["parallelTrialCount"] = json!(7);
    let mut expected = plain(&new);
    expected["spec"]["parallelTrialCount"] = json!(7);
    assert_eq!(plain(&up(&edited)), expected);
}

#[test]
fn what_is_kept_counts_only_for_the_spec_that_it_is_about() {
    let mut new = up(&old_file());
    new["spec"]["objective"]["goal"] = json!(0.5);
    let back = down(&new);
    assert_eq!(back["spec"]["objective"]["goal"], 0.5);
    let raw = back.pointer("/spec/trialTemplate/goTemplate/rawTemplate");
    assert!(raw.unwrap().as_str().unwrap().contains("{{.Trial}}"));
    let mut old = down(&up(&old_file()));
    old["spec"]["objective"]["goal"] = json!(0.5);
    assert_eq!(up(&old)["spec"]["objective"]["goal"], 0.5);
    // Unknown fields are dropped by the API server, and are no change.
    let mut old = old_file();
    old["spec"]["note"] = json!("mine");
    let mut new = up(&old);
    new["spec"].as_object_mut().unwrap().remove("note");
    assert_eq!(plain(&down(&new)), old);
}

#[test]
fn an_experiment_of_the_new_version_goes_there_and_back() {
    let new = new_experiment();
    let old = down(&new);
    let spec = &old["spec"];
    assert_eq!(
        spec["algorithm"]["earlyStopping"],
        json!({
            "earlyStoppingAlgorithmName": "medianstop",
            "earlyStoppingSettings": [{"name": "start_step", "value": "2"}],
        })
    );
    assert_eq!(spec.get("earlyStopping"), None);
    assert_eq!(spec["objective"].get("metricStrategies"), None);
    assert_eq!(spec["metricsCollectorSpec"]["collector"]["kind"], "None");
    assert_eq!(spec["trialTemplate"]["retain"], true);
    let metrics = &old["status"]["currentOptimalTrial"]["observation"]["metrics"];
    assert_eq!(metrics[0]["value"], 0.25);
    assert_eq!(metrics[1].get("value"), None);
    assert_eq!(old["metadata"]["annotations"]["mine"], "1");
    assert_eq!(up(&old), new);
}

#[test]
fn the_template_that_is_made_of_an_object_says_the_same() {
    let mut old = plain(&down(&new_experiment()));
    old["spec"]["objective"]["goal"] = json!(0);
    let new = up(&old);
    let template = &new["spec"]["trialTemplate"];
    let container = &template["trialSpec"]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["args"],
        json!([
            "--lr=${trialParameters.lr}",
            "${trialParameters.trialName} \"{{q}}\"",
            "blue",
            "${trialParameters.lr}",
        ])
    );
    assert_eq!(template["primaryContainerName"], "main");
    assert_eq!(template["retain"], true);
}

#[test]
fn towards_the_old_version_nothing_is_an_error() {
    for spec in [
        json!(null),
        json!("text"),
        json!({}),
        json!({"trialTemplate": 3, "parameters": [null, {"feasibleSpace": []}]}),
        json!({"trialTemplate": {"trialSpec": {"metadata": [], "a": "${trialParameters.b}"}}}),
        json!({"algorithm": "x", "earlyStopping": 3, "objective": []}),
        json!({"trialTemplate": {"configMap": {"configMapName": "m"}}}),
    ] {
        let mut new = new_experiment();
        new["spec"] = spec.clone();
        new["status"] = json!({"currentOptimalTrial": {"observation": {"metrics": [3, {}]}}});
        let back = up(&down(&new));
        assert_eq!(back["spec"], spec);
    }
}

#[test]
fn early_stopping_and_an_observation_are_converted() {
    let mut old = old_file();
    old["spec"]["algorithm"]["earlyStopping"] = json!({
        "earlyStoppingAlgorithmName": "medianstop",
        "earlyStoppingSettings": [{"name": "start_step", "value": "3"}],
    });
    old["spec"]["metricsCollectorSpec"] = json!({"collector": {"kind": "None"}});
    old["status"] = json!({"currentOptimalTrial": {
        "bestTrialName": "old-file-x",
        "observation": {"metrics": [{"name": "accuracy", "value": 0.5}]},
    }});
    let new = up(&old);
    assert_eq!(
        new["spec"]["earlyStopping"],
        json!({
            "algorithmName": "medianstop",
            "algorithmSettings": [{"name": "start_step", "value": "3"}],
        })
    );
    assert_eq!(new["spec"]["algorithm"], json!({"algorithmName": "random"}));
    assert_eq!(
        new["spec"]["metricsCollectorSpec"]["collector"]["kind"],
        "None"
    );
    let metrics = &new["status"]["currentOptimalTrial"]["observation"]["metrics"];
    let metric = json!([{"name": "accuracy", "min": "0.5", "max": "0.5", "latest": "0.5"}]);
    assert_eq!(*metrics, metric);
}

#[test]
fn a_template_in_a_config_map_is_needed_once() {
    let raw = old_file()["spec"]["trialTemplate"]["goTemplate"]["rawTemplate"].clone();
    let mut old = old_file();
    old["spec"]["trialTemplate"]["goTemplate"] = json!({
        "templateSpec": {"configMapName": "templates", "templatePath": "job.yaml"},
    });
    let source = template_source(&old, STORED_API_VERSION).unwrap();
    assert_eq!(
        (
            source.config_map_name.as_str(),
            source.config_map_namespace.as_str(),
            source.template_path.as_str()
        ),
        ("templates", "kubeflow", "job.yaml")
    );
    assert_eq!(template_source(&old, API_VERSION), None);
    let error = refusal(&old);
    assert_eq!(error.field, "spec.trialTemplate.goTemplate.templateSpec");
    let new = convert(&old, STORED_API_VERSION, raw.as_str()).unwrap();
    assert_eq!(
        new["spec"]["trialTemplate"],
        up(&old_file())["spec"]["trialTemplate"]
    );
    let back = down(&new);
    assert_eq!(plain(&back), old);
    assert_eq!(template_source(&back, STORED_API_VERSION), None);
    assert_eq!(up(&back), new);
}

#[test]
fn other_versions_and_kinds_are_refused() {
    let mut old = old_file();
    let error = convert(&old, "kubeflow.org/v9", None).unwrap_err();
    assert_eq!(error.field, "apiVersion");
    old["kind"] = json!("Trial");
    assert_eq!(refusal(&old).field, "kind");
}

proptest! {
    #[test]
    fn any_text_of_an_object_survives_as_a_go_template(text in "([ -~\n]|\\{{1,3}|\\{\\{- |-?\\}\\}|é|#|: ){0,20}") {
        let mut new = new_experiment();
        let pointer = "/spec/trialTemplate/trialSpec/spec/template/spec/containers/0/args/1";
        *new.pointer_mut(pointer).unwrap() = format!("{text}${{trialParameters.me}}{text}").into();
        let old = down(&new);
        prop_assert_eq!(up(&old), new);
        let again = up(&plain(&old));
        let expected = format!("{text}${{trialParameters.trialName}}{text}");
        prop_assert_eq!(again.pointer(pointer).unwrap(), &Value::from(expected));
    }

    #[test]
    fn any_name_and_range_of_a_parameter_go_there_and_back(name in "[!-~]{1,12}", max in "[0-9.e-]{0,6}") {
        let mut old = old_file();
        old["spec"]["parameters"][0]["name"] = name.as_str().into();
        old["spec"]["parameters"][0]["feasibleSpace"]["max"] = max.as_str().into();
        // Names stand in quotes in this template.
        if let Ok(new) = convert(&old, STORED_API_VERSION, None) {
            prop_assert_eq!(plain(&down(&new)), old);
            prop_assert_eq!(up(&down(&new)), new);
        } else {
            assert!(name.contains(['"', '\\']), "{name}");
        }
    }
}
