//! `${trialParameters.<name>}` in strings: finding and filling.

use std::collections::HashSet;

use serde_json::{Map, Number, Value};

const OPEN: &str = "${trialParameters.";

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Text as it stands.
    Text(&'a str),
    /// A placeholder: its name and its whole text.
    Placeholder(&'a str, &'a str),
}

/// Cuts a text at its placeholders. Names are not empty and have no braces.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut done = 0;
    let mut from = 0;
    while let Some(start) = text[from..].find(OPEN).map(|i| i + from) {
        let name_start = start + OPEN.len();
        from = name_start;
        let Some(length) = text[name_start..].find(['{', '}']) else {
            break;
        };
        let end = name_start + length;
        if length == 0 || !text[end..].starts_with('}') {
            continue;
        }
        if done < start {
            pieces.push(Piece::Text(&text[done..start]));
        }
        pieces.push(Piece::Placeholder(
            &text[name_start..end],
            &text[start..=end],
        ));
        done = end + 1;
        from = done;
    }
    if done < text.len() {
        pieces.push(Piece::Text(&text[done..]));
    }
    pieces
}

/// Whether a text has a placeholder.
pub(crate) fn has_placeholder(text: &str) -> bool {
    pieces(text)
        .iter()
        .any(|piece| matches!(piece, Piece::Placeholder(..)))
}

/// Adds the names in a text that are not yet in `names`.
pub(super) fn names(text: &str, names: &mut Vec<String>) {
    for piece in pieces(text) {
        if let Piece::Placeholder(name, _) = piece
            && !names.iter().any(|n| n == name)
        {
            names.push(name.to_owned());
        }
    }
}

/// Adds the names in all strings and keys of a document.
pub(super) fn names_in(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => names(text, found),
        Value::Array(items) => items.iter().for_each(|item| names_in(item, found)),
        Value::Object(map) => {
            for (key, item) in map {
                names(key, found);
                names_in(item, found);
            }
        }
        _ => {}
    }
}

/// Fills the placeholders of a document. `numbers` are the JSON pointers of scalars that become
/// numbers or booleans when they read as such. Adds the names found to `used`; the error is a
/// name without a value.
pub(super) fn substitute<'v>(
    object: &Map<String, Value>,
    numbers: &HashSet<String>,
    lookup: &impl Fn(&str) -> Option<&'v str>,
    used: &mut HashSet<String>,
) -> Result<Map<String, Value>, String> {
    let mut filling = Filling {
        numbers,
        lookup,
        used,
        pointer: String::new(),
    };
    filling.map(object)
}

/// A text with its placeholders filled; the error is a name without a value.
pub(super) fn fill<'v>(
    text: &str,
    lookup: &impl Fn(&str) -> Option<&'v str>,
) -> Result<String, String> {
    let mut filling = Filling {
        numbers: &HashSet::new(),
        lookup,
        used: &mut HashSet::new(),
        pointer: String::new(),
    };
    let filled = filling.text(text)?;
    Ok(filled.unwrap_or_else(|| text.to_owned()))
}

struct Filling<'a, F> {
    numbers: &'a HashSet<String>,
    lookup: &'a F,
    used: &'a mut HashSet<String>,
    /// Where we are; kept only when there is something to look up in `numbers`.
    pointer: String,
}

impl<'v, F: Fn(&str) -> Option<&'v str>> Filling<'_, F> {
    fn map(&mut self, map: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut filled = Map::with_capacity(map.len());
        for (key, value) in map {
            let value = self.below(key, value)?;
            filled.insert(self.text(key)?.unwrap_or_else(|| key.clone()), value);
        }
        Ok(filled)
    }

    fn value(&mut self, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(text) => {
                let Some(filled) = self.text(text)? else {
                    return Ok(value.clone());
                };
                let plain = self.numbers.contains(&self.pointer);
                Ok(if plain {
                    read_scalar(filled)
                } else {
                    Value::String(filled)
                })
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items
                    .map(|(i, item)| self.below(&i.to_string(), item))
                    .collect()
            }
            Value::Object(map) => self.map(map).map(Value::Object),
            other => Ok(other.clone()),
        }
    }

    fn below(&mut self, key: &str, value: &Value) -> Result<Value, String> {
        if self.numbers.is_empty() {
            return self.value(value);
        }
        let length = self.pointer.len();
        push_pointer(&mut self.pointer, key);
        let filled = self.value(value);
        self.pointer.truncate(length);
        filled
    }

    /// The text filled; `None` when it has no placeholder.
    fn text(&mut self, text: &str) -> Result<Option<String>, String> {
        if !text.contains(OPEN) {
            return Ok(None);
        }
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Placeholder(name, _) => {
                    let value = (self.lookup)(name).ok_or_else(|| name.to_owned())?;
                    filled.push_str(value);
                    if !self.used.contains(name) {
                        self.used.insert(name.to_owned());
                    }
                }
            }
        }
        Ok(Some(filled))
    }
}

/// Appends a key to a JSON pointer (RFC 6901).
pub(super) fn push_pointer(pointer: &mut String, key: &str) {
    pointer.push('/');
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
}

/// What a scalar without quotes stands for: a number or a boolean if it is written as one, or
/// else a text. Numbers with leading zeros are texts, for they are codes more often than numbers.
fn read_scalar(text: String) -> Value {
    match text.as_str() {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.trim_start_matches(['-', '+']).as_bytes();
    if let [b'0', b'0'..=b'9', ..] = digits {
        return Value::String(text);
    }
    if let Ok(n) = text.parse::<i64>() {
        return n.into();
    }
    text.parse()
        .ok()
        .and_then(Number::from_f64)
        .map_or(Value::String(text), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::{Piece, pieces};

    #[test]
    fn cuts_at_placeholders_only() {
        let p = Piece::Placeholder;
        let t = Piece::Text;
        let cases: [(&str, &[Piece<'_>]); 7] = [
            ("", &[]),
            ("a", &[t("a")]),
            ("${trialParameters.x}", &[p("x", "${trialParameters.x}")]),
            (
                "a${trialParameters.x}${trialParameters.y}b",
                &[
                    t("a"),
                    p("x", "${trialParameters.x}"),
                    p("y", "${trialParameters.y}"),
                    t("b"),
                ],
            ),
            ("${trialParameters.}", &[t("${trialParameters.}")]),
            ("${trialParameters.x", &[t("${trialParameters.x")]),
            (
                "${trialParameters.${trialParameters.x}}",
                &[
                    t("${trialParameters."),
                    p("x", "${trialParameters.x}"),
                    t("}"),
                ],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(pieces(text), expected, "{text}");
        }
    }
}
