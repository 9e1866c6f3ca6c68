//! What is printed: tables in markdown, or one JSON document.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::Problem;
use super::run::{Contestant, Run};
use super::score::{Mean, Scores};

/// All that was measured.
pub struct Report<'a> {
    /// The problems.
    pub problems: &'a [Problem],
    /// What random search reaches on each.
    pub random: &'a [Vec<f64>],
    /// Who ran, and all runs.
    pub results: &'a [(Contestant, Vec<Run>)],
    /// After how many trials scores are given.
    pub budgets: &'a [usize],
    /// The sizes of the batches.
    pub batches: &'a [usize],
}

impl Report<'_> {
    /// Tables in markdown: a summary and one row for each problem, for each budget and batch.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for batch in self.batches {
            for budget in self.budgets {
                let columns: Vec<(&str, Scores)> = self
                    .results
                    .iter()
                    .map(|(contestant, runs)| {
                        let scores =
                            Scores::new(runs, self.problems, self.random, (*batch, *budget));
                        (contestant.name(), scores)
                    })
                    .collect();
                let manner = match batch {
                    1 => "one at a time".to_owned(),
                    _ => format!("in batches of {batch}"),
                };
                let _ = writeln!(text, "\nScores after {budget} trials, {manner}:\n");
                text.push_str(&self.summary(&columns));
                text.push('\n');
                text.push_str(&self.by_problem(&columns));
            }
        }
        text
    }

    fn groups(&self) -> Vec<&'static str> {
        let mut groups: Vec<&str> = self.problems.iter().map(|p| p.group).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// One row for each contestant, the best first.
    fn summary(&self, columns: &[(&str, Scores)]) -> String {
        let groups = self.groups();
        let mut rows: Vec<(Mean, String)> = columns
            .iter()
            .map(|(name, scores)| {
                let all = scores.over(|_| true);
                let mut row = format!("| {name} | {:.3} | {:.3} |", all.mean, all.error);
                for group in &groups {
                    let part = scores.over(|p| self.problems[p].group == *group);
                    let _ = write!(row, " {:.3} |", part.mean);
                }
                let _ = writeln!(row, " {:.2} |", scores.cpu_ms);
                (all, row)
            })
            .collect();
        rows.sort_by(|a, b| b.0.mean.total_cmp(&a.0.mean));
        let mut text = format!(
            "| | mean | s.e. | {} | CPU ms a trial |\n",
            groups.join(" | ")
        );
        text.push_str(&rule(groups.len() + 3));
        text.extend(rows.into_iter().map(|(_, row)| row));
        text
    }

    /// One row for each problem.
    fn by_problem(&self, columns: &[(&str, Scores)]) -> String {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let mut text = format!("| problem | {} |\n", names.join(" | "));
        text.push_str(&rule(names.len()));
        for (index, problem) in self.problems.iter().enumerate() {
            let _ = write!(text, "| {} |", problem.name);
            for (_, scores) in columns {
                let _ = write!(text, " {:.2} |", scores.of(index).mean);
            }
            text.push('\n');
        }
        text
    }

    /// Everything: problems, runs and what random search reaches.
    pub fn json(&self) -> Json {
        let problems: Vec<Json> = self
            .problems
            .iter()
            .zip(self.random)
            .map(|(p, random)| {
                json!({"name": p.name, "group": p.group, "best": p.best, "random": random})
            })
            .collect();
        let runs: Vec<Json> = self
            .results
            .iter()
            .flat_map(|(contestant, runs)| runs.iter().map(move |run| (contestant, run)))
            .map(|(contestant, run)| {
                json!({
                    "searcher": contestant.name(),
                    "problem": self.problems[run.problem].name,
                    "batch": run.batch,
                    "seed": run.seed,
                    "trajectory": run.trajectory,
                    "cpu_ms": run.cpu_ms,
                })
            })
            .collect();
        json!({"problems": problems, "runs": runs})
    }
}

/// The line below the head of a table, of a first column and others.
pub(super) fn rule(others: usize) -> String {
    format!("|---|{}\n", "---:|".repeat(others))
}
