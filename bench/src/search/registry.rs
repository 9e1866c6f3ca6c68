//! The algorithms of this project as searchers: asked the way the service asks them, with the
//! whole history for each answer and what the one before left.

use anyhow::Context as _;
use diwan_algorithms::{
    ALGORITHMS, Algorithm, Budget, Capability, Goal, Memo, Problem, Settings, State, Trial,
};
use diwan_api::search_space::Value;
use diwan_api::{AlgorithmSetting, SearchSpace};
use nix::time::{ClockId, clock_gettime};

use super::Searcher;
use crate::trial;

/// A run of an algorithm.
pub struct BuiltIn {
    algorithm: &'static Algorithm,
    problem: Problem,
    given: Vec<AlgorithmSetting>,
    returned: Vec<AlgorithmSetting>,
    trials: Vec<Trial>,
    memo: Memo,
    seconds: f64,
}

/// The names of the algorithms that can search without fidelities.
pub fn names() -> Vec<&'static str> {
    let plain = ALGORITHMS
        .iter()
        .filter(|a| !a.supports.contains(&Capability::Fidelity));
    plain.map(|a| a.name).collect()
}

impl BuiltIn {
    /// A run that begins.
    pub fn new(
        algorithm: &'static Algorithm,
        space: &SearchSpace,
        seed: u64,
        budget: Budget,
    ) -> Self {
        let takes_seed = algorithm.settings.iter().any(|s| s.name == "random_state");
        let random_state = AlgorithmSetting {
            name: "random_state".to_owned(),
            value: seed.to_string(),
        };
        Self {
            algorithm,
            problem: Problem {
                space: space.clone(),
                goal: Goal::Minimize,
                settings: Settings::default(),
                seed,
                issued: 0,
                budget,
                nas: None,
            },
            given: takes_seed.then_some(random_state).into_iter().collect(),
            returned: Vec::new(),
            trials: Vec::new(),
            memo: Memo::default(),
            seconds: 0.0,
        }
    }

    /// Takes in trials that this run did not propose.
    pub fn preload(&mut self, trials: Vec<Trial>) {
        self.trials.extend(trials);
    }

    fn propose(&mut self, count: usize) -> anyhow::Result<Vec<diwan_algorithms::Proposal>> {
        let known = |s: &&AlgorithmSetting| self.returned.iter().all(|r| r.name != s.name);
        let mut settings: Vec<_> = self.given.iter().filter(known).cloned().collect();
        settings.extend_from_slice(&self.returned);
        self.problem.settings = Settings::parse(self.algorithm, &settings).map_err(|errors| {
            let texts: Vec<_> = errors.into_iter().map(|e| e.text).collect();
            anyhow::anyhow!(texts.join("; "))
        })?;
        self.problem.issued = self.trials.len();
        let mut designer = (self.algorithm.build)(&self.problem)?;
        if designer.needs_history() {
            // Trials that have ended stay as they are, and later ones stand behind them.
            self.memo.keep_first(self.trials.len());
            designer.observe_further(&self.trials, &[], &mut self.memo);
        }
        let suggested = designer.suggest(count)?;
        self.returned = suggested.settings;
        Ok(suggested.proposals)
    }
}

impl Searcher for BuiltIn {
    fn ask(&mut self, count: usize) -> anyhow::Result<Vec<Vec<Value>>> {
        let begin = thread_seconds()?;
        let proposals = self.propose(count)?;
        self.seconds += thread_seconds()? - begin;
        let points = proposals.iter().map(|p| p.values.clone()).collect();
        for proposal in proposals {
            self.trials.push(trial::begin(self.trials.len(), proposal));
        }
        Ok(points)
    }

    fn tell(&mut self, losses: &[f64]) -> anyhow::Result<()> {
        let open = self.trials.iter_mut().filter(|t| t.state == State::Active);
        for (trial, loss) in open.zip(losses) {
            trial::end(trial, *loss);
        }
        Ok(())
    }

    fn seconds(&self) -> f64 {
        self.seconds
    }
}

/// The processor time of this thread, in seconds. The usage of a thread (getrusage) is counted in
/// ticks on many kernels, which are longer than what is measured here.
pub fn thread_seconds() -> anyhow::Result<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    let time = time.context("can't read the processor time")?;
    Ok(time.tv_sec() as f64 + time.tv_nsec() as f64 * 1e-9)
}
