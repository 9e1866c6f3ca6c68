//! Population based training against fixed learning rates at equal epochs, on a trial program of the
//! examples. It is run as a trial runs it, with checkpoints in folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::Parser;
use diwan_algorithms::{Budget, Goal, Problem, Settings, find, parent};
use diwan_api::search_space::{Domain, Parameter, Scale, Value};
use diwan_api::{AlgorithmSetting, SearchSpace};
use diwan_bench::trial;

/// Compares populations with fixed rates.
#[derive(Parser)]
struct Arguments {
    /// How many members a population has, and how many trainings with fixed rates there are
    #[arg(long, default_value_t = 10)]
    population: usize,
    /// How many trials each member has
    #[arg(long, default_value_t = 20)]
    generations: usize,
    /// How many epochs a trial has
    #[arg(long, default_value_t = 10)]
    epochs: usize,
    /// How many seeds
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The program, which lies beside this one
    #[arg(long, default_value = "pbt-toy")]
    program: String,
    /// What it is judged by
    #[arg(long, default_value = "Validation-accuracy")]
    metric: String,
    /// Smaller is better
    #[arg(long)]
    minimize: bool,
    /// The least learning rate
    #[arg(long, default_value_t = 0.0001)]
    least: f64,
    /// The largest learning rate
    #[arg(long, default_value_t = 0.02)]
    most: f64,
}

#[expect(clippy::print_stdout, reason = "it prints its figures")]
fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let program = std::env::current_exe()?.with_file_name(&arguments.program);
    let bench = Bench { arguments, program };
    let Arguments {
        population,
        generations,
        epochs,
        seeds,
        ..
    } = bench.arguments;
    println!(
        "{population} trainings of {} epochs, {seeds} seeds: the best {} at the end\n",
        generations * epochs,
        bench.arguments.metric
    );
    println!("| rates | mean | s.e. | least | most |\n|---|---:|---:|---:|---:|");
    println!(
        "{}",
        row("`pbt`", &bench.each(|seed| bench.population(seed, None))?)
    );
    // Members are replaced by better ones, but no rate ever changes.
    let selected = bench.each(|seed| bench.population(seed, Some("0")))?;
    println!("{}", row("`pbt`, `resample_probability` 0", &selected));
    let grid = bench.each(|seed| bench.fixed(seed, |place| bench.rate(place)))?;
    println!("{}", row("fixed, a grid of them", &grid));
    for place in 0..population {
        let rate = bench.rate(place);
        let best = bench.each(|seed| bench.fixed(seed, |_| rate))?;
        println!("{}", row(&format!("all fixed at {rate:.5}"), &best));
    }
    Ok(())
}

fn row(name: &str, values: &[f64]) -> String {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let spread = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let error = (spread / n).sqrt();
    format!("| {name} | {mean:.3} | {error:.3} | {least:.3} | {most:.3} |")
}

struct Bench {
    arguments: Arguments,
    program: PathBuf,
}

impl Bench {
    fn each(&self, run: impl Fn(u64) -> anyhow::Result<f64>) -> anyhow::Result<Vec<f64>> {
        (0..self.arguments.seeds).map(run).collect()
    }

    /// One of as many rates as there are members, evenly on a log scale.
    fn rate(&self, place: usize) -> f64 {
        let share = place as f64 / (self.arguments.population - 1).max(1) as f64;
        let Arguments { least, most, .. } = self.arguments;
        least * (most / least).powf(share)
    }

    /// The best of trainings that keep their rates.
    fn fixed(&self, seed: u64, rate: impl Fn(usize) -> f64) -> anyhow::Result<f64> {
        let epochs = self.arguments.epochs * self.arguments.generations;
        let folder = tempfile::tempdir()?;
        let ends = (0..self.arguments.population).map(|place| {
            let own = folder.path().join(place.to_string());
            let chance = seed * 1_000_000 + place as u64;
            self.train(&own, rate(place), epochs, chance)
        });
        Ok(self.best(&ends.collect::<anyhow::Result<Vec<f64>>>()?))
    }

