//! What a Deployment needs next. Pure: looks at it and its ReplicaSets, changes nothing, reads no
//! clock.

use std::time::Duration;

use diwan_embedded::event::Event;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::revision::{REVISION, annotations, replica_set, revision, sized};
use super::size::{Bounds, Set, grown, is_scaled, roll, scale, size};
use super::status::{Observed, is_complete};
use crate::object::{condition, is_deleting, metadata, number};
use crate::template::{is_same, word};

/// A Deployment as it is seen.
pub(super) struct Situation<'a> {
    /// The Deployment.
    pub(super) deployment: &'a Value,
    /// Its ReplicaSets.
    pub(super) sets: &'a [&'a Value],
    /// ReplicaSets that still have pods that have not ended.
    pub(super) alive: &'a [&'a str],
    /// The name that was to be made and was found to be another's.
    pub(super) taken: Option<&'a str>,
    /// Now.
    pub(super) now: Timestamp,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// ReplicaSets to make, change and delete.
    pub(super) actions: Vec<Action>,
    /// What people are told.
    pub(super) events: Vec<Event>,
    /// The revision that the Deployment is.
    pub(super) revision: Option<u64>,
    /// The status.
    pub(super) status: Value,
    /// When to look again.
    pub(super) again: Option<Duration>,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// A ReplicaSet is made.
    Create(Value),
    /// A ReplicaSet gets this size, these annotations and the Deployment's `minReadySeconds`.
    Change {
        /// Its name.
        name: String,
        /// How many pods it is to have.
        size: u64,
        /// Its annotations.
        annotations: Map<String, Value>,
    },
    /// A ReplicaSet goes.
    Delete(String),
}

/// Says what a Deployment needs.
pub(super) fn plan(situation: &Situation<'_>) -> Plan {
    let mut rollout = Rollout::new(situation);
    if !is_deleting(situation.deployment) {
        rollout.advance();
    }
    rollout.plan()
}

struct Rollout<'a> {
    seen: &'a Situation<'a>,
    bounds: Bounds,
    /// In order of age.
    sets: Vec<Set<'a>>,
    /// The place of the set with the Deployment's template.
    new: Option<usize>,
    made: Option<Value>,
    removed: Vec<String>,
    /// The sets' sizes were given for the Deployment's size.
    sized: bool,
    collisions: u64,
}

impl<'a> Rollout<'a> {
    fn new(seen: &'a Situation<'a>) -> Self {
        let mut sets: Vec<Set<'_>> = seen.sets.iter().map(|set| Set::new(set)).collect();
        sets.sort_by(|a, b| a.age().cmp(&b.age()));
        let template = &seen.deployment["spec"]["template"];
        let new = sets
            .iter()
            .position(|set| is_same(&set.object["spec"]["template"], template));
        Self {
            seen,
            bounds: Bounds::of(seen.deployment),
            sets,
            new,
            made: None,
            removed: Vec::new(),
            sized: false,
            collisions: number(&seen.deployment["status"]["collisionCount"], 0),
        }
    }

    fn is_paused(&self) -> bool {
        self.seen.deployment["spec"]["paused"] == true
    }

    fn recreates(&self) -> bool {
        self.seen.deployment["spec"]["strategy"]["type"] == "Recreate"
    }

    fn name(&self) -> String {
        let deployment = self.seen.deployment;
        let word = word(&deployment["spec"]["template"], self.collisions);
        format!("{}-{word}", metadata(deployment, "name"))
    }

    fn advance(&mut self) {
        if self.seen.taken == Some(self.name().as_str()) {
            self.collisions += 1;
        }
        let rolling = !self.recreates();
        if self.is_paused() || is_scaled(&self.sets, self.bounds) {
            let before = number(&self.seen.deployment["status"]["replicas"], 0);
            scale(&mut self.sets, self.new, self.bounds, rolling, before);
            self.sized = true;
        } else if rolling {
            self.roll();
        } else {
            self.recreate();
        }
        if is_complete(self.seen.deployment) || self.is_paused() {
            self.clean();
        }
    }

    fn roll(&mut self) {
        match self.new {
            Some(new) => roll(&mut self.sets, new, self.bounds),
            None => {
                let total = self.sets.iter().map(|set| set.size).sum();
                self.make(grown(0, total, self.bounds));
            }
        }
    }

    /// The old pods go before new ones come.
    fn recreate(&mut self) {
        let new = self.new;
        let olds = self.sets.iter_mut().enumerate();
        let olds = olds.filter(|(i, _)| Some(*i) != new);
        let mut waits = false;
        for (_, old) in olds {
            let name = metadata(old.object, "name");
            waits |= old.size > 0 || self.seen.alive.contains(&name);
            old.size = 0;
        }
        match new {
            _ if waits => {}
            Some(new) => self.sets[new].size = self.bounds.wanted,
            None => self.make(self.bounds.wanted),
        }
    }

