//! Metrics in lines that are JSON objects. A JSON number comes out in its shortest form, text as it
//! was written.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use diwan_api::MetricLog;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{
    Now,
    flat::{self, Plain},
    lines::{Block, Mentions, Piece},
    number, row, stamp,
};

/// The member that holds the time.
const TIMESTAMP: &str = "timestamp";

/// Finds metrics among the members of JSON objects. Lines that are something else are left out:
/// libraries print between them.
#[derive(Debug)]
pub(super) struct JsonParser {
    names: Vec<String>,
    mentions: Mentions,
    /// What the current line holds: a value for each name.
    values: Vec<Option<String>>,
}

impl JsonParser {
    pub(super) fn new(names: Vec<String>) -> Self {
        // Other characters may be written as escapes, which only parsing resolves.
        let literal = |name: &String| {
            name.bytes()
                .all(|b| (b' '..=b'~').contains(&b) && !b"\\/\"".contains(&b))
        };
        let mentions = if names.iter().all(literal) {
            Mentions::of(&names)
        } else {
            Mentions::Any
        };
        let values = vec![None; names.len()];
        Self {
            names,
            mentions,
            values,
        }
    }

    /// Adds the rows of some lines: metrics in the order in which they are wanted.
    pub(super) fn block(&mut self, block: Block<'_>, now: &mut Now, rows: &mut Vec<MetricLog>) {
        let (names, values) = (&self.names, &mut self.values);
        block.pieces(&self.mentions, &mut |piece| {
            let Some(time) = object(piece, names, values) else {
                return;
            };
            let time = time.0.unwrap_or_else(|| now.text());
            for (name, value) in names.iter().zip(values.iter_mut()) {
                rows.extend(value.take().and_then(|value| row(&time, name, value)));
            }
        });
    }
}

/// The time that a line carries, if it does.
struct Time(Option<String>);

/// Reads one line; returns its own time if it is an object with a metric.
fn object(piece: Piece<'_>, names: &[String], values: &mut [Option<String>]) -> Option<Time> {
    let line = piece.bytes.trim_ascii();
    if line.first() != Some(&b'{') {
        return None;
    }
    if let Some(time) = plain(line, names, values) {
        return values.iter().any(Option::is_some).then_some(time);
    }
    let mut members = |line: &[u8]| {
        values.fill(None);
        let mut parser = serde_json::Deserializer::from_slice(line);
        let time = Members { names, values }.deserialize(&mut parser).ok()?;
        parser.end().ok()?;
        Some(Time(time))
    };
    let time = members(line).or_else(|| {
        let text = String::from_utf8_lossy(line);
        members(quote_constants(&text).as_bytes())
    });
    if time.is_none() {
        values.fill(None);
    }
    time.filter(|_| values.iter().any(Option::is_some))
}

/// Reads a line the fast way, if it is plain enough.
fn plain(line: &[u8], names: &[String], values: &mut [Option<String>]) -> Option<Time> {
    values.fill(None);
    let mut time = None;
    let mut beyond = false;
    let whole = flat::members(line, &mut |key, value| {
        let wanted = names.iter().position(|name| name == key);
        if key != TIMESTAMP && wanted.is_none() {
            return;
        }
        let member = match value {
            Plain::Text(text) => Some(Member::Text(Cow::Borrowed(text))),
            Plain::Number(number) => {
                let number = flat::shortest(number);
                beyond |= number.is_none();
                number.map(Member::Number)
            }
            Plain::Constant => None,
        };
        if key == TIMESTAMP {
            time = member.as_ref().and_then(Member::time);
        }
        if let Some(wanted) = wanted {
            values[wanted] = member.map(Member::value);
        }
    });
    (whole && !beyond).then_some(Time(time))
}

/// Reads an object's wanted members and its time, and passes over the rest.
struct Members<'a> {
    names: &'a [String],
    values: &'a mut [Option<String>],
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut time = None;
        while let Some(key) = map.next_key_seed(Text)? {
            let wanted = self.names.iter().position(|name| *name == key);
            if key != TIMESTAMP && wanted.is_none() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value_seed(Scalar)?;
            if key == TIMESTAMP {
                time = value.as_ref().and_then(Member::time);
            }
            if let Some(wanted) = wanted {
                self.values[wanted] = value.map(Member::value);
            }
        }
        Ok(time)
    }
}

/// Reads a text, borrowed if it holds no escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// A number, in its shortest form, or a text.
enum Member<'de> {
    Number(String),
    Text(Cow<'de, str>),
}

impl Member<'_> {
    fn time(&self) -> Option<String> {
        match self {
            Self::Number(number) => stamp::whole_text(number),
            Self::Text(text) => stamp::whole_text(text.trim()),
        }
    }

    fn value(self) -> String {
        match self {
            Self::Number(number) => number,
            Self::Text(text) => {
                let text = text.trim();
                number::whole(text).map_or_else(|| text.to_owned(), Cow::into_owned)
            }
        }
    }
}

/// Reads a number or a text; anything else is nothing.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Option<Member<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Option<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Member::Number(number.to_string())))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Member::Number(number.to_string())))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        let number = serde_json::Number::from_f64(number);
        Ok(number.map(|number| Member::Number(number.to_string())))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Member::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Member::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Adds the names of members that are numbers, or texts that are.
pub(super) fn names(piece: Piece<'_>, names: &mut BTreeSet<String>) {
    let Ok(object) = serde_json::from_slice::<Map<String, Value>>(piece.bytes) else {
        return;
    };
    names.extend(object.into_iter().filter_map(|(name, value)| {
        let number = match value {
            Value::Number(_) => true,
            Value::String(text) => number::whole(text.trim()).is_some(),
            _ => false,
        };
        (number && name != TIMESTAMP).then_some(name)
    }));
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_fast_way_gives_what_the_slow_way_does(
            line in r#"\{( ?"(loss|acc|timestamp|x)" ?: ?(-?[0-9.e+]{1,6}|1e99|-0|"[a0.%5 ]{0,4}"|true|null|nul|\[1\]|"\\n")[ ,}]{1,2}){1,4}"#
        ) {
            let names = ["loss".to_owned(), "acc".to_owned()];
            let (mut fast, mut slow) = (vec![None; 2], vec![None; 2]);
            if let Some(Time(time)) = plain(line.as_bytes(), &names, &mut fast) {
                let mut parser = serde_json::Deserializer::from_slice(line.as_bytes());
                let members = Members { names: &names, values: &mut slow };
                let slow_time = members.deserialize(&mut parser);
                prop_assert!(parser.end().is_ok(), "{line}");
                prop_assert_eq!((time, fast), (slow_time.unwrap(), slow), "{}", line);
            }
        }
    }

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
