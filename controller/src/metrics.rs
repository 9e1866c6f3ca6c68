//! What is counted and measured for Prometheus, and its text.

mod current;
mod event;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use diwan_api::{Experiment, Trial};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use self::current::Current;
use self::event::Events;
use crate::cache::Change;
use crate::queue::Outcome;
use crate::world::World;

/// The type of the text, as HTTP says it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Label = [(&'static str, String); 1];
type Counters = Family<Label, Counter>;
type Durations = Family<Label, Histogram, fn() -> Histogram>;

/// What is counted and measured. Counters start at zero with the process.
pub struct Metrics {
    registry: Registry,
    experiments: Events,
    trials: Events,
    reconciles: Durations,
    errors: Counters,
    suggestions: Durations,
    current: Current,
}

impl Metrics {
    /// Everything at zero; `further` collectors are asked whenever this one is.
    pub fn new(further: Vec<Box<dyn Collector>>) -> Self {
        let mut registry = Registry::default();
        let current = Current::default();
        registry.register_collector(Box::new(current.clone()));
        for collector in further {
            registry.register_collector(collector);
        }
        Self {
            experiments: Events::of_experiments(&mut registry),
            trials: Events::of_trials(&mut registry),
            reconciles: durations(
                &mut registry,
                "diwan_reconcile_duration_seconds",
                "How long a look at one object took",
            ),
            // The encoding puts `_total` behind a counter's name.
            errors: counters(
                &mut registry,
                "diwan_reconcile_errors",
                "Looks at one object that failed and are repeated",
            ),
            suggestions: durations(
                &mut registry,
                "diwan_suggestion_duration_seconds",
                "How long an algorithm took for its answer",
            ),
            current,
            registry,
        }
    }

    /// All values as text, of the type [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// A collector fails.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Shows what these controllers see for as long as they run.
    pub(crate) fn follow(&self, world: &Arc<World>) {
        self.current.follow(world);
    }

    /// An experiment came, changed or went.
    pub(crate) fn experiment_changed(&self, change: &Change<Experiment>) {
        self.experiments.count(change);
    }

    /// A trial came, changed or went.
    pub(crate) fn trial_changed(&self, change: &Change<Trial>) {
        self.trials.count(change);
    }

    /// A controller has looked at one object.
    pub(crate) fn reconciled(&self, controller: &str, took: Duration, outcome: Outcome) {
        let label = [("controller", controller.to_owned())];
        let seconds = took.as_secs_f64();
        self.reconciles.get_or_create(&label).observe(seconds);
        if outcome == Outcome::Failed {
            self.errors.get_or_create(&label).inc();
        }
    }

    /// An algorithm has answered.
    pub(crate) fn suggested(&self, algorithm: &str, took: Duration) {
        let label = [("algorithm", algorithm.to_owned())];
        let seconds = took.as_secs_f64();
        self.suggestions.get_or_create(&label).observe(seconds);
    }
}

fn counters(registry: &mut Registry, name: &str, help: &str) -> Counters {
    let counters = Counters::default();
    registry.register(name, help, counters.clone());
    counters
}

/// Durations from a millisecond to half a minute.
fn durations(registry: &mut Registry, name: &str, help: &str) -> Durations {
    let buckets = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
    let durations = Durations::new_with_constructor(buckets);
    registry.register(name, help, durations.clone());
    durations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_objects_are_timed_and_failures_counted() {
        let metrics = Metrics::new(Vec::new());
        let took = Duration::from_millis(3);
        metrics.reconciled("trial", took, Outcome::Done);
        metrics.reconciled("trial", took, Outcome::Failed);
        metrics.suggested("tpe", took);
        let text = metrics.text().unwrap();
        for line in [
            "diwan_reconcile_duration_seconds_bucket{le=\"0.002\",controller=\"trial\"} 0",
            "diwan_reconcile_duration_seconds_bucket{le=\"0.004\",controller=\"trial\"} 2",
            "diwan_reconcile_errors_total{controller=\"trial\"} 1",
            "diwan_suggestion_duration_seconds_count{algorithm=\"tpe\"} 1",
            "diwan_leader 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
