//! `diwan algorithms`: the registry, for people.

use std::process::ExitCode;

use diwan_algorithms::{ALGORITHMS, Algorithm, find};

use super::EXIT_INVALID;
use crate::table;

/// Lists the search algorithms, or shows one with its settings.
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
        let Some(algorithm) = find(&name) else {
            let known: Vec<&str> = ALGORITHMS.iter().map(|algorithm| algorithm.name).collect();
            eprintln!("unknown algorithm {name}; known ones: {}", known.join(", "));
            return Ok(ExitCode::from(EXIT_INVALID));
        };
        super::print(&describe(algorithm))?;
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
    table::render(header, ALGORITHMS.iter().map(row))
}

fn describe(algorithm: &Algorithm) -> String {
    let mut lines = vec![format!("{}: {}", algorithm.name, algorithm.summary)];
    if !algorithm.aliases.is_empty() {
        lines.push(format!("also known as: {}", algorithm.aliases.join(", ")));
    }
    lines.push(format!("supports: {}", capabilities(algorithm)));
    if algorithm.settings.is_empty() {
        lines.push("no settings\n".to_owned());
    } else {
        let rows = algorithm
            .settings
            .iter()
            .map(|s| [s.name, s.default, s.doc]);
        lines.push(table::render(["SETTING", "DEFAULT", "WHAT IT DOES"], rows));
    }
    lines.join("\n")
}
