use diwan_api::nas::{GraphConfig, Operation};
use diwan_api::parameter::FeasibleSpace;
use diwan_api::{AlgorithmSetting, NasConfig, ParameterSpec, ParameterType, SearchSpace};
use indexmap::IndexMap;

use super::*;
use crate::{Budget, Goal, Settings, State};

fn problem(layers: i32, operations: usize, given: &[(&str, &str)]) -> Problem {
    let list = (0..operations).map(|i| i.to_string()).collect();
    let parameter = ParameterSpec {
        name: "filter_size".to_owned(),
        parameter_type: Some(ParameterType::Categorical),
        feasible_space: FeasibleSpace {
            list,
            ..FeasibleSpace::default()
        },
    };
    let given: Vec<AlgorithmSetting> = given
        .iter()
        .map(|(name, value)| AlgorithmSetting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        })
        .collect();
    Problem {
        space: SearchSpace {
            parameters: Vec::new(),
        },
        goal: Goal::Maximize,
        settings: Settings::parse(&ALGORITHM, &given).unwrap(),
        seed: 5,
        issued: 0,
        budget: Budget::default(),
        nas: Some(NasConfig {
            graph_config: Some(GraphConfig {
                num_layers: Some(layers),
                input_sizes: vec![8],
                output_sizes: vec![2],
            }),
            operations: vec![Operation {
                operation_type: "convolution".to_owned(),
                parameters: vec![parameter],
            }],
        }),
    }
}

fn designer(problem: &Problem, issued: usize) -> Enas {
    let problem = Problem {
        issued,
        ..problem.clone()
    };
    Enas::new(&problem).unwrap()
}

/// How many layers have the operation 1, less the connections.
fn worth(trial: &Trial) -> f64 {
    let text = trial.text("architecture").unwrap();
    let rows = text
        .split('[')
        .filter_map(|row| row.split([',', ']']).next());
    let right = rows.filter(|first| *first == "1").count() as f64;
    right - 0.1 * text.matches(", 1").count() as f64
}

/// Runs a search, one trial at a time.
fn search(problem: &Problem, total: usize) -> Vec<Trial> {
    let (mut history, mut memo) = (Vec::new(), Memo::default());
    while history.len() < total {
        memo.keep_first(history.len());
        let mut designer = designer(problem, history.len());
        designer.observe_further(&history, &[], &mut memo);
        let suggested = designer.suggest(1).unwrap();
        for proposal in suggested.proposals {
            let mut trial = Trial {
                name: format!("t{}", history.len()),
                values: Vec::new(),
                state: State::Succeeded,
                objective: None,
                labels: IndexMap::new(),
                texts: proposal.texts,
            };
            trial.objective = Some(worth(&trial));
            history.push(trial);
        }
        if suggested.exhausted {
            break;
        }
    }
    history
}

#[test]
fn the_controller_learns_which_architectures_earn_most() {
    let problem = problem(5, 4, &[]);
    let history = search(&problem, 80);
    let mean = |part: &[Trial]| part.iter().map(worth).sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&history[..20]), mean(&history[60..]));
    assert!(last > first + 1.2, "{first} {last}");
}

#[test]
fn an_answer_is_the_same_whatever_was_kept_and_whenever_it_was_asked_for() {
    let problem = problem(3, 4, &[("controller_train_steps", "5")]);
    let whole = search(&problem, 40);
    let ask = |completed: &[Trial], active: &[Trial], memo: &mut Memo| {
        let mut designer = designer(&problem, completed.len() + active.len());
        designer.observe_further(completed, active, memo);
        designer.suggest(3).unwrap()
    };
    let mut memo = Memo::default();
    let mut last: Vec<Trial> = Vec::new();
    let late = {
        let mut late = whole.clone();
        let first = late.remove(2);
        late.push(first);
        late
    };
    let lost = [&whole[..7], &whole[12..]].concat();
    // In growing, lost, late and reversed histories.
    let reversed: Vec<Trial> = whole.iter().rev().cloned().collect();
    for history in [
        &whole[..9],
        &whole[..33],
        &whole,
        &late,
        &lost,
        &whole[..20],
        &reversed,
        &whole,
    ] {
        let same = history.iter().zip(&last).take_while(|(a, b)| a == b);
        memo.keep_first(same.count());
        let kept = ask(history, &whole[..1], &mut memo);
        assert_eq!(kept, ask(history, &whole[..1], &mut Memo::default()));
        last = history.to_vec();
    }
    // The trial that came next in the run comes next again.
    for cut in [0, 1, 13, 39] {
        let next = ask(&whole[..cut], &[], &mut Memo::default());
        assert_eq!(next.proposals[0].texts, whole[cut].texts, "{cut}");
    }
}

#[test]
fn a_small_graph_is_searched_to_its_end_without_repetition() {
    let problem = problem(2, 3, &[("controller_train_steps", "2")]);
    let history = search(&problem, 100);
    let mut texts: Vec<&str> = history
        .iter()
        .filter_map(|t| t.text("architecture"))
        .collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!((history.len(), texts.len()), (18, 18));
}

#[test]
fn one_layer_and_one_operation_are_served() {
    let history = search(&problem(1, 1, &[]), 5);
    assert_eq!(history[0].text("architecture"), Some("[[0]]"));
    assert_eq!(history.len(), 1);
}

#[test]
fn few_learners_are_kept_the_closer_to_the_newest_the_closer_together() {
    let problem = problem(1, 2, &[]);
    let learner = designer(&problem, 0).learner;
    let mut learners = Vec::new();
    for count in 1..=200 {
        learners.push((count, learner.clone()));
        thin(&mut learners);
    }
    let counts: Vec<usize> = learners.iter().map(|(count, _)| *count).collect();
    assert_eq!(counts, [128, 160, 176, 192, 196, 198, 199, 200]);
}

#[test]
fn settings_are_refused_in_the_words_of_katib() {
    let refusal = |name: &str, value: &str| {
        let setting = AlgorithmSetting {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let errors = Settings::parse(&ALGORITHM, &[setting]).err();
        errors.map(|errors| errors[0].text.clone())
    };
    let rows = [
        ("colour", "red", "Unknown Algorithm Setting name: colour"),
        (
            "controller_hidden_size",
            "0",
            "Algorithm Setting controller_hidden_size: 0 with int type must be in range [1, inf)",
        ),
        (
            "controller_temperature",
            "-1",
            "Algorithm Setting controller_temperature: -1.0 with float type must be in range (0, inf]",
        ),
        (
            "controller_baseline_decay",
            "1.5",
            "Algorithm Setting controller_baseline_decay: 1.5 with float type must be in range \
             (0.0, 1.0]",
        ),
        (
            "controller_train_steps",
            "None",
            "Algorithm Setting controller_train_steps must be int type: None is not a whole number",
        ),
    ];
    for (name, value, text) in rows {
        assert_eq!(refusal(name, value).as_deref(), Some(text));
    }
    for name in [
        "controller_temperature",
        "controller_tanh_const",
        "controller_skip_weight",
    ] {
        assert_eq!(refusal(name, "None"), None);
    }
    let none = problem(
        3,
        2,
        &[
            ("controller_tanh_const", "None"),
            ("controller_temperature", "None"),
        ],
    );
    assert_eq!(search(&none, 10).len(), 10);
}
