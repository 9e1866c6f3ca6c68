//! Templates that are text: parsed with stand-ins in place of the placeholders.
//!
//! A placeholder is not always YAML (`[${trialParameters.x}]`), so a stand-in takes its place
//! while the text is parsed, and the placeholder is put back into the parsed strings. The text is
//! parsed twice, with words and with numbers as stand-ins: where the second reading finds a
//! number, the scalar has no quotes, and a number that is put there stays a number.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    TemplateError, kind_of,
    placeholder::{Piece, pieces, push_pointer},
};

/// The document and the JSON pointers of scalars without quotes that hold a placeholder.
pub(super) fn parse(text: &str) -> Result<(Map<String, Value>, HashSet<String>), TemplateError> {
    let pieces = pieces(text);
    let base = unused_number(text, pieces.len());
    let words = read(&with_stand_ins(&pieces, |i| format!("x{}", base + i)))?;
    let numbers = read(&with_stand_ins(&pieces, |i| (base + i).to_string()))?;
    let placeholders: Vec<(String, &str)> = pieces
        .iter()
        .enumerate()
        .filter_map(|(i, piece)| match piece {
            Piece::Placeholder(_, whole) => Some((format!("x{}", base + i as u64), *whole)),
            Piece::Text(_) => None,
        })
        .collect();
    let mut unquoted = HashSet::new();
    let document = merge(
        words,
        Some(&numbers),
        &placeholders,
        &mut String::new(),
        &mut unquoted,
    );
    match document {
        Value::Object(object) => Ok((object, unquoted)),
        other => Err(TemplateError::NotAnObject(kind_of(&other))),
    }
}

fn read(text: &str) -> Result<Value, TemplateError> {
    serde_saphyr::from_str(text).map_err(|e| {
        // The parser shows a source window below its message; one line is enough here.
        let message = e.to_string();
        let line = message.lines().next().unwrap_or_default();
        TemplateError::Syntax(line.strip_prefix("error: ").unwrap_or(line).to_owned())
    })
}

/// The first of `count` numbers of 15 digits, exact as doubles, that don't occur in the text.
fn unused_number(text: &str, count: usize) -> u64 {
    let count = count as u64;
    let mut base = 731_058_294_000_000;
    while (base..base + count).any(|n| text.contains(&n.to_string())) {
        base += count;
    }
    base
}

fn with_stand_ins(pieces: &[Piece<'_>], stand_in: impl Fn(u64) -> String) -> String {
    let mut text = String::new();
    for (i, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Placeholder(..) => text.push_str(&stand_in(i as u64)),
        }
    }
    text
}

fn merge(
    words: Value,
    numbers: Option<&Value>,
    placeholders: &[(String, &str)],
    pointer: &mut String,
    unquoted: &mut HashSet<String>,
) -> Value {
    match words {
        Value::String(word) => {
            let text = put_back(&word, placeholders);
            if text != word && matches!(numbers, Some(Value::Number(_))) {
                unquoted.insert(pointer.clone());
            }
            Value::String(text)
        }
        Value::Array(items) => {
            let merged = items.into_iter().enumerate().map(|(i, item)| {
                let number = numbers.and_then(|n| n.get(i));
                below(
                    &i.to_string(),
                    item,
                    number,
                    placeholders,
                    pointer,
                    unquoted,
                )
            });
            Value::Array(merged.collect())
        }
        Value::Object(map) => {
            let merged = map.into_iter().map(|(key, item)| {
                let number = numbers.and_then(|n| n.get(as_number(&key, placeholders)));
                let key = put_back(&key, placeholders);
                let item = below(&key, item, number, placeholders, pointer, unquoted);
                (key, item)
            });
            Value::Object(merged.collect())
        }
        scalar => scalar,
    }
}

fn below(
    key: &str,
    item: Value,
    number: Option<&Value>,
    placeholders: &[(String, &str)],
    pointer: &mut String,
    unquoted: &mut HashSet<String>,
) -> Value {
    let length = pointer.len();
    push_pointer(pointer, key);
    let merged = merge(item, number, placeholders, pointer, unquoted);
    pointer.truncate(length);
    merged
}

/// A key of the first reading as it is in the second: its stand-ins are the same numbers there,
/// without the letter before them.
fn as_number(key: &str, placeholders: &[(String, &str)]) -> String {
    let mut key = key.to_owned();
    for (stand_in, _) in placeholders {
        if key.contains(stand_in.as_str()) {
            key = key.replace(stand_in.as_str(), &stand_in[1..]);
        }
    }
    key
}

fn put_back(text: &str, placeholders: &[(String, &str)]) -> String {
    let mut text = text.to_owned();
    for (stand_in, placeholder) in placeholders {
        if text.contains(stand_in.as_str()) {
            text = text.replace(stand_in.as_str(), placeholder);
        }
    }
    text
}
