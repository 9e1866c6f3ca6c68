//! Values of objects as CEL sees them.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use kube_cel::cel::{
    Context, Program, Value as Cel,
    objects::{Key, Map},
};
use serde_json::Value;

/// Words that CEL keeps for itself.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// A value that a schema describes.
pub(super) fn from_json(node: &Value, value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => match (node["type"].as_str(), number.as_i64()) {
            (Some("number"), _) | (_, None) => Cel::Float(number.as_f64().unwrap_or(0.0)),
            (_, Some(integer)) => Cel::Int(integer),
        },
        Value::String(text) => from_text(node["format"].as_str().unwrap_or_default(), text),
        Value::Array(items) => {
            let items = items.iter().map(|item| from_json(&node["items"], item));
            Cel::List(Arc::new(items.collect()))
        }
        Value::Object(fields) => {
            let additional = &node["additionalProperties"];
            let fields = fields.iter().map(|(field, value)| {
                let known = node["properties"].get(field);
                // The keys of a map are data, and stay as they are.
                let key = match known {
                    None if additional.is_object() => field.clone(),
                    _ => escape(field),
                };
                let value = from_json(known.unwrap_or(additional), value);
                (Key::String(Arc::new(key)), value)
            });
            let map = fields.collect::<HashMap<Key, Cel>>();
            Cel::Map(Map { map: Arc::new(map) })
        }
    }
}

fn from_text(format: &str, text: &str) -> Cel {
    let plain = || Cel::String(Arc::new(text.to_owned()));
    let converted = |program: &LazyLock<Option<Program>>, text: String| {
        let mut context = Context::default();
        context.add_variable_from_value("text", Cel::String(Arc::new(text)));
        let program = program.as_ref()?;
        program.execute(&context).ok()
    };
    match format {
        "date-time" => converted(&TIMESTAMP, text.to_owned()).unwrap_or_else(plain),
        "date" => converted(&TIMESTAMP, format!("{text}T00:00:00Z")).unwrap_or_else(plain),
        "duration" => converted(&DURATION, text.to_owned()).unwrap_or_else(plain),
        _ => plain(),
    }
}

static TIMESTAMP: LazyLock<Option<Program>> =
    LazyLock::new(|| Program::compile("timestamp(text)").ok());
static DURATION: LazyLock<Option<Program>> =
    LazyLock::new(|| Program::compile("duration(text)").ok());

/// The name of a field in an expression.
pub(super) fn escape(field: &str) -> String {
    if RESERVED.contains(&field) {
        return format!("__{field}__");
    }
    field
        .replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn names_that_cel_can_not_say_are_written_otherwise() {
        for (field, escaped) in [
            ("namespace", "__namespace__"),
            ("a-b.c/d", "a__dash__b__dot__c__slash__d"),
            ("a_b", "a_b"),
            ("a__b", "a__underscores__b"),
            ("size", "size"),
        ] {
            assert_eq!(escape(field), escaped);
        }
    }
}
