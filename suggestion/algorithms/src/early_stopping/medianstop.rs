//! The median stopping rule (Golovin et al., "Google Vizier: A Service for Black-Box
//! Optimization", 2017, section 3.2.1): a trial is stopped when its best value is worse than the
//! median of what the others had on average by then.
//!
//! Katib's service of this name takes the mean of the averages; `center: mean` does the same.

use crate::{Kind, Setting, Settings};

use super::{EarlyStopping, Evidence, StopRule, quantile};

pub(super) static EARLY_STOPPING: EarlyStopping = EarlyStopping {
    name: "medianstop",
    summary: "stops trials worse than the median of the averages of those that succeeded",
    settings: &[
        MIN_TRIALS_REQUIRED,
        START_STEP,
        Setting {
            name: "center",
            kind: Kind::Choice(&["median", "mean"]),
            default: "median",
            doc: "what of the averages counts: their median, or their mean as in Katib",
        },
    ],
    rule,
};

/// From how many trials a rule is made.
pub(super) const MIN_TRIALS_REQUIRED: Setting = Setting {
    name: "min_trials_required",
    kind: Kind::Int {
        min: 1,
        refusal: "min_trials_required must be greater than zero (>0)",
    },
    default: "3",
    doc: "from how many succeeded trials a rule is made",
};

/// From which report on a trial is judged.
pub(super) const START_STEP: Setting = Setting {
    name: "start_step",
    kind: Kind::Int {
        min: 1,
        refusal: "start_step must be greater or equal than one (>=1)",
    },
    default: "4",
    doc: "from which report of the objective on a trial is judged; so many are compared",
};

fn rule(evidence: &Evidence<'_>, settings: &Settings) -> Option<StopRule> {
    let (required, start) = required_and_start(settings);
    let mut averages: Vec<f64> = evidence
        .succeeded
        .iter()
        .filter_map(|curve| mean(&evidence.losses(curve, start)))
        .collect();
    if averages.len() < required {
        return None;
    }
    let loss = match settings.text("center") {
        Some("mean") => mean(&averages)?,
        _ => quantile(&mut averages, 0.5),
    };
    Some(evidence.rule(loss, start))
}

/// The two settings that rules from a fixed step have in common.
pub(super) fn required_and_start(settings: &Settings) -> (usize, usize) {
    let number = |name| {
        let given = settings.int(name).and_then(|n| usize::try_from(n).ok());
        given.unwrap_or(1).max(1)
    };
    (number(MIN_TRIALS_REQUIRED.name), number(START_STEP.name))
}

fn mean(values: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a count of reports")]
    let count = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count)
}

#[cfg(test)]
mod tests {
    use diwan_api::AlgorithmSetting;

    use super::*;
    use crate::{Curve, Goal};

    fn check(given: &[(&str, &str)], succeeded: &[Curve], expected: Option<(f64, usize)>) {
        let given: Vec<AlgorithmSetting> = given
            .iter()
            .map(|(name, value)| AlgorithmSetting {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            })
            .collect();
        let settings = EARLY_STOPPING.settings(&given).expect("they are right");
        let evidence = Evidence {
            goal: Goal::Maximize,
            succeeded,
            others: &[],
            subject: &[],
        };
        let expected = expected.map(|(worse_than, from)| StopRule { worse_than, from });
        assert_eq!(rule(&evidence, &settings), expected);
    }

    #[test]
    fn the_median_of_the_averages_of_the_first_steps() {
        let curves = [vec![1.0, 3.0, 99.0], vec![4.0, 4.0], vec![10.0]];
        check(&[("start_step", "2")], &curves, Some((4.0, 2)));
        check(&[("start_step", "2")], &curves[..2], None);
        let mean = [("start_step", "2"), ("center", "mean")];
        check(&mean, &curves, Some(((2.0 + 4.0 + 10.0) / 3.0, 2)));
        let two = [("start_step", "1"), ("min_trials_required", "2")];
        check(&two, &curves[..2], Some((2.5, 1)));
    }

    #[test]
    fn wrong_settings_are_refused_in_katib_s_words() {
        let refused = |name: &str, value: &str| {
            let given = [AlgorithmSetting {
                name: name.to_owned(),
                value: value.to_owned(),
            }];
            let errors = EARLY_STOPPING.settings(&given).expect_err("it is wrong");
            errors[0].text.clone()
        };
        assert_eq!(
            refused("min_trials_required", "0"),
            "min_trials_required must be greater than zero (>0)"
        );
        assert_eq!(
            refused("start_step", "0"),
            "start_step must be greater or equal than one (>=1)"
        );
        assert_eq!(
            refused("stop", "1"),
            "unknown setting stop for algorithm medianstop"
        );
        assert!(refused("start_step", "x").starts_with("failed to validate start_step(x): "));
    }
}
