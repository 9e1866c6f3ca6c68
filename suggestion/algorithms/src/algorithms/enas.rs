//! The controller of efficient neural architecture search (Pham et al., "ENAS", 2018): an LSTM
//! with attention for the connections that skip layers, trained by REINFORCE with a baseline, a
//! bonus for entropy and a penalty on the share of connections.
//!
//! Katib's service rewards architectures that it draws itself with the mean objective of all
//! trials, whichever of them earned it, and forgets its weights with a restart. Here the controller
//! learns from the architectures that were evaluated, each with its own reward: its rank among all.
//! The weights follow from the seed and the trials in their order: after every trial that ended
//! with its objective the controller takes `controller_train_steps` steps. What was worked out is
//! kept from request to request, and worked out anew after a restart.

mod controller;
mod settings;
mod tape;
mod training;

use self::controller::{Shape, draw, run};
use self::training::{Learner, Lesson, Plan};
use crate::axis::{Axis, axes};
use crate::fresh::Fresh;
use crate::math::stream;
use crate::nas::{Graph, number_of};
use crate::{
    Algorithm, Capability, Designer, Memo, Problem, Proposal, Refusal, Suggested, Trial,
    UnknownSettings, neighbour,
};
use diwan_api::search_space::Value;

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "enas",
    aliases: &[],
    summary: "trains a network that draws architectures layer by layer",
    settings: settings::SETTINGS,
    unknown_settings: UnknownSettings::Refused,
    supports: &[
        Capability::LearnsFromHistory,
        Capability::Parallel,
        Capability::Exhausts,
        Capability::Architectures,
    ],
    build: |problem| Ok(Box::new(Enas::new(problem)?)),
};

/// How often the controller draws to get to a new architecture before it is changed at random.
const ATTEMPTS: usize = 32;

struct Enas {
    problem: Problem,
    graph: Graph,
    shape: Shape,
    plan: Plan,
    axes: Vec<Axis>,
    fresh: Fresh,
    learner: Learner,
}

/// What is left for the next request: the learner after some numbers of completed trials.
struct Left {
    shape: Shape,
    plan: Plan,
    learners: Vec<(usize, Learner)>,
}

impl Enas {
    fn new(problem: &Problem) -> Result<Self, Refusal> {
        let graph = Graph::parse(problem.nas.as_ref())?;
        let shape = settings::shape(&problem.settings, &graph);
        let plan = settings::plan(problem);
        let axes = axes(&graph.space());
        Ok(Self {
            fresh: Fresh::new(&axes),
            axes,
            learner: Learner::new(&shape, &plan),
            problem: problem.clone(),
            graph,
            shape,
            plan,
        })
    }

    /// Marks the architectures of trials as known, and returns those that were rewarded.
    fn read(&mut self, trials: &[Trial]) -> Vec<Option<Lesson>> {
        let mut lessons = Vec::new();
        for trial in trials {
            let choices = self.graph.read(trial);
            if let Some(choices) = &choices {
                self.fresh.insert(&self.axes, choices);
            }
            lessons.push(
                choices
                    .zip(self.problem.loss(trial))
                    .map(|(choices, loss)| Lesson {
                        choices: choices.into_iter().map(number_of).collect(),
                        loss,
                    }),
            );
        }
        lessons
    }

    /// Goes on from the last learner that knew only trials which stand where they stood.
    fn learn(&mut self, lessons: Vec<Option<Lesson>>, memo: &mut Memo) {
        let completed = lessons.len();
        let mut learners = match memo.take::<Left>() {
            Some((left, same)) if left.shape == self.shape && left.plan == self.plan => {
                let known = left.learners.into_iter();
                known.filter(|(count, _)| *count <= same).collect()
            }
            _ => Vec::new(),
        };
        let mut done = 0;
        if let Some((count, learner)) = learners.last() {
            (done, self.learner) = (*count, Learner::clone(learner));
        }
        let mut known = Vec::new();
        for (index, lesson) in lessons.into_iter().enumerate() {
            let Some(lesson) = lesson else { continue };
            known.push(lesson);
            if index >= done && training::is_due(known.len()) {
                self.learner.train(&self.shape, &self.plan, &known);
                learners.push((index + 1, self.learner.clone()));
                thin(&mut learners);
            }
        }
        let left = Left {
            shape: self.shape.clone(),
            plan: self.plan.clone(),
            learners,
        };
        memo.leave(left, completed);
    }

    /// A new architecture.
    fn draw(&self, index: usize) -> Option<Vec<Value>> {
        if self.fresh.is_exhausted() {
            return None;
        }
        let rng = &mut stream::rng(self.problem.seed, index);
        let mut choices = Vec::new();
        for _ in 0..ATTEMPTS {
            let drawn = run(&self.shape, &self.learner.weights, |_, p| draw(p, rng)).choices;
            let pairs = self.axes.iter().zip(drawn);
            choices = pairs.map(|(axis, n)| axis.at_index(n as u64)).collect();
            if self.fresh.is_new(&self.axes, &choices) {
                return Some(choices);
            }
        }
        let varied = neighbour::varied(&self.axes);
        for _ in 0..ATTEMPTS * ATTEMPTS {
            choices = neighbour::changed(&self.axes, &varied, &choices, rng);
            if self.fresh.is_new(&self.axes, &choices) {
                return Some(choices);
            }
        }
        None
    }
}

/// Keeps few learners, the closer to the newest the closer together: a trial that ends late moves
/// those behind it. A number is kept the longer the more often it can be halved.
fn thin(learners: &mut Vec<(usize, Learner)>) {
    let newest = learners.last().map_or(0, |(count, _)| *count);
    learners.retain(|(count, _)| newest - count < 2 << count.trailing_zeros());
}

impl Designer for Enas {
    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        self.observe_further(completed, active, &mut Memo::default());
    }

    fn observe_further(&mut self, completed: &[Trial], active: &[Trial], memo: &mut Memo) {
        self.read(active);
        let lessons = self.read(completed);
        self.learn(lessons, memo);
    }

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        self.suggest_while(count, &|| true)
    }

    fn suggest_while(
        &mut self,
        count: usize,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Suggested, Refusal> {
        let mut suggested = Suggested::default();
        for index in self.problem.issued..self.problem.issued + count {
            if !is_wanted() {
                break;
            }
            let choices = self.draw(index);
            let choices = choices.or_else(|| self.fresh.take_from(&self.axes, 0.0));
            let Some(choices) = choices else { break };
            self.fresh.insert(&self.axes, &choices);
            suggested.proposals.push(Proposal {
                texts: self.graph.print(&choices),
                ..Proposal::default()
            });
        }
        suggested.exhausted = self.fresh.is_exhausted();
        Ok(suggested)
    }
}

#[cfg(test)]
mod tests;
