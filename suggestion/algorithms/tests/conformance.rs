//! What every algorithm of the table must do, on every kind of space.

use std::cell::Cell;

use diwan_algorithms::{
    ALGORITHMS, Algorithm, Budget, Capability, Goal, Memo, Problem, Proposal, Settings, State,
    Suggested, Trial, find, seed_of,
};
use diwan_api::search_space::{Domain, Parameter, Scale, Value};
use diwan_api::{AlgorithmSetting, SearchSpace};

fn double(min: f64, max: f64, step: Option<f64>, scale: Scale) -> Domain {
    Domain::Double {
        min,
        max,
        step,
        scale,
    }
}

fn int(min: i64, max: i64, step: i64, scale: Scale) -> Domain {
    Domain::Int {
        min,
        max,
        step,
        scale,
    }
}

fn categorical(count: usize) -> Domain {
    Domain::Categorical((0..count).map(|i| format!("c{i}")).collect())
}

fn space(domains: Vec<Domain>) -> SearchSpace {
    let parameter = |(i, domain)| Parameter {
        name: format!("p{i}"),
        domain,
    };
    SearchSpace {
        parameters: domains.into_iter().enumerate().map(parameter).collect(),
    }
}

/// Spaces in which every double has a step, so that all algorithms serve them.
fn stepped_spaces() -> Vec<SearchSpace> {
    let discrete = Domain::Discrete(
        ["64", "8", "0.5", "1e-3"]
            .map(|t| (t.parse().expect("a number"), t.to_owned()))
            .to_vec(),
    );
    vec![
        space(vec![
            double(0.1, 2.0, Some(0.1), Scale::Uniform),
            double(-5.0, 10.0, Some(0.7), Scale::Normal),
            double(1e-3, 1.0, Some(1e-3), Scale::LogUniform),
            double(1e-2, 1.0, Some(1e-2), Scale::LogNormal),
            int(1, 10, 3, Scale::Uniform),
            int(1, 1_000_000, 1, Scale::LogUniform),
            int(-50, 50, 1, Scale::Normal),
            discrete,
            categorical(3),
        ]),
        space(vec![int(1, 1000, 1, Scale::LogNormal)]),
        space(
            (0..100)
                .map(|_| int(0, 9, 1, Scale::Uniform))
                .take(18)
                .collect(),
        ),
        space(vec![
            categorical(1),
            int(4, 4, 1, Scale::Uniform),
            int(0, 99, 1, Scale::Uniform),
        ]),
    ]
}

/// Spaces with continuous dimensions.
fn continuous_spaces() -> Vec<SearchSpace> {
    vec![
        space(vec![
            double(-1.0, 1.0, None, Scale::Uniform),
            double(1e-6, 1e-1, None, Scale::LogUniform),
            double(0.0, 10.0, None, Scale::Normal),
            double(1.0, 1e4, None, Scale::LogNormal),
            int(1, 64, 1, Scale::LogUniform),
            categorical(4),
        ]),
        space(vec![
            double(0.25, 0.25, None, Scale::Uniform),
            double(0.0, 1.0, None, Scale::Uniform),
        ]),
        space(
            (0..100)
                .map(|_| double(0.0, 1.0, None, Scale::Uniform))
                .collect(),
        ),
    ]
}

/// The problem of searching a space. Where an algorithm must be told of a resource it is one more
/// parameter, and there is a number of trials to make, before which the search does not end.
fn problem(algorithm: &Algorithm, space: &SearchSpace, seed: u64) -> Problem {
    let mut space = space.clone();
    let mut given = Vec::new();
    let has_resource = supports(algorithm, Capability::Fidelity);
    if supports(algorithm, Capability::Continues) {
        given = [
            ("n_population", "20"),
            ("suggestion_trial_dir", "/checkpoints"),
            ("truncation_threshold", "0.2"),
        ]
        .map(|(name, value)| setting(name, value))
        .to_vec();
    }
    if has_resource {
        space.parameters.push(Parameter {
            name: "epochs".to_owned(),
            domain: int(1, 9, 1, Scale::Uniform),
        });
        given = [("r_l", "9"), ("resource_name", "epochs")]
            .map(|(name, value)| setting(name, value))
            .to_vec();
    }
    Problem {
        space,
        goal: Goal::Minimize,
        settings: Settings::parse(algorithm, &given).expect("no setting is wrong"),
        seed,
        issued: 0,
        budget: Budget {
            max_trials: has_resource.then_some(1000),
            parallel: 1,
        },
        nas: None,
    }
}