    /// The best of the last trials of a population's members.
    fn population(&self, seed: u64, resample: Option<&str>) -> anyhow::Result<f64> {
        let Arguments {
            population,
            generations,
            epochs,
            ..
        } = self.arguments;
        let algorithm = find("pbt").context("no pbt")?;
        let mut problem = problem(&self.arguments, seed, resample)?;
        let folder = tempfile::tempdir()?;
        let mut trials = Vec::new();
        while trials.len() < population * generations {
            problem.issued = trials.len();
            let mut designer = (algorithm.build)(&problem)?;
            designer.observe(&trials, &[]);
            let proposal = designer.suggest(1)?.proposals.pop();
            let proposal = proposal.context("pbt gives nothing")?;
            let mut trial = trial::begin(trials.len(), proposal);
            let Some(Some(Value::Double(rate))) = trial.values.first().copied() else {
                anyhow::bail!("a rate is no number");
            };
            let own = folder.path().join(&trial.name);
            if let Some(parent) = parent(&trial) {
                copy(&folder.path().join(parent), &own)?;
            }
            let chance = seed * 1_000_000 + trials.len() as u64;
            trial::end(&mut trial, self.train(&own, rate, epochs, chance)?);
            trials.push(trial);
        }
        let last = trials[trials.len() - population..].iter();
        let ends: Vec<f64> = last.filter_map(|trial| trial.objective).collect();
        Ok(self.best(&ends))
    }

    fn best(&self, values: &[f64]) -> f64 {
        let values = values.iter().copied();
        if self.arguments.minimize {
            values.fold(f64::INFINITY, f64::min)
        } else {
            values.fold(f64::NEG_INFINITY, f64::max)
        }
    }

    /// Trains for some epochs and returns what it is judged by at their end.
    fn train(&self, folder: &Path, rate: f64, epochs: usize, seed: u64) -> anyhow::Result<f64> {
        let mut command = Command::new(&self.program);
        command
            .arg(format!("--lr={rate}"))
            .arg(format!("--epochs={epochs}"))
            .arg(format!("--seed={seed}"))
            .arg("--checkpoint")
            .arg(folder);
        let describe = || format!("can't run {}", self.program.display());
        let ran = command.output().with_context(describe)?;
        anyhow::ensure!(
            ran.status.success(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        let text = String::from_utf8(ran.stdout)?;
        let last = text.lines().last().unwrap_or_default();
        let name = format!("{}=", self.arguments.metric);
        let value = last
            .split_whitespace()
            .find_map(|word| word.strip_prefix(&*name));
        Ok(value.context("the metric was not printed")?.parse()?)
    }
}

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn problem(arguments: &Arguments, seed: u64, resample: Option<&str>) -> anyhow::Result<Problem> {
    let domain = Domain::Double {
        min: arguments.least,
        max: arguments.most,
        step: None,
        scale: Scale::LogUniform,
    };
    let setting = |name: &str, value: String| AlgorithmSetting {
        name: name.to_owned(),
        value,
    };
    let mut given = vec![
        setting("suggestion_trial_dir", "/checkpoints".to_owned()),
        setting("n_population", arguments.population.to_string()),
        setting("truncation_threshold", "0.2".to_owned()),
    ];
    given.extend(resample.map(|share| setting("resample_probability", share.to_owned())));
    let algorithm = find("pbt").context("no pbt")?;
    let settings = Settings::parse(algorithm, &given);
    Ok(Problem {
        space: SearchSpace {
            parameters: vec![Parameter {
                name: "lr".to_owned(),
                domain,
            }],
        },
        goal: if arguments.minimize {
            Goal::Minimize
        } else {
            Goal::Maximize
        },
        settings: settings.map_err(|errors| anyhow::anyhow!("{errors:?}"))?,
        seed,
        issued: 0,
        budget: Budget::default(),
        nas: None,
    })
}
