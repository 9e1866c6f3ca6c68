//! The population, as it is read from the labels of trials.

use diwan_api::search_space::Value;

use crate::{Problem, State, Trial};

/// The label with the generation of a trial, as Katib's service writes it.
pub(super) const GENERATION: &str = "pbt.suggestion.katib.kubeflow.org/generation";
/// The label with the name of the trial whose checkpoint a trial continues, as there.
pub(super) const PARENT: &str = diwan_api::metadata::LABEL_PARENT;
/// The label that says which member of the population a trial belongs to.
pub(super) const MEMBER: &str = "diwan.dev/member";

/// What became of the latest trial of a member.
#[derive(Clone, Debug)]
pub(super) enum Latest {
    Running,
    Failed(Failed),
    Ended(Ended),
}

/// A trial that ended without an objective.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) point: Option<Vec<Value>>,
    pub(super) parent: Option<String>,
}

/// A trial that ended with one.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) name: String,
    pub(super) point: Vec<Value>,
    pub(super) loss: f64,
}

/// One of the trainings.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub(super) generation: usize,
    /// How many trials of this generation have failed.
    pub(super) failures: usize,
    pub(super) latest: Option<Latest>,
    /// The latest of its trials that ended well, with its generation: what others may continue.
    pub(super) ended: Option<(usize, Ended)>,
}

/// All members.
#[derive(Clone, Debug)]
pub(super) struct Population {
    pub(super) members: Vec<Member>,
}

impl Population {
    pub(super) fn new(size: usize) -> Self {
        Self {
            members: vec![Member::default(); size],
        }
    }

    /// Takes in a trial. Those of others, without labels, are left out.
    pub(super) fn observe(&mut self, problem: &Problem, dimensions: usize, trial: &Trial) {
        let number = |key: &str| trial.labels.get(key)?.parse::<usize>().ok();
        let Some((place, generation)) = number(MEMBER).zip(number(GENERATION)) else {
            return;
        };
        let Some(member) = self.members.get_mut(place) else {
            return;
        };
        let point = trial.point().filter(|point| point.len() == dimensions);
        let latest = match (trial.state, point.clone().zip(problem.loss(trial))) {
            (State::Active, _) => Latest::Running,
            (_, Some((point, loss))) => Latest::Ended(Ended {
                name: trial.name.clone(),
                point,
                loss,
            }),
            (_, None) => Latest::Failed(Failed {
                point,
                parent: trial.labels.get(PARENT).cloned(),
            }),
        };
        member.observe(generation, latest);
    }

    /// The members that can go on: up to `count`, those of the lowest generation first.
    pub(super) fn ready(&self, count: usize) -> Vec<usize> {
        let is_ready =
            |place: &usize| !matches!(self.members[*place].latest, Some(Latest::Running));
        let mut ready: Vec<usize> = (0..self.members.len()).filter(is_ready).collect();
        ready.sort_by_key(|place| {
            let member = &self.members[*place];
            // One that failed stays in its generation, one that ended goes on to the next.
            member.generation + usize::from(matches!(member.latest, Some(Latest::Ended(_))))
        });
        ready.truncate(count);
        ready
    }

    /// The latest trial of each member that ended well.
    pub(super) fn ended(&self) -> impl Iterator<Item = &Ended> {
        self.members
            .iter()
            .filter_map(|m| m.ended.as_ref().map(|(_, ended)| ended))
    }

    /// Their losses, sorted.
    pub(super) fn losses(&self) -> Vec<f64> {
        let mut losses: Vec<f64> = self.ended().map(|ended| ended.loss).collect();
        losses.sort_by(f64::total_cmp);
        losses
    }
}

impl Member {
    /// Takes in a trial, in whichever order they come: of one generation a running trial counts
    /// before one that ended well, and that before one that failed.
    fn observe(&mut self, generation: usize, latest: Latest) {
        if let Latest::Ended(ended) = &latest
            && self
                .ended
                .as_ref()
                .is_none_or(|(known, _)| *known <= generation)
        {
            self.ended = Some((generation, ended.clone()));
        }
        if generation < self.generation && self.latest.is_some() {
            return;
        }
        if generation > self.generation {
            (self.generation, self.failures, self.latest) = (generation, 0, None);
        }
        self.failures += usize::from(matches!(latest, Latest::Failed(_)));
        let rank = |latest: &Latest| match latest {
            Latest::Failed(_) => 0,
            Latest::Ended(_) => 1,
            Latest::Running => 2,
        };
        if self
            .latest
            .as_ref()
            .is_none_or(|known| rank(known) <= rank(&latest))
        {
            self.latest = Some(latest);
        }
    }
}