fn setting(name: &str, value: &str) -> AlgorithmSetting {
    AlgorithmSetting {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn supports(algorithm: &Algorithm, capability: Capability) -> bool {
    algorithm.supports.contains(&capability)
}

/// Asks for `count` points after a history; `None` when the algorithm doesn't serve the space.
fn ask(
    algorithm: &Algorithm,
    problem: &Problem,
    history: &[Trial],
    count: usize,
) -> Option<Suggested> {
    let problem = Problem {
        issued: history.len(),
        ..problem.clone()
    };
    let mut designer = (algorithm.build)(&problem).ok()?;
    let (active, completed) = parted(history);
    designer.observe(&completed, &active);
    Some(designer.suggest(count).expect("a built designer suggests"))
}

/// Trials that have not ended, and those that have.
fn parted(history: &[Trial]) -> (Vec<Trial>, Vec<Trial>) {
    history
        .iter()
        .cloned()
        .partition(|t| t.state == State::Active)
}

fn trial(proposal: &Proposal, index: usize, state: State, objective: Option<f64>) -> Trial {
    Trial {
        name: format!("t{index}"),
        values: proposal.values.iter().copied().map(Some).collect(),
        state,
        objective,
        labels: proposal.labels.clone(),
        texts: proposal.texts.clone(),
    }
}

/// Every algorithm on every space that it serves.
fn for_each(mut check: impl FnMut(&Algorithm, &SearchSpace)) {
    for algorithm in ALGORITHMS {
        for space in stepped_spaces().iter().chain(&continuous_spaces()) {
            if (algorithm.build)(&problem(algorithm, space, 1)).is_ok() {
                check(algorithm, space);
            }
        }
    }
}

#[track_caller]
fn assert_inside(space: &SearchSpace, proposal: &Proposal) {
    assert_eq!(proposal.values.len(), space.parameters.len());
    for (parameter, value) in space.parameters.iter().zip(&proposal.values) {
        let text = parameter
            .domain
            .print(*value)
            .expect("the value is of this domain");
        assert_eq!(
            parameter.domain.parse_value(&text),
            Some(*value),
            "{parameter:?}"
        );
        assert_eq!(
            parameter.domain.snap(*value),
            *value,
            "{parameter:?} {value:?}"
        );
    }
}

/// Runs an algorithm in batches on an objective, and returns its history.
fn run(
    algorithm: &Algorithm,
    problem: &Problem,
    (total, batch): (usize, usize),
    objective: impl Fn(&[Value]) -> (State, Option<f64>),
) -> Vec<Trial> {
    let mut history: Vec<Trial> = Vec::new();
    while history.len() < total {
        let suggested = ask(algorithm, problem, &history, batch).expect("the space is served");
        for proposal in &suggested.proposals {
            assert_inside(&problem.space, proposal);
            let (state, value) = objective(&proposal.values);
            history.push(trial(proposal, history.len(), state, value));
        }
        if suggested.exhausted {
            break;
        }
    }
    history
}

/// A number in [0, 1] that depends on the values in no simple way.
fn noise(values: &[Value]) -> f64 {
    seed_of(&format!("{values:?}")) as f64 / u64::MAX as f64
}

#[test]
fn as_many_points_as_asked_for_inside_the_space_and_on_the_step() {
    for_each(|algorithm, space| {
        let problem = problem(algorithm, space, 3);
        for batch in [1, 7] {
            let history = run(algorithm, &problem, (42, batch), |values| {
                (State::Succeeded, Some(noise(values)))
            });
            assert_eq!(
                history.len(),
                42,
                "{} in batches of {batch}",
                algorithm.name
            );
        }
    });
}

#[test]
fn the_same_request_gives_the_same_answer_and_another_seed_another() {
    for_each(|algorithm, space| {
        let first = problem(algorithm, space, 5);
        let history = run(algorithm, &first, (20, 4), |values| {
            (State::Succeeded, Some(noise(values)))
        });
        let answer = ask(algorithm, &first, &history, 5);
        assert_eq!(
            answer,
            ask(algorithm, &first, &history, 5),
            "{}",
            algorithm.name
        );
        // The grid has an order of its own, and only one value can't differ.
        if algorithm.name != "grid" {
            let second = problem(algorithm, space, 6);
            assert_ne!(
                answer,
                ask(algorithm, &second, &history, 5),
                "{}",
                algorithm.name
            );
        }
    });
}

#[test]
fn a_run_that_is_resumed_at_any_trial_goes_on_as_if_it_was_not_interrupted() {
    for_each(|algorithm, space| {
        let problem = problem(algorithm, space, 8);
        let whole = run(algorithm, &problem, (24, 1), |values| {
            (State::Succeeded, Some(noise(values)))
        });
        for cut in 0..24 {
            let next = ask(algorithm, &problem, &whole[..cut], 1).unwrap();
            let next = trial(
                &next.proposals[0],
                cut,
                State::Succeeded,
                whole[cut].objective,
            );
            assert_eq!(next, whole[cut], "{} at {cut}", algorithm.name);
        }
    });
}

/// What became of a history since the last request: of its last trials some run until the next.
fn grown(whole: &[Trial], count: usize) -> Vec<Trial> {
    let mut history = whole[..count].to_vec();
    let newest = history.iter_mut().enumerate().rev().take(6);
    for (_, trial) in newest.filter(|(index, _)| index % 3 == 0) {
        trial.state = State::Active;
        trial.objective = None;
    }
    history
}

#[test]
fn an_answer_that_nobody_waits_for_is_not_worked_out() {
    for name in ["tpe", "multivariate-tpe", "bayesianoptimization", "auto"] {
        let algorithm = find(name).expect("it is in the table");
        let problem = problem(algorithm, &continuous_spaces()[0], 5);
        let history = run(algorithm, &problem, (30, 6), |values| {
            (State::Succeeded, Some(noise(values)))
        });
        let problem = Problem {
            issued: history.len(),
            ..problem
        };
        let mut designer = (algorithm.build)(&problem).expect("the space is served");
        designer.observe(&history, &[]);
        let asked = Cell::new(0);
        let is_wanted = || {
            asked.set(asked.get() + 1);
            asked.get() <= 3
        };
        let suggested = designer.suggest_while(50, &is_wanted).expect("it answers");
        assert_eq!(suggested.proposals.len(), 3, "{name}");
        let whole = ask(algorithm, &problem, &history, 50).expect("the space is served");
        assert_eq!(whole.proposals[..3], suggested.proposals, "{name}");
    }
}

#[test]
fn what_an_earlier_request_left_changes_no_answer() {
    for_each(|algorithm, space| {
        let problem = problem(algorithm, space, 17);
        let whole = run(algorithm, &problem, (60, 4), |values| {
            (State::Succeeded, Some(noise(values)))
        });
        let mut reversed = whole.clone();
        reversed.reverse();
        // Requests in uneven steps, one of them after trials were lost and one in another order.
        let requests = [0, 1, 13, 14, 29, 45, 60, 37, 41, 58]
            .map(|count| grown(&whole, count))
            .into_iter()
            .chain([reversed, whole.clone()]);
        let mut memo = Memo::default();
        let mut last: Vec<Trial> = Vec::new();
        for history in requests {
            let (active, completed) = parted(&history);
            let same = completed
                .iter()
                .zip(&last)
                .take_while(|(new, old)| new == old);
            memo.keep_first(same.count());
            let issued = Problem {
                issued: history.len(),
                ..problem.clone()
            };
            let mut designer = (algorithm.build)(&issued).expect("it served the space before");
            designer.observe_further(&completed, &active, &mut memo);
            assert_eq!(
                designer.suggest(3).ok(),
                ask(algorithm, &problem, &history, 3),
                "{} after {}",
                algorithm.name,
                history.len()
            );
            last = completed;
        }
    });
}

#[test]
fn a_history_in_any_order_and_batching_is_a_valid_one() {
    for_each(|algorithm, space| {
        let problem = problem(algorithm, space, 19);
        for batch in [1, 5, 13] {
            let whole = run(algorithm, &problem, (26, batch), |values| {
                (State::Succeeded, Some(noise(values)))
            });
            for cut in (1..26).step_by(4) {
                let mut history = whole[..cut].to_vec();
                history.rotate_left(cut / 2);
                let suggested = ask(algorithm, &problem, &history, 2).expect("it served before");
                assert_eq!(suggested.proposals.len(), 2, "{} at {cut}", algorithm.name);
                suggested
                    .proposals
                    .iter()
                    .for_each(|proposal| assert_inside(&problem.space, proposal));
            }
        }
    });
}

#[test]
fn any_history_is_survived() {
    let odd = |values: &[Value]| match (noise(values) * 9.0) as u8 {
        0 => (State::Succeeded, Some(f64::NAN)),
        1 => (State::Succeeded, Some(f64::INFINITY)),
        2 => (State::Succeeded, Some(f64::NEG_INFINITY)),
        3 => (State::Succeeded, None),
        4 => (State::Failed, None),
        5 => (State::Killed, Some(1.0)),
        6 => (State::EarlyStopped, Some(0.5)),
        7 => (State::MetricsUnavailable, None),
        _ => (State::Succeeded, Some(1e300)),
    };
    for_each(|algorithm, space| {
        let problem = problem(algorithm, space, 13);
        let mut history = run(algorithm, &problem, (80, 6), odd);
        // Missing and foreign values, points that stand twice, more or fewer values than the
        // space has dimensions, and the other end of the order.
        history[3].values[0] = None;
        history[4].values = Vec::new();
        history[5].values.push(Some(Value::Index(0)));
        for i in 0..20 {
            let again = history[i].clone();
            history.push(again);
        }
        history.reverse();
        let suggested = ask(algorithm, &problem, &history, 5).unwrap();
        if !suggested.exhausted {
            assert_eq!(suggested.proposals.len(), 5, "{}", algorithm.name);
        }
        suggested
            .proposals
            .iter()
            .for_each(|proposal| assert_inside(&problem.space, proposal));
    });
}

#[test]
fn all_trials_failed_or_all_equal_is_survived() {
    for_each(|algorithm, space| {
        let problem = problem(algorithm, space, 21);
        run(algorithm, &problem, (30, 3), |_| (State::Failed, None));
        run(algorithm, &problem, (30, 3), |_| {
            (State::Succeeded, Some(0.0))
        });
    });
}

/// The algorithms that end when every point was proposed; `enas` has no parameters.
fn exhaustive() -> impl Iterator<Item = &'static Algorithm> {
    ALGORITHMS
        .iter()
        .copied()
        .filter(|algorithm| supports(algorithm, Capability::Exhausts) && algorithm.name != "enas")
}

#[test]
fn a_finite_space_is_searched_without_repetition_to_its_end() {
    let finite = space(vec![
        int(1, 4, 1, Scale::LogUniform),
        categorical(3),
        double(0.0, 1.0, Some(0.25), Scale::Normal),
    ]);
    for algorithm in exhaustive() {
        for batch in [1, 7] {
            let problem = problem(algorithm, &finite, 2);
            let history = run(algorithm, &problem, (1000, batch), |values| {
                match noise(values) {
                    x if x < 0.2 => (State::Active, None),
                    x if x < 0.4 => (State::Failed, None),
                    x => (State::Succeeded, Some(x)),
                }
            });
            let mut points: Vec<String> = history
                .iter()
                .map(|trial| format!("{:?}", trial.values))
                .collect();
            points.sort();
            points.dedup();
            assert_eq!(
                (history.len(), points.len()),
                (60, 60),
                "{}",
                algorithm.name
            );
            let after = ask(algorithm, &problem, &history, 3).unwrap();
            assert!(
                after.exhausted && after.proposals.is_empty(),
                "{}",
                algorithm.name
            );
        }
    }
}

#[test]
fn a_history_in_another_order_leaves_the_same_points() {
    let finite = space(vec![int(1, 12, 1, Scale::Uniform), categorical(2)]);
    for algorithm in exhaustive() {
        let problem = problem(algorithm, &finite, 4);
        let mut history = run(algorithm, &problem, (17, 3), |values| {
            (State::Succeeded, Some(noise(values)))
        });
        history.reverse();
        let rest = ask(algorithm, &problem, &history, 100).unwrap();
        assert_eq!(
            history.len() + rest.proposals.len(),
            24,
            "{}",
            algorithm.name
        );
        assert!(rest.exhausted, "{}", algorithm.name);
    }
}

/// A bowl over a mixed space: squared distances from a point off the middle, and one right
/// category. Its smallest value is about 0.
fn bowl(values: &[Value]) -> f64 {
    let number = |i: usize| match values[i] {
        Value::Double(x) => x,
        Value::Int(n) => n as f64,
        Value::Index(i) => i as f64,
    };
    (number(0) - 0.7).powi(2)
        + (number(1) + 0.4).powi(2)
        + ((number(2).log10() + 4.5) / 3.0).powi(2)
        + ((number(3) - 23.0) / 40.0).powi(2)
        + if number(4) == 2.0 { 0.0 } else { 0.5 }
}

fn best(history: &[Trial]) -> f64 {
    history
        .iter()
        .filter_map(|t| t.objective)
        .fold(f64::INFINITY, f64::min)
}

/// In how many of 40 pairs of runs an algorithm ends with a better point than random search.
fn wins_over_random(algorithm: &Algorithm, trials: (usize, usize)) -> usize {
    let bowl_space = space(vec![
        double(-1.0, 1.0, None, Scale::Uniform),
        double(-1.0, 1.0, None, Scale::Uniform),
        double(1e-6, 1.0, None, Scale::LogUniform),
        int(1, 64, 1, Scale::Uniform),
        categorical(4),
    ]);
    let random = diwan_algorithms::find("random").expect("it is in the table");
    let value = |values: &[Value]| (State::Succeeded, Some(bowl(values)));
    (0..40)
        .filter(|seed| {
            let ours = run(
                algorithm,
                &problem(algorithm, &bowl_space, *seed),
                trials,
                value,
            );
            let seed = seed + 1000;
            let other = run(random, &problem(random, &bowl_space, seed), trials, value);
            best(&ours) < best(&other)
        })
        .count()
}

/// Those that try points several times, or go on in small steps, are compared by what they spend;
/// `auto` is as good as what it chooses, and some search graphs alone.
fn is_comparable(algorithm: &Algorithm) -> bool {
    let serves = |space: &SearchSpace| (algorithm.build)(&problem(algorithm, space, 0)).is_ok();
    !supports(algorithm, Capability::Fidelity)
        && !supports(algorithm, Capability::Continues)
        && algorithm.name != "auto"
        && continuous_spaces().iter().any(serves)
}

/// Seeds are fixed, so this passes or fails always alike. Had they been drawn, an algorithm that
/// is as good as random search would fall below 8 of 40 once in 47,000 times.
#[test]
fn no_algorithm_is_worse_than_random_search_on_a_bowl() {
    // Those that learn are held to more below.
    let learns = |a: &Algorithm| supports(a, Capability::LearnsFromHistory);
    for algorithm in ALGORITHMS
        .iter()
        .filter(|a| a.name != "grid" && is_comparable(a) && !learns(a))
    {
        let wins = wins_over_random(algorithm, (60, 1));
        assert!(wins >= 8, "{} won {wins} of 40", algorithm.name);
    }
}

/// An algorithm that is no better than random search would reach 33 of 40 once in 47,000 times.
#[test]
fn algorithms_that_learn_beat_random_search_on_a_bowl() {
    for algorithm in ALGORITHMS {
        if is_comparable(algorithm) && supports(algorithm, Capability::LearnsFromHistory) {
            for batch in [1, 5] {
                let wins = wins_over_random(algorithm, (60, batch));
                assert!(wins >= 33, "{} by {batch} won {wins} of 40", algorithm.name);
            }
        }
    }
}

#[test]
fn what_was_given_before_but_is_in_no_history_is_not_given_again() {
    let finite = space(vec![int(1, 10, 1, Scale::Uniform)]);
    let grid = diwan_algorithms::find("grid").unwrap();
    let problem = Problem {
        issued: 4,
        ..problem(grid, &finite, 0)
    };
    let mut designer = (grid.build)(&problem).unwrap();
    designer.observe(&[], &[]);
    let next = designer.suggest(1).unwrap();
    assert_eq!(next.proposals[0].values, [Value::Int(5)]);
}

#[test]
fn the_grid_refuses_what_it_can_not_list() {
    let refusal = |domain: Domain, max_trials| {
        let grid = diwan_algorithms::find("grid").unwrap();
        let mut problem = problem(grid, &space(vec![domain]), 0);
        problem.budget.max_trials = max_trials;
        (grid.build)(&problem)
            .err()
            .map(|refusal| refusal.to_string())
    };
    assert_eq!(
        refusal(double(0.0, 1.0, None, Scale::Uniform), None).unwrap(),
        "failed to validate parameters(p0): Param p0 step is nil; For discrete search space, all \
         parameters must include step"
    );
    assert_eq!(
        refusal(int(1, 4, 1, Scale::Uniform), Some(5)).unwrap(),
        "failed to validate parameters(p0): Max Trial Count: 5 > all possible search \
         combinations: 4"
    );
    assert_eq!(refusal(int(1, 4, 1, Scale::Uniform), Some(4)), None);
}

/// Algorithm, setting, value, and the text with which it is refused.
const REFUSALS: &[[&str; 4]] = &[
    [
        "bayesianoptimization",
        "base_estimator",
        "SVM",
        "base_estimator SVM is not supported in Bayesian optimization",
    ],
    [
        "bayesianoptimization",
        "acq_func",
        "UCB",
        "acq_func UCB is not supported in Bayesian optimization",
    ],
    [
        "bayesianoptimization",
        "acq_optimizer",
        "adam",
        "acq_optimizer adam is not supported in Bayesian optimization",
    ],
    [
        "bayesianoptimization",
        "n_initial_points",
        "-1",
        "n_initial_points should be great or equal than zero",
    ],
    [
        "bayesianoptimization",
        "random_state",
        "-1",
        "random_state should be great or equal than zero",
    ],
    [
        "cmaes",
        "restart_strategy",
        "often",
        "restart_strategy often is not supported in CMAES optimization",
    ],
    [
        "cmaes",
        "sigma",
        "-0.5",
        "sigma should be greate or equal than zero",
    ],
    [
        "tpe",
        "gamma",
        "1.5",
        "gamma should be in the range of (0, 1)",
    ],
    [
        "tpe",
        "gamma",
        "nan",
        "gamma should be in the range of (0, 1)",
    ],
    [
        "tpe",
        "prior_weight",
        "0",
        "prior_weight should be great than zero",
    ],
    [
        "tpe",
        "n_EI_candidates",
        "0",
        "n_EI_candidates should be great than zero",
    ],
    [
        "tpe",
        "random_state",
        "-1",
        "random_state should be great or equal than zero",
    ],
    [
        "tpe",
        "colour",
        "red",
        "unknown setting colour for algorithm tpe",
    ],
    [
        "tpe",
        "prior_weight",
        "aaa",
        "failed to validate prior_weight(aaa): not a number",
    ],
    [
        "tpe",
        "multivariate",
        "so",
        "failed to validate multivariate(so): neither true nor false",
    ],
    [
        "random",
        "gamma",
        "0.5",
        "unknown setting gamma for algorithm random",
    ],
    [
        "random",
        "random_state",
        "-1",
        "random_state should be great or equal than zero",
    ],
    [
        "multivariate-tpe",
        "n_startup_trials",
        "-1",
        "n_startup_trials should be greate or equal than zero",
    ],
    [
        "multivariate-tpe",
        "n_ei_candidates",
        "-1",
        "n_ei_candidates should be greate or equal than zero",
    ],
    [
        "hyperband",
        "r_l",
        "-1",
        "r_l must be a positive float number.",
    ],
    [
        "hyperband",
        "r_l",
        "aaa",
        "r_l must be a positive float number.",
    ],
    [
        "bohb",
        "random_fraction",
        "1.5",
        "random_fraction should be in the range of [0, 1]",
    ],
    [
        "grid",
        "random_state",
        "-3",
        "random_state should be greate or equal than zero",
    ],
];

#[test]
fn settings_are_refused_in_the_words_of_katib() {
    let refusal = |algorithm: &str, name: &str, value: &str| {
        let algorithm = diwan_algorithms::find(algorithm).unwrap();
        let setting = AlgorithmSetting {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        Settings::parse(algorithm, &[setting])
            .err()
            .map(|errors| errors[0].text.clone())
    };
    for [algorithm, name, value, text] in REFUSALS {
        assert_eq!(refusal(algorithm, name, value).as_deref(), Some(*text));
    }
    assert_eq!(refusal("sobol", "colour", "red"), None);
    assert_eq!(refusal("hyperband", "current_s", "2"), None);
    assert_eq!(refusal("auto", "auto.choice", "tpe"), None);
    assert_eq!(refusal("bohb", "random_fraction", "0"), None);
    assert_eq!(refusal("tpe", "gamma", "0.5"), None);
}

#[test]
fn the_table_is_sorted_and_its_defaults_are_valid() {
    let names: Vec<_> = ALGORITHMS.iter().map(|a| a.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    for algorithm in ALGORITHMS {
        assert!(
            algorithm
                .settings
                .is_sorted_by_key(|s| s.name.to_lowercase()),
            "{}",
            algorithm.name
        );
        let given: Vec<_> = algorithm
            .settings
            .iter()
            .filter(|s| !s.default.is_empty())
            .map(|s| AlgorithmSetting {
                name: s.name.into(),
                value: s.default.into(),
            })
            .collect();
        assert!(
            Settings::parse(algorithm, &given).is_ok(),
            "{}",
            algorithm.name
        );
    }
}
