//! Metrics in lines of text: the default filter, or the user's.

use std::{borrow::Cow, collections::BTreeSet};

use diwan_api::{MetricLog, metrics_filter::Filter};

use super::{
    Now, ansi,
    assignment::Names,
    lines::{Block, Mentions, Piece},
    number, row, stamp,
};

/// Longer names are none.
const LONGEST_NAME: usize = 100;

/// Finds metrics in lines of text.
#[derive(Debug)]
pub(super) struct TextParser {
    names: Names,
    mentions: Mentions,
    filters: Vec<Filter>,
}

impl TextParser {
    /// Makes a parser for some metrics; without filters the default one holds.
    pub(super) fn new(names: Vec<String>, filters: Vec<Filter>) -> Self {
        Self {
            mentions: Mentions::of(&names),
            names: Names::new(names),
            filters,
        }
    }

    /// Adds the rows of some lines.
    pub(super) fn block(&self, block: Block<'_>, now: &mut Now, rows: &mut Vec<MetricLog>) {
        block.pieces(&self.mentions, &mut |piece| self.piece(piece, now, rows));
    }

    fn piece(&self, piece: Piece<'_>, now: &mut Now, rows: &mut Vec<MetricLog>) {
        let text = plain(piece.bytes);
        let mut time: Option<String> = None;
        let mut add = |name: &str, value: String| {
            let time = time.get_or_insert_with(|| {
                stamp::leading_text(&text)
                    .or_else(|| stamp::leading_text(&plain(piece.head)))
                    .unwrap_or_else(|| now.text())
            });
            rows.extend(row(time, name, value));
        };
        if self.filters.is_empty() {
            self.names.each(&text, &mut add);
        }
        for filter in &self.filters {
            for (name, value) in filter.matches(&text) {
                if self.names.contains(name) {
                    add(name, value.to_owned());
                }
            }
        }
    }
}

/// Adds the names that a number is given to.
pub(super) fn names(piece: Piece<'_>, names: &mut BTreeSet<String>) {
    let text = plain(piece.bytes);
    for (at, _) in text.match_indices(['=', ':']) {
        let value = text[at + 1..].trim_start().trim_start_matches(['"', '\'']);
        if number::leading(value).is_none() {
            continue;
        }
        let before = text[..at].trim_end().trim_end_matches(['"', '\'']);
        let begin = before
            .rfind(|c: char| !c.is_alphanumeric() && !"_|-/.".contains(c))
            .map_or(0, |at| {
                at + before[at..].chars().next().map_or(0, char::len_utf8)
            });
        let name = &before[begin..];
        if name.starts_with(char::is_alphabetic) && name.len() <= LONGEST_NAME {
            names.insert(name.to_owned());
        }
    }
}

fn plain(bytes: &[u8]) -> Cow<'_, str> {
    ansi::strip(String::from_utf8_lossy(bytes))
}
