//! Architecture search over NAS-Bench-201: what the algorithms find in a table of networks that
//! were all trained.
//!
//! The cell of that table has six edges with one of five operations each. It is searched as six
//! categorical parameters, and as the layers of a `nasConfig`, whose connections say nothing here.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use diwan_algorithms::{Budget, Capability, Goal, Memo, Problem, Settings, Trial, find};
use diwan_api::nas::{GraphConfig, Operation};
use diwan_api::search_space::Value;
use diwan_api::{AlgorithmSetting, NasConfig, ParameterSpec, ParameterType, SearchSpace};
use diwan_bench::search::{self, table};
use diwan_bench::trial;

/// Compares the algorithms that search architectures.
#[derive(Parser)]
struct Arguments {
    /// The folder that `bench/tables.py` has written
    #[arg(long, default_value = ".cache/search/tables")]
    tables: PathBuf,
    /// The table
    #[arg(long, default_value = "nasbench201_cifar10")]
    table: String,
    /// The algorithms
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "random,local-search,regularized-evolution,tpe,enas"
    )]
    algorithms: Vec<String>,
    /// How many networks are trained
    #[arg(long, default_value_t = 150)]
    budget: usize,
    /// How many at a time
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// How many seeds
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed_from: u64,
    /// Measure what a suggestion of `enas` costs with this many trials of 12 layers, and nothing else
    #[arg(long)]
    latency: Option<usize>,
    /// Settings of the algorithms, NAME=VALUE
    #[arg(long = "set")]
    settings: Vec<String>,
}

#[expect(clippy::print_stdout, reason = "it prints its figures")]
fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(trials) = arguments.latency {
        println!("{}", latency(trials)?);
        return Ok(());
    }
    let problems = table::problems(&arguments.tables)?;
    let problem = problems.into_iter().find(|p| p.name == arguments.table);
    let problem = problem.with_context(|| format!("no table {}", arguments.table))?;
    println!(
        "best in the table {:.3}, {} networks, seeds {} to {}\n",
        -problem.best,
        arguments.budget,
        arguments.seed_from,
        arguments.seed_from + arguments.seeds - 1
    );
    println!(
        "| algorithm | as | mean of the best | s.e. | CPU ms a trial |\n|---|---|---:|---:|---:|"
    );
    for name in &arguments.algorithms {
        for space in [Space::Parameters, Space::Layers] {
            if let Some(row) = row(&arguments, &problem, name, space)? {
                println!("{row}");
            }
        }
    }
    Ok(())
}

/// How the cell is described.
#[derive(Clone, Copy, PartialEq)]
enum Space {
    Parameters,
    Layers,
}

/// One line of the table; none for an algorithm that does not search such a space.
fn row(
    arguments: &Arguments,
    table: &search::Problem,
    name: &str,
    space: Space,
) -> anyhow::Result<Option<String>> {
    let algorithm = find(name).with_context(|| format!("no algorithm {name}"))?;
    let takes_layers = algorithm.supports.contains(&Capability::Architectures);
    let takes_parameters = (algorithm.build)(&problem(table, Space::Parameters)).is_ok();
    let word = match space {
        Space::Parameters if takes_parameters => "parameters",
        Space::Layers if takes_layers => "layers",
        _ => return Ok(None),
    };
    let begin = search::registry::thread_seconds()?;
    let seeds = arguments.seed_from..arguments.seed_from + arguments.seeds;
    let best: anyhow::Result<Vec<f64>> = seeds
        .map(|seed| Ok(-run(arguments, table, name, (space, seed))?))
        .collect();
    let seconds = search::registry::thread_seconds()? - begin;
    let best = best?;
    let n = best.len() as f64;
    let mean = best.iter().sum::<f64>() / n;
    let spread = best.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let milliseconds = 1000.0 * seconds / n / arguments.budget as f64;
    Ok(Some(format!(
        "| {name} | {word} | {mean:.3} | {:.3} | {milliseconds:.2} |",
        (spread / n).sqrt()
    )))
}

fn problem(table: &search::Problem, space: Space) -> Problem {
    Problem {
        space: match space {
            Space::Parameters => table.space.clone(),
            Space::Layers => SearchSpace {
                parameters: Vec::new(),
            },
        },
        goal: Goal::Minimize,
        settings: Settings::default(),
        seed: 0,
        issued: 0,
        budget: Budget::default(),
        nas: (space == Space::Layers).then(|| {
            let words = table.space.parameters[0].domain.cardinality();
            layers(table.space.parameters.len(), words.unwrap_or_default())
        }),
    }
}

