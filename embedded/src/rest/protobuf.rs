//! Reading the binary form in which typed clients of Kubernetes, such as `kubectl create`, send
//! objects: an envelope around protobuf messages.
//!
//! The messages are described by a table of field numbers, names and types; a field without a
//! name is part of the object around it.

use std::{collections::HashMap, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{metadata, status::Status};

/// The media type of the envelope.
pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";
/// Messages are nested less deeply than this.
const MAX_DEPTH: usize = 40;

type Message = HashMap<u64, (&'static str, &'static str)>;

/// The messages by name, from lines of `NAME NUMBER:FIELD:TYPE…`. A type is a scalar, one of the
/// special ones of [`single`], or a message; `[]` before it makes it a list, `{}` a map from
/// texts.
static MESSAGES: LazyLock<HashMap<&'static str, Message>> = LazyLock::new(|| {
    let lines = include_str!("protobuf_messages.txt").lines();
    lines
        .filter_map(|line| {
            let (name, fields) = line.split_once(' ')?;
            let fields = fields.split(' ').filter_map(|field| {
                let (number, rest) = field.split_once(':')?;
                Some((number.parse().ok()?, rest.split_once(':')?))
            });
            Some((name, fields.collect()))
        })
        .collect()
});

/// Reads an object.
pub(super) fn decode(body: &[u8]) -> Result<Value, Status> {
    read(body).ok_or_else(|| {
        Status::bad_request("can't read the body as an object in the binary form of Kubernetes")
    })
}

fn read(body: &[u8]) -> Option<Value> {
    let (mut type_meta, mut raw): (&[u8], &[u8]) = (&[], &[]);
    let mut reader = Reader(body.strip_prefix(MAGIC)?);
    while let Some((number, wire)) = reader.next()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => type_meta = bytes,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let (mut version, mut kind) = (String::new(), String::new());
    let mut reader = Reader(type_meta);
    while let Some((number, wire)) = reader.next()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => version = text(bytes)?,
            (2, Wire::Bytes(bytes)) => kind = text(bytes)?,
            _ => {}
        }
    }
    let message = message_name(&version, &kind)?;
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), json!(version));
    object.insert("kind".to_owned(), json!(kind));
    fields(message, raw, &mut object, 0)?;
    let mut object = Value::Object(object);
    // Typed clients send it, too, when it was never set.
    if object["metadata"]["generation"] == 0 {
        metadata::unset(&mut object, "generation");
    }
    Some(object)
}

/// The message of a kind; `None` when the kind has none here.
fn message_name(version: &str, kind: &str) -> Option<&'static str> {
    let package = match (version, kind) {
        (_, "DeleteOptions") => "meta",
        ("v1", _) => "core",
        _ => version.strip_suffix("/v1")?.split('.').next()?,
    };
    let name = format!("{package}.v1.{kind}");
    MESSAGES.get_key_value(name.as_str()).map(|(name, _)| *name)
}

/// Reads the fields of a message into an object.
fn fields(message: &str, bytes: &[u8], into: &mut Map<String, Value>, depth: usize) -> Option<()> {
    let known = MESSAGES.get(message)?;
    if depth > MAX_DEPTH {
        return None;
    }
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.next()? {
        let Some((name, type_)) = known.get(&number) else {
            continue;
        };
        if name.is_empty() {
            let Wire::Bytes(bytes) = wire else {
                return None;
            };
            fields(type_, bytes, into, depth + 1)?;
        } else if let Some(item) = type_.strip_prefix("[]") {
            let value = single(item, &wire, depth)?.unwrap_or_else(|| absent(item));
            let list = into.entry(*name).or_insert_with(|| json!([]));
            list.as_array_mut()?.push(value);
        } else if let Some(item) = type_.strip_prefix("{}") {
            let (key, value) = entry(item, &wire, depth)?;
            let map = into.entry(*name).or_insert_with(|| json!({}));
            map.as_object_mut()?.insert(key, value);
        } else if let Some(value) = single(type_, &wire, depth)? {
            into.insert((*name).to_owned(), value);
        }
    }
    Some(())
}

