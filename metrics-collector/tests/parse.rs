//! Rows of whole logs, and that neither chunks nor bytes of any kind matter.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use diwan_api::{
    CollectorKind, MetricLog, MetricsCollectorSpec, ObjectiveType,
    metrics_collector::{CollectorPlan, CollectorSpec, FileSystemPath, FilterSpec, SourceSpec},
};
use diwan_metrics_collector::{FileFormat, ParseError, Parser};
use jiff::Timestamp;
use proptest::prelude::*;

const NOW: &str = "2026-01-01T00:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn plan(metrics: &[&str], filters: &[&str]) -> CollectorPlan {
    let metrics_format = filters.iter().map(ToString::to_string).collect();
    let source = SourceSpec {
        filter: Some(FilterSpec { metrics_format }),
        ..SourceSpec::default()
    };
    CollectorPlan {
        trial: "trial".into(),
        namespace: "default".into(),
        primary_container: "main".into(),
        objective: metrics[0].into(),
        additional: metrics[1..].iter().map(ToString::to_string).collect(),
        objective_type: ObjectiveType::Maximize,
        spec: MetricsCollectorSpec {
            source: Some(source),
            collector: None,
        },
        stop_rules: vec![],
    }
}

fn rows(plan: &CollectorPlan, format: FileFormat, log: &[u8], chunk: usize) -> Vec<MetricLog> {
    let mut parser = Parser::new(plan, format).unwrap();
    let mut rows: Vec<_> = log
        .chunks(chunk.max(1))
        .flat_map(|chunk| parser.push(chunk, now()))
        .collect();
    rows.extend(parser.finish(now()));
    assert_eq!(parser.settled(), log.len() as u64);
    assert_eq!(
        parser.objective_seen(),
        rows.iter().any(|row| row.name == plan.objective)
    );
    rows
}

fn show(rows: &[MetricLog]) -> Vec<String> {
    let time = |row: &MetricLog| match row.time_stamp.as_str() {
        NOW => String::new(),
        time => format!(" at {time}"),
    };
    rows.iter()
        .map(|row| format!("{}={}{}", row.name, row.value, time(row)))
        .collect()
}

#[track_caller]
fn check(plan: &CollectorPlan, format: FileFormat, log: &[u8], expected: &[&str]) {
    assert_eq!(show(&rows(plan, format, log, log.len())), expected);
}

#[test]
fn katibs_text_logs_give_katibs_rows() {
    // The formats that Katib's own examples and tests print.
    let both = plan(&["accuracy", "loss"], &[]);
    let log = b"2024-03-04T17:55:08.153Z INFO     Train Epoch: 1 [0/60000 (0%)]\tloss=2.3145\n\
        2024-03-04T17:55:09Z INFO     {metricName: accuracy, metricValue: 0.9};\n\
        2024-03-04T17:55:10.5+02:00 INFO     accuracy=0.7554 loss = 1e-2\n\
        accuracy = 0.5 other=3\n\n\
        nothing here\n";
    check(
        &both,
        FileFormat::Text,
        log,
        &[
            "loss=2.3145 at 2024-03-04T17:55:08.153Z",
            "accuracy=0.7554 at 2024-03-04T15:55:10.5Z",
            "loss=1e-2 at 2024-03-04T15:55:10.5Z",
            "accuracy=0.5",
        ],
    );

    let filters = [r"{metricName: ([\w|-]+), metricValue: ((-?\d+)(\.\d+)?)}"];
    check(
        &plan(&["accuracy"], &filters),
        FileFormat::Text,
        log,
        &["accuracy=0.9 at 2024-03-04T17:55:09Z"],
    );
}

#[test]
fn the_users_filters_give_all_matches_in_their_order_and_no_empty_value() {
    let filters = [r"(\w+)=(\S*)", r"(\w+) is ([^,]+),"];
    let log = b"acc is  0.5 , loss=x loss= acc=1 lossy=2\n";
    let expected = ["loss=x", "acc=1", "acc=0.5"];
    check(
        &plan(&["acc", "loss"], &filters),
        FileFormat::Text,
        log,
        &expected,
    );
}

#[test]
fn progress_bars_colours_long_lines_and_broken_text_are_read() {
    let loss = plan(&["loss"], &[]);
    let bar = b"2024-03-04T17:55:08Z 10%|#  | loss=3\r20%|## | loss=2\r\n\x1b[32mloss\x1b[0m: \x1b[1m1\x1b[0m\n";
    check(
        &loss,
        FileFormat::Text,
        bar,
        &[
            "loss=3 at 2024-03-04T17:55:08Z",
            "loss=2 at 2024-03-04T17:55:08Z",
            "loss=1",
        ],
    );
    let mut long = vec![b'x'; 3 << 20];
    long.extend_from_slice(b" loss=4 \xff\xfe loss=5 \xc3\x28\nloss=6");
    check(
        &loss,
        FileFormat::Text,
        &long,
        &["loss=4", "loss=5", "loss=6"],
    );
}