    fn make(&mut self, size: u64) {
        let deployment = self.seen.deployment;
        let word = word(&deployment["spec"]["template"], self.collisions);
        self.made = Some(replica_set(deployment, &word, size, self.next_revision()));
    }

    /// The revision of the newest template.
    fn next_revision(&self) -> u64 {
        let olds = self.sets.iter().enumerate();
        let olds = olds.filter(|(i, _)| Some(*i) != self.new);
        let revisions = olds.map(|(_, set)| revision(set.object));
        revisions.max().unwrap_or(0) + 1
    }

    /// Removes what is left of old revisions, but for the last ones.
    fn clean(&mut self) {
        let limit = number(&self.seen.deployment["spec"]["revisionHistoryLimit"], 10) as usize;
        let olds = self.sets.iter().enumerate();
        let olds = olds.filter(|(i, set)| Some(*i) != self.new && !is_deleting(set.object));
        let mut olds: Vec<&Value> = olds.map(|(_, set)| set.object).collect();
        olds.sort_by_key(|set| revision(set));
        let surplus = olds.len().saturating_sub(limit);
        let is_empty = |set: &&Value| size(set) == 0 && number(&set["status"]["replicas"], 0) == 0;
        let gone = olds.into_iter().take(surplus).filter(is_empty);
        self.removed = gone.map(|set| metadata(set, "name").to_owned()).collect();
    }

    /// What is known of the progress beside what the ReplicaSets say.
    fn news(&self) -> Option<(&'static str, String)> {
        let known = condition(self.seen.deployment, "Progressing");
        let reason = known.and_then(|c| c["reason"].as_str()).unwrap_or_default();
        let is_late = reason == "ProgressDeadlineExceeded";
        if self.is_paused() {
            let text = "Deployment is paused".to_owned();
            return (!is_late).then_some(("DeploymentPaused", text));
        }
        if reason == "DeploymentPaused" {
            return Some(("DeploymentResumed", "Deployment is resumed".to_owned()));
        }
        if let Some(made) = &self.made {
            let text = format!("Created new replica set {:?}", metadata(made, "name"));
            return Some(("NewReplicaSetCreated", text));
        }
        let new = self.sets[self.new?].object;
        let turns = revision(new) < self.next_revision();
        let text = format!("Found new replica set {:?}", metadata(new, "name"));
        (known.is_none() || turns).then_some(("FoundNewReplicaSet", text))
    }

    fn plan(self) -> Plan {
        let observed = Observed {
            deployment: self.seen.deployment,
            sets: self.seen.sets,
            new: self.new.map(|new| self.sets[new].object),
            news: self.news(),
            collisions: self.collisions,
            now: self.seen.now,
        };
        let (status, again) = observed.status();
        let (mut actions, mut events) = (Vec::new(), Vec::new());
        if !is_deleting(self.seen.deployment) {
            for (i, set) in self.sets.iter().enumerate() {
                actions.extend(self.change(i, set));
                let (name, was) = (metadata(set.object, "name"), size(set.object));
                if was != set.size {
                    events.push(scaled(name, was, set.size));
                }
            }
        }
        if let Some(made) = &self.made {
            events.push(scaled(metadata(made, "name"), 0, size(made)));
            actions.push(Action::Create(made.clone()));
        }
        let revision = self.revision();
        actions.extend(self.removed.into_iter().map(Action::Delete));
        Plan {
            actions,
            events,
            revision,
            status,
            again,
        }
    }

    /// The revision that the Deployment is, where that is not noted.
    fn revision(&self) -> Option<u64> {
        let is_now = match (&self.made, self.new) {
            (Some(made), _) => revision(made),
            (None, Some(new)) if !self.is_paused() => {
                self.next_revision().max(revision(self.sets[new].object))
            }
            _ => return None,
        };
        let noted = &self.seen.deployment["metadata"]["annotations"][REVISION];
        (*noted != is_now.to_string() && !is_deleting(self.seen.deployment)).then_some(is_now)
    }

    fn change(&self, i: usize, set: &Set<'_>) -> Option<Action> {
        let own = set.object["metadata"]["annotations"].as_object();
        let own = own.cloned().unwrap_or_default();
        let mut wanted = own.clone();
        let deployment = self.seen.deployment;
        let mut changed = set.is_resized();
        if Some(i) == self.new && !self.is_paused() {
            wanted = annotations(deployment, Some(set.object), self.next_revision());
            changed |=
                set.object["spec"]["minReadySeconds"] != deployment["spec"]["minReadySeconds"];
        }
        if set.is_resized() || (self.sized && set.size > 0) {
            sized(&mut wanted, self.bounds);
        }
        let name = metadata(set.object, "name").to_owned();
        (changed || wanted != own).then(|| Action::Change {
            name,
            size: set.size,
            annotations: wanted,
        })
    }
}

fn scaled(name: &str, was: u64, is: u64) -> Event {
    let way = if is >= was { "up" } else { "down" };
    let message = format!("Scaled {way} replica set {name} from {was} to {is}");
    Event::normal("ScalingReplicaSet", message)
}

#[cfg(test)]
mod tests;
