use std::collections::{HashMap, HashSet};

use diwan_api::search_space::{Domain, Parameter, Scale};
use diwan_api::{AlgorithmSetting, SearchSpace};

use super::*;
use crate::{Budget, Goal, Settings, State};

fn problem(given: &[(&str, &str)]) -> Problem {
    let parameter = |name: &str, domain| Parameter {
        name: name.to_owned(),
        domain,
    };
    let scale = Scale::Uniform;
    let space = vec![
        parameter(
            "lr",
            Domain::Double {
                min: 0.0001,
                max: 0.02,
                step: Some(0.0001),
                scale,
            },
        ),
        parameter(
            "units",
            Domain::Int {
                min: 1,
                max: 64,
                step: 1,
                scale,
            },
        ),
        parameter(
            "kind",
            Domain::Categorical(["a", "b", "c"].map(str::to_owned).to_vec()),
        ),
    ];
    let mut settings = vec![
        ("suggestion_trial_dir", "/checkpoints"),
        ("n_population", "6"),
        ("truncation_threshold", "0.25"),
    ];
    settings.extend(given);
    let settings: Vec<AlgorithmSetting> = settings
        .into_iter()
        .map(|(name, value)| AlgorithmSetting {
            name: name.to_owned(),
            value: value.to_owned(),
        })
        .collect();
    Problem {
        space: SearchSpace { parameters: space },
        goal: Goal::Maximize,
        settings: Settings::parse(&ALGORITHM, &settings).unwrap(),
        seed: 3,
        issued: 0,
        budget: Budget::default(),
        nas: None,
    }
}

fn ask(problem: &Problem, history: &[Trial], count: usize) -> Vec<Proposal> {
    let problem = Problem {
        issued: history.len(),
        ..problem.clone()
    };
    let mut designer = Pbt::new(&problem).unwrap();
    designer.observe(history, &[]);
    designer.suggest(count).unwrap().proposals
}

fn trial(index: usize, proposal: &Proposal, (state, objective): (State, Option<f64>)) -> Trial {
    Trial {
        name: format!("t{index}"),
        values: proposal.values.iter().copied().map(Some).collect(),
        state,
        objective,
        labels: proposal.labels.clone(),
        texts: Vec::new(),
    }
}

/// Runs trials in batches, of which `judge` says how they end.
fn grow(
    problem: &Problem,
    history: &mut Vec<Trial>,
    (total, batch): (usize, usize),
    judge: impl Fn(usize, &Proposal) -> (State, Option<f64>),
) {
    while history.len() < total {
        let proposals = ask(problem, history, batch.min(total - history.len()));
        assert!(!proposals.is_empty());
        for proposal in proposals {
            let index = history.len();
            history.push(trial(index, &proposal, judge(index, &proposal)));
        }
    }
}

fn generation(trial: &Trial) -> usize {
    trial.labels[population::GENERATION].parse().unwrap()
}

fn succeed(index: usize, _: &Proposal) -> (State, Option<f64>) {
    (State::Succeeded, Some(((index * 7) % 11) as f64))
}

#[test]
fn the_worst_continue_a_winner_s_checkpoint_with_its_parameters_and_others_their_own() {
    let problem = problem(&[]);
    let mut history = Vec::new();
    grow(&problem, &mut history, (6, 6), |index, _| {
        (State::Succeeded, Some(index as f64))
    });
    let next = ask(&problem, &history, 6);
    for proposal in &next {
        let member: usize = proposal.labels[population::MEMBER].parse().unwrap();
        let parent = &proposal.labels[population::PARENT];
        assert_eq!(proposal.labels[population::GENERATION], "1");
        // Of six a quarter are the two worst, 0 and 1, and the two best, 4 and 5.
        if member < 2 {
            let donor = history.iter().find(|t| t.name == *parent).unwrap();
            assert!(["t4", "t5"].contains(&parent.as_str()), "{parent}");
            assert_eq!(donor.point().as_ref(), Some(&proposal.values));
        } else {
            assert_eq!(*parent, format!("t{member}"));
            assert_ne!(history[member].point().as_ref(), Some(&proposal.values));
        }
    }
    assert_eq!(next.len(), 6);
}

#[test]
fn values_stay_whole_on_their_step_and_inside_for_many_generations() {
    for given in [&[][..], &[("resample_probability", "0.5")]] {
        let problem = problem(given);
        let mut history = Vec::new();
        grow(&problem, &mut history, (200, 4), succeed);
        for (trial, parameter) in history
            .iter()
            .flat_map(|t| t.values.iter().zip(&problem.space.parameters))
        {
            let value = trial.unwrap();
            assert_eq!(parameter.domain.snap(value), value);
            let text = parameter.domain.print(value).unwrap();
            assert_eq!(parameter.domain.parse_value(&text), Some(value));
        }
        assert!(history.iter().map(generation).max() > Some(20));
    }
}

