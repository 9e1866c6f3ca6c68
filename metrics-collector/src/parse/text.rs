//! Metrics in lines of text: the default filter, or the user's.

use std::borrow::Cow;

use diwan_api::{MetricLog, metrics_filter::Filter};
use jiff::Timestamp;
use regex::bytes::Regex;

use super::{ansi, assignment, lines::Piece, mentions, row, stamp};

/// How much of a line is kept to find the time it begins with.
const HEAD: usize = 128;

/// Finds metrics in lines of text.
#[derive(Debug)]
pub(super) struct TextParser {
    /// The longest first.
    names: Vec<String>,
    mentions: Option<Regex>,
    filters: Vec<Filter>,
    /// The beginning of the current line: all its pieces have its time.
    head: Vec<u8>,
}

impl TextParser {
    /// Makes a parser for some metrics; without filters the default one holds.
    pub(super) fn new(mut names: Vec<String>, filters: Vec<Filter>) -> Self {
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let mentions = mentions(&names);
        Self {
            names,
            mentions,
            filters,
            head: Vec::new(),
        }
    }

    /// Adds the rows of one piece of a line.
    pub(super) fn piece(&mut self, piece: Piece<'_>, now: Timestamp, rows: &mut Vec<MetricLog>) {
        if piece.starts_line {
            self.head.clear();
            self.head
                .extend_from_slice(&piece.bytes[..piece.bytes.len().min(HEAD)]);
        }
        if self
            .mentions
            .as_ref()
            .is_some_and(|mentions| !mentions.is_match(piece.bytes))
        {
            return;
        }
        let text = plain(piece.bytes);
        let mut time = None;
        let head = &self.head;
        let mut add = |name: &str, value: String| {
            let time = time.get_or_insert_with(|| {
                let own = stamp::leading(&text);
                stamp::micros(own.or_else(|| stamp::leading(&plain(head))).unwrap_or(now))
            });
            rows.extend(row(*time, name, value));
        };
        if self.filters.is_empty() {
            assignment::each(&text, &self.names, &mut add);
        }
        for filter in &self.filters {
            for (name, value) in filter.matches(&text) {
                if self.names.iter().any(|wanted| wanted == name) {
                    add(name, value.to_owned());
                }
            }
        }
    }
}

fn plain(bytes: &[u8]) -> Cow<'_, str> {
    ansi::strip(String::from_utf8_lossy(bytes))
}
