//! Recorded learning curves replayed in virtual time: how good the configuration is that a search
//! finds with a share of the epochs that training all configurations to their end takes.
//!
//! `bench/npz.py curves.npz > curves.json`, then this program with that file. A proposed
//! configuration is answered with the curve of the nearest recorded one. A trial begins at its
//! first epoch, as a pod does: nothing is carried over from a shorter trial of the same
//! configuration. What counts is the error after the last epoch, of configurations that were
//! trained until then.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Parser;
use diwan_algorithms::{Algorithm, Budget, Goal, Problem, Proposal, Settings, State, Trial, find};
use diwan_api::search_space::{Domain, Parameter, Scale, Value};
use diwan_api::{AlgorithmSetting, SearchSpace};
use diwan_bench::trial;
use serde_json::Value as Json;

/// Replays recorded learning curves.
#[derive(Parser)]
struct Arguments {
    /// The curves, as `bench/npz.py` prints them
    curves: PathBuf,
    /// The algorithms
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "random,hyperband,bohb,asha"
    )]
    algorithms: Vec<String>,
    /// How many seeds
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed_from: u64,
    /// How many trials run at a time
    #[arg(long, default_value_t = 8)]
    workers: usize,
    /// The share of all epochs that may be spent
    #[arg(long, default_value_t = 0.1)]
    share: f64,
    /// Settings beside `r_l` and `resource_name`, as `name=value`
    #[arg(long, value_delimiter = ',')]
    settings: Vec<String>,
}

