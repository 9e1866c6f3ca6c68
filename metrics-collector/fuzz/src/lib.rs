//! What holds for any bytes. Each target throws bytes at one of these functions;
//! `metrics-collector/tests/seeds.rs` does the same with the seeds and changes of them.

use diwan_api::{
    MetricLog, MetricsCollectorSpec, ObjectiveType,
    metrics_collector::{CollectorPlan, FilterSpec, SourceSpec},
};
use diwan_metrics_collector::{EventParser, ExpositionParser, FileFormat, Parser};
use jiff::Timestamp;

/// Plans for the default filter and for one of a user's.
fn plan(filter: Option<&str>) -> CollectorPlan {
    let source = filter.map(|filter| SourceSpec {
        filter: Some(FilterSpec {
            metrics_format: vec![filter.to_owned()],
        }),
        ..SourceSpec::default()
    });
    CollectorPlan {
        trial: "trial".into(),
        namespace: "default".into(),
        primary_container: "main".into(),
        objective: "loss".into(),
        additional: vec!["train/acc".into(), "a|b".into(), "é".into()],
        objective_type: ObjectiveType::Maximize,
        spec: MetricsCollectorSpec {
            source,
            collector: None,
        },
        stop_rules: vec![],
    }
}

/// How the first byte says the rest is cut.
fn cut(bytes: &[u8]) -> (usize, &[u8]) {
    bytes
        .split_first()
        .map_or((1, bytes), |(first, rest)| (usize::from(*first) + 1, rest))
}

fn sound(rows: &[MetricLog]) {
    for row in rows {
        assert!(!row.value.is_empty(), "{row:?}");
        assert!(row.time_stamp.parse::<Timestamp>().is_ok(), "{row:?}");
    }
}

fn lines(bytes: &[u8], format: FileFormat, filter: Option<&str>) -> Vec<MetricLog> {
    let (chunk, bytes) = cut(bytes);
    let read = |chunk: usize| {
        let mut parser = Parser::new(&plan(filter), format).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let mut rows = Vec::new();
        for chunk in bytes.chunks(chunk) {
            rows.extend(parser.push(chunk, now));
        }
        rows.extend(parser.finish(now));
        assert_eq!(parser.settled(), bytes.len() as u64);
        rows
    };
    let rows = read(chunk);
    assert_eq!(rows, read(bytes.len().max(1)), "cutting changes nothing");
    sound(&rows);
    rows
}

/// Lines of text.
pub fn text(bytes: &[u8]) {
    let number = |row: &MetricLog| row.value.parse::<f64>().is_ok();
    let rows = lines(bytes, FileFormat::Text, None);
    assert!(rows.iter().all(number), "the default filter gives numbers");
    // To compile a filter takes longer than all the rest.
    if bytes.first().is_some_and(|first| first.is_multiple_of(16)) {
        lines(bytes, FileFormat::Text, Some(r"(\S+?)\s*[=:]\s*(\S+)"));
    }
}

/// Lines of JSON.
pub fn json(bytes: &[u8]) {
    lines(bytes, FileFormat::Json, None);
}

/// Event files.
pub fn events(bytes: &[u8]) {
    let (chunk, bytes) = cut(bytes);
    let read = |chunk: usize| {
        let mut parser = EventParser::new(&plan(None), "/logs/train", 0);
        let chunks = bytes.chunks(chunk);
        let rows: Vec<_> = chunks.flat_map(|chunk| parser.push(chunk)).collect();
        (rows, parser.settled(), parser.damage())
    };
    let found = read(chunk);
    assert_eq!(found, read(bytes.len().max(1)), "cutting changes nothing");
    assert!(found.1 <= bytes.len() as u64);
    sound(&found.0);
}

/// Answers of endpoints.
pub fn exposition(bytes: &[u8]) {
    let mut parser = ExpositionParser::new(&plan(None));
    let rows = parser.read(bytes, Timestamp::UNIX_EPOCH);
    assert!(rows.iter().all(|row| row.value.parse::<f64>().is_ok()));
    sound(&rows);
    let again = parser.read(bytes, Timestamp::UNIX_EPOCH);
    assert_eq!(again, [], "nothing changed");
}