/// What stands in a list for a value without anything in it.
fn absent(type_: &str) -> Value {
    match type_ {
        "string" => json!(""),
        _ => Value::Null,
    }
}

/// One value. The inner `None` is a value that stands for an absent one: typed clients send
/// empty texts and times for fields that were never set.
#[allow(clippy::option_option)] // malformed, absent and present are three things
fn single(type_: &str, wire: &Wire<'_>, depth: usize) -> Option<Option<Value>> {
    Some(match (type_, wire) {
        ("string", Wire::Bytes([])) => None,
        ("string", Wire::Bytes(bytes)) => Some(json!(text(bytes)?)),
        ("bytes", Wire::Bytes(bytes)) => Some(json!(STANDARD.encode(bytes))),
        ("bool", Wire::Number(number)) => Some(json!(*number != 0)),
        ("int32", Wire::Number(number)) => Some(json!(*number as i32)),
        ("int64", Wire::Number(number)) => Some(json!(*number as i64)),
        ("time", Wire::Bytes(bytes)) => time(bytes)?.map(|time| json!(metadata::time(time))),
        ("microtime", Wire::Bytes(bytes)) => {
            time(bytes)?.map(|time| json!(time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()))
        }
        ("quantity", Wire::Bytes(bytes)) => inner(bytes, 1)?.map(|q| text(q).map(Value::from))?,
        ("json", Wire::Bytes(bytes)) => match inner(bytes, 1)? {
            Some(raw) => Some(serde_json::from_slice(raw).ok()?),
            None => None,
        },
        ("intorstring", Wire::Bytes(bytes)) => int_or_string(bytes)?,
        (message, Wire::Bytes(bytes)) if message.contains('.') => {
            let mut object = Map::new();
            fields(message, bytes, &mut object, depth + 1)?;
            Some(Value::Object(object))
        }
        _ => return None,
    })
}

fn entry(item: &str, wire: &Wire<'_>, depth: usize) -> Option<(String, Value)> {
    let Wire::Bytes(bytes) = wire else {
        return None;
    };
    let (mut key, mut value) = (String::new(), None);
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.next()? {
        match (number, &wire) {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?,
            (2, wire) => value = single(item, wire, depth)?,
            _ => {}
        }
    }
    Some((key, value.unwrap_or_else(|| json!(""))))
}

/// A time of seconds and nanoseconds; absent when both are.
#[allow(clippy::option_option)] // malformed, absent and present are three things
fn time(bytes: &[u8]) -> Option<Option<Timestamp>> {
    let (mut seconds, mut nanoseconds) = (None, 0);
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.next()? {
        match (number, wire) {
            (1, Wire::Number(number)) => seconds = Some(number as i64),
            (2, Wire::Number(number)) => nanoseconds = number as i32,
            _ => {}
        }
    }
    match seconds {
        None => Some(None),
        Some(seconds) => Timestamp::new(seconds, nanoseconds).ok().map(Some),
    }
}

#[allow(clippy::option_option)] // malformed, absent and present are three things
fn int_or_string(bytes: &[u8]) -> Option<Option<Value>> {
    let (mut kind, mut number, mut string) = (0, 0, String::new());
    let mut reader = Reader(bytes);
    while let Some((field, wire)) = reader.next()? {
        match (field, wire) {
            (1, Wire::Number(value)) => kind = value,
            (2, Wire::Number(value)) => number = value as i32,
            (3, Wire::Bytes(bytes)) => string = text(bytes)?,
            _ => {}
        }
    }
    Some(match kind {
        0 => (number != 0).then(|| json!(number)),
        _ => Some(json!(string)),
    })
}

