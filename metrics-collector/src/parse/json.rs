//! Metrics in lines that are JSON objects. A JSON number comes out in its shortest form, text as it
//! was written.

use diwan_api::MetricLog;
use jiff::Timestamp;
use regex::bytes::Regex;
use serde_json::{Map, Value};

use super::{lines::Piece, mentions, number, row, stamp};

/// The member that holds the time.
const TIMESTAMP: &str = "timestamp";

/// Finds metrics among the members of JSON objects. Lines that are something else are left out:
/// libraries print between them.
#[derive(Debug)]
pub(super) struct JsonParser {
    names: Vec<String>,
    mentions: Option<Regex>,
}

impl JsonParser {
    pub(super) fn new(names: Vec<String>) -> Self {
        // Other characters may be written as escapes, which only parsing resolves.
        let literal = |name: &String| {
            name.bytes()
                .all(|b| (b' '..=b'~').contains(&b) && !b"\\/\"".contains(&b))
        };
        let mentions = names
            .iter()
            .all(literal)
            .then(|| mentions(&names))
            .flatten();
        Self { names, mentions }
    }

    /// Adds the rows of one line: metrics in the order in which they are wanted.
    pub(super) fn piece(&mut self, piece: Piece<'_>, now: Timestamp, rows: &mut Vec<MetricLog>) {
        if self
            .mentions
            .as_ref()
            .is_some_and(|mentions| !mentions.is_match(piece.bytes))
        {
            return;
        }
        let Some(object) = object(&String::from_utf8_lossy(piece.bytes)) else {
            return;
        };
        let time = object.get(TIMESTAMP).and_then(time);
        for name in &self.names {
            if let Some(value) = object.get(name).and_then(value) {
                rows.extend(row(stamp::micros(time.unwrap_or(now)), name, value));
            }
        }
    }
}

fn object(line: &str) -> Option<Map<String, Value>> {
    let line = line.trim();
    if !line.starts_with('{') {
        return None;
    }
    serde_json::from_str(line)
        .ok()
        .or_else(|| serde_json::from_str(&quote_constants(line)).ok())
}

/// Puts quotes around the constants that Python and JavaScript write although JSON has none:
/// `NaN`, `Infinity`, `-Infinity`.
fn quote_constants(line: &str) -> String {
    let mut quoted = String::with_capacity(line.len() + 8);
    let mut rest = line;
    let mut inside = false;
    while let Some(c) = rest.chars().next() {
        let constant = ["NaN", "Infinity", "-Infinity"]
            .into_iter()
            .find(|c| rest.starts_with(c));
        let taken = match (inside, constant) {
            (false, Some(constant)) => {
                quoted.extend(["\"", constant, "\""]);
                constant.len()
            }
            // An escaped character can't end a string.
            (true, _) if c == '\\' => {
                let escaped = rest.chars().take(2).map(char::len_utf8).sum();
                quoted.push_str(&rest[..escaped]);
                escaped
            }
            _ => {
                inside ^= c == '"';
                quoted.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    quoted
}

fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => stamp::whole(text.trim()),
        Value::Number(number) => stamp::epoch(&number.to_string()),
        _ => None,
    }
}

fn value(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => {
            let text = text.trim();
            Some(number::whole(text).map_or_else(|| text.to_owned(), std::borrow::Cow::into_owned))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_quoted_outside_of_strings_alone() {
        for (given, expected) in [
            (r#"{"a": NaN}"#, r#"{"a": "NaN"}"#),
            (
                r#"{"a":-Infinity,"b":[Infinity]}"#,
                r#"{"a":"-Infinity","b":["Infinity"]}"#,
            ),
            (
                r#"{"NaN": "\"NaN", "b": NaN}"#,
                r#"{"NaN": "\"NaN", "b": "NaN"}"#,
            ),
            (r#"{"a": "\"#, r#"{"a": "\"#),
        ] {
            assert_eq!(quote_constants(given), expected);
        }
    }
}
