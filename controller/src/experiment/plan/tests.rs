//! The experiment planner, by tables.
//!
//! A snapshot is written as `parallel 3 max 12 | running a | given b`: budget first, then trials by
//! state (`d=0.5` with its objective), then assignments without a trial (`given`) and how many were
//! asked for (`asked`; as many as were given when it is not there). `new` is an experiment that was
//! never seen, `done REASON` one that has succeeded. What comes out is the plan without the counts.

use std::sync::Arc;

use diwan_api::{Experiment, Suggestion, Trial};
use jiff::Timestamp;
use proptest::prelude::{Strategy, prop, proptest};
use serde_json::{Value, json};

use super::{Plan, Recorded, Snapshot, plan};
use crate::experiment::completion::Transition;
use crate::experiment::ledger::Ledger;

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

/// What is observed, parsed from the notation.
struct Scene {
    experiment: Experiment,
    suggestion: Option<Suggestion>,
    ledger: Ledger,
}

impl Scene {
    fn parse(text: &str) -> Self {
        let mut spec = json!({"objective": {
            "type": "minimize", "objectiveMetricName": "loss",
            "metricStrategies": [{"name": "loss", "value": "min"}]
        }});
        let mut conditions = json!([
            condition("Created", "ExperimentCreated"),
            condition("Running", "")
        ]);
        let mut metadata = json!({"name": "e", "namespace": "n"});
        let (mut ledger, mut given, mut asked) = (Ledger::default(), Vec::new(), None);
        let mut suggested = vec![condition("Created", ""), condition("Running", "")];
        for part in text.split('|') {
            let words: Vec<&str> = part.split_whitespace().collect();
            let Some((&first, rest)) = words.split_first() else {
                continue;
            };
            match first {
                "new" => conditions = json!([]),
                "done" => {
                    let succeeded = condition("Succeeded", rest[0]);
                    conditions = json!([condition("Created", ""), succeeded]);
                }
                "deleted" => metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
                "stop" => {
                    metadata["annotations"] = json!({"diwan.dev/stop-running-at-goal": "true"});
                }
                "goal" => spec["objective"]["goal"] = json!(rest[0].parse::<f64>().unwrap()),
                "policy" => spec["resumePolicy"] = json!(rest[0]),
                "given" => given.extend(rest.iter().map(|name| json!({"name": name}))),
                "asked" => asked = rest[0].parse().ok(),
                "exhausted" => suggested.push(condition("Exhausted", "")),
                "failure" => suggested.push(json!({
                    "type": "Failed", "status": "True", "message": rest.join(" ")
                })),
                "parallel" | "max" | "maxfailed" => {
                    for pair in words.chunks(2) {
                        let field = match pair[0] {
                            "parallel" => "parallelTrialCount",
                            "max" => "maxTrialCount",
                            _ => "maxFailedTrialCount",
                        };
                        spec[field] = json!(pair[1].parse::<i32>().unwrap());
                    }
                }
                state => {
                    for word in rest {
                        let trial = trial(state, word);
                        given.push(json!({"name": trial.metadata.name}));
                        ledger.apply(Arc::new(trial), now());
                    }
                }
            }
        }
        let requests = asked.unwrap_or(given.len());
        let suggestion = (requests > 0 || suggested.len() > 2).then(|| {
            from(json!({
                "apiVersion": "kubeflow.org/v1beta1", "kind": "Suggestion", "metadata": {},
                "spec": {"requests": requests},
                "status": {"suggestions": given, "conditions": suggested}
            }))
        });
        let experiment = from(json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": metadata,
            "spec": spec, "status": {"conditions": conditions}
        }));
        Self {
            experiment,
            suggestion,
            ledger,
        }
    }

    fn plan(&self, recorded: Option<Recorded>) -> Plan {
        self.plan_quietly(recorded, std::time::Duration::ZERO)
    }

    fn plan_quietly(&self, recorded: Option<Recorded>, quiet: std::time::Duration) -> Plan {
        let snapshot = Snapshot {
            experiment: &self.experiment,
            suggestion: self.suggestion.as_ref(),
            ledger: &self.ledger,
            recorded,
            status_interval: std::time::Duration::from_millis(250),
            status_quiet: quiet,
            trouble: None,
        };
        plan(&snapshot, now())
    }
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn condition(type_: &str, reason: &str) -> Value {
    json!({"type": type_, "status": "True", "reason": reason})
}

