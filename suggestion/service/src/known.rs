//! The histories of experiments, converted for the algorithms and kept, so that a request costs
//! what is new in it.
//!
//! Beside them is kept what the algorithm worked out from them. What is kept changes no answer: an
//! entry counts only while its trial is the very same as when it was converted, and an experiment
//! whose space or objective has changed begins anew. It is bounded by [`MAX_TRIALS`] over all
//! experiments, of which the one that was not asked for longest goes first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use diwan_algorithms::{Memo, State};
use diwan_api::{ObjectiveSpec, SearchSpace, Trial};
use diwan_proto::v1beta1 as proto;
use prost::Message as _;
use prost::bytes::Bytes;

use crate::history;
use crate::service::SuggestionError;

/// How many trials are kept. With twenty parameters one takes about two kilobytes.
const MAX_TRIALS: usize = 50_000;

/// A trial as it comes with a request.
#[derive(Clone, Debug)]
pub(crate) enum TrialSource {
    /// As an object, shared with whoever asks. The same object is the same trial.
    Shared(Arc<Trial>),
    /// As a message that is not decoded. The same bytes are the same trial.
    Encoded(Bytes),
}

impl TrialSource {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Shared(a), Self::Shared(b)) => Arc::ptr_eq(a, b),
            (Self::Encoded(a), Self::Encoded(b)) => a == b,
            _ => false,
        }
    }

    /// The name of the trial, as it is written.
    fn name(&self) -> &[u8] {
        match self {
            Self::Shared(trial) => trial
                .metadata
                .name
                .as_deref()
                .unwrap_or_default()
                .as_bytes(),
            Self::Encoded(bytes) => encoded_name(bytes),
        }
    }

    fn convert(
        &self,
        space: &SearchSpace,
        objective: Option<&ObjectiveSpec>,
    ) -> Result<diwan_algorithms::Trial, SuggestionError> {
        match self {
            Self::Shared(trial) => Ok(history::entry(space, objective, trial)),
            Self::Encoded(bytes) => {
                let message = proto::Trial::decode(bytes.clone()).map_err(|error| {
                    SuggestionError::Invalid(format!("failed to decode a trial: {error}"))
                })?;
                Ok(history::entry(space, objective, &message.into()))
            }
        }
    }

    /// This trial apart from the request that it came with, whose memory it would hold.
    fn detached(self) -> Self {
        match self {
            Self::Encoded(bytes) => Self::Encoded(Bytes::copy_from_slice(&bytes)),
            shared @ Self::Shared(_) => shared,
        }
    }
}

/// The name of an encoded trial: its first field, by which every encoder begins. One that does
/// not begin so is never found again, which costs time and nothing else.
fn encoded_name(bytes: &[u8]) -> &[u8] {
    match bytes {
        [0x0a, length, rest @ ..] if *length < 0x80 => {
            rest.get(..usize::from(*length)).unwrap_or_default()
        }
        _ => &[],
    }
}

/// The history of one experiment.
#[derive(Debug)]
pub(crate) struct History {
    space: SearchSpace,
    objective: Option<ObjectiveSpec>,
    /// Where the trials come from, and whether they are among the active ones, in order.
    sources: Vec<(TrialSource, bool)>,
    /// Trials that have ended, in the order of the request.
    pub(crate) completed: Vec<diwan_algorithms::Trial>,
    /// Trials that have not, in the order of the request.
    pub(crate) active: Vec<diwan_algorithms::Trial>,
    /// What the algorithm worked out from the completed trials.
    pub(crate) memo: Memo,
}

impl History {
    fn new(space: SearchSpace, objective: Option<ObjectiveSpec>) -> Self {
        Self {
            space,
            objective,
            sources: Vec::new(),
            completed: Vec::new(),
            active: Vec::new(),
            memo: Memo::default(),
        }
    }

