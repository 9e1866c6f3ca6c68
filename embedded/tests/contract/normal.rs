//! Making answers comparable: what differs from run to run gets a name.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

use crate::row::Row;

static UID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap());
/// Versions in messages.
static VERSION: LazyLock<Regex> = LazyLock::new(|| {
    let places = r"current: |object meta: |in the precondition \(|in record \(|version: \d+ \(";
    Regex::new(&format!(r"({places})\d+")).unwrap()
});
/// Names and addresses that the server chooses.
static CHOSEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(kube-api-access-|\b10\.96\.)[a-z0-9.]+").unwrap());
/// Whole objects in messages.
static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"Invalid value: "\{.*\}": (strict|json: )"#).unwrap());
static AGE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(\d+(ms|s|m))+$").unwrap());

/// What has got a name so far.
pub(crate) struct Normal {
    namespace: String,
    uids: Vec<String>,
    versions: Vec<String>,
    generated: Vec<(String, String)>,
}

impl Normal {
    /// Nothing but the namespace.
    pub(crate) fn new(namespace: String) -> Self {
        Self {
            namespace,
            uids: Vec::new(),
            versions: Vec::new(),
            generated: Vec::new(),
        }
    }

    /// An answer with names for what differs from run to run, and without what the row leaves out.
    pub(crate) fn answer(&mut self, row: &Row, mut answer: Value) -> Value {
        if !row.managed {
            forget_managed_fields(&mut answer);
        }
        self.learn_names(&answer);
        let mut answer = self.value(&answer);
        if let Some(shown) = &row.show {
            let body = answer["body"].take();
            let parts = shown.iter().map(|path| (path.clone(), part(&body, path)));
            answer["body"] = parts.filter(|(_, value)| !value.is_null()).collect();
        }
        answer
    }

    fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(list) => list.iter().map(|item| self.value(item)).collect(),
            Value::Object(object) => Value::Object(self.object(object)),
            other => other.clone(),
        }
    }

    fn object(&mut self, object: &Map<String, Value>) -> Map<String, Value> {
        let kind = object
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let is_list = kind.ends_with("List") || kind == "Table";
        let is_bookmark = object.get("type").is_some_and(|t| t == "BOOKMARK");
        // To clients a null is the same as nothing, and a merge patch can't tell them apart.
        let mut fields: Vec<_> = object
            .iter()
            .filter(|(_, value)| !value.is_null())
            .collect();
        fields.sort_by_key(|(field, _)| *field);
        fields
            .into_iter()
            .map(|(field, value)| {
                let value = match (field.as_str(), value) {
                    ("metadata", Value::Object(_)) if is_list => self.value(&nameless(value)),
                    ("object", Value::Object(_)) if is_bookmark => {
                        let mut object = value.clone();
                        forget_versions(&mut object);
                        self.value(&object)
                    }
                    ("resourceVersion", Value::String(version)) => json!(self.version(version)),
                    // By time, so that it depends on when a second begins.
                    ("managedFields", Value::Array(entries)) => self.value(&ordered(entries)),
                    // Whom an apply disturbs is told in any order.
                    ("causes", Value::Array(causes)) => self.value(&sorted(causes)),
                    // Prose.
                    ("columnDefinitions", Value::Array(columns)) => columns
                        .iter()
                        .map(|column| self.value(&undescribed(column)))
                        .collect(),
                    ("cells", Value::Array(cells)) => {
                        cells.iter().map(|cell| self.cell(cell)).collect()
                    }
                    _ => self.value(value),
                };
                (self.text(field), value)
            })
            .collect()
    }

    /// Names that the server has made from prefixes.
    fn learn_names(&mut self, value: &Value) {
        match value {
            Value::Array(list) => list.iter().for_each(|item| self.learn_names(item)),
            Value::Object(object) => {
                self.learn_name(object);
                object.values().for_each(|value| self.learn_names(value));
            }
            _ => {}
        }
    }

    fn learn_name(&mut self, metadata: &Map<String, Value>) {
        let text = |field: &str| metadata.get(field).and_then(Value::as_str);
        if let (Some(prefix), Some(name)) = (text("generateName"), text("name"))
            && name.len() == prefix.len() + 5
            && name.starts_with(prefix)
        {
            self.generated
                .push((name.to_owned(), format!("{prefix}<five>")));
        }
    }

    fn version(&mut self, version: &str) -> String {
        if version.is_empty() || version.starts_with('<') {
            return version.to_owned();
        }
        format!("<version {}>", index(&mut self.versions, version))
    }

    fn cell(&mut self, cell: &Value) -> Value {
        match cell.as_str() {
            Some(text) if AGE.is_match(text) => json!("<age>"),
            _ => self.value(cell),
        }
    }

    fn text(&mut self, text: &str) -> String {
        if let Ok(time) = text.parse::<Timestamp>() {
            let age = Timestamp::now().duration_since(time);
            if age.abs() < SignedDuration::from_hours(24) {
                let kind = if text.contains('.') {
                    "<exact time>"
                } else {
                    "<time>"
                };
                return kind.to_owned();
            }
        }
        let mut text = text.replace(&self.namespace, "NS");
        for (name, shown) in &self.generated {
            text = text.replace(name, shown);
        }
        let uids = &mut self.uids;
        let named = |found: &Captures<'_>| format!("<uid {}>", index(uids, &found[0]));
        let text = UID.replace_all(&text, named);
        let text = VERSION.replace_all(&text, "$1<version>");
        let text = CHOSEN.replace_all(&text, "$1<chosen>");
        QUOTED
            .replace_all(&text, r#"Invalid value: "<object>": $1"#)
            .into_owned()
    }
}

