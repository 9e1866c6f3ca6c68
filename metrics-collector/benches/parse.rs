//! How fast each format is read on one core, beside Katib's way: each line asked whether it names a
//! metric, then its regular expression run over the whole of it; each JSON line made a value.
//!
//! `cargo bench -p diwan-metrics-collector --bench parse`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for people that fails by panicking"
)]

use std::{
    fmt::Write as _,
    hint::black_box,
    time::{Duration, Instant},
};

use diwan_api::{MetricsCollectorSpec, ObjectiveType, metrics_collector::CollectorPlan};
use diwan_metrics_collector::{FileFormat, Parser};
use jiff::Timestamp;
use regex::Regex;

/// How much of each log is made, and read again and again.
const SIZE: usize = 32 << 20;
/// As the collector reads files.
const CHUNK: usize = 256 << 10;
/// How long each figure is measured at least.
const ENOUGH: Duration = Duration::from_secs(2);

fn main() {
    println!(
        "{:<44} {:>9} {:>12} {:>9}",
        "", "diwan", "katib's way", "rows"
    );
    for every in [20, 1] {
        let log = text(every);
        let rows = parse(FileFormat::Text, &log);
        assert_eq!(rows, katib_text(&log), "both find the same rows");
        let ours = rate(&log, || parse(FileFormat::Text, &log));
        let theirs = rate(&log, || katib_text(&log));
        report(
            &format!("text, a metric in one line of {every}"),
            ours,
            Some(theirs),
            rows,
        );
    }
    for every in [20, 1] {
        let log = json(every);
        let rows = parse(FileFormat::Json, &log);
        assert_eq!(rows, katib_json(&log), "both find the same rows");
        let ours = rate(&log, || parse(FileFormat::Json, &log));
        let theirs = rate(&log, || katib_json(&log));
        report(
            &format!("json, a metric in one line of {every}"),
            ours,
            Some(theirs),
            rows,
        );
    }
}

fn report(what: &str, ours: f64, theirs: Option<f64>, rows: usize) {
    let theirs = theirs.map_or("-".to_owned(), |rate| format!("{rate:.0} MB/s"));
    println!("{what:<44} {ours:>4.0} MB/s {theirs:>12} {rows:>9}");
}

/// Megabytes per second of a read of the whole log.
fn rate(log: &[u8], mut read: impl FnMut() -> usize) -> f64 {
    let begin = Instant::now();
    let mut times = 0_u32;
    while begin.elapsed() < ENOUGH {
        black_box(read());
        times += 1;
    }
    log.len() as f64 * f64::from(times) / begin.elapsed().as_secs_f64() / 1e6
}

fn plan() -> CollectorPlan {
    CollectorPlan {
        trial: "trial".into(),
        namespace: "default".into(),
        primary_container: "main".into(),
        objective: "accuracy".into(),
        additional: vec!["loss".into()],
        objective_type: ObjectiveType::Maximize,
        spec: MetricsCollectorSpec::default(),
        stop_rules: vec![],
    }
}

fn parse(format: FileFormat, log: &[u8]) -> usize {
    let mut parser = Parser::new(&plan(), format).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let rows: usize = log
        .chunks(CHUNK)
        .map(|chunk| black_box(parser.push(chunk, now)).len())
        .sum();
    rows + parser.finish(now).len()
}

/// A log as training programs write them; one line of `every` has a metric.
fn text(every: usize) -> Vec<u8> {
    let mut log = String::with_capacity(SIZE + 200);
    for line in 0_usize.. {
        if log.len() >= SIZE {
            break;
        }
        let (seconds, value) = (line / 10 % 60, (line % 997) as f64 / 997.0);
        let time = format!("2024-03-04T17:55:{seconds:02}.{:03}Z INFO", line % 1000);
        if line % every == 0 {
            writeln!(
                log,
                "{time}     Train Epoch: {} accuracy={value:.4}",
                line % 90
            )
        } else {
            writeln!(
                log,
                "{time}     step {line} of 60000: read 64 samples in 12.4 ms, queue 3"
            )
        }
        .unwrap();
    }
    log.into_bytes()
}

fn json(every: usize) -> Vec<u8> {
    let mut log = String::with_capacity(SIZE + 200);
    for line in 0_usize.. {
        if log.len() >= SIZE {
            break;
        }
        let value = (line % 997) as f64 / 997.0;
        let name = if line % every == 0 {
            "accuracy"
        } else {
            "throughput"
        };
        writeln!(
            log,
            "{{\"timestamp\": \"2024-03-04T17:55:{:02}Z\", \"epoch\": {}, \"{name}\": \"{value:.4}\", \"phase\": \"train\", \"lr\": 0.001}}",
            line / 10 % 60,
            line % 90,
        )
        .unwrap();
    }
    log.into_bytes()
}

/// Katib's file collector: the lines of the whole file, of which those that name a metric are
/// searched with its expression, and the times parsed. Returns the number of rows.
fn katib_text(log: &[u8]) -> usize {
    let filter = Regex::new(r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)").unwrap();
    let names = ["accuracy", "loss"];
    let mut rows = Vec::new();
    for line in std::str::from_utf8(log).unwrap().split('\n') {
        if !names.iter().any(|name| line.contains(name)) {
            continue;
        }
        let first = line.split(' ').next().unwrap_or_default();
        let time = first.parse::<Timestamp>().unwrap_or(Timestamp::UNIX_EPOCH);
        for groups in filter.captures_iter(line) {
            let (name, value) = (groups[1].trim(), groups[2].trim());
            if names.contains(&name) {
                rows.push((time.to_string(), name.to_owned(), value.to_owned()));
            }
        }
    }
    black_box(rows).len()
}

/// Katib's way with JSON: each line made a map of values.
fn katib_json(log: &[u8]) -> usize {
    let names = ["accuracy", "loss"];
    let mut rows = Vec::new();
    for line in std::str::from_utf8(log).unwrap().split('\n') {
        if line.is_empty() {
            continue;
        }
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).unwrap();
        let time = object["timestamp"].as_str().unwrap();
        let time: Timestamp = time.parse().unwrap();
        for name in names {
            if let Some(value) = object.get(name).and_then(|value| value.as_str()) {
                rows.push((time.to_string(), name.to_owned(), value.to_owned()));
            }
        }
    }
    black_box(rows).len()
}