    /// The same trials as these, converted; those that were known are not converted again.
    fn renewed(self, sources: Vec<TrialSource>) -> Result<Self, SuggestionError> {
        let mut history = Self::new(self.space, self.objective);
        let mut old = Old::new(self.sources, self.completed, self.active);
        // How many of the first completed trials stand where they stood.
        let mut same = 0;
        for source in sources {
            let (source, trial) = if let Some(known) = old.take(&source) {
                if known.completed_at == Some(same) && history.completed.len() == same {
                    same += 1;
                }
                (known.source, known.trial)
            } else {
                let trial = source.convert(&history.space, history.objective.as_ref())?;
                (source.detached(), trial)
            };
            let is_active = trial.state == State::Active;
            history.sources.push((source, is_active));
            if is_active {
                history.active.push(trial);
            } else {
                history.completed.push(trial);
            }
        }
        history.memo = self.memo;
        history.memo.keep_first(same);
        Ok(history)
    }
}

/// What was known, to be taken out.
struct Old {
    known: Vec<Option<OldTrial>>,
    /// The place after the last one that was taken: most requests repeat the order of the last.
    next: usize,
    /// Places by name, made when the order has changed.
    places: Option<HashMap<Vec<u8>, usize>>,
}

struct OldTrial {
    source: TrialSource,
    trial: diwan_algorithms::Trial,
    /// The place among the completed trials, if it was one.
    completed_at: Option<usize>,
}

impl Old {
    fn new(
        sources: Vec<(TrialSource, bool)>,
        completed: Vec<diwan_algorithms::Trial>,
        active: Vec<diwan_algorithms::Trial>,
    ) -> Self {
        let (mut completed, mut active) = (completed.into_iter().enumerate(), active.into_iter());
        let known = sources.into_iter().map(|(source, is_active)| {
            let (completed_at, trial) = if is_active {
                (None, active.next()?)
            } else {
                let (place, trial) = completed.next()?;
                (Some(place), trial)
            };
            Some(OldTrial {
                source,
                trial,
                completed_at,
            })
        });
        Self {
            known: known.collect(),
            next: 0,
            places: None,
        }
    }

    fn take(&mut self, source: &TrialSource) -> Option<OldTrial> {
        let is_same = |known: &Option<OldTrial>| {
            known
                .as_ref()
                .is_some_and(|known| known.source.is_same(source))
        };
        let place = if self.known.get(self.next).is_some_and(is_same) {
            self.next
        } else {
            *self.places().get(source.name())?
        };
        let known = self.known.get_mut(place).filter(|known| is_same(known))?;
        self.next = place + 1;
        known.take()
    }

    fn places(&mut self) -> &HashMap<Vec<u8>, usize> {
        self.places.get_or_insert_with(|| {
            let known = self.known.iter().enumerate();
            known
                .filter_map(|(place, known)| Some((known.as_ref()?.source.name().to_vec(), place)))
                .collect()
        })
    }
}

/// The histories of all experiments.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    histories: HashMap<String, (u64, History)>,
    /// Counts requests, to tell which experiment was asked for longest ago.
    clock: u64,
}

impl Known {
    /// Does some work with the history of an experiment. Requests of the same experiment at the
    /// same time do not wait for one another: the second converts for itself.
    pub(crate) fn with<T>(
        &self,
        experiment: &str,
        (space, objective): (&SearchSpace, Option<&ObjectiveSpec>),
        sources: Vec<TrialSource>,
        work: impl FnOnce(&mut History) -> T,
    ) -> Result<T, SuggestionError> {
        let known = self.lock().histories.remove(experiment);
        let history = known
            .map(|(_, history)| history)
            .filter(|h| h.space == *space && h.objective.as_ref() == objective)
            .unwrap_or_else(|| History::new(space.clone(), objective.cloned()));
        let mut history = history.renewed(sources)?;
        let result = work(&mut history);
        self.lock().keep(experiment, history);
        Ok(result)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, experiment: &str, history: History) {
        if history.sources.len() > MAX_TRIALS {
            return;
        }
        self.clock += 1;
        self.histories
            .insert(experiment.to_owned(), (self.clock, history));
        while self.size() > MAX_TRIALS {
            let oldest = self.histories.iter().min_by_key(|(_, (time, _))| *time);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            self.histories.remove(&oldest);
        }
    }

