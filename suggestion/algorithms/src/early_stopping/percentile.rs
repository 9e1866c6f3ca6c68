//! The percentile rule: a trial is stopped when its best value is worse than a percentile of the
//! best values that others had by the same step. With 50 it is the rule that Optuna calls median
//! pruning, with less it stops more (Optuna's `PercentilePruner`).

use crate::{Kind, Setting, Settings};

use super::medianstop::{MIN_TRIALS_REQUIRED, START_STEP, required_and_start};
use super::{EarlyStopping, Evidence, StopRule, quantile};

pub(super) static EARLY_STOPPING: EarlyStopping = EarlyStopping {
    name: "percentile",
    summary: "stops trials whose best is not in the best part of all at the same step",
    settings: &[
        MIN_TRIALS_REQUIRED,
        START_STEP,
        Setting {
            name: "percentile",
            kind: Kind::Float {
                above: 0.0,
                below: 100.0,
                refusal: "percentile should be between zero and 100",
            },
            default: "25",
            doc: "how many percent of the trials go on",
        },
    ],
    rule,
};

fn rule(evidence: &Evidence<'_>, settings: &Settings) -> Option<StopRule> {
    let (required, start) = required_and_start(settings);
    let share = settings.float("percentile")? / 100.0;
    let best = |curve| evidence.best_at(curve, start);
    let succeeded = evidence.succeeded.iter().map(Vec::as_slice);
    let mut bests: Vec<f64> = succeeded.filter_map(best).collect();
    if bests.len() < required {
        return None;
    }
    // Those that were stopped did worse: without them the bar would rise with every stop.
    bests.extend(evidence.others.iter().map(Vec::as_slice).filter_map(best));
    Some(evidence.rule(quantile(&mut bests, share), start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Curve, Goal};

    #[test]
    fn a_part_of_all_that_came_so_far_goes_on() {
        let succeeded: Vec<Curve> = (0..3).map(|i| vec![f64::from(i); 4]).collect();
        let others: Vec<Curve> = vec![vec![3.0; 4], vec![4.0; 9], vec![-9.0; 3]];
        let evidence = Evidence {
            goal: Goal::Minimize,
            succeeded: &succeeded,
            others: &others,
            subject: &[],
        };
        let settings = EARLY_STOPPING.settings(&[]).expect("defaults are right");
        let expected = StopRule {
            worse_than: 1.0,
            from: 4,
        };
        assert_eq!(rule(&evidence, &settings), Some(expected));
        let few = Evidence {
            succeeded: &succeeded[..2],
            ..evidence
        };
        assert_eq!(rule(&few, &settings), None);
    }
}