/// The bytes of one field of a message.
#[allow(clippy::option_option)] // malformed, absent and present are three things
fn inner(bytes: &[u8], wanted: u64) -> Option<Option<&[u8]>> {
    let mut found = None;
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.next()? {
        if let (true, Wire::Bytes(bytes)) = (number == wanted, wire) {
            found = Some(bytes);
        }
    }
    Some(found)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// A value as it stands on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Reads fields one after another.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next field: its number and value. `None` when the bytes make no sense.
    #[allow(clippy::option_option)] // malformed, at the end and a field are three things
    fn next(&mut self) -> Option<Option<(u64, Wire<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let tag = self.number()?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.number()?),
            1 => Wire::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Number(u64::from(u32::from_le_bytes(
                self.take(4)?.try_into().ok()?,
            ))),
            _ => return None,
        };
        Some(Some((tag >> 3, wire)))
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};
    use serde_json::json;

    use super::{MESSAGES, decode, message_name};
    use crate::resource::ALL;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let tag = u16::from(number) << 3 | 2;
        let tag = if tag < 0x80 {
            vec![tag as u8]
        } else {
            vec![tag as u8 | 0x80, (tag >> 7) as u8]
        };
        [tag.as_slice(), &[u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn envelope(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let type_meta = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
        [b"k8s\0".to_vec(), field(1, &type_meta), field(2, raw)].concat()
    }

    #[test]
    fn every_type_in_the_table_is_known() {
        let scalars = ["string", "bytes", "bool", "int32", "int64"];
        let special = ["time", "microtime", "quantity", "json", "intorstring"];
        for (message, fields) in MESSAGES.iter() {
            for (name, type_) in fields.values() {
                let item = type_.trim_start_matches("[]").trim_start_matches("{}");
                let known = scalars.contains(&item)
                    || special.contains(&item)
                    || MESSAGES.contains_key(item);
                assert!(known, "{message}.{name}: {type_}");
            }
        }
    }

    #[test]
    fn an_object_is_read_as_its_client_meant_it() {
        let generation = [7 << 3, 0];
        let metadata = [
            &field(1, b"a")[..],
            &field(3, b""),
            &generation,
            &field(8, b""),
        ]
        .concat();
        let entry = [field(1, b"k"), field(2, b"v")].concat();
        let raw = [field(1, &metadata), field(2, &entry)].concat();
        assert_eq!(
            decode(&envelope("v1", "ConfigMap", &raw)).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": "a" }, "data": { "k": "v" },
            })
        );
    }

    #[test]
    fn empty_texts_of_a_list_stay() {
        // A rule about the core group.
        let rule = [field(1, b"get"), field(2, b""), field(3, b"pods")].concat();
        let role = decode(&envelope(
            "rbac.authorization.k8s.io/v1",
            "Role",
            &field(2, &rule),
        ));
        assert_eq!(
            role.unwrap()["rules"],
            json!([{ "verbs": ["get"], "apiGroups": [""], "resources": ["pods"] }])
        );
    }

    #[test]
    fn every_built_in_kind_has_a_message() {
        for resource in ALL {
            // Definitions are sent as JSON.
            if !resource.custom && resource.kind != "CustomResourceDefinition" {
                let version = resource.api_version();
                let name = message_name(&version, resource.kind);
                assert!(name.is_some(), "{version} {}", resource.kind);
            }
        }
    }

    #[test]
    fn parts_without_a_name_of_their_own_are_part_of_the_object_around_them() {
        // A volume `v` of the ConfigMap `m`.
        let source = field(19, &field(1, &field(1, b"m")));
        let volume = [field(1, b"v"), field(2, &source)].concat();
        let raw = field(2, &field(1, &volume));
        let pod = decode(&envelope("v1", "Pod", &raw)).unwrap();
        assert_eq!(
            pod["spec"]["volumes"],
            json!([{ "name": "v", "configMap": { "name": "m" } }])
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = decode(&raw);
            let _ = decode(&envelope("v1", "Pod", &raw));
        }
    }
}