#[test]
fn without_resampling_nothing_changes_where_the_probability_is_zero() {
    let problem = problem(&[("resample_probability", "0")]);
    let mut history = Vec::new();
    grow(&problem, &mut history, (6, 6), succeed);
    let first: HashSet<String> = history.iter().map(|t| format!("{:?}", t.point())).collect();
    for proposal in ask(&problem, &history, 6) {
        let point = format!("{:?}", Some(&proposal.values));
        assert!(first.contains(&point), "{point}");
    }
}

#[test]
fn members_that_fail_are_tried_again_and_then_continue_another() {
    let problem = problem(&[]);
    let mut history = Vec::new();
    // The member 2 never ends well.
    let judge = |index: usize, proposal: &Proposal| match &*proposal.labels[population::MEMBER] {
        "2" => (State::Failed, None),
        _ => (State::Succeeded, Some(index as f64)),
    };
    grow(&problem, &mut history, (40, 3), judge);
    let of_two: Vec<&Trial> = history
        .iter()
        .filter(|t| t.labels[population::MEMBER] == "2")
        .collect();
    assert!(of_two.len() > RETRIES);
    for again in &of_two[1..RETRIES] {
        assert_eq!((again.point(), generation(again)), (of_two[0].point(), 0));
        assert_eq!(parent(again), None);
    }
    assert_eq!(generation(of_two[RETRIES]), 1);
    assert!(parent(of_two[RETRIES]).is_some());
    // All others go on meanwhile.
    assert!(history.iter().map(generation).max() > Some(4));
}

#[test]
fn all_may_fail_and_the_population_begins_anew() {
    let problem = problem(&[]);
    let mut history = Vec::new();
    grow(&problem, &mut history, (60, 6), |_, _| {
        (State::Failed, None)
    });
    let points: HashSet<String> = history.iter().map(|t| format!("{:?}", t.values)).collect();
    // Ten trials of each member, of which three at a time try the same.
    assert_eq!(points.len(), 6 * 10_usize.div_ceil(RETRIES));
}

#[test]
fn a_history_that_comes_in_another_order_says_the_same() {
    let problem = problem(&[]);
    let mut history = Vec::new();
    let judge = |index: usize, proposal: &Proposal| match index % 5 {
        0 => (State::Failed, None),
        1 if index > 30 => (State::Active, None),
        _ => succeed(index, proposal),
    };
    grow(&problem, &mut history, (40, 3), judge);
    let answer = ask(&problem, &history, 3);
    history.reverse();
    assert_eq!(ask(&problem, &history, 3), answer);
}

#[test]
fn running_members_are_waited_for() {
    let problem = problem(&[]);
    let mut history = Vec::new();
    grow(&problem, &mut history, (5, 5), |_, _| (State::Active, None));
    assert_eq!(ask(&problem, &history, 4).len(), 1);
}

/// A checkpoint is there when a trial begins that continues it, however late those that nobody
/// needs are removed.
#[test]
fn checkpoints_that_are_spent_are_never_continued() {
    let problem = problem(&[]);
    let mut history: Vec<Trial> = Vec::new();
    let mut removed: HashSet<String> = HashSet::new();
    let mut kept = HashMap::new();
    while history.len() < 150 {
        for proposal in ask(&problem, &history, 3) {
            if let Some(parent) = proposal.labels.get(population::PARENT) {
                assert!(!removed.contains(parent), "{parent}");
            }
            let index = history.len();
            history.push(trial(index, &proposal, (State::Active, None)));
        }
        // The older half of those that run ends, every fourth badly.
        let running: Vec<usize> = (0..history.len())
            .filter(|i| history[*i].state == State::Active)
            .collect();
        for index in &running[..running.len().div_ceil(2)] {
            let ended = &mut history[*index];
            (ended.state, ended.objective) = match index % 4 {
                0 => (State::Failed, None),
                _ => (State::Succeeded, Some((index * 7 % 13) as f64)),
            };
        }
        removed.extend(spent_checkpoints(&history).into_iter().map(str::to_owned));
        kept.insert(history.len(), history.len() - removed.len());
    }
    // Each member keeps a few: what it does, what it has learned, what it continues.
    assert!(kept.values().all(|count| *count <= 3 * 6), "{kept:?}");
}

#[test]
fn settings_that_are_missing_are_named_together() {
    let mut problem = problem(&[]);
    problem.settings = Settings::parse(&ALGORITHM, &[]).unwrap();
    let refusal = Pbt::new(&problem).err().unwrap();
    assert_eq!(
        refusal.0,
        "Required params missing: suggestion_trial_dir, n_population, truncation_threshold"
    );
}

#[test]
fn quantiles_are_those_of_numpy() {
    let sorted = [1.0, 2.0, 4.0, 8.0];
    assert_eq!(
        [0.0, 0.5, 1.0].map(|q| quantile(&sorted, q)),
        [1.0, 3.0, 8.0]
    );
    assert!((quantile(&sorted, 0.2) - 1.6).abs() < 1e-12);
    assert_eq!(quantile(&[5.0], 0.3), 5.0);
}
