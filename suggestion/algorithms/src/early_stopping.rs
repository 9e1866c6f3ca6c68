//! Early stopping: from the curves of other trials to the rule that stops a trial.
//!
//! Pure, like the search algorithms. One algorithm is one file in `early_stopping/` with one
//! [`EarlyStopping`] row, listed in [`EARLY_STOPPING`].

use diwan_api::AlgorithmSetting;

use crate::{Goal, Setting, SettingError, Settings};

mod asha_stop;
mod medianstop;
mod percentile;

/// All early stopping algorithms, by name.
pub static EARLY_STOPPING: &[&EarlyStopping] = &[
    &asha_stop::EARLY_STOPPING,
    &medianstop::EARLY_STOPPING,
    &percentile::EARLY_STOPPING,
];

/// The early stopping algorithm of this name.
pub fn find_early_stopping(name: &str) -> Option<&'static EarlyStopping> {
    EARLY_STOPPING.iter().copied().find(|row| row.name == name)
}

/// One row of the table of early stopping algorithms.
pub struct EarlyStopping {
    /// Name in `spec.earlyStopping.algorithmName`.
    pub name: &'static str,
    /// One line for listings.
    pub summary: &'static str,
    /// The settings that users may give.
    pub settings: &'static [Setting],
    /// The rule that holds for a trial now; `None` while there is too little to judge by.
    pub rule: fn(&Evidence<'_>, &Settings) -> Option<StopRule>,
}

impl EarlyStopping {
    /// Checks what a user gave and reports everything that is wrong.
    pub fn settings(&self, given: &[AlgorithmSetting]) -> Result<Settings, Vec<SettingError>> {
        Settings::parse_rows(self.name, self.settings, false, given)
    }
}

/// What a trial has reported of the objective so far, oldest first. Values may be NaN or infinite.
pub type Curve = Vec<f64>;

/// What a rule is made from.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Whether smaller or larger is better.
    pub goal: Goal,
    /// The trials that have succeeded.
    pub succeeded: &'a [Curve],
    /// The trials that run, or were stopped early, other than the one to be judged.
    pub others: &'a [Curve],
    /// The trial to be judged; empty when it has reported nothing.
    pub subject: &'a [f64],
}

/// A trial is stopped when its best value so far is worse than this.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StopRule {
    /// The value.
    pub worse_than: f64,
    /// From which report on that holds, the first being 1.
    pub from: usize,
}

impl Evidence<'_> {
    /// The values of a curve up to a step as losses, without those that are no numbers.
    fn losses(&self, curve: &[f64], until: usize) -> Vec<f64> {
        let sign = self.sign();
        let first = curve.iter().take(until).filter(|value| value.is_finite());
        first.map(|value| sign * value).collect()
    }

    /// The least loss of a curve up to a step; `None` when it is shorter or has no number.
    fn best_at(&self, curve: &[f64], step: usize) -> Option<f64> {
        if curve.len() < step {
            return None;
        }
        self.losses(curve, step).into_iter().reduce(f64::min)
    }

    fn rule(&self, loss: f64, from: usize) -> StopRule {
        StopRule {
            worse_than: self.sign() * loss,
            from,
        }
    }

    /// Turns values into losses and back.
    fn sign(&self) -> f64 {
        match self.goal {
            Goal::Minimize => 1.0,
            Goal::Maximize => -1.0,
        }
    }
}

/// The value below which a share of the values lies, between neighbours by their distance (the
/// usual definition, number 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages",
/// 1996). `values` must not be empty.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list of trials"
    )]
    let (at, low) = {
        let at = share.clamp(0.0, 1.0) * last as f64;
        (at, at.floor() as usize)
    };
    let (low, high) = (low.min(last), (low + 1).min(last));
    values[low] + (values[high] - values[low]) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(row: &EarlyStopping, given: &[(&str, &str)]) -> Settings {
        let given: Vec<AlgorithmSetting> = given
            .iter()
            .map(|(name, value)| AlgorithmSetting {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            })
            .collect();
        row.settings(&given).expect("the settings are right")
    }

    #[test]
    fn names_are_unique_and_sorted() {
        let names: Vec<&str> = EARLY_STOPPING.iter().map(|row| row.name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }

    #[test]
    fn the_quantile_of_few_values() {
        for (share, expected) in [(0.0, 1.0), (0.5, 2.5), (0.25, 1.75), (1.0, 4.0)] {
            let found = quantile(&mut [4.0, 1.0, 3.0, 2.0], share);
            assert!((found - expected).abs() < 1e-12, "{share}: {found}");
        }
        assert!((quantile(&mut [7.0], 0.3) - 7.0).abs() < f64::EPSILON);
    }

    /// Whatever the algorithm, a direction of the objective or a trial of nothing but NaN changes
    /// nothing about who is stopped.
    #[test]
    fn rules_don_t_depend_on_the_direction() {
        let curves: Vec<Curve> = (0..6)
            .map(|i| {
                (0..9)
                    .map(|t| f64::from(i) + 1.0 / f64::from(t + 1))
                    .collect()
            })
            .collect();
        let negated: Vec<Curve> = curves
            .iter()
            .map(|curve| curve.iter().map(|value| -value).collect())
            .collect();
        for row in EARLY_STOPPING {
            let settings = settings(row, &[]);
            let rule = |goal, curves: &[Curve]| {
                let mut others = curves[3..].to_vec();
                others.push(vec![f64::NAN; 9]);
                let evidence = Evidence {
                    goal,
                    succeeded: &curves[..3],
                    others: &others,
                    subject: &[],
                };
                (row.rule)(&evidence, &settings).expect("there is enough to judge by")
            };
            let down = rule(Goal::Minimize, &curves);
            let up = rule(Goal::Maximize, &negated);
            assert_eq!(down.from, up.from, "{}", row.name);
            assert!(
                (down.worse_than + up.worse_than).abs() < 1e-12,
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn nothing_is_stopped_without_evidence() {
        for row in EARLY_STOPPING {
            let evidence = Evidence {
                goal: Goal::Minimize,
                succeeded: &[vec![], vec![f64::NAN], vec![f64::INFINITY]],
                others: &[],
                subject: &[1.0],
            };
            let rule = (row.rule)(&evidence, &settings(row, &[]));
            assert_eq!(rule, None, "{}", row.name);
        }
    }
}
