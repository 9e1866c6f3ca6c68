//! Trials, as algorithms see them.

use diwan_api::{
    Condition, ConditionStatus, Conditions, Metric, ObjectiveSpec, Observation, Trial, TrialSpec,
    TrialStatus, metadata::UNAVAILABLE, trial::condition_type as state,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::each;
use crate::v1beta1::{self as message, trial_status::TrialConditionType as State};

const STATES: [(&str, State); 7] = [
    (state::CREATED, State::Created),
    (state::RUNNING, State::Running),
    (state::SUCCEEDED, State::Succeeded),
    (state::KILLED, State::Killed),
    (state::FAILED, State::Failed),
    (state::METRICS_UNAVAILABLE, State::Metricsunavailable),
    (state::EARLY_STOPPED, State::Earlystopped),
];

/// The trials that an algorithm is told of: all except those that ended without the objective
/// metric, as [`state::METRICS_UNAVAILABLE`] or stopped early before they reported it.
pub fn trials_for_algorithm<'a>(
    trials: impl IntoIterator<Item = &'a Trial>,
) -> Vec<message::Trial> {
    let told = |trial: &&Trial| {
        let Some(status) = &trial.status else {
            return true;
        };
        let unobserved = || match (&status.observation, &trial.spec.objective) {
            (Some(observation), Some(objective)) => !observation.is_available(objective),
            _ => true,
        };
        let silent = status.is(state::EARLY_STOPPED) && unobserved();
        !silent && !status.is(state::METRICS_UNAVAILABLE)
    };
    each(trials.into_iter().filter(told))
}

impl From<&Trial> for message::Trial {
    /// Each metric has the one value that counts by its strategy. What is no number is left out:
    /// services read values as numbers and would fail on it.
    fn from(trial: &Trial) -> Self {
        let spec = &trial.spec;
        Self {
            name: trial.name_any(),
            spec: Some(message::TrialSpec {
                objective: spec.objective.as_ref().map(Into::into),
                parameter_assignments: Some(message::trial_spec::ParameterAssignments {
                    assignments: each(spec.parameter_assignments.iter().cloned()),
                }),
                labels: spec
                    .labels
                    .iter()
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect(),
            }),
            status: trial
                .status
                .as_ref()
                .map(|status| convert_status(status, spec)),
        }
    }
}

fn convert_status(status: &TrialStatus, spec: &TrialSpec) -> message::TrialStatus {
    let last = status.last_condition().map_or("", |c| c.type_.as_str());
    let condition = STATES
        .iter()
        .find(|(name, _)| *name == last)
        .map_or(State::Unknown, |s| s.1);
    let observation = status.observation.as_ref().zip(spec.objective.as_ref());
    message::TrialStatus {
        start_time: time_text(status.start_time.as_ref()),
        completion_time: time_text(status.completion_time.as_ref()),
        condition: condition.into(),
        observation: observation.map(|(o, objective)| convert_observation(o, objective)),
    }
}

fn convert_observation(
    observation: &Observation,
    objective: &ObjectiveSpec,
) -> message::Observation {
    let metric = |metric: &Metric| {
        let value = metric.value(objective.strategy(&metric.name)?);
        let number = value.trim().parse::<f64>().is_ok_and(f64::is_finite);
        number.then(|| message::Metric {
            name: metric.name.clone(),
            value: value.to_owned(),
        })
    };
    message::Observation {
        metrics: observation.metrics.iter().filter_map(metric).collect(),
    }
}

/// `2006-01-02T15:04:05Z`, without fractions of a second; empty when unset.
fn time_text(time: Option<&Time>) -> String {
    time.map_or_else(String::new, |t| {
        t.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    })
}

impl From<message::Trial> for Trial {
    /// The one condition and the one value of each metric stand for all; a time that can't be
    /// read is left unset.
    fn from(trial: message::Trial) -> Self {
        let spec = trial.spec.unwrap_or_default();
        let mut labels: Vec<_> = spec.labels.into_iter().collect();
        labels.sort();
        let spec = TrialSpec {
            objective: spec.objective.map(Into::into),
            parameter_assignments: each(spec.parameter_assignments.unwrap_or_default().assignments),
            labels: labels.into_iter().collect(),
            ..TrialSpec::default()
        };
        let mut converted = Self::new(&trial.name, spec);
        converted.status = trial.status.map(read_status);
        converted
    }
}

fn read_status(status: message::TrialStatus) -> TrialStatus {
    let time = |text: &str| text.parse::<Timestamp>().ok().map(Time);
    let state = STATES
        .iter()
        .find(|(_, state)| *state == status.condition());
    let condition = |name: &str| Condition {
        type_: name.to_owned(),
        status: ConditionStatus::True,
        reason: String::new(),
        message: String::new(),
        last_update_time: None,
        last_transition_time: None,
    };
    let metric = |m: message::Metric| Metric {
        name: m.name,
        min: m.value.clone(),
        max: m.value.clone(),
        latest: if m.value.is_empty() {
            UNAVAILABLE.to_owned()
        } else {
            m.value
        },
    };
    TrialStatus {
        start_time: time(&status.start_time),
        completion_time: time(&status.completion_time),
        conditions: state.map(|(name, _)| condition(name)).into_iter().collect(),
        observation: status.observation.map(|o| Observation {
            metrics: o.metrics.into_iter().map(metric).collect(),
        }),
        last_reconcile_time: None,
    }
}
