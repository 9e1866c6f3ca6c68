//! The rules for what a secret of a known type holds.

use base64::{Engine, engine::general_purpose::STANDARD};
use diwan_api::FieldError;
use serde_json::Value;

const ACCOUNT: &str = "kubernetes.io/service-account.name";

/// Checks that a secret has the keys that its type stands for.
pub(super) fn check(secret: &Value, errors: &mut Vec<FieldError>) {
    let data = &secret["data"];
    let has = |key: &str| data.get(key).is_some();
    let field = |key: &str| format!("data[{key}]");
    let mut require = |field: String| errors.push(FieldError::required(field, ""));
    match secret["type"].as_str().unwrap_or_default() {
        "kubernetes.io/service-account-token" => {
            let account = &secret["metadata"]["annotations"][ACCOUNT];
            if account.as_str().is_none_or(str::is_empty) {
                require(format!("metadata.annotations[{ACCOUNT}]"));
            }
        }
        "kubernetes.io/dockercfg" => check_json(data, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => check_json(data, ".dockerconfigjson", errors),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            ["username", "password"]
                .map(field)
                .into_iter()
                .for_each(require);
        }
        "kubernetes.io/ssh-auth" => {
            let key = data["ssh-privatekey"].as_str();
            if key.is_none_or(str::is_empty) {
                require(field("ssh-privatekey"));
            }
        }
        "kubernetes.io/tls" => {
            let missing = ["tls.crt", "tls.key"].into_iter().filter(|key| !has(key));
            missing.map(field).for_each(require);
        }
        _ => {}
    }
}

/// Checks that a key is there and holds a JSON object.
fn check_json(data: &Value, key: &str, errors: &mut Vec<FieldError>) {
    let field = format!("data[{key}]");
    let Some(encoded) = data.get(key) else {
        errors.push(FieldError::required(field, ""));
        return;
    };
    let bytes = STANDARD.decode(encoded.as_str().unwrap_or_default());
    let read = serde_json::from_slice::<Value>(&bytes.unwrap_or_default());
    let wrong = match read {
        Ok(Value::Object(_) | Value::Null) => return,
        Ok(_) => "must be a JSON object".to_owned(),
        Err(error) if error.is_eof() => "unexpected end of JSON input".to_owned(),
        Err(error) => error.to_string(),
    };
    let shown = "<secret contents redacted>";
    errors.push(FieldError::invalid(field, shown, wrong));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    #[track_caller]
    fn check(secret: Value, expected: &[&str]) {
        let mut errors = Vec::new();
        super::check(&secret, &mut errors);
        let fields: Vec<String> = errors.into_iter().map(|error| error.field).collect();
        assert_eq!(fields, expected, "{secret}");
    }

    #[test]
    fn a_type_stands_for_its_keys() {
        let tls = |data: Value| json!({ "type": "kubernetes.io/tls", "data": data });
        check(tls(json!(null)), &["data[tls.crt]", "data[tls.key]"]);
        check(tls(json!({ "tls.crt": "", "tls.key": "" })), &[]);
        let login = |data: Value| json!({ "type": "kubernetes.io/basic-auth", "data": data });
        check(login(json!({})), &["data[username]", "data[password]"]);
        check(login(json!({ "password": "" })), &[]);
        check(
            json!({ "type": "kubernetes.io/ssh-auth", "data": { "ssh-privatekey": "" } }),
            &["data[ssh-privatekey]"],
        );
        check(
            json!({ "type": "kubernetes.io/service-account-token" }),
            &["metadata.annotations[kubernetes.io/service-account.name]"],
        );
        check(json!({ "type": "Opaque" }), &[]);
        check(json!({ "type": "shop.test/any" }), &[]);
    }

    #[test]
    fn what_a_registry_wants_is_json() {
        let pull = |text: &str| json!({ "type": "kubernetes.io/dockerconfigjson", "data": { ".dockerconfigjson": text } });
        check(pull("e30="), &[]);
        check(pull("eA=="), &["data[.dockerconfigjson]"]);
        check(
            json!({ "type": "kubernetes.io/dockercfg" }),
            &["data[.dockercfg]"],
        );
    }
}