/// The place of a text in a list, where it comes when it is new; counted from 1.
fn index(known: &mut Vec<String>, text: &str) -> usize {
    let found = known.iter().position(|k| k == text);
    1 + found.unwrap_or_else(|| {
        known.push(text.to_owned());
        known.len() - 1
    })
}

/// Metadata of a list: its version says nothing, because others write at the same time.
fn nameless(metadata: &Value) -> Value {
    let mut metadata = metadata.clone();
    for (field, shown) in [("resourceVersion", "<now>"), ("continue", "<token>")] {
        if metadata
            .get(field)
            .and_then(Value::as_str)
            .is_some_and(|text| !text.is_empty())
        {
            metadata[field] = json!(shown);
        }
    }
    metadata
}

/// A part of a body by a JSON pointer, in which `/field=value` finds an entry of a list.
fn part(body: &Value, path: &str) -> Value {
    let mut found = body;
    for step in path.split('/').skip(1) {
        found = match (found, step.split_once('=')) {
            (Value::Array(list), Some((field, value))) => list
                .iter()
                .find(|item| {
                    let pointer = format!("/{}", field.replace('.', "/"));
                    item.pointer(&pointer).is_some_and(|v| v == value)
                })
                .unwrap_or(&Value::Null),
            (Value::Array(list), None) => step
                .parse::<usize>()
                .ok()
                .and_then(|at| list.get(at))
                .unwrap_or(&Value::Null),
            (other, _) => &other[step.replace("~1", "/").as_str()],
        };
    }
    found.clone()
}

/// The entries of managed fields by who they are of.
fn ordered(entries: &[Value]) -> Value {
    let mut entries = entries.to_vec();
    entries.sort_by_key(|entry| {
        ["operation", "manager", "subresource"].map(|field| entry[field].to_string())
    });
    Value::Array(entries)
}

/// The causes of a conflict of managers by their fields; others as they are.
fn sorted(causes: &[Value]) -> Value {
    let mut causes = causes.to_vec();
    if causes
        .iter()
        .all(|cause| cause["reason"] == "FieldManagerConflict")
    {
        causes.sort_by_key(|cause| cause["field"].to_string());
    }
    Value::Array(causes)
}

/// A column without what it is said to be.
fn undescribed(column: &Value) -> Value {
    let mut column = column.clone();
    if let Some(fields) = column.as_object_mut() {
        fields.remove("description");
    }
    column
}

/// The version of a bookmark says nothing either.
fn forget_versions(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(forget_versions),
        Value::Object(object) => {
            if object.contains_key("resourceVersion") {
                object.insert("resourceVersion".to_owned(), json!("<now>"));
            }
            object.values_mut().for_each(forget_versions);
        }
        _ => {}
    }
}

fn forget_managed_fields(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(forget_managed_fields),
        Value::Object(object) => {
            object.remove("managedFields");
            object.values_mut().for_each(forget_managed_fields);
        }
        _ => {}
    }
}
