//! How long one suggestion takes when everything is observed, and how long observing takes, of
//! `cmaes` both together when one trial has ended since the last request:
//! 10 numbers, 5 whole numbers and 5 categories, `n` trials that have ended.
#![allow(missing_docs)] // what criterion's macros make has none

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use diwan_algorithms::{Budget, Designer, Goal, Memo, Problem, Settings, State, Trial, find};
use diwan_api::SearchSpace;
use diwan_api::search_space::{Domain, Parameter, Scale, Value};

fn mixed20() -> SearchSpace {
    let domain = |i: usize| match i % 4 {
        2 => Domain::Int {
            min: 0,
            max: 100,
            step: 1,
            scale: Scale::Uniform,
        },
        3 => Domain::Categorical((0..4).map(|c| format!("c{c}")).collect()),
        _ => Domain::Double {
            min: 0.0,
            max: 1.0,
            step: None,
            scale: Scale::Uniform,
        },
    };
    let parameter = |i| Parameter {
        name: format!("x{i}"),
        domain: domain(i),
    };
    SearchSpace {
        parameters: (0..20).map(parameter).collect(),
    }
}

/// A number in [0, 1) that depends on two others in no simple way.
fn noise(a: usize, b: usize) -> f64 {
    ((a * 7919 + b * 104_729) as f64 * 0.618_033_988_749_895).fract()
}

fn trial(index: usize) -> Trial {
    let value = |i: usize| match i % 4 {
        2 => Value::Int((noise(index, i) * 101.0) as i64),
        3 => Value::Index((noise(index, i) * 4.0) as usize),
        _ => Value::Double(noise(index, i)),
    };
    Trial {
        name: format!("trial-{index}"),
        values: (0..20).map(|i| Some(value(i))).collect(),
        state: State::Succeeded,
        objective: Some(noise(index, 99)),
        labels: indexmap::IndexMap::default(),
        texts: Vec::new(),
    }
}

fn designer(algorithm: &str, trials: usize) -> Box<dyn Designer> {
    let algorithm = find(algorithm).expect("it is in the table");
    let problem = Problem {
        space: mixed20(),
        goal: Goal::Minimize,
        settings: Settings::parse(algorithm, &[]).expect("nothing is wrong"),
        seed: 1,
        issued: trials,
        budget: Budget {
            max_trials: None,
            parallel: 1,
        },
        nas: None,
    };
    (algorithm.build)(&problem).expect("the space is served")
}

fn suggest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("suggest");
    for algorithm in ["tpe"] {
        for count in [1_000, 5_000] {
            let history: Vec<Trial> = (0..count).map(trial).collect();
            group.bench_function(format!("{algorithm}/{count}/observe"), |bencher| {
                bencher.iter_batched(
                    || designer(algorithm, count),
                    |mut designer| {
                        designer.observe(&history, &[]);
                        designer
                    },
                    BatchSize::SmallInput,
                );
            });
            group.bench_function(format!("{algorithm}/{count}/suggest"), |bencher| {
                bencher.iter_batched(
                    || {
                        let mut designer = designer(algorithm, count);
                        designer.observe(&history, &[]);
                        designer
                    },
                    |mut designer| black_box(designer.suggest(1)),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    for count in [1_000, 5_000] {
        let history: Vec<Trial> = (0..count).map(trial).collect();
        let mut memo = Memo::default();
        group.bench_function(format!("cmaes/{count}/further"), |bencher| {
            bencher.iter(|| {
                let mut designer = designer("cmaes", count);
                memo.keep_first(count - 1);
                designer.observe_further(&history, &[], &mut memo);
                black_box(designer.suggest(1))
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = suggest
}
criterion_main!(benches);
