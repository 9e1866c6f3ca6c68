//! From bytes to rows, without I/O and without a clock.
//!
//! How the bytes are cut into pushes does not change the rows.

mod ansi;
mod assignment;
pub mod events;
pub mod exposition;
mod flat;
mod json;
mod lines;
mod number;
mod stamp;
mod text;

use std::collections::BTreeSet;

use diwan_api::{
    CollectorKind, MetricLog, MetricsCollectorSpec,
    metrics_collector::CollectorPlan,
    metrics_filter::{Filter, FilterError},
};
pub use events::{Damage, EventParser};
pub use exposition::ExpositionParser;
use jiff::Timestamp;
use json::JsonParser;
use lines::Lines;
use text::TextParser;

/// How metrics are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Lines of text in which filters find metrics.
    Text,
    /// One JSON object per line.
    Json,
}

impl FileFormat {
    /// Returns how the output or file that a specification names is written; nothing where no
    /// collector reads (Push, Custom, None).
    pub fn of(spec: &MetricsCollectorSpec) -> Result<Option<Self>, ParseError> {
        match spec.kind() {
            CollectorKind::StdOut => Ok(Some(Self::Text)),
            CollectorKind::File => match spec.path().map_or("", |path| path.format.as_str()) {
                "" | "TEXT" => Ok(Some(Self::Text)),
                "JSON" => Ok(Some(Self::Json)),
                other => Err(ParseError::Format(other.to_owned())),
            },
            CollectorKind::Push | CollectorKind::Custom | CollectorKind::None => Ok(None),
            kind @ (CollectorKind::TensorFlowEvent
            | CollectorKind::PrometheusMetric
            | CollectorKind::Other(_)) => Err(ParseError::Kind(kind)),
        }
    }
}

/// Why a plan can't be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// This version has no reader for the kind of collector.
    #[error(
        "metrics collector kind {0:?} is not supported by this version; use StdOut, File or Push"
    )]
    Kind(CollectorKind),
    /// A file format that does not exist.
    #[error("file format {0:?} is unknown; write TEXT or JSON")]
    Format(String),
    /// A filter that can't be used.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

/// Reads the rows of the wanted metrics out of one source, from its first byte to its last.
#[derive(Debug)]
pub struct Parser {
    lines: Lines,
    format: Format,
    objective: String,
    objective_seen: bool,
}

#[derive(Debug)]
enum Format {
    Text(Box<TextParser>),
    Json(JsonParser),
}

impl Parser {
    /// Makes a parser for the metrics that a plan names.
    pub fn new(plan: &CollectorPlan, format: FileFormat) -> Result<Self, ParseError> {
        let names = names(plan);
        let format = match format {
            FileFormat::Text => {
                let filters = plan.spec.filters().iter().map(|filter| Filter::new(filter));
                let filters = filters.collect::<Result<_, _>>()?;
                Format::Text(Box::new(TextParser::new(names, filters)))
            }
            FileFormat::Json => Format::Json(JsonParser::new(names)),
        };
        let objective = plan.objective.clone();
        Ok(Self {
            lines: Lines::default(),
            format,
            objective,
            objective_seen: false,
        })
    }

    /// Takes the next bytes of the source and returns the rows of the lines that they complete.
    /// `now` is the time of rows that carry none.
    pub fn push(&mut self, bytes: &[u8], now: Timestamp) -> Vec<MetricLog> {
        self.read(now, |lines, each| lines.push(bytes, each))
    }

    /// Returns the rows of the last line, where the source ended without a line break.
    pub fn finish(&mut self, now: Timestamp) -> Vec<MetricLog> {
        self.read(now, Lines::finish)
    }

    /// Forgets where in the source it is: the next bytes are the first ones.
    pub fn rewind(&mut self) {
        self.lines = Lines::default();
    }

    /// Returns how many bytes of the source all returned rows come from; those after them are the
    /// beginning of a line.
    pub fn settled(&self) -> u64 {
        self.lines.settled()
    }

    /// Returns whether a row of the objective metric was returned.
    pub fn objective_seen(&self) -> bool {
        self.objective_seen
    }

    fn read(
        &mut self,
        now: Timestamp,
        split: impl FnOnce(&mut Lines, &mut dyn FnMut(lines::Block<'_>)),
    ) -> Vec<MetricLog> {
        let mut rows = Vec::new();
        let mut now = Now::new(now);
        let format = &mut self.format;
        split(&mut self.lines, &mut |block| match format {
            Format::Text(parser) => parser.block(block, &mut now, &mut rows),
            Format::Json(parser) => parser.block(block, &mut now, &mut rows),
        });
        self.objective_seen |= rows.iter().any(|row| row.name == self.objective);
        rows
    }
}

/// The wanted metrics, each once, the objective first.
fn names(plan: &CollectorPlan) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in [&plan.objective].into_iter().chain(&plan.additional) {
        if !name.is_empty() && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Returns the names of what looks like metrics.
pub(crate) fn names_in(bytes: &[u8], format: FileFormat) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut lines = Lines::default();
    let mut each = |block: lines::Block<'_>| {
        block.pieces(&lines::Mentions::Any, &mut |piece| match format {
            FileFormat::Text => text::names(piece, &mut names),
            FileFormat::Json => json::names(piece, &mut names),
        });
    };
    lines.push(bytes, &mut each);
    lines.finish(&mut each);
    names
}

/// The time of rows that carry none, printed once.
struct Now {
    time: Timestamp,
    text: Option<String>,
}

impl Now {
    fn new(time: Timestamp) -> Self {
        Self { time, text: None }
    }

    fn text(&mut self) -> String {
        self.text
            .get_or_insert_with(|| stamp::print(self.time))
            .clone()
    }
}

/// One row. Values are never empty.
fn row(time: &str, name: &str, value: String) -> Option<MetricLog> {
    (!value.is_empty()).then(|| MetricLog {
        time_stamp: time.to_owned(),
        name: name.to_owned(),
        value,
    })
}
