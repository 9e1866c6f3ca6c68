//! Events in two forms: core/v1, in which they are stored, and events.k8s.io/v1.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::resource::{EVENTS, EVENTS_V1, Resource};

/// Names of fields in core/v1 and in events.k8s.io/v1.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Whether objects of this kind are stored in another form.
pub(crate) fn is_view(resource: &Resource) -> bool {
    resource == &EVENTS_V1
}

/// An object as it is stored, from the form of its kind.
pub(crate) fn to_stored(resource: &Resource, object: Value) -> Value {
    if !is_view(resource) {
        return object;
    }
    renamed(object, &EVENTS, |name| {
        NAMES.iter().find(|n| n.1 == name).map(|n| n.0)
    })
}

/// An object in the form of its kind, from how it is stored.
pub(crate) fn from_stored<'a>(resource: &Resource, object: &'a Value) -> Cow<'a, Value> {
    if !is_view(resource) {
        return Cow::Borrowed(object);
    }
    let name = |name: &str| NAMES.iter().find(|n| n.0 == name).map(|n| n.1);
    Cow::Owned(renamed(object.clone(), &EVENTS_V1, name))
}

fn renamed(
    object: Value,
    resource: &Resource,
    name: impl Fn(&str) -> Option<&'static str>,
) -> Value {
    let Value::Object(fields) = object else {
        return object;
    };
    let mut fields: Map<String, Value> = fields
        .into_iter()
        .map(|(field, value)| match name(&field) {
            Some(new) => (new.to_owned(), value),
            None => (field, value),
        })
        .collect();
    if fields.contains_key("apiVersion") {
        fields.insert("apiVersion".to_owned(), json!(resource.api_version()));
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{from_stored, to_stored};
    use crate::resource::EVENTS_V1;

    #[test]
    fn an_event_reads_the_same_in_both_forms() {
        let core = json!({
            "apiVersion": "v1", "kind": "Event", "reason": "R", "message": "m",
            "involvedObject": { "name": "x" }, "count": 2,
        });
        let view = from_stored(&EVENTS_V1, &core);
        assert_eq!(view["regarding"]["name"], "x");
        assert_eq!(view["note"], "m");
        assert_eq!(view["apiVersion"], "events.k8s.io/v1");
        assert_eq!(to_stored(&EVENTS_V1, view.into_owned()), core);
    }
}
