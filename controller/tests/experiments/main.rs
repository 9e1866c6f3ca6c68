//! Experiments from their creation to their end, on the embedded API.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

mod cluster;

use std::collections::BTreeSet;
use std::time::Duration;

use diwan_api::experiment::condition_type;
use diwan_api::metadata::{LABEL_EXPERIMENT, LABEL_TRIAL};
use diwan_api::{
    ConditionStatus, Conditions, Experiment, ExperimentStatus, Suggestion, Trial, TrialStatus,
    suggestion, trial,
};
use diwan_controller::Observations;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use self::cluster::{Cluster, NAMESPACE, experiment};

fn is_completed(experiment: &Experiment) -> bool {
    experiment
        .status
        .as_ref()
        .is_some_and(ExperimentStatus::is_completed)
}

fn reason(experiment: &Experiment) -> (String, String) {
    let last = experiment
        .status
        .as_ref()
        .unwrap()
        .last_condition()
        .unwrap();
    (last.reason.clone(), last.message.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_runs_to_the_end_of_its_budget() {
    let cluster = Cluster::start();
    cluster.apply(&experiment("tune", "succeed")).await;
    let done = cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_completed)
        .await;
    let text = "Experiment has succeeded because max trial count has reached".to_owned();
    assert_eq!(
        reason(&done),
        ("ExperimentMaxTrialsReached".to_owned(), text)
    );
    let status = done.status.unwrap();
    assert_eq!((status.trials, status.trials_succeeded), (10, 10));
    assert_eq!(
        status.current_optimal_trial.parameter_assignments[0].value,
        "1"
    );
    assert_eq!(status.current_optimal_trial.observation.metrics[0].min, "1");
    assert!(!status.is(condition_type::RUNNING));

    let trials = cluster.trials(NAMESPACE).await;
    assert_eq!(trials.len(), 10);
    for trial in &trials {
        assert!(trial.name_any().starts_with("tune-"));
        assert_eq!(trial.labels()[LABEL_EXPERIMENT], "tune");
        assert_eq!(trial.labels()["team"], "blue");
        let types: Vec<_> = trial
            .status
            .iter()
            .flat_map(|s| &s.conditions)
            .map(|c| c.type_.as_str())
            .collect();
        assert_eq!(types, ["Created", "Running", "Succeeded"]);
    }
    cluster.wait_for_none::<Job>(NAMESPACE).await;
    let is_finished = |suggestion: &Suggestion| {
        suggestion
            .status
            .as_ref()
            .is_some_and(|s| s.is(suggestion::condition_type::SUCCEEDED))
    };
    let suggestion = cluster
        .wait::<Suggestion>(NAMESPACE, "tune", is_finished)
        .await;
    assert_eq!(suggestion.status.unwrap().suggestion_count, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_s_job_carries_the_labels_of_its_experiment() {
    let cluster = Cluster::start();
    cluster.apply(&experiment("tune", "hang")).await;
    let is_running = |e: &Experiment| e.status.as_ref().is_some_and(|s| s.trials_running == 3);
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_running)
        .await;
    let jobs: Api<Job> = cluster.api(NAMESPACE);
    let jobs = jobs.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(jobs.len(), 3, "never more than parallelTrialCount");
    for job in jobs {
        let owner = &job.owner_references()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.name.as_str()),
            ("Trial", &*job.name_any())
        );
        let template = job.spec.clone().unwrap().template;
        let labels = template.metadata.unwrap().labels.unwrap();
        assert_eq!(labels[LABEL_EXPERIMENT], "tune");
        assert_eq!(labels[LABEL_TRIAL], owner.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_goal_stops_running_trials_when_that_is_wanted() {
    let cluster = Cluster::start();
    let mut tune = experiment("tune", "hang");
    tune["metadata"]["annotations"] = json!({"diwan.dev/stop-running-at-goal": "true"});
    tune["spec"]["objective"]["goal"] = json!(5.0);
    cluster.apply(&tune).await;
    let is_running = |e: &Experiment| e.status.as_ref().is_some_and(|s| s.trials_running == 3);
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_running)
        .await;
    let chosen = cluster.trials(NAMESPACE).await[0].name_any();
    let row = diwan_api::MetricLog {
        time_stamp: "2026-01-01T00:00:00Z".to_owned(),
        name: "loss".to_owned(),
        value: "4".to_owned(),
    };
    cluster
        .logs
        .report(NAMESPACE, &chosen, vec![row])
        .await
        .unwrap();
    let complete = json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}});
    let jobs: Api<Job> = cluster.api(NAMESPACE);
    let patch = Patch::Merge(complete);
    jobs.patch_status(&chosen, &PatchParams::default(), &patch)
        .await
        .unwrap();

    let is_killed = |e: &Experiment| e.status.as_ref().is_some_and(|s| s.trials_killed == 2);
    let done = cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_killed)
        .await;
    assert_eq!(reason(&done).0, "ExperimentGoalReached");
    assert_eq!(
        done.status.unwrap().current_optimal_trial.best_trial_name,
        chosen
    );
    cluster.wait_for_none::<Job>(NAMESPACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_trial_that_meets_its_rules_is_stopped_and_keeps_its_observation() {
    let cluster = Cluster::start();
    let mut tune = experiment("tune", "linger");
    tune["spec"]["earlyStopping"] = json!({
        "algorithmName": "fixed", "algorithmSettings": [{"name": "bound", "value": "2.5"}]
    });
    tune["spec"]["parallelTrialCount"] = json!(4);
    cluster.apply(&tune).await;
    let has_stopped = |e: &Experiment| {
        let status = e.status.as_ref();
        status.is_some_and(|s| s.trials_early_stopped == 8 && s.trials_running == 2)
    };
    // Those with the losses 1 and 2 go on for ever, the other eight make room for each other.
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", has_stopped)
        .await;
    for trial in cluster.trials(NAMESPACE).await {
        let x = trial.spec.parameter_assignments[0].value.clone();
        let rules = trial.spec.early_stopping_rules.len();
        let status = trial.status.unwrap();
        let last = status.last_condition().unwrap();
        if x == "1" || x == "2" {
            assert_eq!(rules, 1, "{x}");
            assert_eq!(last.type_, trial::condition_type::RUNNING, "{x}");
            continue;
        }
        assert_eq!(last.reason, "TrialEarlyStopped", "{x}");
        let why = format!("best loss {x} is greater than 2.5 after 1 report");
        assert!(last.message.ends_with(&why), "{}", last.message);
        assert_eq!(status.observation.unwrap().metrics[0].latest, x);
        assert!(status.completion_time.is_some());
    }
    let jobs: Api<Job> = cluster.api(NAMESPACE);
    let jobs = jobs.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(jobs.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_trials_say_why_and_end_the_experiment() {
    let cluster = Cluster::start();
    let mut tune = experiment("tune", "fail");
    tune["spec"]["maxFailedTrialCount"] = json!(2);
    cluster.apply(&tune).await;
    let done = cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_completed)
        .await;
    let text = "Experiment has failed because max failed count has reached".to_owned();
    assert_eq!(reason(&done), ("ExperimentFailed".to_owned(), text));
    let trials = cluster.trials(NAMESPACE).await;
    let failed = trials.iter().find(|t| {
        t.status
            .as_ref()
            .is_some_and(|s| s.is(trial::condition_type::FAILED))
    });
    let last = failed
        .unwrap()
        .status
        .as_ref()
        .unwrap()
        .last_condition()
        .unwrap()
        .clone();
    assert_eq!(last.reason, "TrialFailed. Job reason: BackoffLimitExceeded");
    assert_eq!(
        last.message,
        "Trial has failed. Job message: no such program: train"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn trials_without_metrics_count_against_the_budget() {
    let cluster = Cluster::start();
    cluster.apply(&experiment("tune", "silent")).await;
    let done = cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_completed)
        .await;
    let status = done.status.unwrap();
    assert_eq!((status.trials, status.trial_metrics_unavailable), (10, 10));
    assert_eq!(status.current_optimal_trial.best_trial_name, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_replies_and_an_exhausted_space_end_the_experiment() {
    let cluster = Cluster::start();
    let mut tune = experiment("tune", "succeed");
    tune["spec"]["algorithm"]["algorithmSettings"] =
        json!([{"name": "space", "value": "7"}, {"name": "reply", "value": "2"}]);
    cluster.apply(&tune).await;
    let done = cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_completed)
        .await;
    assert_eq!(reason(&done).0, "ExperimentSuggestionEndReached");
    assert_eq!(done.status.unwrap().trials_succeeded, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_settings_fail_the_experiment_with_the_algorithm_s_words() {
    let cluster = Cluster::start();
    let mut tune = experiment("tune", "succeed");
    tune["spec"]["algorithm"]["algorithmSettings"] =
        json!([{"name": "refuse", "value": "unknown setting refuse"}]);
    cluster.apply(&tune).await;
    let done = cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_completed)
        .await;
    let text = "Suggestion has failed: Validation failed: ValidateAlgorithmSettings Error: \
                unknown setting refuse";
    assert_eq!(
        reason(&done),
        ("ExperimentFailed".to_owned(), text.to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_running_experiment_goes_on_with_a_larger_budget() {
    let cluster = Cluster::start();
    let mut tune = experiment("tune", "succeed");
    tune["spec"]["resumePolicy"] = json!("LongRunning");
    cluster.apply(&tune).await;
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_completed)
        .await;
    cluster.patch("tune", json!({"maxTrialCount": 15})).await;
    let has_more = |e: &Experiment| {
        is_completed(e) && e.status.as_ref().is_some_and(|s| s.trials_succeeded == 15)
    };
    let done = cluster
        .wait::<Experiment>(NAMESPACE, "tune", has_more)
        .await;
    assert!(done.status.unwrap().is(condition_type::RESTARTING));
    assert_eq!(cluster.trials(NAMESPACE).await.len(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn lower_parallelism_deletes_unfinished_trials() {
    let cluster = Cluster::start();
    cluster.apply(&experiment("tune", "hang")).await;
    let is_running = |e: &Experiment| e.status.as_ref().is_some_and(|s| s.trials_running == 3);
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_running)
        .await;
    cluster
        .patch("tune", json!({"parallelTrialCount": 1}))
        .await;
    let has_one = |e: &Experiment| {
        e.status
            .as_ref()
            .is_some_and(|s| s.trials == 1 && s.trials_running == 1)
    };
    cluster.wait::<Experiment>(NAMESPACE, "tune", has_one).await;
    assert_eq!(cluster.trials(NAMESPACE).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_name_in_two_namespaces_is_two_experiments() {
    let cluster = Cluster::start();
    let mut other = experiment("tune", "fail");
    other["metadata"]["namespace"] = json!("kubeflow");
    cluster.apply(&experiment("tune", "succeed")).await;
    cluster.apply(&other).await;
    let one = cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_completed)
        .await;
    let two = cluster
        .wait::<Experiment>("kubeflow", "tune", is_completed)
        .await;
    let (one, two) = (one.status.unwrap(), two.status.unwrap());
    assert_eq!((one.trials_succeeded, one.trials_failed), (10, 0));
    assert_eq!((two.trials_succeeded, two.trials_failed), (0, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_experiment_deletes_all_that_belongs_to_it() {
    let cluster = Cluster::start();
    cluster.apply(&experiment("tune", "succeed")).await;
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_completed)
        .await;
    assert_eq!(cluster.logs.len(), 10);
    let api: Api<Experiment> = cluster.api(NAMESPACE);
    api.delete("tune", &DeleteParams::default()).await.unwrap();
    cluster.wait_for_none::<Experiment>(NAMESPACE).await;
    cluster.wait_for_none::<Trial>(NAMESPACE).await;
    cluster.wait_for_none::<Suggestion>(NAMESPACE).await;
    assert_eq!(cluster.logs.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_in_the_foreground_ends_after_all_that_belongs_to_the_experiment_is_gone() {
    let cluster = Cluster::start();
    cluster.apply(&experiment("tune", "hang")).await;
    let is_running = |e: &Experiment| e.status.as_ref().is_some_and(|s| s.trials_running == 3);
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_running)
        .await;
    let jobs: Api<Job> = cluster.api(NAMESPACE);
    let suggestions: Api<Suggestion> = cluster.api(NAMESPACE);
    let all = ListParams::default();
    let owners = |meta: &ObjectMeta| meta.owner_references.clone().unwrap_or_default();
    let trials = cluster.trials(NAMESPACE).await;
    let mut found: Vec<_> = trials.iter().map(|t| owners(&t.metadata)).collect();
    let listed = jobs.list(&all).await.unwrap();
    found.extend(listed.iter().map(|job| owners(&job.metadata)));
    let listed = suggestions.list(&all).await.unwrap();
    found.extend(listed.iter().map(|suggestion| owners(&suggestion.metadata)));
    assert_eq!(found.len(), 7);
    for owners in &found {
        let blocks = |o: &OwnerReference| o.block_owner_deletion == Some(true);
        assert!(
            !owners.is_empty() && owners.iter().all(blocks),
            "{owners:?}"
        );
    }
    let api: Api<Experiment> = cluster.api(NAMESPACE);
    api.delete("tune", &DeleteParams::foreground())
        .await
        .unwrap();
    cluster.wait_for_none::<Experiment>(NAMESPACE).await;
    assert!(cluster.trials(NAMESPACE).await.is_empty());
    assert!(suggestions.list(&all).await.unwrap().items.is_empty());
    assert!(jobs.list(&all).await.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn controllers_may_be_killed_at_any_moment() {
    let mut cluster = Cluster::start();
    let mut tune = experiment("tune", "succeed");
    tune["spec"]["maxTrialCount"] = json!(60);
    cluster.apply(&tune).await;
    for done in [3, 10, 20, 30, 40, 50] {
        let trials = || async {
            let over = |t: &Trial| t.status.as_ref().is_some_and(TrialStatus::is_completed);
            cluster
                .trials(NAMESPACE)
                .await
                .iter()
                .filter(|t| over(t))
                .count()
        };
        while trials().await < done {
            tokio::task::yield_now().await;
        }
        cluster.restart();
    }
    let done = cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_completed)
        .await;
    assert_eq!(done.status.unwrap().trials_succeeded, 60);
    let trials = cluster.trials(NAMESPACE).await;
    let values: BTreeSet<&str> = trials
        .iter()
        .map(|t| t.spec.parameter_assignments[0].value.as_str())
        .collect();
    assert_eq!(
        (trials.len(), values.len()),
        (60, 60),
        "each assignment was run once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_costs_few_requests() {
    const TRIALS: usize = 200;
    let cluster = Cluster::start();
    let mut tune = experiment("tune", "succeed");
    tune["spec"]["maxTrialCount"] = json!(TRIALS);
    tune["spec"]["parallelTrialCount"] = json!(8);
    cluster.apply(&tune).await;
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_completed)
        .await;
    cluster.wait_for_none::<Job>(NAMESPACE).await;
    let requests = cluster.requests.lock().clone();
    for once in ["POST trials", "POST jobs"] {
        assert_eq!(requests[once], TRIALS, "{once}");
    }
    // A few more when an event came between.
    assert!(requests["DELETE jobs"] <= TRIALS + 10, "{requests:?}");
    assert!(
        requests["PATCH trials status"] <= 2 * TRIALS + 10,
        "{requests:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_can_t_be_scheduled_says_so() {
    let cluster = Cluster::start();
    let mut tune = experiment("tune", "hang");
    tune["spec"]["parallelTrialCount"] = json!(1);
    cluster.apply(&tune).await;
    let is_running = |e: &Experiment| e.status.as_ref().is_some_and(|s| s.trials_running == 1);
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_running)
        .await;
    let name = cluster.trials(NAMESPACE).await[0].name_any();
    let pods: Api<Pod> = cluster.api(NAMESPACE);
    let pod = json!({
        "metadata": {"name": "large", "labels": {LABEL_TRIAL: name}},
        "spec": {"containers": [{"name": "main", "image": "train"}]}
    });
    let pod = serde_json::from_value(pod).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let status = |phase: &str, scheduled: &str| {
        Patch::Merge(json!({"status": {"phase": phase, "conditions": [{
            "type": "PodScheduled", "status": scheduled, "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient cpu."
        }]}}))
    };
    let parameters = PatchParams::default();
    pods.patch_status("large", &parameters, &status("Pending", "False"))
        .await
        .unwrap();

    let is_waiting = |t: &Trial| {
        let last = t.status.as_ref().and_then(Conditions::last_condition);
        last.is_some_and(|c| c.reason == "TrialUnschedulable")
    };
    let waiting = cluster.wait::<Trial>(NAMESPACE, &name, is_waiting).await;
    assert_eq!(
        waiting.status.unwrap().last_condition().unwrap().message,
        "pod large can't be scheduled: 0/1 nodes are available: 1 Insufficient cpu."
    );
    let is_pending = |e: &Experiment| e.status.as_ref().is_some_and(|s| s.trials_pending == 1);
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_pending)
        .await;

    pods.patch_status("large", &parameters, &status("Running", "True"))
        .await
        .unwrap();
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_running)
        .await;
}

/// Whether a trial says that so many pods have failed, of which the last was evicted.
fn tells_of_failures(trial: &Trial, count: &str) -> bool {
    let last = trial.status.as_ref().and_then(Conditions::last_condition);
    let why = "pod first was ended: Evicted: the disk is full";
    last.is_some_and(|said| {
        let is_told = said.message.starts_with(count) && said.message.ends_with(why);
        said.reason == "TrialRetrying" && said.status == ConditionStatus::True && is_told
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_whose_pods_fail_says_how_many_and_why() {
    let cluster = Cluster::start();
    let mut tune = experiment("tune", "hang");
    tune["spec"]["parallelTrialCount"] = json!(1);
    cluster.apply(&tune).await;
    let is_running = |e: &Experiment| e.status.as_ref().is_some_and(|s| s.trials_running == 1);
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_running)
        .await;
    let name = cluster.trials(NAMESPACE).await[0].name_any();
    let pods: Api<Pod> = cluster.api(NAMESPACE);
    let pod = json!({
        "metadata": {"name": "first", "labels": {LABEL_TRIAL: name}},
        "spec": {"containers": [{"name": "main", "image": "train"}]}
    });
    let pod = serde_json::from_value(pod).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let parameters = PatchParams::default();
    let evicted = json!({"status": {
        "phase": "Failed", "reason": "Evicted", "message": "the disk is full",
    }});
    pods.patch_status("first", &parameters, &Patch::Merge(evicted))
        .await
        .unwrap();
    let jobs: Api<Job> = cluster.api(NAMESPACE);
    let fail = async |status: Value| {
        let patch = Patch::Merge(json!({"status": status}));
        jobs.patch_status(&name, &parameters, &patch).await.unwrap();
    };
    fail(json!({"failed": 1})).await;
    cluster
        .wait::<Trial>(NAMESPACE, &name, |t| {
            tells_of_failures(t, "1 pod has failed")
        })
        .await;
    fail(json!({"failed": 2, "ready": 1})).await;
    cluster
        .wait::<Trial>(NAMESPACE, &name, |t| {
            tells_of_failures(t, "2 pods have failed")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_of_a_kind_that_nobody_serves_says_so() {
    let cluster = Cluster::start();
    let mut tune = experiment("tune", "succeed");
    let template = &mut tune["spec"]["trialTemplate"];
    template["trialSpec"]["apiVersion"] = json!("example.com/v1");
    template["trialSpec"]["kind"] = json!("Thing");
    template["successCondition"] = json!("status.done");
    template["failureCondition"] = json!("status.failed");
    cluster.apply(&tune).await;
    let is_pending = |e: &Experiment| e.status.as_ref().is_some_and(|s| s.trials_pending == 3);
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_pending)
        .await;
    let name = cluster.trials(NAMESPACE).await[0].name_any();
    let is_waiting = |t: &Trial| {
        let last = t.status.as_ref().and_then(Conditions::last_condition);
        last.is_some_and(|c| c.reason == "TrialWaiting")
    };
    let waiting = cluster.wait::<Trial>(NAMESPACE, &name, is_waiting).await;
    assert_eq!(
        waiting.status.unwrap().last_condition().unwrap().message,
        "the API does not serve the kind Thing of example.com/v1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_restarts_from_its_volume_with_upstream_s_conditions() {
    let cluster = Cluster::start();
    let mut tune = experiment("tune", "succeed");
    tune["spec"]["resumePolicy"] = json!("FromVolume");
    cluster.apply(&tune).await;
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_completed)
        .await;
    let is_finished = |suggestion: &Suggestion| {
        suggestion
            .status
            .as_ref()
            .is_some_and(|s| s.is(suggestion::condition_type::SUCCEEDED))
    };
    let suggestion = cluster
        .wait::<Suggestion>(NAMESPACE, "tune", is_finished)
        .await;
    assert_eq!(
        suggestion.status.unwrap().last_condition().unwrap().message,
        "Suggestion is succeeded, suggestion volume is not deleted, can be restarted"
    );
    cluster.patch("tune", json!({"maxTrialCount": 12})).await;
    let has_more = |e: &Experiment| {
        is_completed(e) && e.status.as_ref().is_some_and(|s| s.trials_succeeded == 12)
    };
    cluster
        .wait::<Experiment>(NAMESPACE, "tune", has_more)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_may_lie_in_a_config_map() {
    let cluster = Cluster::start();
    let mut tune = experiment("tune", "succeed");
    let template = tune["spec"]["trialTemplate"].as_object_mut().unwrap();
    let text = template.remove("trialSpec").unwrap().to_string();
    template.insert(
        "configMap".to_owned(),
        json!({
            "configMapName": "templates", "configMapNamespace": "kubeflow",
            "templatePath": "job.yaml"
        }),
    );
    let complete = r#"status.conditions.#(type=="Complete")#|#(status=="True")#"#;
    template.insert("successCondition".to_owned(), json!(complete));
    template.insert(
        "failureCondition".to_owned(),
        json!(complete.replace("Complete", "Failed")),
    );
    let map = json!({"metadata": {"name": "templates"}, "data": {"job.yaml": text}});
    let maps: Api<ConfigMap> = cluster.api("kubeflow");
    let map = serde_json::from_value(map).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    cluster.apply(&tune).await;
    // It is another namespace's, and not said to be for all.
    let why = "without the label katib.kubeflow.org/component: trial-templates";
    let events: Api<Event> = cluster.api(NAMESPACE);
    let is_told = async || {
        let events = events.list(&ListParams::default()).await.unwrap();
        events
            .iter()
            .any(|event| event.message.as_ref().is_some_and(|m| m.contains(why)))
    };
    for wait in 0.. {
        if is_told().await {
            break;
        }
        assert!(wait < 100, "nothing is said");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let label = json!({"metadata": {"labels": {
        "katib.kubeflow.org/component": "trial-templates",
    }}});
    let label = Patch::Merge(label);
    let params = PatchParams::default();
    maps.patch("templates", &params, &label).await.unwrap();
    let done = cluster
        .wait::<Experiment>(NAMESPACE, "tune", is_completed)
        .await;
    assert_eq!(done.status.unwrap().trials_succeeded, 10);
}
