//! One version of an object: its JSON, and its fields for as long as somebody works with them.
//!
//! Parsed fields take ten to twenty times the room of their JSON, and most objects are finished
//! trials and their events, which are only ever sent as they are. So JSON is what is kept.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;

use super::Key;
use crate::metadata;

/// One version of an object. The bytes are made once and go to disk, readers and watchers.
#[derive(Debug)]
pub(crate) struct Object {
    /// Where it is.
    pub(crate) key: Key,
    /// Its resource version.
    pub(crate) version: u64,
    /// Whether it waits for its finalizers.
    pub(crate) is_deleting: bool,
    /// Its fields as JSON, of which kind and API version come first.
    pub(crate) json: Bytes,
    /// Where in the JSON the other fields begin.
    rest: usize,
    fields: Mutex<Weak<Value>>,
}

impl Object {
    /// Gives a version to an object's fields; 0 is none, for what is only tried.
    pub(crate) fn new(key: Key, version: u64, mut value: Value) -> Self {
        if version > 0 {
            metadata::set(&mut value, "resourceVersion", version.to_string());
        }
        let (json, rest) = written(&value);
        let is_deleting = metadata::is_deleting(&value);
        let value = Arc::new(value);
        let fields = Mutex::new(Arc::downgrade(&value));
        RECENT.lock().push(value, json.len());
        Self {
            key,
            version,
            is_deleting,
            json,
            rest,
            fields,
        }
    }

    /// Its fields.
    pub(crate) fn value(&self) -> Arc<Value> {
        let mut fields = self.fields.lock();
        if let Some(value) = fields.upgrade() {
            return value;
        }
        // It was written from a value, so it is JSON.
        let value: Arc<Value> = Arc::new(serde_json::from_slice(&self.json).unwrap_or_default());
        *fields = Arc::downgrade(&value);
        RECENT.lock().push(value.clone(), self.json.len());
        value
    }

    /// The fields as JSON without kind and API version, but for the brace that opens them.
    pub(crate) fn kindless(&self) -> Bytes {
        self.json.slice(self.rest..)
    }

    /// Whether it was written in this API version.
    pub(crate) fn is_of(&self, api_version: &str) -> bool {
        let head = self.json.get(..self.rest).unwrap_or_default();
        let end = format!("\"apiVersion\":\"{api_version}\",");
        head.ends_with(end.as_bytes())
    }
}

/// Bytes of JSON whose values stay parsed after they were written or read.
const RECENT_BYTES: usize = 1 << 20;
/// As many values stay even if they are larger.
const RECENT_MIN: usize = 128;

/// What was written or read last is what is read next, by all stores of the process.
static RECENT: Mutex<Recent> = Mutex::new(Recent {
    values: VecDeque::new(),
    bytes: 0,
});

struct Recent {
    values: VecDeque<(Arc<Value>, usize)>,
    bytes: usize,
}

impl Recent {
    fn push(&mut self, value: Arc<Value>, bytes: usize) {
        self.values.push_back((value, bytes));
        self.bytes += bytes;
        while self.bytes > RECENT_BYTES && self.values.len() > RECENT_MIN {
            let Some((_, bytes)) = self.values.pop_front() else {
                break;
            };
            self.bytes -= bytes;
        }
    }
}

/// An object's fields as JSON, kind and API version first, and where the others begin.
fn written(value: &Value) -> (Bytes, usize) {
    let mut json = vec![b'{'];
    let field = |json: &mut Vec<u8>, name: &str, value: &Value| {
        // Writing values to memory does not fail.
        let _ = serde_json::to_writer(&mut *json, name);
        json.push(b':');
        let _ = serde_json::to_writer(&mut *json, value);
        json.push(b',');
    };
    for name in ["kind", "apiVersion"] {
        if let Some(value) = value.get(name) {
            field(&mut json, name, value);
        }
    }
    let rest = json.len();
    for (name, value) in value.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "kind" | "apiVersion") {
            field(&mut json, name, value);
        }
    }
    // The last comma: every object has its metadata.
    json.pop();
    json.push(b'}');
    // Without the room that was left to grow.
    json.shrink_to_fit();
    (Bytes::from(json), rest)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn kind_and_version_come_first() {
        let object = json!({ "a\"b": 1, "apiVersion": "v1", "kind": "K", "metadata": {} });
        let (json, rest) = written(&object);
        assert!(json.starts_with(br#"{"kind":"K","apiVersion":"v1","#));
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), object);
        assert_eq!(&json[rest..], br#""a\"b":1,"metadata":{}}"#);
    }

    #[test]
    fn fields_are_there_again_when_they_are_asked_for() {
        let key = Key {
            storage: 0,
            namespace: String::new(),
            name: "a".to_owned(),
        };
        let value = json!({ "apiVersion": "v1", "kind": "K", "metadata": { "name": "a" } });
        let object = Object::new(key, 7, value);
        // What others write meanwhile takes the room of what is parsed.
        for _ in 0..RECENT_MIN {
            RECENT.lock().push(Arc::new(Value::Null), RECENT_BYTES);
        }
        assert!(object.fields.lock().upgrade().is_none());
        let metadata = json!({ "name": "a", "resourceVersion": "7" });
        assert_eq!(object.value()["metadata"], metadata);
        assert!(object.is_of("v1") && !object.is_of("1") && !object.is_of("v1beta1"));
    }
}
