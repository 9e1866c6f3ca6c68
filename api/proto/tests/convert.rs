//! Messages and vocabulary say the same thing.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use diwan_api::{
    Conditions, EarlyStoppingRule, Experiment, MetricLog, Trial, TrialAssignment,
    observation::objective_value, trial::condition_type,
};
use diwan_proto::{
    ConvertError, trials_for_algorithm,
    v1beta1::{self as message, trial_status::TrialConditionType},
};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

fn experiment(spec: Value) -> Experiment {
    serde_json::from_value(json!({
        "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
        "metadata": {"name": "e"}, "spec": spec,
    }))
    .unwrap()
}

fn trial(conditions: &[&str], metrics: Value) -> Trial {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|type_| json!({"type": type_, "status": "True"}))
        .collect();
    serde_json::from_value(json!({
        "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial",
        "metadata": {"name": "e-1"},
        "spec": {
            "objective": {
                "type": "minimize", "objectiveMetricName": "loss",
                "additionalMetricNames": ["accuracy"],
                "metricStrategies": [
                    {"name": "loss", "value": "min"}, {"name": "accuracy", "value": "max"},
                ],
            },
            "parameterAssignments": [{"name": "lr", "value": "0.1"}],
            "labels": {"parent": "e-0"},
        },
        "status": {
            "startTime": "2026-01-02T03:04:05.678Z",
            "completionTime": null,
            "conditions": conditions,
            "observation": {"metrics": metrics},
        },
    }))
    .unwrap()
}

#[test]
fn an_experiment_survives_both_ways() {
    let original = experiment(json!({
        "parameters": [
            {"name": "a", "parameterType": "double", "feasibleSpace": {
                "min": "0.1", "max": "1", "step": "0.1", "distribution": "logUniform",
            }},
            {"name": "b", "parameterType": "int", "feasibleSpace": {
                "min": "1", "max": "5", "distribution": "normal",
            }},
            {"name": "c", "parameterType": "discrete", "feasibleSpace": {
                "list": ["1", "2"], "distribution": "logNormal",
            }},
            {"name": "d", "parameterType": "categorical", "feasibleSpace": {
                "list": ["x"], "distribution": "uniform",
            }},
        ],
        "objective": {
            "type": "maximize", "goal": 0.9, "objectiveMetricName": "m",
            "additionalMetricNames": ["n"],
            "metricStrategies": [
                {"name": "m", "value": "latest"}, {"name": "n", "value": "latest"},
            ],
        },
        "algorithm": {
            "algorithmName": "tpe", "algorithmSettings": [{"name": "k", "value": "v"}],
        },
        "earlyStopping": {
            "algorithmName": "medianstop", "algorithmSettings": [{"name": "k", "value": "v"}],
        },
        "parallelTrialCount": 2,
        "maxTrialCount": 9,
        "nasConfig": {
            "graphConfig": {"numLayers": 8, "inputSizes": [32, 32, 3], "outputSizes": [10]},
            "operations": [{"operationType": "convolution", "parameters": [
                {"name": "f", "parameterType": "categorical", "feasibleSpace": {"list": ["3"]}},
            ]}],
        },
    }));
    assert_eq!(
        Experiment::from(message::Experiment::from(&original)),
        original
    );
}

#[test]
fn what_is_unset_is_zero_in_a_message_and_unset_again() {
    let original = experiment(json!({
        "objective": {"objectiveMetricName": "m", "metricStrategies": [{"name": "m", "value": "latest"}]},
        "nasConfig": {"graphConfig": {}},
    }));
    let sent = message::Experiment::from(&original);
    let spec = sent.spec.clone().unwrap();
    assert_eq!(
        (spec.max_trial_count, spec.objective.unwrap().goal),
        (0, 0.0)
    );
    assert_eq!(Experiment::from(sent), original);
}

#[test]
fn unknown_values_have_a_place_in_messages() {
    let sent = message::Experiment::from(&experiment(json!({
        "parameters": [{"name": "a", "parameterType": "float", "feasibleSpace": {"distribution": "unknown"}}],
        "objective": {"type": "best"},
    })));
    let spec = sent.spec.unwrap();
    let parameter = &spec.parameter_specs.unwrap().parameters[0];
    assert_eq!(
        parameter.parameter_type(),
        message::ParameterType::UnknownType
    );
    let space = parameter.feasible_space.clone().unwrap();
    assert_eq!(space.distribution(), message::Distribution::Unspecified);
    assert_eq!(
        spec.objective.unwrap().r#type(),
        message::ObjectiveType::Unknown
    );
}