fn trial(state: &str, word: &str) -> Trial {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let type_ = match state {
        "pending" => "Created",
        "running" | "leaving" => "Running",
        "succeeded" => "Succeeded",
        "failed" => "Failed",
        "killed" => "Killed",
        "stopped" => "EarlyStopped",
        "unavailable" => "MetricsUnavailable",
        other => panic!("no such state: {other}"),
    };
    let leaving = (state == "leaving").then_some("2026-01-01T00:00:00Z");
    from(json!({
        "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial",
        "metadata": {"name": name, "deletionTimestamp": leaving},
        "spec": {"objective": {
            "type": "minimize", "objectiveMetricName": "loss",
            "metricStrategies": [{"name": "loss", "value": "min"}]
        }},
        "status": {
            "conditions": [condition(type_, "")],
            "observation": {"metrics": [{"name": "loss", "min": value, "latest": value}]}
        }
    }))
}

/// The plan in words, without the counts.
fn words(plan: &Plan) -> String {
    let mut words = Vec::new();
    let mut list = |verb: &str, names: Vec<&str>| {
        if !names.is_empty() {
            words.push(format!("{verb} {}", names.join(" ")));
        }
    };
    list(
        "create",
        plan.create.iter().map(|a| a.name.as_str()).collect(),
    );
    list("delete", plan.delete.iter().map(String::as_str).collect());
    list("kill", plan.kill.iter().map(String::as_str).collect());
    if let Some(requests) = plan.requests {
        words.push(format!("request {requests}"));
    }
    if let Some(transition) = &plan.transition {
        let (type_, reason, message) = transition.condition();
        let is_failure = matches!(transition, Transition::Fail { .. });
        words.push(if is_failure {
            message
        } else {
            format!("{type_} {reason}")
        });
    }
    if plan.release {
        words.push("release".to_owned());
    }
    words.join("; ")
}

#[track_caller]
fn check(scene: &str, expected: &str) {
    assert_eq!(words(&Scene::parse(scene).plan(None)), expected, "{scene}");
}

#[test]
fn a_new_experiment_asks_for_its_first_assignments() {
    check(
        "parallel 3 max 12 | new",
        "request 3; Created ExperimentCreated",
    );
    check(
        "parallel 3 max 2 | new",
        "request 2; Created ExperimentCreated",
    );
    check("parallel 3 | new", "request 3; Created ExperimentCreated");
}

#[test]
fn it_makes_trials_of_what_it_was_given() {
    check("parallel 3 max 12 | given a b c", "create a b c");
    check("parallel 3 max 12 | running a | given b c d", "create b c");
}

#[test]
fn it_asks_only_for_the_assignments_it_lacks() {
    check(
        "parallel 3 max 12 | running a | given b",
        "create b; request 3",
    );
    check("parallel 3 max 12 | running a b | succeeded c", "request 4");
    check(
        "parallel 3 max 12 | running a b | succeeded c | asked 4",
        "",
    );
    check("parallel 3 max 3 | running a b | succeeded c", "");
    check("parallel 3 max 12 | running a b c", "");
}

#[test]
fn a_partial_reply_is_used_and_the_rest_stays_asked_for() {
    check("parallel 3 max 12 | given a | asked 3", "create a");
}

#[test]
fn a_trial_that_is_being_deleted_still_takes_its_place() {
    check("parallel 2 max 9 | leaving a | running b | given c", "");
}