/// A graph of so many layers and operations.
fn layers(count: usize, operations: u64) -> NasConfig {
    let operation = |index: u64| {
        let mut parameter = ParameterSpec {
            name: "kind".to_owned(),
            parameter_type: Some(ParameterType::Categorical),
            ..ParameterSpec::default()
        };
        parameter.feasible_space.list.push("only".to_owned());
        Operation {
            operation_type: format!("operation{index}"),
            parameters: vec![parameter],
        }
    };
    NasConfig {
        graph_config: Some(GraphConfig {
            num_layers: i32::try_from(count).ok(),
            input_sizes: vec![32, 32, 3],
            output_sizes: vec![10],
        }),
        operations: (0..operations).map(operation).collect(),
    }
}

/// The smallest value that one search finds.
fn run(
    arguments: &Arguments,
    table: &search::Problem,
    name: &str,
    (space, seed): (Space, u64),
) -> anyhow::Result<f64> {
    let algorithm = find(name).context("it is in the table")?;
    let takes = |name: &str| algorithm.settings.iter().any(|s| s.name == name);
    let given = arguments.settings.iter().filter_map(|text| {
        let (name, value) = text.split_once('=')?;
        let (name, value) = (name.to_owned(), value.to_owned());
        takes(&name).then_some(AlgorithmSetting { name, value })
    });
    let settings = Settings::parse(algorithm, &given.collect::<Vec<_>>())
        .map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let mut problem = problem(table, space);
    (problem.settings, problem.seed) = (settings, seed);
    let mut trials: Vec<Trial> = Vec::new();
    let mut memo = Memo::default();
    let mut best = f64::INFINITY;
    while trials.len() < arguments.budget {
        problem.issued = trials.len();
        let mut designer = (algorithm.build)(&problem)?;
        memo.keep_first(trials.len());
        designer.observe_further(&trials, &[], &mut memo);
        let suggested = designer.suggest(arguments.batch)?;
        anyhow::ensure!(!suggested.proposals.is_empty(), "{name} has nothing left");
        for proposal in suggested.proposals {
            let mut trial = trial::begin(trials.len(), proposal);
            let point = match space {
                Space::Parameters => trial.point().context("a value is missing")?,
                Space::Layers => operations(trial.text("architecture").unwrap_or_default()),
            };
            let loss = table.value(&point);
            trial::end(&mut trial, loss);
            best = best.min(loss);
            trials.push(trial);
        }
    }
    Ok(best)
}

/// The operation of each layer.
fn operations(architecture: &str) -> Vec<Value> {
    let rows = architecture.split('[').filter_map(|row| {
        let first = row.split([',', ']']).next()?;
        first.trim().parse().ok().map(Value::Index)
    });
    rows.collect()
}

/// What the suggestion after so many trials of 12 layers costs, with what the one before left and
/// after a restart, and how much memory this program takes then.
fn latency(count: usize) -> anyhow::Result<String> {
    let algorithm = find("enas").context("it is in the table")?;
    let mut problem = Problem {
        space: SearchSpace {
            parameters: Vec::new(),
        },
        goal: Goal::Minimize,
        settings: Settings::parse(algorithm, &[]).map_err(|e| anyhow::anyhow!("{e:?}"))?,
        seed: 0,
        issued: 0,
        budget: Budget::default(),
        nas: Some(layers(12, 6)),
    };
    let mut trials: Vec<Trial> = Vec::new();
    let mut memo = Memo::default();
    let mut milliseconds = 0.0;
    while trials.len() < count {
        problem.issued = trials.len();
        milliseconds = ask(&problem, &mut trials, &mut memo)?;
    }
    trials.pop();
    let anew = ask(&problem, &mut trials, &mut Memo::default())?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let memory = status.lines().find(|line| line.starts_with("VmRSS"));
    Ok(format!(
        "{count} trials of 12 layers: {milliseconds:.0} ms, after a restart {anew:.0} ms of \
         processor time; {}",
        memory.unwrap_or_default()
    ))
}

/// Adds a trial, and returns how many milliseconds its suggestion took.
fn ask(problem: &Problem, trials: &mut Vec<Trial>, memo: &mut Memo) -> anyhow::Result<f64> {
    let algorithm = find("enas").context("it is in the table")?;
    let begin = search::registry::thread_seconds()?;
    memo.keep_first(trials.len());
    let mut designer = (algorithm.build)(problem)?;
    designer.observe_further(trials, &[], memo);
    let proposal = designer.suggest(1)?.proposals.pop();
    let milliseconds = 1000.0 * (search::registry::thread_seconds()? - begin);
    let number = trials.len();
    let mut trial = trial::begin(number, proposal.context("nothing is left")?);
    trial::end(&mut trial, number as f64 * 0.618 % 1.0);
    trials.push(trial);
    Ok(milliseconds)
}
