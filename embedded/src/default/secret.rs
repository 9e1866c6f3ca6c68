//! Defaults of secrets.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{child, set};

/// Sets the type, and moves `stringData` into `data`.
pub(super) fn apply(secret: &mut Value) {
    let Some(fields) = secret.as_object_mut() else {
        return;
    };
    set(fields, "type", json!("Opaque"));
    let Some(Value::Object(texts)) = fields.remove("stringData") else {
        return;
    };
    let Some(data) = child(fields, "data") else {
        return;
    };
    for (key, text) in texts {
        let bytes = text.as_str().unwrap_or_default();
        data.insert(key, json!(STANDARD.encode(bytes)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn texts_become_data() {
        let mut secret = json!({ "data": { "a": "eA==" }, "stringData": { "b": "x" } });
        super::apply(&mut secret);
        let wanted = json!({ "data": { "a": "eA==", "b": "eA==" }, "type": "Opaque" });
        assert_eq!(secret, wanted);
    }
}
