//! What collectors found out about metrics that are missing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use diwan_api::metrics_collector::CollectorPlan;

/// Why trials have no objective, for as long as the process lives.
#[derive(Default)]
pub(crate) struct Absences(Mutex<HashMap<(String, String), String>>);

impl Absences {
    /// Why a trial has no objective, if its collector found out.
    pub(crate) fn of(&self, namespace: &str, trial: &str) -> Option<String> {
        let key = (namespace.to_owned(), trial.to_owned());
        let absences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        absences.get(&key).cloned()
    }

    /// Drops what is known of a trial.
    pub(crate) fn forget(&self, namespace: &str, trial: &str) {
        let key = (namespace.to_owned(), trial.to_owned());
        let mut absences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        absences.remove(&key);
    }

    /// Takes down why a trial has no objective.
    pub(crate) fn note(&self, plan: &CollectorPlan, why: String) {
        let key = (plan.namespace.clone(), plan.trial.clone());
        let mut absences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        absences.insert(key, why);
    }
}
