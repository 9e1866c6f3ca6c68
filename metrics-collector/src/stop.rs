//! Early stopping rules, tested against what a trial reports.
//!
//! As with Katib, every rule has to be met, each at a report of its own; the objective counts as
//! the best value so far, any other metric as the current one. Unlike Katib, a rule with a start
//! step is tested at every report from that one on, not at that one alone.

use diwan_api::{Comparison, EarlyStoppingRule, ObjectiveType};

/// The rules of one trial.
#[derive(Clone, Debug)]
pub struct StopRules {
    rules: Vec<Rule>,
    objective: String,
    objective_type: ObjectiveType,
    best: Option<f64>,
}

#[derive(Clone, Debug)]
struct Rule {
    metric: String,
    value: f64,
    comparison: Comparison,
    /// How many reports are not tested yet.
    wait: i64,
    met: bool,
}

/// A rule that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("early stopping rule of metric {metric:?}: {problem}")]
pub struct StopRuleError {
    /// The rule's metric.
    pub metric: String,
    /// What is wrong with it.
    pub problem: String,
}

impl StopRules {
    /// Takes the rules of a trial with an objective.
    pub fn new(
        rules: &[EarlyStoppingRule],
        objective: &str,
        objective_type: ObjectiveType,
    ) -> Result<Self, StopRuleError> {
        Ok(Self {
            rules: rules.iter().map(rule).collect::<Result<_, _>>()?,
            objective: objective.to_owned(),
            objective_type,
            best: None,
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Takes one reported value; returns true as soon as the trial is to be stopped. A value that
    /// is no number counts as a report and meets no rule.
    pub fn observe(&mut self, metric: &str, value: &str) -> bool {
        let mut number = value
            .trim()
            .parse()
            .ok()
            .filter(|number: &f64| !number.is_nan());
        if metric == self.objective {
            let better = |best: f64, number: f64| match self.objective_type {
                ObjectiveType::Maximize => best.max(number),
                _ => best.min(number),
            };
            self.best = match (self.best, number) {
                (Some(best), Some(number)) => Some(better(best, number)),
                (best, number) => best.or(number),
            };
            number = number.and(self.best);
        }
        for rule in self.rules.iter_mut().filter(|rule| rule.metric == metric) {
            rule.wait -= 1;
            let holds = |number| rule.comparison.holds(number, rule.value);
            if rule.wait <= 0 && number.is_some_and(holds) {
                rule.met = true;
            }
        }
        !self.rules.is_empty() && self.rules.iter().all(|rule| rule.met)
    }
}

fn rule(given: &EarlyStoppingRule) -> Result<Rule, StopRuleError> {
    let refuse = |problem: String| StopRuleError {
        metric: given.name.clone(),
        problem,
    };
    let comparison = match &given.comparison {
        Some(known @ (Comparison::Equal | Comparison::Less | Comparison::Greater)) => known.clone(),
        other => {
            return Err(refuse(format!(
                "comparison {other:?} is unknown; write equal, less or greater"
            )));
        }
    };
    let value = given
        .value
        .trim()
        .parse()
        .map_err(|_| refuse(format!("value {:?} is not a number", given.value)))?;
    Ok(Rule {
        metric: given.name.clone(),
        value,
        comparison,
        wait: i64::from(given.start_step),
        met: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(
        name: &str,
        value: &str,
        comparison: Comparison,
        start_step: i32,
    ) -> EarlyStoppingRule {
        EarlyStoppingRule {
            name: name.into(),
            value: value.into(),
            comparison: Some(comparison),
            start_step,
        }
    }

    /// Returns at which of the reports the trial is stopped, from 1.
    fn stopped_at(rules: &[EarlyStoppingRule], reports: &[(&str, &str)]) -> Option<usize> {
        let mut rules = StopRules::new(rules, "acc", ObjectiveType::Maximize).unwrap();
        let at = reports
            .iter()
            .position(|(name, value)| rules.observe(name, value));
        at.map(|at| at + 1)
    }

    #[test]
    fn rules_are_tested_at_every_report_from_their_step_on() {
        let rule = [given("loss", "1", Comparison::Greater, 3)];
        let reports =
            |values: &[&'static str]| values.iter().map(|v| ("loss", *v)).collect::<Vec<_>>();
        assert_eq!(
            stopped_at(&rule, &reports(&["9", "9", "0.5", "0.5", "2"])),
            Some(5)
        );
        assert_eq!(stopped_at(&rule, &reports(&["9", "9", "9"])), Some(3));
        assert_eq!(stopped_at(&rule, &reports(&["9", "9"])), None);
        assert_eq!(stopped_at(&rule, &reports(&["9", "9", "nan", "x"])), None);
        assert_eq!(stopped_at(&[], &reports(&["9"])), None);
        let at_once = [given("loss", "1", Comparison::Greater, 0)];
        assert_eq!(stopped_at(&at_once, &reports(&["9"])), Some(1));
    }

    #[test]
    fn the_objective_counts_as_its_best_and_all_rules_have_to_be_met() {
        let best = [given("acc", "0.5", Comparison::Less, 2)];
        assert_eq!(
            stopped_at(&best, &[("acc", "0.6"), ("acc", "0.1"), ("acc", "0.1")]),
            None
        );
        assert_eq!(
            stopped_at(&best, &[("acc", "0.4"), ("acc", "0.1")]),
            Some(2)
        );
        let both = [best[0].clone(), given("loss", "1", Comparison::Equal, 0)];
        let reports = [
            ("acc", "0.4"),
            ("acc", "0.4"),
            ("other", "1"),
            ("loss", "1.0"),
        ];
        assert_eq!(stopped_at(&both, &reports), Some(4));
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let bad = given("loss", "low", Comparison::Less, 1);
        let error = StopRules::new(&[bad], "acc", ObjectiveType::Maximize).unwrap_err();
        assert_eq!(
            error.to_string(),
            "early stopping rule of metric \"loss\": value \"low\" is not a number"
        );
    }
}
