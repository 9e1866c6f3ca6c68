//! Event files that tensorboardX, TensorFlow 1 and 2, and Keras wrote give the numbers that
//! TensorBoard's own reader gives (`events/write.py` writes both), whole, torn and damaged.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use diwan_api::{MetricLog, MetricsCollectorSpec, ObjectiveType, metrics_collector::CollectorPlan};
use diwan_metrics_collector::{Damage, EventParser};
use jiff::Timestamp;

type Series = Vec<(f64, String)>;

fn folder() -> PathBuf {
    // Other files, and what TensorBoard reads from them, may be tested as well.
    std::env::var_os("DIWAN_TEST_EVENTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events"),
        PathBuf::from,
    )
}

fn expected() -> BTreeMap<String, Series> {
    serde_json::from_slice(&fs::read(folder().join("expected.json")).unwrap()).unwrap()
}

fn plan(metric: &str) -> CollectorPlan {
    CollectorPlan {
        trial: "trial".into(),
        namespace: "default".into(),
        primary_container: "main".into(),
        objective: metric.into(),
        additional: vec![],
        objective_type: ObjectiveType::Maximize,
        spec: MetricsCollectorSpec::default(),
        stop_rules: vec![],
    }
}

fn read(metric: &str, folder: &str, file: &[u8], chunk: usize) -> (Vec<MetricLog>, EventParser) {
    let mut parser = EventParser::new(&plan(metric), folder, 0);
    let chunks = file.chunks(chunk);
    let rows = chunks.flat_map(|chunk| parser.push(chunk)).collect();
    (rows, parser)
}

#[track_caller]
fn check(rows: &[MetricLog], expected: &[(f64, String)], series: &str) {
    assert_eq!(rows.len(), expected.len(), "{series}: {rows:?}");
    for (row, (time, value)) in rows.iter().zip(expected) {
        let found: Timestamp = row.time_stamp.parse().unwrap();
        let off = found.as_microsecond() as f64 / 1e6 - time;
        assert!(off.abs() < 2e-6, "{series}: {row:?} instead of {time}");
        let (found, value): (f64, f64) = (row.value.parse().unwrap(), value.parse().unwrap());
        // TensorBoard widens a float of 32 bits; the shortest text is the same float.
        let same = found == value || f64::from(found as f32) == value;
        assert!(
            same || (found.is_nan() && value.is_nan()),
            "{series}: {row:?} instead of {value}"
        );
    }
}

#[test]
fn every_series_is_what_tensorboard_reads() {
    let expected = expected();
    assert!(expected.len() > 20, "the list of series is there");
    for (series, expected) in &expected {
        let (path, tag) = series.split_once(':').unwrap();
        // TensorFlow 1 numbers the second series of a name; both are the metric of that name.
        if tag == "old" || tag == "old_1" {
            continue;
        }
        let file = fs::read(folder().join(path)).unwrap();
        let parent = Path::new(path).parent().unwrap().to_str().unwrap();
        let last = parent.rsplit('/').next().unwrap();
        for (metric, chunk) in [(tag.to_owned(), 1 << 20), (format!("{last}/{tag}"), 7)] {
            let (rows, parser) = read(&metric, parent, &file, chunk);
            check(&rows, expected, series);
            assert!(rows.iter().all(|row| row.name == metric));
            assert_eq!(parser.settled(), file.len() as u64);
            assert_eq!(parser.damage(), None);
            assert!(parser.objective_seen());
        }
        let (rows, parser) = read(&format!("elsewhere/{tag}"), parent, &file, 1 << 20);
        assert_eq!((rows, parser.objective_seen()), (vec![], false));
    }
}

#[test]
fn numbered_tags_are_the_metric_of_their_name() {
    let expected = expected();
    let find = |tag: &str| {
        let found = expected
            .iter()
            .find(|(series, _)| series.ends_with(&format!(":{tag}")));
        found.map(|(series, values)| (series.split_once(':').unwrap().0.to_owned(), values.clone()))
    };
    let ((path, first), (_, second)) = (find("old").unwrap(), find("old_1").unwrap());
    let file = fs::read(folder().join(path)).unwrap();
    let (rows, _) = read("old", "v1", &file, 1 << 20);
    let both: Vec<_> = first
        .into_iter()
        .zip(second)
        .flat_map(|(a, b)| [a, b])
        .collect();
    check(&rows, &both, "old");
    let (rows, _) = read("old_1", "v1", &file, 1 << 20);
    assert_eq!(rows.len(), both.len() / 2);
}

#[test]
fn a_file_cut_anywhere_gives_its_whole_records_and_later_the_rest() {
    let path = "tensorboardX/events.out.tfevents.2";
    let expected = &expected()[&format!("{path}:loss")];
    let file = fs::read(folder().join(path)).unwrap();
    for cut in (0..file.len()).step_by(13) {
        let (rows, mut parser) = read("loss", "run", &file[..cut], 64);
        check(&rows, &expected[..rows.len()], "the beginning");
        assert_eq!(parser.damage(), None);
        // Another process may go on where the records end.
        let mut other = EventParser::new(&plan("loss"), "run", parser.settled());
        let settled = parser.settled() as usize;
        assert_eq!(other.push(&file[settled..]), parser.push(&file[cut..]));
    }
}

#[test]
fn a_damaged_file_loses_the_damaged_records_alone() {
    let path = "tensorboardX/events.out.tfevents.2";
    let file = fs::read(folder().join(path)).unwrap();
    let whole = read("loss", "run", &file, 1 << 20).0;
    for at in (0..file.len()).step_by(5) {
        let mut damaged = file.clone();
        damaged[at] ^= 0x40;
        let (rows, parser) = read("loss", "run", &damaged, 1 << 20);
        assert!(rows.len() >= whole.len() - 1, "byte {at}: {rows:?}");
        assert!(
            rows.iter().all(|row| whole.contains(row)),
            "byte {at}: {rows:?}"
        );
        let offset = match parser.damage().unwrap() {
            Damage::Payload(offset) | Damage::Framing(offset) => offset,
        };
        assert!(offset <= at as u64, "byte {at}: {offset}");
    }
}