#[test]
fn lower_parallelism_deletes_the_newest_unfinished() {
    check(
        "parallel 1 max 9 | succeeded a | running b c | pending d",
        "delete d c",
    );
    check("parallel 1 max 9 | running b | leaving c", "");
}

#[test]
fn the_goal_ends_it() {
    let end = "Succeeded ExperimentGoalReached";
    check("goal 0.5 | parallel 2 | succeeded a=0.5 | running b", end);
    check("goal 0.5 | parallel 2 | stopped a=0.4", end);
    check("goal 0.5 | parallel 1 | succeeded a=0.6", "request 2");
    check(
        "goal 0.5 | parallel 1 | succeeded a=NaN b=-inf",
        "request 3",
    );
    check("goal 0.5 | parallel 1 | failed a=0.1", "request 2");
}

#[test]
fn running_trials_are_stopped_at_the_goal_when_that_is_wanted() {
    let scene = "stop | goal 0.5 | parallel 2 | succeeded a=0.5 | running b | pending c";
    check(scene, "kill c b; Succeeded ExperimentGoalReached");
    check(
        "stop | done ExperimentGoalReached | succeeded a=0 | running b",
        "kill b",
    );
}

#[test]
fn too_many_failures_end_it() {
    let end = "Experiment has failed because max failed count has reached";
    check(
        "parallel 2 max 9 maxfailed 2 | failed a | unavailable b",
        end,
    );
    check("parallel 2 max 9 maxfailed 0 | failed a", end);
    check("parallel 1 max 9 maxfailed 0 | succeeded a", "request 2");
    check("parallel 1 max 9 | failed a b c", "request 4");
}

#[test]
fn the_budget_ends_it_however_trials_ended() {
    let scene = "parallel 2 max 5 | succeeded a | failed b | killed c | stopped d | unavailable e";
    check(scene, "Succeeded ExperimentMaxTrialsReached");
    check("parallel 2 max 2 | succeeded a | running b", "");
}

#[test]
fn an_exhausted_search_space_ends_it_once_its_trials_are_done() {
    let end = "Succeeded ExperimentSuggestionEndReached";
    check("parallel 2 max 9 | succeeded a b | exhausted", end);
    check(
        "parallel 2 max 9 | succeeded a | running b | exhausted | asked 5",
        "",
    );
    check(
        "parallel 2 max 9 | succeeded a | given b | exhausted",
        "create b",
    );
}

#[test]
fn a_failed_suggestion_ends_it_and_says_why() {
    let scene = "parallel 2 max 9 | running a | failure no such setting";
    check(scene, "Suggestion has failed: no such setting");
}

#[test]
fn a_larger_budget_restarts_it_where_the_policy_allows() {
    let done = "done ExperimentMaxTrialsReached | parallel 2 max 3 | succeeded a b";
    check(
        &format!("{done} | policy LongRunning"),
        "Restarting ExperimentRestarting",
    );
    check(
        &format!("{done} | policy FromVolume"),
        "Restarting ExperimentRestarting",
    );
    check(&format!("{done} | policy Never"), "");
    let goal = "done ExperimentGoalReached | policy LongRunning | parallel 2 | succeeded a b";
    check(goal, "");
    let spent = "done ExperimentMaxTrialsReached | policy LongRunning | max 2 | succeeded a b";
    check(spent, "");
}

#[test]
fn a_deleted_experiment_is_let_go_and_nothing_else() {
    check("deleted | parallel 3 max 12 | given a b", "release");
}