#[expect(clippy::print_stdout, reason = "a measurement is printed")]
fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let text = std::fs::read_to_string(&arguments.curves)
        .with_context(|| format!("can't read {}", arguments.curves.display()))?;
    let curves = Curves::read(&serde_json::from_str(&text)?)?;
    let budget = (arguments.share * curves.all_epochs() as f64) as usize;
    println!(
        "{} configurations × {} epochs; {budget} epochs may be spent; best of all {:.4}",
        curves.configurations.len(),
        curves.epochs(),
        curves.best()
    );
    println!("algorithm     median    mean  within 0.005 of the best  trained to the end  epochs");
    for name in &arguments.algorithms {
        let algorithm = find(name).with_context(|| format!("no algorithm {name}"))?;
        let mut outcomes = Vec::new();
        for seed in arguments.seed_from..arguments.seed_from + arguments.seeds {
            outcomes.push(Replay::new(&curves, algorithm, &arguments, seed)?.run(budget)?);
        }
        print_row(name, &curves, &outcomes);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a measurement is printed")]
fn print_row(name: &str, curves: &Curves, outcomes: &[Outcome]) {
    let mut errors: Vec<f64> = outcomes.iter().map(|o| o.error).collect();
    errors.sort_by(f64::total_cmp);
    let count = errors.len();
    let median = f64::midpoint(errors[(count - 1) / 2], errors[count / 2]);
    let mean =
        |value: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(value).sum::<f64>() / count as f64;
    let near = errors
        .iter()
        .filter(|e| **e <= curves.best() + 0.005 + 1e-7)
        .count();
    println!(
        "{name:<12}  {median:.4}  {:.4}  {near:>8} of {count:<14}  {:>18.1}  {:>6.0}",
        mean(&|o| o.error),
        mean(&|o| o.trained as f64),
        mean(&|o| o.epochs as f64),
    );
}

/// What was recorded.
struct Curves {
    space: SearchSpace,
    /// Places of the configurations in the unit cube.
    configurations: Vec<Vec<f64>>,
    /// The error after each epoch.
    errors: Vec<Vec<f64>>,
    /// How long an epoch takes.
    seconds: Vec<f64>,
}

impl Curves {
    fn read(document: &Json) -> anyhow::Result<Self> {
        let list = |name: &str| {
            document[name]
                .as_array()
                .with_context(|| format!("the file has no {name}"))
        };
        let numbers = |json: &Json| -> Vec<f64> {
            json.as_array()
                .into_iter()
                .flatten()
                .filter_map(Json::as_f64)
                .collect()
        };
        let parameters: Option<Vec<Parameter>> = list("space")?.iter().map(parameter).collect();
        let space = SearchSpace {
            parameters: parameters.context("the space can't be read")?,
        };
        let place = |configuration: &Json| -> Option<Vec<f64>> {
            let values = space.parameters.iter().map(|p| {
                let json = &configuration[&p.name];
                let text = json
                    .as_str()
                    .map_or_else(|| json.to_string(), str::to_owned);
                Some(position(&p.domain, p.domain.parse_value(&text)?))
            });
            values.collect()
        };
        let configurations: Option<Vec<_>> = list("configs")?.iter().map(place).collect();
        let seconds = numbers(&document["seconds"]);
        let errors: Vec<_> = list("val_error")?.iter().map(numbers).collect();
        let configurations = configurations.context("a configuration is outside of the space")?;
        ensure!(errors.len() == configurations.len() && seconds.len() == errors.len());
        Ok(Self {
            space,
            configurations,
            errors,
            seconds,
        })
    }

    fn epochs(&self) -> usize {
        self.errors[0].len()
    }

    fn all_epochs(&self) -> usize {
        self.epochs() * self.errors.len()
    }

    fn best(&self) -> f64 {
        let last = self.errors.iter().filter_map(|curve| curve.last());
        last.copied().fold(f64::INFINITY, f64::min)
    }

    /// The recorded configuration that is nearest.
    fn nearest(&self, values: &[Value]) -> usize {
        let point: Vec<f64> = self
            .space
            .parameters
            .iter()
            .zip(values)
            .map(|(p, value)| position(&p.domain, *value))
            .collect();
        let distance = |index: &usize| -> f64 {
            let pairs = self
                .space
                .parameters
                .iter()
                .zip(&self.configurations[*index])
                .zip(&point);
            pairs
                .map(|((p, a), b)| match p.domain {
                    Domain::Categorical(_) => f64::from(a != b),
                    _ => (a - b).powi(2),
                })
                .sum()
        };
        (0..self.configurations.len())
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            .unwrap_or_default()
    }
}

/// `[name, kind, low, high, logarithmic, items]`
fn parameter(row: &Json) -> Option<Parameter> {
    let scale = if row[4].as_bool()? {
        Scale::LogUniform
    } else {
        Scale::Uniform
    };
    let (low, high) = (row[2].as_f64()?, row[3].as_f64()?);
    let domain = match row[1].as_str()? {
        "float" => Domain::Double {
            min: low,
            max: high,
            step: None,
            scale,
        },
        "int" => Domain::Int {
            min: low as i64,
            max: high as i64,
            step: 1,
            scale,
        },
        _ => {
            let items = row[5].as_array()?.iter().filter_map(Json::as_str);
            Domain::Categorical(items.map(str::to_owned).collect())
        }
    };
    Some(Parameter {
        name: row[0].as_str()?.to_owned(),
        domain,
    })
}

/// Where a value lies between the ends of its domain; the index of a category.
fn position(domain: &Domain, value: Value) -> f64 {
    let between = |x: f64, min: f64, max: f64, scale: &Scale| match scale {
        Scale::LogUniform => (x / min).ln() / (max / min).ln(),
        _ => (x - min) / (max - min),
    };
    match (domain, value) {
        (
            Domain::Double {
                min, max, scale, ..
            },
            Value::Double(x),
        ) => between(x, *min, *max, scale),
        (
            Domain::Int {
                min, max, scale, ..
            },
            Value::Int(n),
        ) => between(n as f64, *min as f64, *max as f64, scale),
        (_, Value::Index(index)) => index as f64,
        _ => f64::NAN,
    }
}

/// How one search ended.
struct Outcome {
    /// The smallest error after the last epoch.
    error: f64,
    /// How many configurations were trained to the end.
    trained: usize,
    /// How many epochs were spent.
    epochs: usize,
}

/// One search.
struct Replay<'a> {
    curves: &'a Curves,
    algorithm: &'static Algorithm,
    problem: Problem,
    /// Place of the epochs among the parameters; `None` where every trial takes them all.
    resource: Option<usize>,
    workers: usize,
    trials: Vec<Trial>,
    /// Trials that run: when they end, which, and what they will have achieved.
    running: Vec<(f64, usize, f64)>,
}

