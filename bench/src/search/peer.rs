//! Other people's optimizers, run by `bench/peers.py`: a line of JSON each way, over its standard
//! input and output.
//!
//! | request | answer |
//! |---|---|
//! | `{"start": {"space": […], "seed": 0, "budget": 100}}` | `{}` |
//! | `{"ask": 2}` | `{"points": [[…], […]], "seconds": 0.1}` |
//! | `{"tell": [1.5, 2.0]}`, the losses of the points of the last answer | `{"seconds": 0.1}` |
//!
//! A parameter is `{"name", "kind", "low", "high", "log"}`, where `kind` is `double` or `int`, or
//! `{"name", "kind", "count"}`, where it is `discrete` or `categorical` and values are places in
//! the list. `seconds` is the processor time since the start. A failure is `{"error": "…"}`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, bail};
use diwan_api::SearchSpace;
use diwan_api::search_space::{Domain, Parameter, Scale, Value};
use serde_json::{Value as Json, json};

use super::Searcher;

/// A process that serves one optimizer, for one search after another.
pub struct Peer {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// One search of a peer.
pub struct PeerSearch<'a> {
    peer: &'a mut Peer,
    space: &'a SearchSpace,
    seconds: f64,
}

impl Peer {
    /// Starts the script with a Python that has the packages.
    pub fn start(python: &Path, script: &Path, name: &str) -> anyhow::Result<Self> {
        let mut process = Command::new(python)
            .arg(script)
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {}", python.display()))?;
        let input = process.stdin.take().context("its input is a pipe")?;
        let output = process.stdout.take().context("its output is a pipe")?;
        let output = BufReader::new(output);
        let mut peer = Self {
            process,
            input,
            output,
        };
        peer.call(&json!({}))
            .with_context(|| format!("peer {name}"))?;
        Ok(peer)
    }

    /// Begins a search.
    pub fn search<'a>(
        &'a mut self,
        space: &'a SearchSpace,
        seed: u64,
        budget: usize,
    ) -> anyhow::Result<PeerSearch<'a>> {
        let parameters: Vec<Json> = space.parameters.iter().map(description).collect();
        let start = json!({"space": parameters, "seed": seed, "budget": budget});
        self.call(&json!({ "start": start }))?;
        Ok(PeerSearch {
            peer: self,
            space,
            seconds: 0.0,
        })
    }

    fn call(&mut self, request: &Json) -> anyhow::Result<Json> {
        writeln!(self.input, "{request}")?;
        self.input.flush()?;
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("it has ended; what it wrote above says why");
        }
        let answer: Json = serde_json::from_str(&line)?;
        if let Some(error) = answer["error"].as_str() {
            bail!("{error}");
        }
        Ok(answer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It only computes: nothing is lost when it is ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Searcher for PeerSearch<'_> {
    fn ask(&mut self, count: usize) -> anyhow::Result<Vec<Vec<Value>>> {
        let answer = self.peer.call(&json!({ "ask": count }))?;
        self.seconds = answer["seconds"].as_f64().unwrap_or(self.seconds);
        let points = answer["points"].as_array().context("no points")?;
        points
            .iter()
            .map(|point| self.point(point).with_context(|| format!("point {point}")))
            .collect()
    }

    fn tell(&mut self, losses: &[f64]) -> anyhow::Result<()> {
        let answer = self.peer.call(&json!({ "tell": losses }))?;
        self.seconds = answer["seconds"].as_f64().unwrap_or(self.seconds);
        Ok(())
    }

    fn seconds(&self) -> f64 {
        self.seconds
    }
}

impl PeerSearch<'_> {
    fn point(&self, row: &Json) -> Option<Vec<Value>> {
        let parameters = self.space.parameters.iter().enumerate();
        parameters
            .map(|(i, parameter)| value(&parameter.domain, &row[i]))
            .collect()
    }
}

fn value(domain: &Domain, json: &Json) -> Option<Value> {
    Some(match domain {
        Domain::Double { min, max, .. } => Value::Double(json.as_f64()?.clamp(*min, *max)),
        Domain::Int { min, max, .. } => Value::Int(json.as_i64()?.clamp(*min, *max)),
        Domain::Discrete(list) => index(list.len(), json)?,
        Domain::Categorical(list) => index(list.len(), json)?,
    })
}

fn index(count: usize, json: &Json) -> Option<Value> {
    let index = usize::try_from(json.as_u64()?).ok()?;
    (index < count).then_some(Value::Index(index))
}

fn description(parameter: &Parameter) -> Json {
    let name = &parameter.name;
    let is_log = |scale: &Scale| matches!(scale, Scale::LogUniform | Scale::LogNormal);
    match &parameter.domain {
        Domain::Double {
            min, max, scale, ..
        } => json!({"name": name, "kind": "double", "low": min, "high": max, "log": is_log(scale)}),
        Domain::Int {
            min, max, scale, ..
        } => json!({"name": name, "kind": "int", "low": min, "high": max, "log": is_log(scale)}),
        Domain::Discrete(list) => json!({"name": name, "kind": "discrete", "count": list.len()}),
        Domain::Categorical(list) => {
            json!({"name": name, "kind": "categorical", "count": list.len()})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::problem::{category, double, int};

    /// A peer that answers with these lines, whatever it is asked.
    fn peer(lines: &[&str]) -> Peer {
        let script = tempfile::NamedTempFile::new().unwrap();
        let answers = lines
            .iter()
            .map(|line| format!("read -r _; echo '{line}'\n"));
        std::fs::write(script.path(), answers.collect::<String>()).unwrap();
        Peer::start(Path::new("sh"), script.path(), "scripted").unwrap()
    }

    fn space() -> SearchSpace {
        SearchSpace {
            parameters: vec![
                double("x", 0.0, 1.0),
                int("n", 1, 9, Scale::Uniform),
                category("c", &["a", "b"]),
            ],
        }
    }

    #[test]
    fn points_are_read_as_values_of_the_space_and_failures_are_named() {
        let point = r#"{"points": [[0.5, 3, 1]], "seconds": 0.25}"#;
        let mut peer = peer(&["{}", "{}", point, r#"{"error": "no more"}"#]);
        let space = space();
        let mut search = peer.search(&space, 0, 10).unwrap();
        let expected = vec![Value::Double(0.5), Value::Int(3), Value::Index(1)];
        assert_eq!(search.ask(1).unwrap(), [expected]);
        assert_eq!(search.seconds(), 0.25);
        assert_eq!(search.tell(&[1.0]).unwrap_err().to_string(), "no more");
        let ended = search.tell(&[1.0]).unwrap_err().to_string();
        assert!(!ended.is_empty());
    }

    #[test]
    fn what_is_no_point_is_refused() {
        for point in ["[0.5, 3, 2]", "[0.5, 3.5, 1]", "[0.5, 3]"] {
            let answer = format!(r#"{{"points": [{point}]}}"#);
            let mut peer = peer(&["{}", "{}", &answer]);
            let space = space();
            let error = peer.search(&space, 0, 10).unwrap().ask(1).unwrap_err();
            assert!(error.to_string().starts_with("point [0.5"), "{error}");
        }
    }
}