#[test]
fn counts_are_written_at_most_every_interval() {
    let scene = Scene::parse("parallel 1 max 9 | running a");
    let recorded = |ago: i64, version| Recorded {
        at: now()
            .checked_sub(jiff::SignedDuration::from_millis(ago))
            .unwrap(),
        version,
    };
    let soon = scene.plan(Some(recorded(100, 0)));
    assert_eq!(soon.status, None);
    assert_eq!(soon.again, Some(std::time::Duration::from_millis(150)));
    let late = scene.plan(Some(recorded(250, 0)));
    assert_eq!(late.status.map(|status| status.trials_running), Some(1));
    let same = scene.plan(Some(recorded(100, scene.ledger.version())));
    assert_eq!((same.status, same.again), (None, None));
    // The trial has changed just now: others may follow, but not for ever.
    let quiet = std::time::Duration::from_millis(300);
    let unrest = scene.plan_quietly(Some(recorded(250, 0)), quiet);
    assert_eq!((unrest.status, unrest.again), (None, Some(quiet)));
    let longest = scene.plan_quietly(Some(recorded(1_000, 0)), quiet);
    assert!(longest.status.is_some());
}

#[test]
fn fast_trials_are_asked_for_ahead() {
    let mut scene = Scene::parse("parallel 2 max 99 | running a b");
    for n in 0..40 {
        for state in ["running", "succeeded"] {
            scene
                .ledger
                .apply(Arc::new(trial(state, &format!("s{n}"))), now());
        }
    }
    // Two places are taken; a quarter of the 40 that ended within the second is asked for.
    assert_eq!(words(&scene.plan(None)), "request 12");
}

fn scenes() -> impl Strategy<Value = String> {
    let states = [
        "running",
        "pending",
        "leaving",
        "succeeded",
        "failed",
        "killed",
        "unavailable",
    ];
    let trials = prop::collection::vec(prop::sample::select(states.to_vec()), 0..12);
    (1..6_usize, 1..14_usize, trials, 0..8_usize, 0..4_usize).prop_map(
        |(parallel, max, trials, unused, more)| {
            let mut text = format!("parallel {parallel} max {max}");
            for (n, state) in trials.iter().enumerate() {
                text = format!("{text} | {state} t{n}");
            }
            let names: Vec<String> = (0..unused).map(|n| format!("g{n}")).collect();
            let asked = trials.len() + unused + more;
            format!("{text} | given {} | asked {asked}", names.join(" "))
        },
    )
}

proptest! {
    #[test]
    fn never_more_than_the_budget_and_the_parallelism_allow(scene in scenes()) {
        let parsed = Scene::parse(&scene);
        let plan = parsed.plan(None);
        let spec = &parsed.experiment.spec;
        let bound = |count: Option<i32>| usize::try_from(count.unwrap()).unwrap();
        if !plan.create.is_empty() {
            let active = parsed.ledger.active() + plan.create.len();
            assert!(active <= bound(spec.parallel_trial_count), "{scene}");
            let total = parsed.ledger.total() + plan.create.len();
            assert!(total <= bound(spec.max_trial_count), "{scene}");
        }
        assert!(plan.create.is_empty() || plan.delete.is_empty(), "{scene}");
    }

    #[test]
    fn planning_twice_changes_nothing(scene in scenes()) {
        let mut parsed = Scene::parse(&scene);
        let plan = parsed.plan(None);
        for assignment in &plan.create {
            parsed.ledger.apply(Arc::new(trial("pending", &assignment.name)), now());
        }
        for name in &plan.delete {
            parsed.ledger.apply(Arc::new(trial("leaving", name)), now());
        }
        if let (Some(requests), Some(suggestion)) = (plan.requests, &mut parsed.suggestion) {
            suggestion.spec.requests = requests;
        }
        if plan.status.is_some() {
            parsed.experiment.status = plan.status;
        }
        if plan.requests.is_none() || parsed.suggestion.is_some() {
            let again = parsed.plan(None);
            assert_eq!((again.create, again.delete, again.requests), (vec![], vec![], None));
        }
    }

    #[test]
    fn what_is_done_stays_done(scene in scenes()) {
        let scene = format!("{scene} | done ExperimentMaxTrialsReached | policy Never");
        assert_eq!(words(&Scene::parse(&scene).plan(None)), "");
    }
}
