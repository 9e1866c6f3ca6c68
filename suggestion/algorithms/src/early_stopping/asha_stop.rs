//! Asynchronous successive halving that stops instead of pausing (Li et al., "A System for
//! Massively Parallel Hyperparameter Tuning", 2020; the stopping variant is that of Syne Tune and
//! Ray Tune): at rungs of 1, η, η², … times the least number of reports a trial goes on when its
//! best value is in the best 1/η of all that came so far.

use crate::{Kind, Setting, Settings};

use super::{EarlyStopping, Evidence, StopRule, quantile};

pub(super) static EARLY_STOPPING: EarlyStopping = EarlyStopping {
    name: "asha-stop",
    summary: "stops trials at rungs unless they are in the best part of all that got there",
    settings: &[
        Setting {
            name: "min_resource",
            kind: Kind::Int {
                min: 1,
                refusal: "min_resource should be greater than zero",
            },
            default: "1",
            doc: "the first rung: how many reports of the objective every trial has",
        },
        Setting {
            name: "reduction_factor",
            kind: Kind::Int {
                min: 2,
                refusal: "reduction_factor should be greater than one",
            },
            default: "3",
            doc: "η: one in so many goes on at each rung, and the next rung is so many times later",
        },
    ],
    rule,
};

/// Rungs beyond this many reports are not looked at.
const LAST_RUNG: usize = 1 << 30;

fn rule(evidence: &Evidence<'_>, settings: &Settings) -> Option<StopRule> {
    let number = |name| usize::try_from(settings.int(name)?).ok();
    let first = number("min_resource")?.max(1);
    let factor = number("reduction_factor")?.max(2);
    let rungs = std::iter::successors(Some(first), |rung| rung.checked_mul(factor));
    let mut found = None;
    for rung in rungs.take_while(|rung| *rung < LAST_RUNG) {
        let Some(loss) = cutoff(evidence, rung, factor) else {
            break;
        };
        found = Some(evidence.rule(loss, rung));
        // The next decision is at the first rung that lies ahead.
        if rung > evidence.subject.len() {
            break;
        }
    }
    found
}

/// What a trial must have reached at a rung; `None` until as many got there as one is kept of.
fn cutoff(evidence: &Evidence<'_>, rung: usize, factor: usize) -> Option<f64> {
    let curves = evidence.succeeded.iter().chain(evidence.others);
    let mut bests: Vec<f64> = curves
        .filter_map(|curve| evidence.best_at(curve, rung))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a factor of a few")]
    let share = 1.0 / factor as f64;
    (bests.len() >= factor).then(|| quantile(&mut bests, share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Curve, Goal};

    fn check(subject: usize, expected: Option<(f64, usize)>) {
        // Trial i has the loss i and has come to 3 i reports.
        let others: Vec<Curve> = (0..7_u8)
            .map(|i| vec![f64::from(i); 3 * usize::from(i)])
            .collect();
        let settings = EARLY_STOPPING.settings(&[]).expect("defaults are right");
        let evidence = Evidence {
            goal: Goal::Minimize,
            succeeded: &[],
            others: &others,
            subject: &vec![0.0; subject],
        };
        let found = rule(&evidence, &settings).map(|rule| (rule.worse_than, rule.from));
        let near = found.zip(expected).is_some_and(|(found, expected)| {
            (found.0 - expected.0).abs() < 1e-9 && found.1 == expected.1
        });
        assert!(near, "{subject}: {found:?}, not {expected:?}");
    }

    #[test]
    fn a_trial_is_judged_at_the_next_rung() {
        // Six curves reach 1 and 3 reports, four reach 9 (those of 3, 4, 5, 6), none 27.
        check(0, Some((1.0 + 5.0 / 3.0, 1)));
        check(2, Some((1.0 + 5.0 / 3.0, 3)));
        check(3, Some((4.0, 9)));
        check(20, Some((4.0, 9)));
    }
}
