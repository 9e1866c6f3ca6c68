//! Every algorithm has a page, and its table of settings says what the registry says.
//!
//! `UPDATE_PAGES=1 cargo test -p diwan-algorithms --test pages` writes the tables.

use std::fmt::Write as _;
use std::path::PathBuf;

use diwan_algorithms::{ALGORITHMS, EARLY_STOPPING, Setting};

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn table(settings: &[Setting]) -> String {
    let mut table = "| setting | kind | default | what it does |\n|---|---|---|---|\n".to_owned();
    for setting in settings {
        let default = match setting.default {
            "" => "—".to_owned(),
            text => format!("`{text}`"),
        };
        let (name, kind, doc) = (setting.name, setting.kind.name(), setting.doc);
        writeln!(table, "| `{name}` | {kind} | {default} | {doc} |")
            .expect("memory can be written");
    }
    table
}

/// A page with its table of settings, if it has any, replaced.
fn updated(page: &str, table: &str) -> String {
    let (before, after) = page
        .split_once("## Settings\n")
        .expect("the page has settings");
    let rest: Vec<&str> = after
        .lines()
        .filter(|line| !line.starts_with('|'))
        .collect();
    let rest = rest.join("\n");
    format!("{before}## Settings\n\n{table}\n{}\n", rest.trim())
        .trim_end()
        .to_owned()
        + "\n"
}

#[test]
fn every_algorithm_has_a_page_with_its_settings() {
    for algorithm in ALGORITHMS {
        let file = docs()
            .join("algorithms")
            .join(algorithm.name)
            .with_extension("md");
        let page = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("no page {}: {error}", file.display()));
        assert!(
            page.starts_with(&format!("# {}\n", algorithm.name)),
            "{}",
            algorithm.name
        );
        assert!(page.contains("\n## When to use it\n"), "{}", algorithm.name);
        let table = table(algorithm.settings);
        if std::env::var_os("UPDATE_PAGES").is_some() {
            std::fs::write(&file, updated(&page, &table)).expect("it can be written");
            continue;
        }
        assert!(
            page.contains(&table),
            "{} should have\n{table}",
            file.display()
        );
    }
}

/// The page of early stopping has one section for each row.
#[test]
fn every_early_stopping_algorithm_has_a_section_with_its_settings() {
    let file = docs().join("early-stopping.md");
    let mut page = std::fs::read_to_string(&file).expect("there is a page");
    for row in EARLY_STOPPING {
        let (before, section) = page
            .split_once(&format!("\n## {}\n", row.name))
            .unwrap_or_else(|| panic!("no section {}", row.name));
        let (section, rest) = section.split_once("\n## ").unwrap_or((section, ""));
        let table = table(row.settings);
        if std::env::var_os("UPDATE_PAGES").is_none() {
            assert!(
                section.contains(&table),
                "{} should have\n{table}",
                row.name
            );
            continue;
        }
        let at = section.find("| setting").expect("there is a table");
        let end = section.rfind("|\n").expect("the table ends") + 2;
        let section = format!("{}{table}{}", &section[..at], &section[end..]);
        let rest = match rest {
            "" => String::new(),
            rest => format!("\n## {rest}"),
        };
        page = format!("{before}\n## {}\n{section}{rest}", row.name);
    }
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(&file, page).expect("it can be written");
    }
}

#[test]
fn the_index_names_every_algorithm() {
    let index = std::fs::read_to_string(docs().join("algorithms.md")).expect("there is an index");
    for algorithm in ALGORITHMS {
        let link = format!("[{0}](algorithms/{0}.md)", algorithm.name);
        assert!(index.contains(&link), "{link}");
    }
}
