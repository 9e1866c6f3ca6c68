//! What `auto` chooses in which situation, and that it says so.

use diwan_algorithms::{
    ALGORITHMS, Budget, Goal, Problem, Settings, State, Suggested, Trial, find,
};
use diwan_api::search_space::{Domain, Parameter, Scale, Value};
use diwan_api::{AlgorithmSetting, SearchSpace};

fn space(domains: Vec<Domain>) -> SearchSpace {
    let parameter = |(i, domain)| Parameter {
        name: format!("p{i}"),
        domain,
    };
    SearchSpace {
        parameters: domains.into_iter().enumerate().map(parameter).collect(),
    }
}

fn numbers(count: usize) -> SearchSpace {
    let number = Domain::Double {
        min: 0.0,
        max: 1.0,
        step: None,
        scale: Scale::Uniform,
    };
    space(vec![number; count])
}

fn with_a_category() -> SearchSpace {
    let mut space = numbers(3);
    let items = ["a", "b", "c"].map(str::to_owned).to_vec();
    space.parameters[0].domain = Domain::Categorical(items);
    space
}

fn ask(
    space: SearchSpace,
    budget: Budget,
    observed: usize,
    memory: &[AlgorithmSetting],
) -> Suggested {
    let auto = find("auto").expect("it is in the table");
    let value = |i: usize, j: usize, domain: &Domain| match domain {
        Domain::Categorical(list) => Value::Index(i % list.len()),
        Domain::Int { min, max, .. } => Value::Int(min + i as i64 % (max - min + 1)),
        _ => Value::Double(((i * 37 + j * 11) % 101) as f64 / 101.0),
    };
    let trial = |i: usize| Trial {
        name: format!("t{i}"),
        values: (space.parameters.iter().enumerate())
            .map(|(j, p)| Some(value(i, j, &p.domain)))
            .collect(),
        state: State::Succeeded,
        objective: Some(((i * 53) % 97) as f64),
        labels: indexmap::IndexMap::default(),
        texts: Vec::new(),
    };
    let trials: Vec<Trial> = (0..observed).map(trial).collect();
    let problem = Problem {
        space,
        goal: Goal::Minimize,
        settings: Settings::parse(auto, memory).expect("nothing is wrong"),
        seed: 1,
        issued: observed,
        budget,
        nas: None,
    };
    let mut designer = (auto.build)(&problem).expect("every space is served");
    designer.observe(&trials, &[]);
    designer.suggest(2).expect("it suggests")
}

fn choice(suggested: &Suggested) -> &str {
    let found = suggested.settings.iter().find(|s| s.name == "auto.choice");
    &found.expect("it says what it chose").value
}

#[test]
fn the_situation_decides() {
    let three = Domain::Int {
        min: 1,
        max: 3,
        step: 1,
        scale: Scale::Uniform,
    };
    let budget = |max_trials: Option<usize>, parallel| Budget {
        max_trials,
        parallel,
    };
    for (space, budget, observed, expected) in [
        (
            space(vec![three.clone(), three]),
            budget(Some(50), 3),
            0,
            "grid",
        ),
        (numbers(3), budget(Some(8), 8), 0, "sobol"),
        (numbers(3), budget(Some(500), 64), 100, "cmaes"),
        (numbers(1), budget(None, 64), 100, "bayesianoptimization"),
        (numbers(3), budget(None, 1), 401, "cmaes"),
        (with_a_category(), budget(None, 1), 401, "tpe"),
        (numbers(80), budget(None, 1), 30, "tpe"),
        (
            with_a_category(),
            budget(Some(100), 10),
            30,
            "bayesianoptimization",
        ),
    ] {
        let suggested = ask(space, budget, observed, &[]);
        assert_eq!(choice(&suggested), expected);
        assert_eq!(suggested.proposals.len(), 2);
        let note = suggested.note.expect("a choice is told");
        assert!(
            note.starts_with(&format!("algorithm {expected} is used: ")),
            "{note}"
        );
    }
}

#[test]
fn a_choice_is_told_when_it_changes_and_only_then() {
    let budget = Budget {
        max_trials: None,
        parallel: 1,
    };
    let first = ask(with_a_category(), budget, 12, &[]);
    assert!(first.note.is_some());
    let second = ask(with_a_category(), budget, 13, &first.settings);
    assert_eq!(
        (choice(&second), second.note.as_ref()),
        (choice(&first), None)
    );
    let third = ask(with_a_category(), budget, 450, &second.settings);
    assert_ne!(choice(&third), choice(&first));
    assert!(third.note.is_some());
}

#[test]
fn its_page_names_what_it_chooses() {
    let page = include_str!("../../../docs/algorithms/auto.md");
    let chosen = ["grid", "sobol", "cmaes", "tpe", "bayesianoptimization"];
    for algorithm in ALGORITHMS {
        let is_named = page.contains(&format!("| `{}` |", algorithm.name));
        assert_eq!(
            is_named,
            chosen.contains(&algorithm.name),
            "{}",
            algorithm.name
        );
    }
}
