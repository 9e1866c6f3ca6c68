//! Whether a trial meets the rules under which it is stopped. No I/O.

use diwan_api::{Comparison, EarlyStoppingRule, MetricLog, ObjectiveSpec, ObjectiveType};

use crate::port::Curve;

/// What was reported of a metric, oldest first; NaN where it is no number.
pub fn curve(logs: &[MetricLog], metric: &str) -> Curve {
    let rows = logs.iter().filter(|row| row.name == metric);
    rows.map(|row| number(&row.value).unwrap_or(f64::NAN))
        .collect()
}

/// Why a trial is to be stopped; `None` when it goes on. As in Katib it is stopped when it meets
/// every rule, and a rule on the objective looks at the best value so far. Unlike there a rule
/// holds at every report from its first step on, not at that step alone.
pub fn verdict(
    rules: &[EarlyStoppingRule],
    logs: &[MetricLog],
    objective: &ObjectiveSpec,
) -> Option<String> {
    let met: Option<Vec<String>> = rules
        .iter()
        .map(|rule| reason(rule, logs, objective))
        .collect();
    met.filter(|reasons| !reasons.is_empty())
        .map(|reasons| reasons.join("; "))
}

fn reason(
    rule: &EarlyStoppingRule,
    logs: &[MetricLog],
    objective: &ObjectiveSpec,
) -> Option<String> {
    let bound = number(&rule.value)?;
    let values = curve(logs, &rule.name);
    let start = usize::try_from(rule.start_step).unwrap_or_default().max(1);
    if values.len() < start {
        return None;
    }
    let comparison = rule.comparison.as_ref()?;
    let is_met = |value: &f64| comparison.holds(*value, bound);
    let is_objective = rule.name == objective.objective_metric_name;
    let value = if is_objective {
        best(&values, objective).filter(is_met)?
    } else {
        values[start - 1..].iter().copied().find(is_met)?
    };
    let relation = match comparison {
        Comparison::Less => "less than",
        Comparison::Greater => "greater than",
        _ => "equal to",
    };
    let what = if is_objective { "best " } else { "" };
    let (name, bound, count) = (&rule.name, &rule.value, values.len());
    let reports = if count == 1 { "report" } else { "reports" };
    Some(format!(
        "{what}{name} {value} is {relation} {bound} after {count} {reports}"
    ))
}

fn best(values: &[f64], objective: &ObjectiveSpec) -> Option<f64> {
    let numbers = values.iter().copied().filter(|value| value.is_finite());
    match objective.type_ {
        Some(ObjectiveType::Maximize) => numbers.reduce(f64::max),
        _ => numbers.reduce(f64::min),
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> EarlyStoppingRule {
        let words: Vec<&str> = text.split(' ').collect();
        EarlyStoppingRule {
            name: words[0].to_owned(),
            comparison: Some(match words[1] {
                "<" => Comparison::Less,
                ">" => Comparison::Greater,
                _ => Comparison::Equal,
            }),
            value: words[2].to_owned(),
            start_step: words[3].parse().unwrap(),
        }
    }

    fn check(type_: ObjectiveType, rules: &[&str], logs: &str, expected: Option<&str>) {
        let objective = ObjectiveSpec {
            type_: Some(type_),
            objective_metric_name: "acc".to_owned(),
            ..ObjectiveSpec::default()
        };
        let logs: Vec<MetricLog> = logs
            .split_whitespace()
            .filter_map(|row| row.split_once('='))
            .map(|(name, value)| MetricLog {
                time_stamp: String::new(),
                name: name.to_owned(),
                value: value.to_owned(),
            })
            .collect();
        let rules: Vec<_> = rules.iter().map(|text| rule(text)).collect();
        let found = verdict(&rules, &logs, &objective);
        assert_eq!(found.as_deref(), expected, "{rules:?} {logs:?}");
    }

    use ObjectiveType::{Maximize, Minimize};

    #[test]
    fn the_best_so_far_counts_from_the_first_step_on() {
        check(Maximize, &["acc < 0.5 3"], "acc=0.1 acc=0.2", None);
        let why = "best acc 0.3 is less than 0.5 after 3 reports";
        check(
            Maximize,
            &["acc < 0.5 3"],
            "acc=0.1 acc=0.3 acc=0.2",
            Some(why),
        );
        let why = "best acc 0.3 is less than 0.5 after 5 reports";
        let late = "acc=0.1 acc=0.3 acc=0.2 acc=0.2 acc=nan";
        check(Maximize, &["acc < 0.5 3"], late, Some(why));
        check(
            Maximize,
            &["acc < 0.5 3"],
            "acc=0.1 acc=0.6 acc=0.2 acc=0.1",
            None,
        );
        let why = "best acc 2 is greater than 1.5 after 2 reports";
        check(Minimize, &["acc > 1.5 1"], "acc=3 acc=2", Some(why));
    }

    #[test]
    fn every_rule_must_be_met() {
        let rules = ["acc < 0.5 1", "norm > 9 2"];
        check(Maximize, &rules, "acc=0.1 norm=99", None);
        check(Maximize, &rules, "acc=0.1 norm=1 norm=9.5 norm=2", {
            Some(
                "best acc 0.1 is less than 0.5 after 1 report; \
                 norm 9.5 is greater than 9 after 3 reports",
            )
        });
    }

    #[test]
    fn what_is_no_number_meets_no_rule() {
        check(Maximize, &["acc < 0.5 1"], "acc=unavailable acc=nan", None);
        check(Maximize, &["acc < x 1"], "acc=0.1", None);
        check(Maximize, &[], "acc=0.1", None);
    }
}
