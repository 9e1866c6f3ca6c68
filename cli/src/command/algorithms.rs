//! `diwan algorithms`: the registry, for people.

use std::process::ExitCode;

use diwan_algorithms::{
    ALGORITHMS, Algorithm, EARLY_STOPPING, EarlyStopping, Setting, find, find_early_stopping,
};

use super::EXIT_INVALID;
use crate::table;

/// Lists the algorithms of search and of early stopping, or shows one with its settings.
#[derive(clap::Args)]
pub(crate) struct Algorithms {
    /// Show this one with its settings
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

impl Algorithms {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let Some(name) = self.name else {
            super::print(&list())?;
            return Ok(ExitCode::SUCCESS);
        };
        let text = find(&name)
            .map(describe)
            .or_else(|| find_early_stopping(&name).map(describe_early_stopping));
        let Some(text) = text else {
            let search = ALGORITHMS.iter().map(|row| row.name);
            let known: Vec<&str> = search
                .chain(EARLY_STOPPING.iter().map(|row| row.name))
                .collect();
            eprintln!("unknown algorithm {name}; known ones: {}", known.join(", "));
            return Ok(ExitCode::from(EXIT_INVALID));
        };
        super::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn capabilities(algorithm: &Algorithm) -> String {
    algorithm
        .supports
        .iter()
        .map(|capability| capability.name())
        .collect::<Vec<_>>()
        .join(", ")
}

fn list() -> String {
    let row = |algorithm: &&Algorithm| {
        [
            algorithm.name.to_owned(),
            algorithm.summary.to_owned(),
            capabilities(algorithm),
        ]
    };
    let header = ["NAME", "WHAT IT IS", "SUPPORTS"].map(str::to_owned);
    let search = table::render(header, ALGORITHMS.iter().map(row));
    let row = |row: &&EarlyStopping| [row.name, row.summary];
    let header = ["EARLY STOPPING", "WHAT IT IS"];
    let early_stopping = table::render(header, EARLY_STOPPING.iter().map(row));
    format!("{search}\n{early_stopping}")
}

fn describe(algorithm: &Algorithm) -> String {
    let mut lines = vec![format!("{}: {}", algorithm.name, algorithm.summary)];
    if !algorithm.aliases.is_empty() {
        lines.push(format!("also known as: {}", algorithm.aliases.join(", ")));
    }
    lines.push(format!("supports: {}", capabilities(algorithm)));
    lines.push(settings(algorithm.settings));
    lines.join("\n")
}

fn describe_early_stopping(row: &EarlyStopping) -> String {
    let (name, summary) = (row.name, row.summary);
    format!("{name}: {summary}\n{}", settings(row.settings))
}

fn settings(settings: &[Setting]) -> String {
    if settings.is_empty() {
        return "no settings\n".to_owned();
    }
    let rows = settings.iter().map(|s| [s.name, s.default, s.doc]);
    table::render(["SETTING", "DEFAULT", "WHAT IT DOES"], rows)
}
