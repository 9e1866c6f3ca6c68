//! How fast each format is read on one core, beside Katib's way: each line asked whether it names a
//! metric, then its regular expression run over the whole of it; each JSON line made a value.
//!
//! `cargo bench -p diwan-metrics-collector --bench parse`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for people that fails by panicking"
)]

use std::{fmt::Write as _, hint::black_box};

use diwan_api::{MetricsCollectorSpec, ObjectiveType, metrics_collector::CollectorPlan};
use diwan_metrics_collector::{EventParser, FileFormat, Parser};
use jiff::Timestamp;
use regex::Regex;

/// How much of each log is made, and read again and again.
const SIZE: usize = 32 << 20;
/// As the collector reads files.
const CHUNK: usize = 256 << 10;
/// How long each figure is measured at least.
const ENOUGH: f64 = 2.0;

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
    for every in [20, 1] {
        let file = events(every);
        let rows = parse_events(&file);
        let ours = rate(&file, || parse_events(&file));
        report(
            &format!("tf events, one scalar of {every} wanted"),
            ours,
            None,
            rows,
        );
    }
}

fn parse_events(file: &[u8]) -> usize {
    let mut parser = EventParser::new(&plan(), "/logs", 0);
    let chunks = file.chunks(CHUNK);
    chunks
        .map(|chunk| black_box(parser.push(chunk)).len())
        .sum()
}

/// Events of one scalar each, with a histogram after every twenty.
fn events(every: usize) -> Vec<u8> {
    let mut file = Vec::with_capacity(SIZE + 1000);
    for at in 0_usize.. {
        if file.len() >= SIZE {
            break;
        }
        let tag: &[u8] = if at.is_multiple_of(every) {
            b"accuracy"
        } else {
            b"train/gradient_norm"
        };
        let number = (at % 997) as f32 / 997.0;
        let mut value = field(1, tag);
        value.push(0x15);
        value.extend(number.to_le_bytes());
        let mut event = vec![0x09];
        event.extend((1.7e9 + at as f64 / 100.0).to_le_bytes());
        event.extend([0x10, (at % 100) as u8]);
        event.extend(field(5, &field(1, &value)));
        file.extend(frame(&event));
        if at % 20 == 19 {
            let histogram = [field(1, b"weights"), field(5, &[1; 600])].concat();
            file.extend(frame(&field(5, &field(1, &histogram))));
        }
    }
    if let Some(folder) = std::env::var_os("DIWAN_BENCH_KEEP") {
        let name = format!("events.out.tfevents.{every}");
        std::fs::write(std::path::Path::new(&folder).join(name), &file).unwrap();
    }
    file
}

/// A field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 0x7f {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend(bytes);
    field
}

/// A record.
fn frame(payload: &[u8]) -> Vec<u8> {
    let masked = |bytes: &[u8]| {
        let checksum = crc32c::crc32c(bytes).rotate_right(15);
        checksum.wrapping_add(0xa282_ead8).to_le_bytes()
    };
    let length = (payload.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), payload, &masked(payload)].concat()
}

fn report(what: &str, ours: f64, theirs: Option<f64>, rows: usize) {
    let theirs = theirs.map_or("-".to_owned(), |rate| format!("{rate:.0} MB/s"));
    println!("{what:<44} {ours:>4.0} MB/s {theirs:>12} {rows:>9}");
}

/// Megabytes per second of a read of the whole log; of the time on the processor, so that other
/// programs don't matter.
fn rate(log: &[u8], mut read: impl FnMut() -> usize) -> f64 {
    let begin = on_processor();
    let mut times = 0_u32;
    while on_processor() - begin < ENOUGH {
        black_box(read());
        times += 1;
    }
    log.len() as f64 * f64::from(times) / (on_processor() - begin) / 1e6
}

fn on_processor() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
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
        if line.is_multiple_of(every) {
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
        let name = if line.is_multiple_of(every) {
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
