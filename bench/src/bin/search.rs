//! The search benchmark: the algorithms over standard test functions and real tables, scored
//! beside random search, and beside other people's optimizers on the same problems.
//!
//! `make bench-search` fetches the tables and runs it; docs/benchmarks.md says how to read it.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use diwan_algorithms::find;
use diwan_bench::search::latency::{self, Kind};
use diwan_bench::search::report::Report;
use diwan_bench::search::run::{Contestant, Plan};
use diwan_bench::search::{Problem, baseline, functions, registry, table};

/// Measures what the search algorithms find, and what they cost.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// How good the points are that are found with a number of trials
    Scores(ScoresArguments),
    /// Processor time of one suggestion
    Latency(LatencyArguments),
}

#[derive(Args)]
struct ScoresArguments {
    /// The algorithms; all that search without fidelities when none is named
    #[arg(long, value_delimiter = ',')]
    algorithms: Vec<String>,
    /// The problems, by name or group; all when none is named
    #[arg(long, value_delimiter = ',')]
    problems: Vec<String>,
    /// The folder that `bench/tables.py` has written; no tables when it is not given
    #[arg(long)]
    tables: Option<PathBuf>,
    /// After how many trials scores are given
    #[arg(long, value_delimiter = ',', default_value = "50,100")]
    budgets: Vec<usize>,
    /// How many points are asked for at a time
    #[arg(long, value_delimiter = ',', default_value = "1,10")]
    batches: Vec<usize>,
    /// How many seeds
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed_from: u64,
    /// How many runs at a time; as many as there are cores when it is not given
    #[arg(long)]
    jobs: Option<usize>,
    /// Other people's optimizers, of those that `bench/peers.py` knows
    #[arg(long, value_delimiter = ',', num_args = 0.., default_missing_value = "optuna-tpe,optuna-cmaes,catcmawm")]
    peers: Vec<String>,
    /// A Python that has the packages of the peers
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// The script that runs the peers
    #[arg(long, default_value = "bench/peers.py")]
    script: PathBuf,
    /// Tables in markdown, or one JSON document with every run
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Args)]
struct LatencyArguments {
    /// The algorithms; all that search without fidelities when none is named
    #[arg(long, value_delimiter = ',')]
    algorithms: Vec<String>,
    /// The spaces
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "mixed20,float20"
    )]
    kinds: Vec<Kind>,
    /// How many trials are known
    #[arg(long = "n", value_delimiter = ',', default_value = "100,500,1000,5000")]
    counts: Vec<usize>,
    /// How often each is measured; the median counts
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// A table in markdown, or one JSON document
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Scores(arguments) => scores(&arguments),
        Command::Latency(arguments) => latencies(&arguments),
    }
}

#[expect(clippy::print_stdout, reason = "it prints its figures")]
fn scores(arguments: &ScoresArguments) -> anyhow::Result<()> {
    let problems = problems(arguments)?;
    let budget = arguments.budgets.iter().copied().max();
    let budget = budget.filter(|n| *n > 0).context("no budget")?;
    ensure!(
        !arguments.budgets.contains(&0) && !arguments.batches.contains(&0),
        "budgets and batches are at least 1"
    );
    let random: Vec<Vec<f64>> = problems
        .iter()
        .map(|problem| baseline::random_search(problem, budget))
        .collect();
    let plan = Plan {
        budget,
        batches: arguments.batches.clone(),
        seeds: arguments.seed_from..arguments.seed_from + arguments.seeds,
        jobs: match arguments.jobs {
            Some(jobs) => jobs,
            None => std::thread::available_parallelism()?.get(),
        },
        python: arguments.python.clone(),
        script: arguments.script.clone(),
    };
    let mut results = Vec::new();
    for contestant in contestants(arguments) {
        eprintln!("{}", contestant.name());
        match contestant.runs(&problems, &plan) {
            Ok(runs) => results.push((contestant, runs)),
            // One that was not asked for by name and does not serve every problem.
            Err(error) if is_default(&contestant, arguments) => {
                eprintln!("left out: {error:#}");
            }
            Err(error) => return Err(error),
        }
    }
    let report = Report {
        problems: &problems,
        random: &random,
        results: &results,
        budgets: &arguments.budgets,
        batches: &arguments.batches,
    };
    match arguments.format {
        Format::Table => print!("{}", report.table()),
        Format::Json => println!("{}", report.json()),
    }
    Ok(())
}

fn problems(arguments: &ScoresArguments) -> anyhow::Result<Vec<Problem>> {
    let mut problems = functions::all();
    if let Some(folder) = &arguments.tables {
        problems.extend(table::problems(folder)?);
    }
    let wanted = &arguments.problems;
    for name in wanted {
        ensure!(
            problems.iter().any(|p| p.name == *name || p.group == name),
            "no problem and no group is called {name}"
        );
    }
    problems.retain(|p| {
        wanted.is_empty() || wanted.contains(&p.name) || wanted.iter().any(|w| w == p.group)
    });
    Ok(problems)
}

fn contestants(arguments: &ScoresArguments) -> Vec<Contestant> {
    let named = arguments.algorithms.iter().cloned();
    let mut contestants: Vec<_> = named.map(Contestant::BuiltIn).collect();
    if contestants.is_empty() {
        let all = registry::names().into_iter().map(str::to_owned);
        contestants.extend(all.map(Contestant::BuiltIn));
    }
    contestants.extend(arguments.peers.iter().cloned().map(Contestant::Peer));
    contestants
}

fn is_default(contestant: &Contestant, arguments: &ScoresArguments) -> bool {
    matches!(contestant, Contestant::BuiltIn(_)) && arguments.algorithms.is_empty()
}

#[expect(clippy::print_stdout, reason = "it prints its figures")]
fn latencies(arguments: &LatencyArguments) -> anyhow::Result<()> {
    let mut names: Vec<&str> = arguments.algorithms.iter().map(String::as_str).collect();
    if names.is_empty() {
        names = registry::names();
    }
    let mut rows = Vec::new();
    for name in names {
        let algorithm = find(name).with_context(|| format!("no algorithm {name}"))?;
        for kind in &arguments.kinds {
            let measured: anyhow::Result<Vec<_>> = arguments
                .counts
                .iter()
                .map(|n| latency::measure(algorithm, *kind, *n, arguments.repetitions.max(1)))
                .collect();
            match measured {
                Ok(measured) => rows.extend(measured),
                Err(error) => eprintln!("{name} is left out: {error:#}"),
            }
        }
    }
    match arguments.format {
        Format::Table => print!("{}", latency::table(&rows, &arguments.counts)),
        Format::Json => println!("{}", latency::json(&rows)),
    }
    Ok(())
}
