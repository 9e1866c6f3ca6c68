//! Where metrics go: to stdout as text, and to a file if one is named.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::{Map, Value};

/// The flags that say where metrics go.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ReportArgs {
    /// File to write metrics to as well, for the File collector
    #[arg(long, value_name = "FILE")]
    pub log_path: Option<PathBuf>,
    /// How metrics are written to that file
    #[arg(long, value_enum, default_value_t, requires = "log_path")]
    pub log_format: LogFormat,
}

/// How metrics are written to a file.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A time stamp, then `name=value` for each metric.
    #[default]
    Text,
    /// One JSON object a line, values as strings, with a `timestamp`.
    Json,
}

/// Writes metrics as they are measured, a line at a time, so that whoever follows sees them
/// while the program still trains.
pub struct Reporter {
    file: Option<(File, LogFormat)>,
}

impl Reporter {
    /// Opens the file, if one is named, and makes the folders above it.
    pub fn open(args: &ReportArgs) -> anyhow::Result<Self> {
        let Some(path) = &args.log_path else {
            return Ok(Self { file: None });
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make folder {}", folder.display()))?;
        }
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            file: Some((file, args.log_format)),
        })
    }

    /// Writes one line with the given metrics.
    pub fn report(&mut self, metrics: &[(&str, f64)]) -> anyhow::Result<()> {
        let printed = metrics.iter().map(|(name, value)| (*name, printed(*value)));
        self.write(&printed.collect::<Vec<_>>())
    }

    /// Writes one line with a metric that is a text.
    pub fn report_text(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        self.write(&[(name, value.to_owned())])
    }

    fn write(&mut self, metrics: &[(&str, String)]) -> anyhow::Result<()> {
        let text = text_line(metrics);
        writeln!(io::stdout().lock(), "{text}").context("cannot write to stdout")?;
        if let Some((file, format)) = &mut self.file {
            let now = jiff::Timestamp::now().to_string();
            let line = match format {
                LogFormat::Text => format!("{now} {text}\n"),
                LogFormat::Json => format!("{}\n", json_line(&now, metrics)),
            };
            file.write_all(line.as_bytes())
                .context("cannot write to the log file")?;
        }
        Ok(())
    }
}

fn text_line(metrics: &[(&str, String)]) -> String {
    let pairs = metrics
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(" ")
}

/// Values are strings: upstream's collector skips JSON numbers.
fn json_line(timestamp: &str, metrics: &[(&str, String)]) -> Value {
    let mut line = Map::from_iter([("timestamp".to_owned(), Value::from(timestamp))]);
    line.extend(
        metrics
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_str().into())),
    );
    Value::Object(line)
}

/// At most six digits after the point, and none that say nothing.
fn printed(value: f64) -> String {
    format!("{}", (value * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> [(&'static str, String); 3] {
        let metrics = [("epoch", 3.0), ("accuracy", 0.812_345_678), ("loss", 1e-5)];
        metrics.map(|(name, value)| (name, printed(value)))
    }

    #[test]
    fn text_is_name_and_value() {
        assert_eq!(
            text_line(&metrics()),
            "epoch=3 accuracy=0.812346 loss=0.00001"
        );
    }

    #[test]
    fn json_has_values_as_strings() {
        assert_eq!(
            json_line("2026-01-02T03:04:05Z", &metrics()).to_string(),
            r#"{"accuracy":"0.812346","epoch":"3","loss":"0.00001","timestamp":"2026-01-02T03:04:05Z"}"#
        );
    }

    #[test]
    fn a_file_gets_what_stdout_gets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/metrics.log");
        let args = ReportArgs {
            log_path: Some(path.clone()),
            log_format: LogFormat::Text,
        };
        let mut reporter = Reporter::open(&args).unwrap();
        reporter.report(&[("a", 1.0)]).unwrap();
        reporter.report(&[("a", 2.0)]).unwrap();
        let text = fs::read_to_string(path).unwrap();
        let values: Vec<_> = text.lines().map(|l| l.split_once(' ').unwrap().1).collect();
        assert_eq!(values, ["a=1", "a=2"]);
        let stamp = text.split(' ').next().unwrap();
        assert!(stamp.parse::<jiff::Timestamp>().is_ok(), "{stamp}");
    }
}
