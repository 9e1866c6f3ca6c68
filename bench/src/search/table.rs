//! Real tables: a network was trained once for every point of a finite space. `bench/tables.py`
//! writes them.

use std::path::Path;

use anyhow::{Context as _, ensure};
use diwan_api::search_space::Parameter;
use serde_json::Value as Json;

use super::Problem;
use super::problem::{category, discrete};

const GROUP: &str = "tables";

/// The problems of the tables in a folder, by name.
pub fn problems(folder: &Path) -> anyhow::Result<Vec<Problem>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("can't read the tables in {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path)?;
        problem(&serde_json::from_str(&text)?)
            .with_context(|| format!("can't read {}", path.display()))
    };
    paths.iter().map(read).collect()
}

/// `{"name", "parameters": [{"name", "numbers" | "words"}], "values"}`: one value for each point,
/// the last parameter changing fastest, `null` where the training failed.
fn problem(document: &Json) -> anyhow::Result<Problem> {
    let rows = document["parameters"].as_array().context("no parameters")?;
    let parameters: Option<Vec<Parameter>> = rows.iter().map(parameter).collect();
    let parameters = parameters.context("a parameter has neither numbers nor words")?;
    let cells = document["values"].as_array().context("no values")?;
    let known = cells.iter().filter_map(Json::as_f64);
    let (best, worst) = known.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
        (low.min(y), high.max(y))
    });
    ensure!(best.is_finite(), "no value is known");
    let values: Vec<f64> = cells.iter().map(|y| y.as_f64().unwrap_or(worst)).collect();
    let scales: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| {
            if let Some(numbers) = row["numbers"].as_array() {
                return numbers.iter().filter_map(Json::as_f64).collect();
            }
            let words = row["words"].as_array().map_or(0, Vec::len);
            (0..words).map(|index| index as f64).collect()
        })
        .collect();
    ensure!(values.len() == scales.iter().map(Vec::len).product::<usize>());
    let name = document["name"].as_str().context("no name")?;
    Ok(Problem::new((GROUP, name), parameters, best, move |x| {
        let index = scales.iter().zip(x).fold(0, |index, (scale, x)| {
            let place = scale.iter().position(|item| item == x);
            index * scale.len() + place.unwrap_or_default()
        });
        values[index]
    }))
}

fn parameter(row: &Json) -> Option<Parameter> {
    let name = row["name"].as_str()?;
    if let Some(numbers) = row["numbers"].as_array() {
        let numbers: Option<Vec<f64>> = numbers.iter().map(Json::as_f64).collect();
        return Some(discrete(name, &numbers?));
    }
    let words: Option<Vec<&str>> = row["words"].as_array()?.iter().map(Json::as_str).collect();
    Some(category(name, &words?))
}

#[cfg(test)]
mod tests {
    use diwan_api::search_space::Value;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_point_is_found_at_its_place_and_a_failed_one_is_the_worst() {
        let problem = problem(&json!({
            "name": "small",
            "parameters": [
                {"name": "units", "numbers": [16, 32, 64]},
                {"name": "kind", "words": ["a", "b"]},
            ],
            "values": [6.0, 5.0, 4.0, null, 2.0, 1.5],
        }))
        .unwrap();
        let value = |units, kind| problem.value(&[Value::Index(units), Value::Index(kind)]);
        assert_eq!((value(0, 1), value(2, 0)), (5.0, 2.0));
        assert_eq!((value(1, 1), problem.best), (6.0, 1.5));
    }
}
