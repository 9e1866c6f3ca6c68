//! Katib's own experiments of `enas`, `darts` and `pbt`, as they are: taken, answered, and answered
//! again after their trials have ended.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::path::Path;
use std::sync::Arc;

use diwan_api::{Experiment, Metric, Observation, Trial, TrialAssignment, TrialSpec, TrialStatus};
use diwan_suggestion::{SuggestReply, SuggestRequest, Suggesters};

fn experiment(name: &str) -> Arc<Experiment> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../api/tests/fixtures/katib");
    let text = std::fs::read_to_string(folder.join(name).with_extension("yaml")).unwrap();
    Arc::new(serde_saphyr::from_str(&text).unwrap())
}

/// The trial that was made of an assignment, with its objective.
fn ended(experiment: &Experiment, index: usize, assignment: &TrialAssignment) -> Arc<Trial> {
    let spec = TrialSpec {
        parameter_assignments: assignment.parameter_assignments.clone(),
        labels: assignment.labels.clone(),
        ..TrialSpec::default()
    };
    let mut trial = Trial::new(&format!("trial-{index}"), spec);
    let objective = experiment.spec.objective.as_ref().unwrap();
    let value = format!("0.{}", 10 + 7 * index % 83);
    let mut status = TrialStatus {
        observation: Some(Observation {
            metrics: vec![Metric {
                name: objective.objective_metric_name.clone(),
                latest: value.clone(),
                max: value.clone(),
                min: value,
            }],
        }),
        ..TrialStatus::default()
    };
    let condition = serde_json::json!({"type": "Succeeded", "status": "True"});
    status
        .conditions
        .push(serde_json::from_value(condition).unwrap());
    trial.status = Some(status);
    Arc::new(trial)
}

async fn ask(
    suggesters: &Suggesters,
    experiment: &Arc<Experiment>,
    trials: &[Arc<Trial>],
    count: usize,
) -> SuggestReply {
    let request = SuggestRequest {
        experiment: experiment.clone(),
        trials: trials.to_vec(),
        settings: Vec::new(),
        count,
        total: trials.len() + count,
    };
    suggesters.suggest(request).await.unwrap()
}

/// Answers of some rounds, each after the trials of the round before have ended.
async fn rounds(name: &str, rounds: usize, count: usize) -> Vec<TrialAssignment> {
    let (experiment, suggesters) = (experiment(name), Suggesters::default());
    suggesters.validate(&experiment).await.unwrap();
    assert_eq!(suggesters.settings_errors(&experiment), []);
    let (mut trials, mut assignments) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let reply = ask(&suggesters, &experiment, &trials, count).await;
        // A service that was restarted says the same.
        let anew = ask(&Suggesters::default(), &experiment, &trials, count).await;
        assert_eq!(anew, reply);
        assert_eq!(reply.assignments.len(), count);
        for assignment in reply.assignments {
            trials.push(ended(&experiment, trials.len(), &assignment));
            assignments.push(assignment);
        }
    }
    assignments
}

fn value<'a>(assignment: &'a TrialAssignment, name: &str) -> &'a str {
    let mut found = assignment.parameter_assignments.iter();
    &found.find(|a| a.name == name).unwrap().value
}

#[tokio::test]
async fn the_enas_experiment_of_katib_is_answered_round_after_round() {
    let assignments = rounds("enas-cpu", 3, 2).await;
    let mut seen = Vec::new();
    for assignment in &assignments {
        let architecture = value(assignment, "architecture");
        let id = architecture.trim_start_matches("[[").trim_end_matches("]]");
        assert!(id.parse::<usize>().unwrap() < 106, "{architecture}");
        let config = value(assignment, "nn_config");
        let start = format!(
            "{{'num_layers': 1, 'input_sizes': [32, 32, 3], 'output_sizes': [10], 'embedding': \
             {{'{id}': {{'opt_id': {id}, 'opt_type': '"
        );
        assert!(config.starts_with(&start), "{config}");
        assert!(serde_json::from_str::<serde_json::Value>(&config.replace('\'', "\"")).is_ok());
        assert!(!seen.contains(&architecture), "{architecture}");
        seen.push(architecture);
    }
}

#[tokio::test]
async fn the_darts_experiment_of_katib_is_answered_more_than_once() {
    let assignments = rounds("darts-cpu", 2, 1).await;
    for assignment in assignments {
        assert_eq!(value(&assignment, "search-space"), "['max_pooling_3x3']");
        assert_eq!(value(&assignment, "num-layers"), "1");
        let settings = value(&assignment, "algorithm-settings");
        assert!(settings.starts_with("{'num_epochs': '1', 'w_lr': 0.025, "));
        assert!(settings.ends_with("'num_nodes': '1', 'stem_multiplier': '1'}"));
    }
}

#[tokio::test]
async fn the_pbt_experiment_of_katib_goes_on_from_its_checkpoints() {
    let assignments = rounds("simple-pbt", 4, 20).await;
    let label = |assignment: &TrialAssignment, name: &str| {
        let key = format!("pbt.suggestion.katib.kubeflow.org/{name}");
        assignment.labels.get(&key).cloned()
    };
    for (index, assignment) in assignments.iter().enumerate() {
        // Forty members: two rounds for each generation.
        let generation = usize::from(index >= 40);
        assert_eq!(
            label(assignment, "generation"),
            Some(generation.to_string())
        );
        let parent = label(assignment, "parent");
        assert_eq!(parent.is_some(), generation == 1, "{parent:?}");
        let lr: f64 = value(assignment, "lr").parse().unwrap();
        assert!((0.0001..=0.02).contains(&lr));
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_graph_is_said_at_once() {
    let mut wrong = Experiment::clone(&experiment("enas-cpu"));
    let config = wrong.spec.nas_config.as_mut().unwrap();
    config.graph_config = None;
    config.operations[0].operation_type.clear();
    let error = Suggesters::default().validate(&wrong).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "spec.nasConfig.graphConfig.inputSizes: Missing InputSizes in GraphConfig; \
         spec.nasConfig.graphConfig.outputSizes: Missing OutputSizes in GraphConfig; \
         spec.nasConfig.graphConfig.numLayers: Missing NumLayers in GraphConfig; \
         spec.nasConfig.operations[0].operationType: Missing operationType in Operation"
    );
}
