//! Architecture search with real training, on handwritten digits: whether `enas` draws better
//! networks the more it has seen, and whether the cell that `darts` derives is better than what
//! chance gives. The search spaces and settings are those of the experiments in `examples/`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use diwan_algorithms::{Budget, Goal, Memo, Problem, Proposal, Settings, Trial, find};
use diwan_api::{AlgorithmSetting, NasConfig, SearchSpace};
use diwan_architectures::darts::{self, Genotype, Primitive};
use diwan_architectures::digits::{self, Data};
use diwan_architectures::enas::{self, Architecture, Training};
use diwan_architectures::{flag, use_one_thread};
use diwan_bench::trial;
use serde_json::Value;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// Searches architectures, each trial a real training.
#[derive(Parser)]
struct Arguments {
    /// The folder of the examples
    #[arg(long, default_value = "examples")]
    examples: PathBuf,
    /// How many seeds
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed_from: u64,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The first and the last ten of so many networks
    Enas {
        /// How many networks are trained
        #[arg(long, default_value_t = 40)]
        trials: usize,
        /// How long each is trained
        #[arg(long, default_value_t = 3)]
        epochs: usize,
        /// The algorithm that draws them
        #[arg(long, default_value = "enas")]
        algorithm: String,
    },
    /// The derived cell and as many that chance gives
    Darts {
        /// How many cells chance gives
        #[arg(long, default_value_t = 20)]
        cells: u64,
        /// How long each cell is trained
        #[arg(long, default_value_t = 5)]
        epochs: usize,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    use_one_thread();
    let seeds = arguments.seed_from..arguments.seed_from + arguments.seeds;
    let seeds: Vec<u64> = seeds.collect();
    let data = digits::load()?;
    match &arguments.what {
        What::Enas {
            trials,
            epochs,
            algorithm,
        } => {
            let example = Example::read(&arguments, "enas-digits")?;
            compare_ends(&example, algorithm, &data, &seeds, (*trials, *epochs))
        }
        What::Darts { cells, epochs } => {
            let example = Example::read(&arguments, "darts-digits")?;
            compare_cells(&example, &data, &seeds, (*cells, *epochs))
        }
    }
}

/// What an experiment of `examples/` searches.
struct Example {
    nas: NasConfig,
    settings: Vec<AlgorithmSetting>,
}

impl Example {
    fn read(arguments: &Arguments, name: &str) -> anyhow::Result<Self> {
        let file = arguments.examples.join(name).join("experiment.yaml");
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let experiment: Value = serde_saphyr::from_str(&text)?;
        let spec = &experiment["spec"];
        let settings = &spec["algorithm"]["algorithmSettings"];
        Ok(Self {
            nas: serde_json::from_value(spec["nasConfig"].clone())?,
            settings: serde_json::from_value::<Option<_>>(settings.clone())?.unwrap_or_default(),
        })
    }

    /// What an algorithm proposes after these trials.
    fn propose(
        &self,
        name: &str,
        seed: u64,
        trials: &[Trial],
        memo: &mut Memo,
    ) -> anyhow::Result<Proposal> {
        let algorithm = find(name).with_context(|| format!("no algorithm {name}"))?;
        let settings = Settings::parse(algorithm, &self.settings);
        let problem = Problem {
            space: SearchSpace {
                parameters: Vec::new(),
            },
            goal: Goal::Maximize,
            settings: settings.map_err(|errors| anyhow::anyhow!("{errors:?}"))?,
            seed,
            issued: trials.len(),
            budget: Budget::default(),
            nas: Some(self.nas.clone()),
        };
        let mut designer = (algorithm.build)(&problem)?;
        memo.keep_first(trials.len());
        designer.observe_further(trials, &[], memo);
        let proposals = designer.suggest(1)?.proposals;
        proposals.into_iter().next().context("nothing is left")
    }
}

fn text<'a>(proposal: &'a Proposal, name: &str) -> anyhow::Result<&'a str> {
    let found = proposal.texts.iter().find(|text| text.name == name);
    Ok(&found.with_context(|| format!("no {name}"))?.value)
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len().max(1) as f64
}

/// How likely so large a mean is by chance, if the numbers are drawn around zero: Student's test,
/// one-sided.
fn chance(numbers: &[f64]) -> anyhow::Result<f64> {
    let (n, middle) = (numbers.len() as f64, mean(numbers));
    let squares: f64 = numbers.iter().map(|x| (x - middle).powi(2)).sum();
    let error = (squares / (n - 1.0) / n).sqrt();
    Ok(StudentsT::new(0.0, 1.0, n - 1.0)?.sf(middle / error))
}

