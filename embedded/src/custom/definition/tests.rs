use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{count_stored_version, default, validate, warnings};

/// A definition with a schema of `spec.x`, changed.
fn definition(x: Value, change: impl FnOnce(&mut Value)) -> Value {
    let schema = json!({ "type": "object", "properties": {
        "spec": { "type": "object", "properties": { "x": x } },
    }});
    let mut definition = json!({
        "metadata": { "name": "foos.example.org" },
        "spec": {
            "group": "example.org", "scope": "Namespaced",
            "names": { "plural": "foos", "kind": "Foo" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    });
    change(&mut definition);
    definition
}

#[track_caller]
fn check(mut definition: Value, expected: &[&str]) {
    default(&mut definition);
    count_stored_version(&mut definition);
    let found: Vec<String> = validate(&definition, None)
        .into_iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    assert_eq!(found, expected);
}

#[track_caller]
fn check_schema(x: Value, expected: &[&str]) {
    let at = "spec.validation.openAPIV3Schema.properties[spec].properties[x]";
    let expected: Vec<String> = expected.iter().map(|text| format!("{at}.{text}")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(definition(x, |_| {}), &expected);
}

fn text() -> Value {
    json!({ "type": "string" })
}

#[test]
fn what_is_left_out_is_filled_in() {
    let mut definition = definition(text(), |_| {});
    default(&mut definition);
    count_stored_version(&mut definition);
    assert_eq!(definition["spec"]["names"]["singular"], "foo");
    assert_eq!(definition["spec"]["names"]["listKind"], "FooList");
    assert_eq!(definition["spec"]["conversion"]["strategy"], "None");
    assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
    check(definition, &[]);
}

#[test]
fn names_groups_and_scopes_follow_their_rules() {
    check(
        definition(text(), |d| {
            d["metadata"]["name"] = json!("bars.example.org");
        }),
        &[
            r#"metadata.name: Invalid value: "bars.example.org": must be spec.names.plural+"."+spec.group"#,
        ],
    );
    check(
        definition(text(), |d| {
            d["spec"]["scope"] = json!("World");
        }),
        &[r#"spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced""#],
    );
    check(
        definition(text(), |d| {
            d["spec"]["names"]["listKind"] = json!("Foo");
        }),
        &[r#"spec.names.listKind: Invalid value: "Foo": kind and listKind may not be the same"#],
    );
}

#[test]
fn no_webhook_converts_here() {
    let webhook = json!({ "strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1"], "clientConfig": { "url": "https://example.org" },
    }});
    check(
        definition(text(), |d| {
            d["spec"]["conversion"] = webhook;
        }),
        &[
            "spec.conversion.strategy: Forbidden: objects are converted by no webhook on one machine: \
           use strategy None, which changes only apiVersion, or a Kubernetes cluster",
        ],
    );
}

#[test]
fn schemas_are_structural() {
    check_schema(
        json!({}),
        &["type: Required value: must not be empty for specified object fields"],
    );
    check_schema(
        json!({ "type": "array" }),
        &["items: Required value: must be specified"],
    );
    check_schema(
        json!({ "type": "integer", "anyOf": [{ "type": "integer" }] }),
        &["anyOf[0].type: Forbidden: must be empty to be structural"],
    );
    let either = json!([{ "type": "integer" }, { "type": "string" }]);
    check_schema(
        json!({ "x-kubernetes-int-or-string": true, "anyOf": either }),
        &[],
    );
    check_schema(
        json!({ "type": "integer", "minimum": 1, "default": 0 }),
        &["default: Invalid value: 0:  in body should be greater than or equal to 1"],
    );
    check_schema(
        json!({ "type": "object", "default": { "a": "b", "c": 1 }, "properties": { "a": text() } }),
        &[r#"default: Invalid value: {"a":"b","c":1}: must not have unknown fields"#],
    );
    check_schema(
        json!({ "type": "array", "items": { "type": "object" }, "x-kubernetes-list-type": "map" }),
        &[
            "x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        ],
    );
}

#[test]
fn rules_that_can_not_be_asked_are_refused() {
    let with = |rule: Value| json!({ "type": "integer", "x-kubernetes-validations": [rule] });
    let at = "x-kubernetes-validations[0]";
    for (rule, expected) in [
        (
            json!({ "rule": "self.foo > 1" }),
            "rule: Invalid value: \"self.foo > 1\": compilation failed: type 'int' does not support field selection",
        ),
        (
            json!({ "rule": "self" }),
            "rule: Invalid value: \"self\": cel expression must evaluate to a bool",
        ),
        (
            json!({ "rule": "other > 1" }),
            "rule: Invalid value: \"other > 1\": compilation failed: undeclared reference to 'other' (in container '')",
        ),
        (
            json!({ "rule": "self > 'a'" }),
            "rule: Invalid value: \"self > 'a'\": compilation failed: found no matching overload for '_>_' applied to '(int, string)'",
        ),
        (
            json!({ "rule": "" }),
            "rule: Required value: rule is not specified",
        ),
        (
            json!({ "rule": "self > 1", "messageExpression": "self" }),
            "messageExpression: Invalid value: \"self\": messageExpression must evaluate to a string",
        ),
        (
            json!({ "rule": "self > 1", "optionalOldSelf": true }),
            "optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule",
        ),
        (
            json!({ "rule": "self > 1", "fieldPath": ".x" }),
            "fieldPath: Invalid value: \".x\": must be a valid path",
        ),
    ] {
        check_schema(with(rule), &[&format!("{at}.{expected}")]);
    }
    let rule = json!({ "rule": "oldSelf.hasValue() || self > 1", "optionalOldSelf": true });
    check_schema(with(rule), &[]);
}

#[test]
fn formats_that_nobody_checks_are_named() {
    let x = json!({ "type": "string", "format": "foo" });
    let definition = definition(x, |_| {});
    assert_eq!(warnings(&definition), ["unrecognized format \"foo\""]);
}