    /// Trials that are kept; an experiment without any counts as one.
    fn size(&self) -> usize {
        self.histories
            .values()
            .map(|(_, history)| history.sources.len().max(1))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use diwan_api::search_space::{Domain, Parameter, Scale};
    use diwan_api::{ParameterAssignment, TrialSpec};

    use super::*;

    fn space() -> SearchSpace {
        let domain = Domain::Int {
            min: 0,
            max: 99,
            step: 1,
            scale: Scale::Uniform,
        };
        SearchSpace {
            parameters: vec![Parameter {
                name: "x".into(),
                domain,
            }],
        }
    }

    fn trial(name: &str, x: u32) -> proto::Trial {
        let assignment = ParameterAssignment {
            name: "x".into(),
            value: x.to_string(),
        };
        let spec = TrialSpec {
            parameter_assignments: vec![assignment],
            ..TrialSpec::default()
        };
        (&Trial::new(name, spec)).into()
    }

    fn encoded(trials: &[(&str, u32)]) -> Vec<TrialSource> {
        let bytes =
            |(name, x): &(&str, u32)| TrialSource::Encoded(trial(name, *x).encode_to_vec().into());
        trials.iter().map(bytes).collect()
    }

    fn names(history: &mut History) -> Vec<(String, String)> {
        let both = history.completed.iter().chain(&history.active);
        both.map(|t| (t.name.clone(), format!("{:?}", t.values)))
            .collect()
    }

    #[test]
    fn what_is_kept_gives_the_same_history_as_converting_anew() {
        let requests: [&[(&str, u32)]; 5] = [
            &[("a", 1)],
            &[("a", 1), ("b", 2), ("c", 3)],
            // In another order, with one that has changed and one that is gone.
            &[("c", 3), ("d", 4), ("a", 7)],
            &[("a", 7), ("a", 7)],
            &[],
        ];
        let (known, space) = (Known::default(), space());
        for request in requests {
            let kept = known
                .with("e", (&space, None), encoded(request), names)
                .unwrap();
            let fresh = Known::default().with("e", (&space, None), encoded(request), names);
            assert_eq!(kept, fresh.unwrap());
            assert_eq!(kept.len(), request.len());
        }
    }

    #[test]
    fn only_what_is_new_is_converted() {
        let space = space();
        let first = History::new(space, None)
            .renewed(encoded(&[("a", 1), ("b", 2)]))
            .unwrap();
        let kept = first.active[0].values.as_ptr();
        let second = first
            .renewed(encoded(&[("b", 2), ("a", 1), ("c", 3)]))
            .unwrap();
        assert_eq!(second.active[1].values.as_ptr(), kept);
    }

    #[test]
    fn another_space_begins_anew() {
        let known = Known::default();
        known
            .with("e", (&space(), None), encoded(&[("a", 50)]), |_| ())
            .unwrap();
        let mut smaller = space();
        smaller.parameters[0].domain = Domain::Int {
            min: 0,
            max: 9,
            step: 1,
            scale: Scale::Uniform,
        };
        let seen = known
            .with("e", (&smaller, None), encoded(&[("a", 50)]), names)
            .unwrap();
        assert_eq!(seen, [("a".to_owned(), "[None]".to_owned())]);
    }

    #[test]
    fn the_experiment_that_was_not_asked_for_longest_goes_first() {
        let mut kept = Kept::default();
        let history = |trials: usize| {
            let mut history = History::new(space(), None);
            history.sources = vec![(TrialSource::Encoded(Bytes::new()), true); trials];
            history
        };
        kept.keep("a", history(20_000));
        kept.keep("b", history(20_000));
        kept.keep("a", history(20_000));
        kept.keep("c", history(20_000));
        let mut names: Vec<_> = kept.histories.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "c"]);
        kept.keep("d", history(MAX_TRIALS + 1));
        assert_eq!(kept.histories.len(), 2);
    }
}