#[expect(clippy::print_stdout, reason = "it prints its figures")]
fn compare_ends(
    example: &Example,
    algorithm: &str,
    data: &Data,
    seeds: &[u64],
    (count, epochs): (usize, usize),
) -> anyhow::Result<()> {
    const END: usize = 10;
    println!("{algorithm}, {count} networks, {epochs} epochs each\n");
    println!("| seed | first {END} | last {END} | best |\n|---:|---:|---:|---:|");
    let mut gains = Vec::new();
    for &seed in seeds {
        let scores = run(example, algorithm, data, seed, (count, epochs))?;
        let (first, last) = (mean(&scores[..END]), mean(&scores[count - END..]));
        let best = scores.iter().copied().fold(0.0, f64::max);
        println!("| {seed} | {first:.4} | {last:.4} | {best:.4} |");
        gains.push(last - first);
    }
    println!(
        "\nmean gain {:.4}, p = {:.5}",
        mean(&gains),
        chance(&gains)?
    );
    Ok(())
}

/// The accuracies of networks, one trained after another.
fn run(
    example: &Example,
    algorithm: &str,
    data: &Data,
    seed: u64,
    (count, epochs): (usize, usize),
) -> anyhow::Result<Vec<f64>> {
    let (mut trials, mut memo, mut scores) = (Vec::new(), Memo::default(), Vec::new());
    while trials.len() < count {
        let proposal = example.propose(algorithm, seed, &trials, &mut memo)?;
        let rows = flag::json(text(&proposal, "architecture")?).map_err(anyhow::Error::msg)?;
        let config = flag::json(text(&proposal, "nn_config")?).map_err(anyhow::Error::msg)?;
        let architecture = Architecture::new(&rows, &config).map_err(anyhow::Error::msg)?;
        let training = Training {
            epochs,
            batch_size: 64,
            learning_rate: 0.003,
            seed: seed * 1000 + trials.len() as u64,
        };
        let mut accuracy = 0.0;
        enas::train(&architecture, data, &training, |_, judged| {
            accuracy = judged.accuracy;
            Ok(())
        })?;
        scores.push(accuracy);
        let mut trial = trial::begin(trials.len(), proposal);
        trial::end(&mut trial, accuracy);
        trials.push(trial);
    }
    Ok(scores)
}

#[expect(clippy::print_stdout, reason = "it prints its figures")]
fn compare_cells(
    example: &Example,
    data: &Data,
    seeds: &[u64],
    (cells, epochs): (u64, usize),
) -> anyhow::Result<()> {
    let proposal = example.propose("darts", 0, &[], &mut Memo::default())?;
    let settings = darts::Settings::parse(text(&proposal, "algorithm-settings")?);
    let settings = settings.map_err(anyhow::Error::msg)?;
    let names: Vec<String> =
        flag::json(text(&proposal, "search-space")?).map_err(anyhow::Error::msg)?;
    let parsed = names.iter().map(|name| name.parse::<Primitive>());
    let primitives: Vec<Primitive> = parsed
        .collect::<Result<_, _>>()
        .map_err(anyhow::Error::msg)?;
    let layers: usize = text(&proposal, "num-layers")?.parse()?;
    let mut trained = settings.clone();
    trained.num_epochs = epochs;
    let accuracy = |genotype: &Genotype, seed: u64| {
        let mut accuracy = 0.0;
        darts::retrain(genotype, layers, &trained, data, seed, |_, judged| {
            accuracy = judged.accuracy;
            Ok(())
        })?;
        anyhow::Ok(accuracy)
    };
    let mut random = Vec::new();
    for seed in 0..cells {
        let genotype = Genotype::random(&primitives, settings.num_nodes, layers > 1, seed);
        random.push(accuracy(&genotype, seed)?);
    }
    random.sort_by(f64::total_cmp);
    let median = mean(&random[(random.len() - 1) / 2..=random.len() / 2]);
    println!("{cells} random cells, {epochs} epochs each: {random:.4?}\nmedian {median:.4}\n");
    println!("| seed | derived cell | skip connections | genotype |\n|---:|---:|---:|---|");
    let mut gains = Vec::new();
    for &seed in seeds {
        let ignore = |_, _, _: &Genotype| Ok(());
        let found = darts::search(&primitives, layers, &settings, &data.training, seed, ignore)?;
        let score = accuracy(&found, seed)?;
        let (skips, edges) = found.skips();
        println!("| {seed} | {score:.4} | {skips} of {edges} | `{found}` |");
        gains.push(score - median);
    }
    println!(
        "\nmean above the median {:.4}, p = {:.5}",
        mean(&gains),
        chance(&gains)?
    );
    Ok(())
}