#[test]
fn json_lines_hold_numbers_and_text() {
    let both = plan(&["acc", "loss"], &[]);
    let log = br#"
{"loss": "0.25", "acc": "0.5", "timestamp": "2021-12-02T14:27:50.000035161+09:00"}
{"acc": 0.75, "loss": 1e-5, "timestamp": 1638422847.28721, "epoch": 1}
{"acc": NaN, "loss": -Infinity, "timestamp": 1638422847}
{"acc": null, "loss": true, "other": 1}
{"acc": "", "loss": " 1,234 "}
progress: loss 1
{"loss": 3
{"acc": 7, "nested": {"loss": 1}}"#;
    check(
        &both,
        FileFormat::Json,
        log,
        &[
            "acc=0.5 at 2021-12-02T05:27:50.000035Z",
            "loss=0.25 at 2021-12-02T05:27:50.000035Z",
            "acc=0.75 at 2021-12-02T05:27:27.28721Z",
            "loss=0.00001 at 2021-12-02T05:27:27.28721Z",
            "acc=NaN at 2021-12-02T05:27:27Z",
            "loss=-Infinity at 2021-12-02T05:27:27Z",
            "loss=1234",
            "acc=7",
        ],
    );
    let escaped = plan(&["точность", "a/b"], &[]);
    let log = br#"{"\u0442\u043e\u0447\u043d\u043e\u0441\u0442\u044c": 1, "a\/b": 2}"#;
    check(&escaped, FileFormat::Json, log, &["точность=1", "a/b=2"]);
}

#[test]
fn the_plan_says_how_its_source_is_written() {
    let of = |kind: CollectorKind, format: &str| {
        let file_system_path = Some(FileSystemPath {
            format: format.into(),
            ..FileSystemPath::default()
        });
        let source = Some(SourceSpec {
            file_system_path,
            ..SourceSpec::default()
        });
        let collector = Some(CollectorSpec {
            kind: Some(kind),
            custom_collector: None,
        });
        FileFormat::of(&MetricsCollectorSpec { source, collector })
    };
    assert_eq!(
        FileFormat::of(&MetricsCollectorSpec::default()),
        Ok(Some(FileFormat::Text))
    );
    assert_eq!(of(CollectorKind::File, ""), Ok(Some(FileFormat::Text)));
    assert_eq!(of(CollectorKind::File, "JSON"), Ok(Some(FileFormat::Json)));
    assert_eq!(
        of(CollectorKind::File, "XML"),
        Err(ParseError::Format("XML".into()))
    );
    for kind in [
        CollectorKind::Push,
        CollectorKind::Custom,
        CollectorKind::None,
    ] {
        assert_eq!(of(kind, ""), Ok(None));
    }
    for kind in [
        CollectorKind::TensorFlowEvent,
        CollectorKind::PrometheusMetric,
    ] {
        assert_eq!(of(kind.clone(), ""), Err(ParseError::Kind(kind)));
    }
    let error = Parser::new(&plan(&["loss"], &["(a"]), FileFormat::Text).unwrap_err();
    assert!(
        error.to_string().starts_with("metrics filter \"(a\""),
        "{error}"
    );
}

/// Bytes that look like logs often enough.
fn log() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "loss",
        "a|b",
        "=",
        ": ",
        "1,234",
        "nan",
        "-",
        "5%",
        "\n",
        "\r",
        "\r\n",
        " ",
        "{",
        "}",
        "\"loss\"",
        "\x1b[1m",
        "2024-03-04T17:55:08Z ",
        "1638422847 ",
        "é",
        "\\",
        "NaN",
        ".",
        "e5",
        "[",
        "\"timestamp\": ",
    ]);
    let pieces = prop_oneof![
        8 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_in_any_chunks_give_the_same_rows(log in log(), chunk in 1..20usize) {
        for (format, filters) in [
            (FileFormat::Text, &[][..]),
            (FileFormat::Text, &[r"(\S+?)\s*[=:]\s*(\S+)"][..]),
            (FileFormat::Json, &[][..]),
        ] {
            let plan = plan(&["loss", "a|b", "é"], filters);
            let whole = rows(&plan, format, &log, log.len());
            prop_assert_eq!(&whole, &rows(&plan, format, &log, chunk));
            prop_assert!(whole.iter().all(|row| !row.value.is_empty()));
            prop_assert!(whole.iter().all(|row| row.time_stamp.parse::<Timestamp>().is_ok()));
        }
    }
}