#[test]
fn a_trial_has_its_last_condition_and_one_value_for_each_metric() {
    let metrics = json!([
        {"name": "loss", "min": "0.1", "max": "3", "latest": "0.2"},
        {"name": "accuracy", "min": "0.5", "max": "0.9", "latest": "0.8"},
    ]);
    let original = trial(&["Created", "Running", "Succeeded"], metrics);
    let sent = message::Trial::from(&original);
    let status = sent.status.clone().unwrap();
    assert_eq!(status.condition(), TrialConditionType::Succeeded);
    assert_eq!(status.start_time, "2026-01-02T03:04:05Z");
    assert_eq!(status.completion_time, "");
    let values: Vec<_> = status
        .observation
        .unwrap()
        .metrics
        .into_iter()
        .map(|m| (m.name, m.value))
        .collect();
    assert_eq!(
        values,
        [
            ("loss".into(), "0.1".into()),
            ("accuracy".into(), "0.9".into())
        ] as [(String, String); 2]
    );

    let received = Trial::from(sent);
    assert_eq!(
        received.spec.parameter_assignments,
        original.spec.parameter_assignments
    );
    assert_eq!(received.spec.labels, original.spec.labels);
    let status = received.status.unwrap();
    assert!(status.is(condition_type::SUCCEEDED));
    let objective = received.spec.objective.unwrap();
    assert_eq!(
        objective_value(&status.observation.unwrap(), &objective),
        Some(0.1)
    );
}

#[test]
fn every_state_survives_both_ways() {
    for state in [
        "Created",
        "Running",
        "Succeeded",
        "Killed",
        "Failed",
        "MetricsUnavailable",
        "EarlyStopped",
    ] {
        let received = Trial::from(message::Trial::from(&trial(&[state], json!([]))));
        assert_eq!(
            received.status.unwrap().last_condition().unwrap().type_,
            state
        );
    }
    let odd = message::Trial::from(&trial(&["Odd"], json!([])));
    assert_eq!(
        odd.status.clone().unwrap().condition(),
        TrialConditionType::Unknown
    );
    assert!(Trial::from(odd).status.unwrap().conditions.is_empty());
}

#[test]
fn values_that_are_no_numbers_are_not_sent() {
    for latest in ["", "NaN", "inf", "unavailable", "abc"] {
        let metric = json!({
            "name": "loss", "min": "unavailable", "max": "unavailable", "latest": latest,
        });
        let sent = message::Trial::from(&trial(&["Succeeded"], json!([metric])));
        assert!(
            sent.status.unwrap().observation.unwrap().metrics.is_empty(),
            "{latest:?}"
        );
    }
}

#[test]
fn algorithms_are_not_told_of_trials_without_the_objective() {
    let observed = json!([{"name": "loss", "min": "1", "max": "1", "latest": "1"}]);
    let told = |conditions: &[&str], metrics| {
        !trials_for_algorithm([&trial(conditions, metrics)]).is_empty()
    };
    assert!(told(&["Created"], json!([])));
    assert!(told(&["Running"], json!([])));
    assert!(told(&["Failed"], json!([])));
    assert!(told(&["Succeeded"], observed.clone()));
    assert!(told(&["Running", "EarlyStopped"], observed.clone()));
    assert!(!told(&["Running", "EarlyStopped"], json!([])));
    assert!(!told(&["MetricsUnavailable"], observed));
}

#[test]
fn assignments_survive_both_ways() {
    let original: TrialAssignment = serde_json::from_value(json!({
        "name": "e-1",
        "parameterAssignments": [{"name": "lr", "value": "0.1"}],
        "labels": {"a": "1", "b": "2"},
    }))
    .unwrap();
    let sent = message::get_suggestions_reply::ParameterAssignments::from(original.clone());
    assert_eq!(TrialAssignment::from(sent), original);
}

#[test]
fn rules_survive_both_ways() {
    for comparison in [json!("equal"), json!("less"), json!("greater"), json!(null)] {
        let rule = json!({"name": "loss", "value": "1", "comparison": comparison, "startStep": 4});
        let original: EarlyStoppingRule = serde_json::from_value(rule).unwrap();
        assert_eq!(
            EarlyStoppingRule::from(message::EarlyStoppingRule::from(&original)),
            original
        );
    }
}

#[test]
fn observation_logs_survive_both_ways() {
    let log = |value: &str| MetricLog {
        time_stamp: "0001-01-01T00:00:00Z".into(),
        name: "loss".into(),
        value: value.into(),
    };
    let original = vec![log("1"), log("NaN"), log("unavailable")];
    let sent = message::ObservationLog::from(original.clone());
    assert_eq!(Vec::<MetricLog>::try_from(sent), Ok(original));
    let empty = message::MetricLog {
        time_stamp: "t".into(),
        metric: None,
    };
    assert_eq!(
        MetricLog::try_from(empty),
        Err(ConvertError::NoMetric {
            time_stamp: "t".into()
        })
    );
}
