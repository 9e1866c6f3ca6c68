//! What a definition's status says: which names it has, and whether it is served.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::has_condition;
use crate::metadata;

/// One name that a kind has, and why it may not have it.
const FIELDS: [(&str, &str); 4] = [
    ("plural", "PluralConflict"),
    ("singular", "SingularConflict"),
    ("kind", "KindConflict"),
    ("listKind", "ListKindConflict"),
];

/// The status that a definition should have beside all others, at some time.
pub(crate) fn of(definition: &Value, all: &[&Value], now: Timestamp) -> Value {
    let mut status = match &definition["status"] {
        Value::Object(fields) => Value::Object(fields.clone()),
        _ => json!({}),
    };
    let taken = taken(definition, all);
    let (names, conflict) = accept(definition, &taken);
    status["acceptedNames"] = names;
    let accepted = match &conflict {
        None => ("True", "NoConflicts", "no conflicts found".to_owned()),
        Some((reason, message)) => ("False", *reason, message.clone()),
    };
    set_condition(&mut status, "NamesAccepted", accepted, now);
    if !has_condition(definition, "Established") {
        let established = if conflict.is_none() {
            let message = "the initial names have been accepted";
            ("True", "InitialNamesAccepted", message.to_owned())
        } else {
            (
                "False",
                "NotAccepted",
                "not all names are accepted".to_owned(),
            )
        };
        set_condition(&mut status, "Established", established, now);
    }
    status
}

/// The names that others of the group have: those in paths, and kinds.
fn taken<'a>(definition: &Value, all: &[&'a Value]) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut paths, mut kinds) = (Vec::new(), Vec::new());
    let others = all.iter().filter(|other| {
        metadata::name(other) != metadata::name(definition)
            && other["spec"]["group"] == definition["spec"]["group"]
    });
    for other in others {
        let names = &other["status"]["acceptedNames"];
        let short = names["shortNames"].as_array().into_iter().flatten();
        paths.extend(
            [&names["plural"], &names["singular"]]
                .into_iter()
                .filter_map(Value::as_str),
        );
        paths.extend(short.filter_map(Value::as_str));
        kinds.extend(
            [&names["kind"], &names["listKind"]]
                .into_iter()
                .filter_map(Value::as_str),
        );
    }
    (paths, kinds)
}

/// The names of the definition that nobody else has, and why one is not among them.
fn accept(
    definition: &Value,
    (paths, kinds): &(Vec<&str>, Vec<&str>),
) -> (Value, Option<(&'static str, String)>) {
    let wanted = &definition["spec"]["names"];
    let mut names = match &definition["status"]["acceptedNames"] {
        Value::Object(fields) => Value::Object(fields.clone()),
        _ => json!({ "plural": "", "kind": "" }),
    };
    let mut conflict = None;
    for (field, reason) in FIELDS {
        let taken = if field.ends_with("ind") { kinds } else { paths };
        let name = wanted[field].as_str().unwrap_or_default();
        if taken.contains(&name) {
            conflict = Some((reason, format!("{name:?} is already in use")));
        } else if !name.is_empty() {
            names[field] = json!(name);
        }
    }
    let short: Vec<&str> = wanted["shortNames"]
        .as_array()
        .map_or_else(Vec::new, |list| {
            list.iter().filter_map(Value::as_str).collect()
        });
    match short.iter().find(|name| paths.contains(name)) {
        Some(name) => {
            conflict = Some(("ShortNamesConflict", format!("{name:?} is already in use")));
        }
        None => put_list(&mut names, "shortNames", &wanted["shortNames"]),
    }
    put_list(&mut names, "categories", &wanted["categories"]);
    (names, conflict)
}

fn put_list(names: &mut Value, field: &str, list: &Value) {
    let Some(names) = names.as_object_mut() else {
        return;
    };
    if list.as_array().is_some_and(|list| !list.is_empty()) {
        names.insert(field.to_owned(), list.clone());
    } else {
        names.remove(field);
    }
}

/// Sets a condition; its time is of its last change.
pub(crate) fn set_condition(
    status: &mut Value,
    type_: &str,
    (holds, reason, message): (&str, &str, String),
    now: Timestamp,
) {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else {
        return;
    };
    let mut condition = json!({
        "type": type_, "status": holds, "lastTransitionTime": metadata::time(now),
        "reason": reason, "message": message,
    });
    match conditions.iter_mut().find(|c| c["type"] == type_) {
        Some(old) => {
            if old["status"] == condition["status"] {
                condition["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::of;
    use crate::custom::has_condition;

    fn definition(plural: &str, kind: &str) -> Value {
        json!({
            "metadata": { "name": format!("{plural}.example.com") },
            "spec": {
                "group": "example.com",
                "names": { "plural": plural, "singular": "thing", "kind": kind, "listKind": format!("{kind}List") },
            },
        })
    }

    #[test]
    fn the_first_of_two_has_the_name() {
        let mut first = definition("foos", "Foo");
        first["status"] = of(&first, &[&first], Timestamp::UNIX_EPOCH);
        assert!(has_condition(&first, "Established"));
        assert_eq!(first["status"]["acceptedNames"]["plural"], "foos");

        let mut second = definition("bars", "Foo");
        second["status"] = of(&second, &[&first, &second], Timestamp::UNIX_EPOCH);
        assert!(!has_condition(&second, "Established"));
        let condition = &second["status"]["conditions"][0];
        assert_eq!(condition["reason"], "ListKindConflict");
        assert_eq!(second["status"]["acceptedNames"]["plural"], "bars");
        assert_eq!(second["status"]["acceptedNames"]["singular"], Value::Null);

        let late = Timestamp::UNIX_EPOCH + std::time::Duration::from_secs(9);
        let again = of(&first, &[&first, &second], late);
        assert_eq!(again, first["status"], "a status that holds stays as it is");
    }
}