impl<'a> Replay<'a> {
    fn new(
        curves: &'a Curves,
        algorithm: &'static Algorithm,
        arguments: &Arguments,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let mut space = curves.space.clone();
        let mut given = vec![("random_state".to_owned(), seed.to_string())];
        let takes_resource = algorithm.settings.iter().any(|s| s.name == "resource_name");
        if takes_resource {
            let max = curves.epochs() as i64;
            let domain = Domain::Int {
                min: 1,
                max,
                step: 1,
                scale: Scale::Uniform,
            };
            space.parameters.push(Parameter {
                name: "epochs".to_owned(),
                domain,
            });
            given.push(("r_l".to_owned(), max.to_string()));
            given.push(("resource_name".to_owned(), "epochs".to_owned()));
            let pairs = arguments.settings.iter().filter_map(|s| s.split_once('='));
            let known =
                pairs.filter(|(name, _)| algorithm.settings.iter().any(|s| s.name == *name));
            given.extend(known.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        let given: Vec<_> = given
            .into_iter()
            .map(|(name, value)| AlgorithmSetting { name, value })
            .collect();
        let settings = Settings::parse(algorithm, &given).map_err(|e| anyhow::anyhow!("{e:?}"))?;
        let problem = Problem {
            space,
            goal: Goal::Minimize,
            settings,
            seed,
            issued: 0,
            budget: Budget {
                max_trials: Some(1_000_000),
                parallel: arguments.workers,
            },
            nas: None,
        };
        Ok(Self {
            curves,
            algorithm,
            resource: takes_resource.then(|| problem.space.parameters.len() - 1),
            problem,
            workers: arguments.workers,
            trials: Vec::new(),
            running: Vec::new(),
        })
    }

    /// Runs until so many epochs were spent.
    fn run(mut self, budget: usize) -> anyhow::Result<Outcome> {
        let mut now = 0.0;
        let mut outcome = Outcome {
            error: f64::INFINITY,
            trained: 0,
            epochs: 0,
        };
        loop {
            let free = self.workers - self.running.len();
            let mut spent = false;
            for proposal in self.ask(free)? {
                let (curve, epochs) = self.place(&proposal);
                spent = outcome.epochs + epochs > budget;
                if spent {
                    break;
                }
                outcome.epochs += epochs;
                self.start(now, &proposal, curve, epochs);
                if epochs == self.curves.epochs() {
                    outcome.trained += 1;
                    outcome.error = outcome.error.min(self.curves.errors[curve][epochs - 1]);
                }
            }
            if spent {
                return Ok(outcome);
            }
            let first = (0..self.running.len())
                .min_by(|a, b| self.running[*a].0.total_cmp(&self.running[*b].0));
            let Some(first) = first else {
                return Ok(outcome);
            };
            let (end, trial, error) = self.running.swap_remove(first);
            now = end;
            self.trials[trial].state = State::Succeeded;
            self.trials[trial].objective = Some(error);
        }
    }

    fn ask(&self, count: usize) -> anyhow::Result<Vec<Proposal>> {
        let problem = Problem {
            issued: self.trials.len(),
            ..self.problem.clone()
        };
        let mut designer = (self.algorithm.build)(&problem)?;
        let (active, completed): (Vec<_>, Vec<_>) = self
            .trials
            .iter()
            .cloned()
            .partition(|t| t.state == State::Active);
        designer.observe(&completed, &active);
        Ok(designer.suggest(count)?.proposals)
    }

    /// Which curve answers a proposal, and how many of its epochs are wanted.
    fn place(&self, proposal: &Proposal) -> (usize, usize) {
        let mut values = proposal.values.clone();
        let epochs = match self.resource.map(|resource| values.remove(resource)) {
            Some(Value::Int(epochs)) => epochs as usize,
            _ => self.curves.epochs(),
        };
        (self.curves.nearest(&values), epochs)
    }

    fn start(&mut self, now: f64, proposal: &Proposal, curve: usize, epochs: usize) {
        let error = self.curves.errors[curve][epochs - 1];
        let end = now + epochs as f64 * self.curves.seconds[curve];
        self.running.push((end, self.trials.len(), error));
        let number = self.trials.len();
        self.trials.push(trial::begin(number, proposal.clone()));
    }
}
