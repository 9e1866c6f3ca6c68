//! Processor time of one suggestion when `n` random trials are known, over 20 parameters, and all
//! but the last were known at the suggestion before it.

use std::fmt::Write as _;

use diwan_algorithms::{Algorithm, Budget, State, Trial};
use diwan_api::SearchSpace;
use diwan_api::search_space::{Domain, Parameter, Scale};
use serde_json::{Value as Json, json};

use super::Searcher as _;
use super::draw::Draws;
use super::problem::{category, int, log_double};
use super::registry::BuiltIn;
use super::report::rule;

/// Half of the odd parameters are drawn evenly in the logarithm; numbers alone, or 10 of them
/// with 5 whole numbers and 5 categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// 20 real numbers
    Float20,
    /// 10 real numbers, 5 whole ones, 5 categories
    Mixed20,
}

/// What one suggestion takes.
#[derive(Clone, Debug)]
pub struct Row {
    /// The algorithm.
    pub algorithm: &'static str,
    /// The space.
    pub kind: Kind,
    /// How many trials are known.
    pub known: usize,
    /// Processor time in milliseconds, the median: taking in the history and proposing one point.
    pub cpu_ms: f64,
}

/// Measures an algorithm. Whoever needs seconds for one suggestion is measured once.
pub fn measure(
    algorithm: &'static Algorithm,
    kind: Kind,
    known: usize,
    repetitions: usize,
) -> anyhow::Result<Row> {
    let space = space(kind);
    let budget = Budget {
        max_trials: Some(known + repetitions + 5),
        parallel: 1,
    };
    let mut times = Vec::new();
    for repetition in 0..repetitions {
        let mut search = BuiltIn::new(algorithm, &space, repetition as u64, budget);
        search.preload(history(&space, known.saturating_sub(1)));
        search.ask(1)?;
        search.tell(&[0.5])?;
        let before = search.seconds();
        search.ask(1)?;
        times.push((search.seconds() - before) * 1e3);
        if search.seconds() > 2.0 {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(Row {
        algorithm: algorithm.name,
        kind,
        known,
        cpu_ms: times[times.len() / 2],
    })
}

fn space(kind: Kind) -> SearchSpace {
    let scale = |i: usize| match i % 2 {
        0 => Scale::LogUniform,
        _ => Scale::Uniform,
    };
    let double = |i: usize| Parameter {
        domain: Domain::Double {
            min: 1e-4,
            max: 1.0,
            step: None,
            scale: scale(i),
        },
        ..log_double(format!("x{i}"), 1e-4, 1.0)
    };
    let parameters = match kind {
        Kind::Float20 => (0..20).map(double).collect(),
        Kind::Mixed20 => {
            let ints = (0..5).map(|i| int(format!("i{i}"), 1, 128, scale(i)));
            let words = (0..5).map(|i| category(format!("c{i}"), &["a", "b", "c", "d"]));
            (0..10).map(double).chain(ints).chain(words).collect()
        }
    };
    SearchSpace { parameters }
}

/// Random trials with a bowl under some noise as their values.
fn history(space: &SearchSpace, count: usize) -> Vec<Trial> {
    let mut draws = Draws::new(1);
    let trial = |index: usize| {
        let places: Vec<f64> = space.parameters.iter().map(|_| draws.uniform()).collect();
        let values = space.parameters.iter().zip(&places);
        let bowl: f64 = places.iter().map(|u| (u - 0.3).powi(2)).sum();
        Trial {
            name: format!("trial-{index}"),
            values: values
                .map(|(p, u)| Some(super::draw::at_quantile(&p.domain, *u)))
                .collect(),
            state: State::Succeeded,
            objective: Some(bowl + 0.05 * draws.normal()),
            labels: indexmap::IndexMap::default(),
            texts: Vec::new(),
        }
    };
    (0..count).map(trial).collect()
}

/// The rows as a table in markdown: one for each algorithm and space, a column for each count.
pub fn table(rows: &[Row], counts: &[usize]) -> String {
    let heads: Vec<String> = counts.iter().map(|n| format!("n = {n}")).collect();
    let mut text = format!("| CPU ms a suggestion | {} |\n", heads.join(" | "));
    text.push_str(&rule(counts.len()));
    for line in rows.chunks(counts.len()) {
        let _ = write!(
            text,
            "| {}, {} |",
            line[0].algorithm,
            kind_name(line[0].kind)
        );
        for row in line {
            let _ = write!(text, " {:.2} |", row.cpu_ms);
        }
        text.push('\n');
    }
    text
}

/// The rows as JSON.
pub fn json(rows: &[Row]) -> Json {
    let row = |row: &Row| {
        json!({
            "algorithm": row.algorithm,
            "kind": kind_name(row.kind),
            "n": row.known,
            "cpu_ms": row.cpu_ms,
        })
    };
    rows.iter().map(row).collect()
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Float20 => "float20",
        Kind::Mixed20 => "mixed20",
    }
}
