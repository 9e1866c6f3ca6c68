//! What a trial whose run has succeeded ends as. No I/O.

use std::time::Duration;

use diwan_api::observation::observe;
use diwan_api::{CollectorKind, MetricLog, MetricsCollectorSpec, Observation, Trial};

use super::status::End;

/// How often metrics that may still arrive are looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What a trial whose run has succeeded ends as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Conclusion {
    /// It has ended.
    Ended {
        /// How.
        end: End,
        /// What was observed.
        observation: Option<Observation>,
        /// Whether the log is to say that the objective is unavailable.
        mark_unavailable: bool,
    },
    /// Its metrics may still arrive: look again after this time.
    Wait(Duration),
}

/// Concludes from what was reported until `waited` after the end of the run was first seen.
pub(super) fn conclude(
    trial: &Trial,
    logs: &[MetricLog],
    waited: Duration,
    grace: Duration,
) -> Conclusion {
    let collector = trial.spec.metrics_collector.as_ref();
    let kind = collector
        .map(MetricsCollectorSpec::kind)
        .unwrap_or_default();
    let Some(objective) = &trial.spec.objective else {
        let end = End::Succeeded;
        return Conclusion::Ended {
            end,
            observation: None,
            mark_unavailable: false,
        };
    };
    let observation = observe(logs, objective);
    let is_available = observation.is_available(objective);
    if is_available || kind == CollectorKind::None {
        let observation = is_available.then_some(observation);
        return Conclusion::Ended {
            end: End::Succeeded,
            observation,
            mark_unavailable: false,
        };
    }
    // A collector that found nothing says so in the log; only silence may still be broken.
    let left = grace.saturating_sub(waited);
    if logs.is_empty() && !left.is_zero() {
        return Conclusion::Wait(LOOK_AGAIN.min(left));
    }
    Conclusion::Ended {
        end: End::MetricsUnavailable,
        observation: Some(observation),
        mark_unavailable: logs.is_empty() && kind == CollectorKind::Push,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    fn trial(kind: &str) -> Trial {
        let trial = json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial", "metadata": {},
            "spec": {
                "objective": {
                    "type": "minimize", "objectiveMetricName": "loss",
                    "metricStrategies": [{"name": "loss", "value": "min"}]
                },
                "metricsCollector": {"collector": {"kind": kind}}
            }
        });
        serde_json::from_value(trial).unwrap()
    }

    fn log(value: &str) -> Vec<MetricLog> {
        let time_stamp = "2026-01-01T00:00:00Z".to_owned();
        vec![MetricLog {
            time_stamp,
            name: "loss".to_owned(),
            value: value.to_owned(),
        }]
    }

    fn end(kind: &str, logs: &[MetricLog], waited: Duration) -> Option<(End, bool)> {
        match conclude(&trial(kind), logs, waited, GRACE) {
            Conclusion::Ended {
                end,
                mark_unavailable,
                ..
            } => Some((end, mark_unavailable)),
            Conclusion::Wait(_) => None,
        }
    }

    #[test]
    fn an_observed_objective_is_success_at_once() {
        for kind in ["StdOut", "Push", "None"] {
            assert_eq!(
                end(kind, &log("0.5"), Duration::ZERO),
                Some((End::Succeeded, false))
            );
        }
    }

    #[test]
    fn silence_is_waited_out() {
        assert_eq!(end("StdOut", &[], Duration::ZERO), None);
        assert_eq!(
            end("StdOut", &[], GRACE),
            Some((End::MetricsUnavailable, false))
        );
        assert_eq!(
            end("Push", &[], GRACE),
            Some((End::MetricsUnavailable, true))
        );
    }

    #[test]
    fn a_collector_that_found_nothing_is_not_waited_for() {
        let logs = log("unavailable");
        let expected = Some((End::MetricsUnavailable, false));
        assert_eq!(end("StdOut", &logs, Duration::ZERO), expected);
    }

    #[test]
    fn where_nothing_is_collected_nothing_is_missed() {
        assert_eq!(
            end("None", &[], Duration::ZERO),
            Some((End::Succeeded, false))
        );
    }
}
