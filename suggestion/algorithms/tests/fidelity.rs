//! The algorithms that give most configurations little of a resource: that their schedules run to
//! the end however many trials run at a time and in whatever order they end.

use std::collections::{BTreeMap, HashSet};

use diwan_algorithms::{Algorithm, Budget, Goal, Problem, Settings, State, Suggested, Trial, find};
use diwan_api::search_space::{Domain, Parameter, Scale, Value};
use diwan_api::{AlgorithmSetting, SearchSpace};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

fn uniform(name: &str) -> Parameter {
    let domain = Domain::Double {
        min: 0.0,
        max: 1.0,
        step: None,
        scale: Scale::Uniform,
    };
    Parameter {
        name: name.to_owned(),
        domain,
    }
}

fn integer(name: &str, max: i64) -> Parameter {
    let domain = Domain::Int {
        min: 1,
        max,
        step: 1,
        scale: Scale::Uniform,
    };
    Parameter {
        name: name.to_owned(),
        domain,
    }
}

/// Two numbers with the epochs between them.
fn space() -> SearchSpace {
    SearchSpace {
        parameters: vec![uniform("x"), integer("epochs", 9), uniform("y")],
    }
}

fn problem(
    algorithm: &Algorithm,
    space: SearchSpace,
    given: &[(&str, &str)],
    max_trials: Option<usize>,
) -> Problem {
    let setting = |(name, value): &(&str, &str)| AlgorithmSetting {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    let given: Vec<_> = given.iter().map(setting).collect();
    Problem {
        space,
        goal: Goal::Maximize,
        settings: Settings::parse(algorithm, &given).expect("no setting is wrong"),
        seed: 3,
        issued: 0,
        budget: Budget {
            max_trials,
            parallel: 1,
        },
        nas: None,
    }
}

const SETTINGS: &[(&str, &str)] = &[("r_l", "9"), ("resource_name", "epochs"), ("eta", "3")];

fn ask(algorithm: &Algorithm, problem: &Problem, history: &[Trial], count: usize) -> Suggested {
    let problem = Problem {
        issued: history.len(),
        ..problem.clone()
    };
    let mut designer = (algorithm.build)(&problem).expect("the space is served");
    let (active, completed): (Vec<_>, Vec<_>) = history
        .iter()
        .cloned()
        .partition(|t| t.state == State::Active);
    designer.observe(&completed, &active);
    designer.suggest(count).expect("it suggests")
}

/// How a trial ends.
type Fate = fn(&mut Pcg64Mcg) -> State;

/// Keeps `workers` busy until the search ends or `total` trials were made. Trials end in an order
/// of chance; the objective is the sum of the two numbers.
fn run(
    algorithm: &Algorithm,
    problem: &Problem,
    (workers, total): (usize, usize),
    fate: Fate,
) -> Vec<Trial> {
    let mut rng = Pcg64Mcg::seed_from_u64(7);
    let mut history: Vec<Trial> = Vec::new();
    loop {
        let running: Vec<usize> = (0..history.len())
            .filter(|i| history[*i].state == State::Active)
            .collect();
        let free = (workers - running.len()).min(total - history.len());
        let suggested = ask(algorithm, problem, &history, free);
        assert!(suggested.proposals.len() <= free);
        if suggested.proposals.is_empty() && running.is_empty() {
            assert!(suggested.exhausted || free == 0, "it stalls");
            return history;
        }
        for proposal in suggested.proposals {
            history.push(Trial {
                name: format!("t{}", history.len()),
                values: proposal.values.into_iter().map(Some).collect(),
                state: State::Active,
                objective: None,
                labels: proposal.labels,
                texts: proposal.texts,
            });
        }
        let running: Vec<usize> = (0..history.len())
            .filter(|i| history[*i].state == State::Active)
            .collect();
        let ended = &mut history[running[rng.random_range(0..running.len())]];
        ended.state = fate(&mut rng);
        if matches!(ended.state, State::Succeeded | State::EarlyStopped) {
            ended.objective = Some(sum(ended));
        }
    }
}

fn sum(trial: &Trial) -> f64 {
    let numbers = trial.values.iter().filter_map(|value| match value {
        Some(Value::Double(x)) => Some(*x),
        _ => None,
    });
    numbers.sum()
}

fn epochs(trial: &Trial) -> i64 {
    match trial.values[1] {
        Some(Value::Int(n)) => n,
        _ => unreachable!("epochs are whole"),
    }
}

fn label(trial: &Trial, key: &str) -> usize {
    trial.labels[key].parse().expect("a number")
}

/// How many trials there are by bracket and epochs.
fn shape(history: &[Trial]) -> BTreeMap<(usize, i64), usize> {
    let mut shape = BTreeMap::new();
    for trial in history {
        let place = (label(trial, "diwan.dev/bracket"), epochs(trial));
        *shape.entry(place).or_default() += 1;
    }
    shape
}

#[test]
fn every_bracket_and_rung_runs_to_the_end_with_any_number_of_workers() {
    let expected = [
        ((0, 1), 9),
        ((0, 3), 3),
        ((0, 9), 1),
        ((1, 3), 5),
        ((1, 9), 2),
        ((2, 9), 3),
    ];
    for name in ["hyperband", "bohb"] {
        let algorithm = find(name).unwrap();
        let problem = problem(algorithm, space(), SETTINGS, None);
        for workers in [1, 2, 3, 8, 9, 100] {
            let history = run(algorithm, &problem, (workers, 1000), |_| State::Succeeded);
            assert_eq!(
                shape(&history),
                BTreeMap::from(expected),
                "{name} {workers}"
            );
        }
    }
}

#[test]
fn the_best_of_a_rung_go_on_unchanged() {
    let hyperband = find("hyperband").unwrap();
    let problem = problem(hyperband, space(), SETTINGS, None);
    let history = run(hyperband, &problem, (4, 1000), |_| State::Succeeded);
    let rung = |bracket: usize, rung: usize| {
        let mut trials: Vec<_> = history
            .iter()
            .filter(|t| label(t, "diwan.dev/bracket") == bracket)
            .filter(|t| label(t, "diwan.dev/rung") == rung)
            .map(|t| (sum(t), t.values[0], t.values[2]))
            .collect();
        trials.sort_by(|a, b| b.0.total_cmp(&a.0));
        trials
    };
    assert_eq!(rung(0, 1), rung(0, 0)[..3]);
    assert_eq!(rung(0, 2), rung(0, 0)[..1]);
    assert_eq!(rung(1, 1), rung(1, 0)[..2]);
}

#[test]
fn more_trials_than_one_pass_takes_begin_another() {
    let hyperband = find("hyperband").unwrap();
    let problem = problem(hyperband, space(), SETTINGS, Some(60));
    let history = run(hyperband, &problem, (5, 60), |_| State::Succeeded);
    assert_eq!(history.len(), 60);
    let configurations: HashSet<_> = history
        .iter()
        .map(|t| label(t, "diwan.dev/configuration"))
        .collect();
    let points: HashSet<_> = history
        .iter()
        .map(|t| format!("{:?}{:?}", t.values[0], t.values[2]))
        .collect();
    assert_eq!(configurations.len(), points.len());
}

#[test]
fn trials_that_end_in_any_way_stall_nothing_and_are_not_repeated() {
    let fate: Fate = |rng| {
        let states = [
            State::Succeeded,
            State::Failed,
            State::Killed,
            State::EarlyStopped,
            State::MetricsUnavailable,
        ];
        states[rng.random_range(0..states.len())]
    };
    for name in ["hyperband", "bohb", "asha"] {
        let algorithm = find(name).unwrap();
        for workers in [1, 7] {
            let problem = problem(algorithm, space(), SETTINGS, Some(150));
            let history = run(algorithm, &problem, (workers, 150), fate);
            assert_eq!(history.len(), 150, "{name}");
            let points: HashSet<_> = history.iter().map(|t| format!("{:?}", t.values)).collect();
            assert_eq!(points.len(), history.len(), "{name} repeats a point");
            for trial in history.iter().filter(|t| label(t, "diwan.dev/rung") > 0) {
                let below = history.iter().find(|t| {
                    label(t, "diwan.dev/configuration") == label(trial, "diwan.dev/configuration")
                        && label(t, "diwan.dev/rung") + 1 == label(trial, "diwan.dev/rung")
                });
                assert_eq!(below.unwrap().state, State::Succeeded, "{name}");
            }
        }
    }
}

#[test]
fn no_worker_of_asha_waits_and_about_a_third_goes_on() {
    let asha = find("asha").unwrap();
    let problem = problem(asha, space(), SETTINGS, Some(300));
    let history = run(asha, &problem, (8, 300), |_| State::Succeeded);
    let shape = shape(&history);
    let [low, middle, high] = [1, 3, 9].map(|epochs| shape[&(0, epochs)]);
    // More than a third: one that was among the best when it went on need not stay there.
    for (below, above) in [(low, middle), (middle, high)] {
        assert!(below / 3 <= above + 8 && above <= below / 2, "{shape:?}");
    }
}

#[test]
fn a_small_space_of_configurations_ends_the_search() {
    let space = SearchSpace {
        parameters: vec![integer("x", 5), integer("epochs", 9)],
    };
    for name in ["hyperband", "bohb", "asha"] {
        let algorithm = find(name).unwrap();
        let problem = problem(algorithm, space.clone(), SETTINGS, Some(1000));
        let history = run(algorithm, &problem, (2, 1000), |_| State::Succeeded);
        let points: HashSet<_> = history.iter().map(|t| format!("{:?}", t.values)).collect();
        assert_eq!(points.len(), history.len(), "{name} repeats a point");
        assert!(history.len() < 15, "{name} {}", history.len());
    }
}

#[test]
fn the_history_in_another_order_gives_the_same_next_runs() {
    for name in ["hyperband", "asha"] {
        let algorithm = find(name).unwrap();
        let problem = problem(algorithm, space(), SETTINGS, Some(1000));
        let mut history = run(algorithm, &problem, (6, 31), |_| State::Succeeded);
        let forwards = ask(algorithm, &problem, &history, 9);
        history.reverse();
        assert_eq!(ask(algorithm, &problem, &history, 9), forwards, "{name}");
    }
}

#[test]
fn the_state_that_katib_returns_is_returned_and_taken_back() {
    let hyperband = find("hyperband").unwrap();
    let problem = problem(hyperband, space(), SETTINGS, None);
    let suggested = ask(hyperband, &problem, &[], 4);
    let pairs: Vec<_> = suggested
        .settings
        .iter()
        .map(|s| (s.name.as_str(), s.value.as_str()))
        .collect();
    let expected = [
        ("eta", "3"),
        ("s_max", "2"),
        ("r_l", "9"),
        ("b_l", "27"),
        ("r", "1"),
        ("n", "9"),
        ("current_s", "2"),
        ("current_i", "0"),
        ("resource_name", "epochs"),
        ("evaluating_trials", "9"),
    ];
    assert_eq!(pairs, expected);
    assert!(Settings::parse(hyperband, &suggested.settings).is_ok());
}

#[test]
fn a_resource_that_can_not_be_used_is_refused_in_the_words_of_katib() {
    let hyperband = find("hyperband").unwrap();
    for (given, text) in [
        (&[][..], "r_l and resource_name must be set."),
        (&[("r_l", "9")], "r_l and resource_name must be set."),
        (
            &[("r_l", "9"), ("resource_name", "steps")],
            "value of resource_name setting must be in parameters.",
        ),
    ] {
        for name in ["hyperband", "asha", "bohb"] {
            let algorithm = find(name).unwrap();
            let refusal = (algorithm.build)(&problem(algorithm, space(), given, None)).err();
            assert_eq!(refusal.unwrap().to_string(), text);
        }
    }
    let only = SearchSpace {
        parameters: vec![integer("epochs", 9)],
    };
    assert!((hyperband.build)(&problem(hyperband, only, SETTINGS, None)).is_err());
}
