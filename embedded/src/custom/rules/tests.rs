use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::Rules;

#[track_caller]
fn check(schema: &Value, new: Value, old: Option<Value>, expected: &[&str]) {
    let causes = Rules::new(schema).evaluate(schema, &new, old.as_ref());
    let found: Vec<String> = causes
        .into_iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    assert_eq!(found, expected);
}

fn object(properties: Value, rules: Value) -> Value {
    json!({ "type": "object", "properties": properties, "x-kubernetes-validations": rules })
}

#[test]
fn a_rule_that_does_not_hold_is_told_as_it_wants() {
    let schema = object(
        json!({ "size": { "type": "integer" }, "list": { "type": "array", "items": { "type": "string" } } }),
        json!([
            { "rule": "self.size < 100", "message": "too big" },
            { "rule": "self.size != 3" },
            {
                "rule": "!has(self.list) || self.list.size() <= self.size",
                "messageExpression": "'longer than ' + string(self.size)",
                "reason": "FieldValueForbidden", "fieldPath": ".list",
            },
        ]),
    );
    check(&schema, json!({ "size": 5 }), None, &[]);
    check(
        &schema,
        json!({ "size": 200 }),
        None,
        &["<nil>: Invalid value: too big"],
    );
    check(
        &schema,
        json!({ "size": 3 }),
        None,
        &["<nil>: Invalid value: failed rule: self.size != 3"],
    );
    let long = json!({ "size": 1, "list": ["a", "b"] });
    check(&schema, long, None, &["list: Forbidden: longer than 1"]);
}

#[test]
fn rules_compare_with_what_was() {
    let color = json!({ "type": "string", "x-kubernetes-validations": [
        { "rule": "self == oldSelf", "message": "immutable" },
    ]});
    let schema = object(json!({ "color": color }), json!([]));
    let color = |color: &str| json!({ "color": color });
    check(&schema, color("red"), None, &[]);
    check(&schema, color("red"), Some(color("red")), &[]);
    check(
        &schema,
        color("blue"),
        Some(color("red")),
        &[r#"color: Invalid value: "blue": immutable"#],
    );
    // Without the field there was nothing to compare with.
    check(&schema, color("blue"), Some(json!({})), &[]);
}

#[test]
fn what_was_may_be_optional() {
    let rule = json!({
        "rule": "oldSelf.hasValue() ? self >= oldSelf.value() : self == 0", "optionalOldSelf": true,
        "message": "starts at 0 and never falls",
    });
    let count = json!({ "type": "integer", "x-kubernetes-validations": [rule] });
    let schema = object(json!({ "n": count }), json!([]));
    let n = |n: i64| json!({ "n": n });
    let refusal = |n: i64| format!("n: Invalid value: {n}: starts at 0 and never falls");
    check(&schema, n(0), None, &[]);
    check(&schema, n(1), None, &[&refusal(1)]);
    check(&schema, n(2), Some(n(1)), &[]);
    check(&schema, n(1), Some(n(2)), &[&refusal(1)]);
}

#[test]
fn items_are_compared_by_their_keys() {
    let item = json!({ "type": "object", "required": ["name"], "properties": {
        "name": { "type": "string" },
        "n": { "type": "integer", "x-kubernetes-validations": [{ "rule": "self >= oldSelf" }] },
    }});
    let list = json!({
        "type": "array", "items": item, "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    });
    let schema = object(json!({ "l": list }), json!([]));
    let old = json!({ "l": [{ "name": "a", "n": 1 }, { "name": "b", "n": 5 }] });
    let new = json!({ "l": [{ "name": "b", "n": 4 }, { "name": "a", "n": 2 }] });
    check(
        &schema,
        new,
        Some(old),
        &["l[0].n: Invalid value: 4: failed rule: self >= oldSelf"],
    );
}

#[test]
fn broken_rules_of_unchanged_values_do_not_keep_anybody_from_changing_the_rest() {
    let n = json!({ "type": "integer", "x-kubernetes-validations": [{ "rule": "self > 10" }] });
    let schema = object(json!({ "n": n, "m": { "type": "integer" } }), json!([]));
    let old = json!({ "n": 1, "m": 1 });
    check(&schema, json!({ "n": 1, "m": 2 }), Some(old.clone()), &[]);
    check(
        &schema,
        json!({ "n": 2, "m": 2 }),
        Some(old),
        &["n: Invalid value: 2: failed rule: self > 10"],
    );
}

#[test]
fn names_maps_times_and_numbers_are_as_rules_expect_them() {
    let schema = object(
        json!({
            "a-b": { "type": "string" },
            "namespace": { "type": "string" },
            "map": { "type": "object", "additionalProperties": { "type": "number" } },
            "when": { "type": "string", "format": "date-time" },
            "wait": { "type": "string", "format": "duration" },
        }),
        json!([
            { "rule": "self.a__dash__b == 'x'" },
            { "rule": "self.__namespace__.startsWith('n')" },
            { "rule": "self.map['a-b'] == 2.0" },
            { "rule": "self.map.all(k, self.map[k] > 1.5)" },
            { "rule": "self.when < timestamp('2030-01-01T00:00:00Z')" },
            { "rule": "self.wait <= duration('1h')" },
            { "rule": "quantity('1Gi').isGreaterThan(quantity('500Mi'))" },
        ]),
    );
    let value = json!({
        "a-b": "x", "namespace": "ns", "map": { "a-b": 2 }, "when": "2026-01-01T00:00:00Z", "wait": "30m",
    });
    check(&schema, value, None, &[]);
}
