//! Chooses among the other algorithms by the space, the budget, the parallelism and the length of
//! the history, and says which it took and why.
//!
//! The choice is made anew with every request, by [`RULES`], of which the first that holds counts.
//! It is remembered in the settings that are returned, `auto.choice` and `auto.reason`, so that
//! people see it in the Suggestion and a change of mind can be told once.

use diwan_api::AlgorithmSetting;

use super::random;
use crate::axis::axes;
use crate::{
    Algorithm, Capability, Designer, Problem, Refusal, Settings, State, Suggested, Trial,
    UnknownSettings, find,
};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "auto",
    aliases: &[],
    summary: "chooses among the other algorithms for you, and says which and why",
    settings: &[random::RANDOM_STATE],
    unknown_settings: UnknownSettings::Refused,
    supports: &[
        Capability::LearnsFromHistory,
        Capability::Parallel,
        Capability::Distributions,
        Capability::Exhausts,
    ],
    build: |problem| Ok(Box::new(Auto::new(problem))),
};

/// What was chosen with the last request.
const CHOICE: &str = "auto.choice";
/// Why.
const REASON: &str = "auto.reason";

/// What the rules look at.
struct Situation {
    /// How many parameters can differ.
    dimensions: usize,
    /// How many points there are; `None` when they are continuous or beyond count.
    points: Option<u64>,
    /// The share of parameters whose values have no order.
    categorical: f64,
    /// How many trials there may be, when that is known.
    budget: Option<usize>,
    /// How many run at a time.
    parallel: usize,
    /// How many have ended with their objective.
    observed: usize,
}

/// One rule: an algorithm, when it is taken, and why.
struct Rule {
    choice: &'static str,
    holds: fn(&Situation) -> bool,
    reason: fn(&Situation) -> String,
}

/// As many points as this are tried one after another.
const TINY: u64 = 12;
/// A Gaussian process costs the cube of the trials; beyond this others learn as much for less.
const MANY_TRIALS: usize = 400;
/// A Gaussian process learns little in so many dimensions.
const MANY_DIMENSIONS: usize = 60;
/// Larger batches than this are what evolution is made for.
const LARGE_BATCH: usize = 32;

/// The rules, the first that holds counts. Choices that are not in the table are passed over.
const RULES: &[Rule] = &[
    Rule {
        choice: "grid",
        holds: |s| s.points.is_some_and(|n| n <= TINY),
        reason: |s| format!("the space has only {} points", s.points.unwrap_or_default()),
    },
    Rule {
        choice: "sobol",
        holds: |s| s.budget.is_some_and(|budget| budget <= s.parallel),
        reason: |s| {
            format!(
                "all {} trials run at once, nothing can be learned",
                s.parallel
            )
        },
    },
    Rule {
        choice: "cmaes",
        holds: |s| s.parallel > LARGE_BATCH && s.dimensions > 1,
        reason: |s| format!("{} trials run at a time", s.parallel),
    },
    Rule {
        choice: "cmaes",
        holds: |s| s.observed > MANY_TRIALS && s.categorical == 0.0 && s.dimensions > 1,
        reason: |s| {
            format!(
                "more than {MANY_TRIALS} trials have ended, over {} numbers",
                s.dimensions
            )
        },
    },
    Rule {
        choice: "tpe",
        holds: |s| s.observed > MANY_TRIALS,
        reason: |_| format!("more than {MANY_TRIALS} trials have ended"),
    },
    Rule {
        choice: "tpe",
        holds: |s| s.dimensions > MANY_DIMENSIONS,
        reason: |s| format!("there are {} parameters", s.dimensions),
    },
    Rule {
        choice: "bayesianoptimization",
        holds: |_| true,
        reason: |s| {
            format!(
                "few trials over {} parameters must each teach much",
                s.dimensions
            )
        },
    },
    Rule {
        choice: "tpe",
        holds: |_| true,
        reason: |s| {
            format!(
                "few trials over {} parameters must each teach much",
                s.dimensions
            )
        },
    },
];

struct Auto {
    problem: Problem,
    completed: Vec<Trial>,
    active: Vec<Trial>,
}

impl Auto {
    fn new(problem: &Problem) -> Self {
        Self {
            problem: problem.clone(),
            completed: Vec::new(),
            active: Vec::new(),
        }
    }

    fn situation(&self) -> Situation {
        let axes = axes(&self.problem.space);
        let varied = || axes.iter().filter(|axis| axis.count() != Some(1));
        let dimensions = varied().count();
        let unordered = varied().filter(|axis| !axis.is_ordered()).count();
        Situation {
            dimensions,
            points: self.problem.space.cardinality(),
            categorical: unordered as f64 / dimensions.max(1) as f64,
            budget: self.problem.budget.max_trials,
            parallel: self.problem.budget.parallel,
            observed: self
                .completed
                .iter()
                .filter(|t| t.state == State::Succeeded)
                .count(),
        }
    }

    /// The designer of the first rule that holds and whose algorithm serves the problem.
    fn choose(&self) -> Result<(Box<dyn Designer>, &'static str, String), Refusal> {
        let situation = self.situation();
        let mut last = Refusal("no algorithm serves this space".to_owned());
        for rule in RULES.iter().filter(|rule| (rule.holds)(&situation)) {
            let Some(algorithm) = find(rule.choice) else {
                continue;
            };
            match self.delegate(algorithm) {
                Ok(designer) => return Ok((designer, rule.choice, (rule.reason)(&situation))),
                Err(refusal) => last = refusal,
            }
        }
        Err(last)
    }

    fn delegate(&self, algorithm: &Algorithm) -> Result<Box<dyn Designer>, Refusal> {
        let settings = Settings::parse(algorithm, self.problem.settings.memories())
            .map_err(|errors| Refusal(errors.iter().map(|e| e.text.as_str()).collect()))?;
        let mut problem = Problem {
            settings,
            ..self.problem.clone()
        };
        // A grid may be smaller than the budget: the search then ends with it.
        if algorithm.supports.contains(&Capability::Exhausts) {
            problem.budget.max_trials = problem.budget.max_trials.filter(|n| self.fits(*n));
        }
        (algorithm.build)(&problem)
    }

    fn fits(&self, trials: usize) -> bool {
        let points = self.problem.space.cardinality();
        points.is_none_or(|points| trials as u64 <= points)
    }
}

impl Designer for Auto {
    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        self.completed = completed.to_vec();
        self.active = active.to_vec();
    }

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        self.suggest_while(count, &|| true)
    }

    fn suggest_while(
        &mut self,
        count: usize,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Suggested, Refusal> {
        let (mut designer, choice, reason) = self.choose()?;
        designer.observe(&self.completed, &self.active);
        let mut suggested = designer.suggest_while(count, is_wanted)?;
        if self.problem.settings.memory(CHOICE) != Some(choice) {
            suggested.note = Some(format!("algorithm {choice} is used: {reason}"));
        }
        let remember = [(CHOICE, choice.to_owned()), (REASON, reason)];
        suggested
            .settings
            .extend(remember.map(|(name, value)| AlgorithmSetting {
                name: name.to_owned(),
                value,
            }));
        Ok(suggested)
    }
}
