//! What remembers reports where the database has no room for it.

use std::collections::{HashMap, HashSet, VecDeque};

use super::writer::Prepared;
use crate::store::{Delivery, SourceRange, Step, StoreError, next_step};

/// How many ids of batches are remembered.
const BATCHES: usize = 100_000;

/// What was stored by this process, for databases that have no room to remember it.
#[derive(Default)]
pub(super) struct Memory {
    batches: HashSet<(String, String)>,
    order: VecDeque<(String, String)>,
    positions: HashMap<(String, String), u64>,
}

impl Memory {
    pub(super) fn has(&self, report: &Prepared) -> Result<bool, StoreError> {
        match &report.delivery {
            Delivery::Plain => Ok(false),
            Delivery::Batch(batch) => {
                let key = (report.trial.name.clone(), batch.clone());
                Ok(self.batches.contains(&key))
            }
            Delivery::Source(range) => match self.position(&report.trial.name, &range.source) {
                Some(stored) => Ok(next_step(range, stored)? == Step::Done),
                None => Ok(false),
            },
        }
    }

    pub(super) fn note(&mut self, report: &Prepared) {
        let trial = report.trial.name.clone();
        match &report.delivery {
            Delivery::Plain => {}
            Delivery::Batch(batch) => {
                let key = (trial, batch.clone());
                if self.batches.insert(key.clone()) {
                    self.order.push_back(key);
                }
                if self.order.len() > BATCHES {
                    let oldest = self.order.pop_front();
                    oldest.map(|key| self.batches.remove(&key));
                }
            }
            Delivery::Source(SourceRange { source, to, .. }) => {
                self.positions.insert((trial, source.clone()), *to);
            }
        }
    }

    pub(super) fn position(&self, trial: &str, source: &str) -> Option<u64> {
        let key = (trial.to_owned(), source.to_owned());
        self.positions.get(&key).copied()
    }

    pub(super) fn forget(&mut self, trial: &str) {
        self.positions.retain(|(of, _), _| of != trial);
        self.batches.retain(|(of, _)| of != trial);
        self.order.retain(|(of, _)| of != trial);
    }
}
