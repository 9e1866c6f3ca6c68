//! Searches, each for itself, several at a time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use diwan_algorithms::{Algorithm, Budget, find};

use super::draw::Draws;
use super::peer::Peer;
use super::registry::BuiltIn;
use super::{Problem, Searcher};

/// Who searches.
#[derive(Clone, Debug)]
pub enum Contestant {
    /// An algorithm of this project, by name.
    BuiltIn(String),
    /// An optimizer that `bench/peers.py` knows by this name.
    Peer(String),
}

/// What all runs have in common.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many points are tried in a run.
    pub budget: usize,
    /// How many of them at a time.
    pub batches: Vec<usize>,
    /// The seeds.
    pub seeds: std::ops::Range<u64>,
    /// How many runs at a time.
    pub jobs: usize,
    /// The Python with the peers' packages.
    pub python: PathBuf,
    /// The script that runs the peers.
    pub script: PathBuf,
}

/// One search.
#[derive(Clone, Debug)]
pub struct Run {
    /// Place of the problem.
    pub problem: usize,
    /// How many points at a time.
    pub batch: usize,
    /// The seed.
    pub seed: u64,
    /// The value of the point with the smallest observation, after each trial.
    pub trajectory: Vec<f64>,
    /// Processor time of the searcher for each trial, in milliseconds.
    pub cpu_ms: f64,
}

impl Contestant {
    /// How it is called.
    pub fn name(&self) -> &str {
        match self {
            Self::BuiltIn(name) | Self::Peer(name) => name,
        }
    }

    /// All its runs over the problems, or why it can't run on one of them.
    pub fn runs(&self, problems: &[Problem], plan: &Plan) -> anyhow::Result<Vec<Run>> {
        let jobs: Vec<(usize, usize, u64)> = (0..problems.len())
            .flat_map(|p| plan.batches.iter().map(move |b| (p, *b)))
            .flat_map(|(p, b)| plan.seeds.clone().map(move |seed| (p, b, seed)))
            .collect();
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        let work = || -> anyhow::Result<()> {
            let mut worker = self.worker(&plan.python, &plan.script)?;
            while let Some((index, batch, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let problem = &problems[*index];
                let mut searcher = worker.searcher(problem, *seed, plan.budget, *batch)?;
                let (trajectory, cpu_ms) =
                    search(&mut *searcher, problem, *seed, plan.budget, *batch).with_context(
                        || format!("{} on {}, seed {seed}", self.name(), problem.name),
                    )?;
                let run = Run {
                    problem: *index,
                    batch: *batch,
                    seed: *seed,
                    trajectory,
                    cpu_ms,
                };
                done.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(run);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..plan.jobs.max(1)).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| {
                let ended = thread.join();
                ended.unwrap_or_else(|_| Err(anyhow::anyhow!("{} has a defect", self.name())))
            })
        })?;
        let mut runs = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        runs.sort_by_key(|run| (run.problem, run.batch, run.seed));
        Ok(runs)
    }

    fn worker(&self, python: &Path, script: &Path) -> anyhow::Result<Worker> {
        Ok(match self {
            Self::BuiltIn(name) => {
                Worker::BuiltIn(find(name).with_context(|| format!("no algorithm {name}"))?)
            }
            Self::Peer(name) => Worker::Peer(Peer::start(python, script, name)?),
        })
    }
}

/// What one thread needs.
enum Worker {
    BuiltIn(&'static Algorithm),
    Peer(Peer),
}

impl Worker {
    fn searcher<'a>(
        &'a mut self,
        problem: &'a Problem,
        seed: u64,
        budget: usize,
        batch: usize,
    ) -> anyhow::Result<Box<dyn Searcher + 'a>> {
        Ok(match self {
            Self::BuiltIn(algorithm) => {
                let budget = Budget {
                    max_trials: Some(budget),
                    parallel: batch,
                };
                Box::new(BuiltIn::new(algorithm, &problem.space, seed, budget))
            }
            Self::Peer(peer) => Box::new(peer.search(&problem.space, seed, budget)?),
        })
    }
}

/// One search: what was reached after each trial, and processor time for each in milliseconds.
fn search(
    searcher: &mut dyn Searcher,
    problem: &Problem,
    seed: u64,
    budget: usize,
    batch: usize,
) -> anyhow::Result<(Vec<f64>, f64)> {
    let mut noise = Draws::new(777 + seed);
    let mut trajectory: Vec<f64> = Vec::with_capacity(budget);
    let (mut observed, mut reached) = (f64::INFINITY, f64::INFINITY);
    while trajectory.len() < budget {
        let points = searcher.ask(batch.min(budget - trajectory.len()))?;
        if points.is_empty() {
            break;
        }
        let mut losses = Vec::with_capacity(points.len());
        for point in &points {
            let value = problem.value(point);
            let loss = value + problem.noise * noise.normal();
            if loss < observed {
                (observed, reached) = (loss, value);
            }
            losses.push(loss);
            trajectory.push(reached);
        }
        searcher.tell(&losses)?;
    }
    ensure!(!trajectory.is_empty(), "nothing is proposed");
    let cpu_ms = searcher.seconds() * 1e3 / trajectory.len() as f64;
    // A search that has seen the whole space keeps what it reached.
    trajectory.resize(budget, reached);
    Ok((trajectory, cpu_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::functions;

    #[test]
    fn a_run_never_gets_worse_and_is_the_same_again() {
        let mut problems = functions::all();
        problems.retain(|p| p.name == "hartmann6" || p.name == "branin_int");
        let plan = Plan {
            budget: 20,
            batches: vec![1, 8],
            seeds: 0..2,
            jobs: 2,
            python: PathBuf::new(),
            script: PathBuf::new(),
        };
        let tpe = Contestant::BuiltIn("tpe".to_owned());
        let runs = tpe.runs(&problems, &plan).unwrap();
        assert_eq!(runs.len(), 8);
        for run in &runs {
            assert_eq!(run.trajectory.len(), 20);
            assert!(run.trajectory.is_sorted_by(|a, b| a >= b));
        }
        let again = tpe.runs(&problems, &plan).unwrap();
        for (a, b) in runs.iter().zip(&again) {
            assert_eq!(a.trajectory, b.trajectory);
        }
        assert_ne!(runs[0].trajectory, runs[1].trajectory);
    }

    #[test]
    fn what_an_algorithm_refuses_is_said() {
        let mut problems = functions::all();
        problems.truncate(1);
        let plan = Plan {
            budget: 5,
            batches: vec![1],
            seeds: 0..1,
            jobs: 1,
            python: PathBuf::new(),
            script: PathBuf::new(),
        };
        let grid = Contestant::BuiltIn("grid".to_owned());
        let error = format!("{:#}", grid.runs(&problems, &plan).unwrap_err());
        assert!(error.starts_with("grid on sphere6, seed 0: "), "{error}");
    }
}
