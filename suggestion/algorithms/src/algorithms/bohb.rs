//! BOHB: the schedule of Hyperband with configurations from a Parzen estimator (Falkner et al.,
//! "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", 2018).
//!
//! The estimator learns from the highest level of the resource that has enough results. A share of
//! the configurations is drawn at random all the same, so that a level that misleads does no
//! lasting harm.
//!
//! Departures from the paper: the estimator is that of [`super::tpe`] with wider kernels, the points
//! among which it chooses are drawn from the whole space instead of the neighbourhood of the best,
//! which a cheap level may mislead, and a tenth of the configurations is random instead of a third.

use std::collections::BTreeMap;

use diwan_api::AlgorithmSetting;
use diwan_api::search_space::Value;
use indexmap::IndexMap;
use rand::RngExt;

use super::hyperband::Brackets;
use super::random;
use super::tpe::{self, Tpe};
use crate::axis::{Axis, axes};
use crate::fresh::Fresh;
use crate::ladder::{self, Run, Slot};
use crate::math::stream;
use crate::{
    Algorithm, Capability, Designer, Kind, Problem, Refusal, Setting, Settings, State, Suggested,
    Trial, UnknownSettings,
};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "bohb",
    aliases: &[],
    summary: "hyperband with configurations from a model of the trials so far",
    settings: &[
        ladder::ETA,
        ladder::R_L,
        Setting {
            name: "random_fraction",
            kind: Kind::Float {
                above: -f64::MIN_POSITIVE,
                below: 1.0 + f64::EPSILON,
                refusal: "random_fraction should be in the range of [0, 1]",
            },
            default: "0.1",
            doc: "share of the configurations that are drawn at random",
        },
        random::RANDOM_STATE,
        ladder::RESOURCE_NAME,
    ],
    unknown_settings: UnknownSettings::Refused,
    supports: &[
        Capability::LearnsFromHistory,
        Capability::Parallel,
        Capability::Distributions,
        Capability::Fidelity,
    ],
    build: |problem| Ok(Box::new(Bohb::new(problem)?)),
};

/// The stream that decides which configurations are drawn at random is not that of the draws.
const CHANCE: u64 = 0x626f_6862;

/// Kernels are so many times as wide as those of `tpe`: there are few results at each level.
const WIDTH: f64 = 2.0;

struct Bohb {
    problem: Problem,
    brackets: Brackets,
    axes: Vec<Axis>,
    fresh: Fresh,
    any_active: bool,
}

impl Bohb {
    fn new(problem: &Problem) -> Result<Self, Refusal> {
        let brackets = Brackets::new(problem)?;
        let axes = axes(&brackets.ladder.space);
        Ok(Self {
            problem: problem.clone(),
            brackets,
            fresh: Fresh::new(&axes),
            axes,
            any_active: false,
        })
    }

    /// The results of each level.
    fn levels(&self) -> BTreeMap<usize, Vec<&Run>> {
        let mut levels: BTreeMap<usize, Vec<&Run>> = BTreeMap::new();
        for ((bracket, rung), runs) in self.brackets.runs.rungs() {
            let level = self.brackets.base(bracket) + rung;
            levels.entry(level).or_default().extend(runs.values());
        }
        levels
    }

    /// What the model is to learn from: the results of the highest level that has enough of them,
    /// as trials of the space of configurations.
    fn lessons(&self) -> Option<Vec<Trial>> {
        let enough = 2 * self.axes.len() + 4;
        let levels = self.levels();
        let known = |runs: &&Vec<&Run>| runs.iter().filter(|run| run.loss.is_some()).count();
        let (_, results) = levels
            .iter()
            .rev()
            .find(|(_, runs)| known(runs) >= enough)?;
        let running = levels.values().flatten().filter(|run| run.active);
        let ended = results.iter().filter(|run| !run.active);
        let lesson = |run: &&Run| {
            let point = run.point.as_ref()?;
            let state = match (run.active, run.loss) {
                (true, _) => State::Active,
                (false, Some(_)) => State::Succeeded,
                (false, None) => State::Failed,
            };
            Some(Trial {
                name: String::new(),
                values: point.iter().copied().map(Some).collect(),
                state,
                objective: run.loss,
                labels: IndexMap::default(),
                texts: Vec::new(),
            })
        };
        Some(
            ended
                .copied()
                .chain(running.copied())
                .filter_map(|run| lesson(&run))
                .collect(),
        )
    }

    /// New configurations from the model; none before it has enough results.
    fn modelled(&self, count: usize) -> Vec<Vec<Value>> {
        let Some(lessons) = self.lessons().filter(|_| count > 0) else {
            return Vec::new();
        };
        let settings = [
            ("gamma", "0.15"),
            ("n_startup_trials", "0"),
            ("n_EI_candidates", "32"),
        ];
        let settings = settings.map(|(name, value)| AlgorithmSetting {
            name: name.to_owned(),
            value: value.to_owned(),
        });
        let problem = Problem {
            space: self.brackets.ladder.space.clone(),
            // Losses are what the model sees.
            goal: crate::Goal::Minimize,
            settings: Settings::parse(&tpe::ALGORITHM, &settings).expect("the settings are right"),
            ..self.problem.clone()
        };
        let mut model = Tpe::new(&problem, "n_EI_candidates", true).roaming(WIDTH);
        model.observe(&lessons, &[]);
        model.avoid(&self.fresh);
        let suggested = model.suggest(count).unwrap_or_default();
        suggested
            .proposals
            .into_iter()
            .map(|proposal| proposal.values)
            .collect()
    }

    fn is_random(&self, configuration: usize) -> bool {
        let share = self
            .problem
            .settings
            .float("random_fraction")
            .unwrap_or(0.1);
        let mut rng = stream::rng(self.problem.seed ^ CHANCE, configuration);
        rng.random::<f64>() < share
    }
}

impl Designer for Bohb {
    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        self.any_active = !active.is_empty();
        for trial in completed.iter().chain(active) {
            self.brackets.observe(&self.problem, trial);
            if let Some(point) = self.brackets.ladder.configuration(trial) {
                self.fresh.insert(&self.axes, &point);
            }
        }
    }

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        let slots = self.brackets.plan(count, self.fresh.left());
        let issued = self.problem.issued;
        let from_model = slots.iter().enumerate().filter(|(index, slot)| {
            matches!(slot, Slot::New { .. }) && !self.is_random(issued + index)
        });
        let mut modelled = self.modelled(from_model.count()).into_iter();
        let is_random: Vec<bool> = (0..slots.len())
            .map(|i| self.is_random(issued + i))
            .collect();
        let Self {
            problem,
            axes,
            fresh,
            ..
        } = self;
        let mut suggested = self.brackets.fill(&slots, issued, |configuration| {
            let point = if is_random[configuration - issued] {
                None
            } else {
                modelled.next()
            };
            match point.filter(|point| fresh.insert(axes, point)) {
                Some(point) => Some(point),
                None => random::draw(axes, fresh, problem.seed, configuration),
            }
        });
        suggested.settings.clear();
        suggested.exhausted = suggested.proposals.is_empty() && !self.any_active && count > 0;
        Ok(suggested)
    }
}
