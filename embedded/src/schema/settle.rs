//! What a value of a built-in type loses on its way through Kubernetes, which reads it into a
//! struct: nulls, and lists and maps without anything in them.

use serde_json::{Value, json};

use super::{
    Schema,
    place::{Place, Shape},
};

impl Schema {
    /// Leaves out of an object what Kubernetes would; of custom kinds only in `metadata`.
    pub(crate) fn settle(&self, object: &mut Value) {
        let place = self.place();
        if place.is_builtin() {
            return settle(place, object);
        }
        if let (Some(place), Some(metadata)) = (place.field("metadata"), object.get_mut("metadata"))
        {
            settle(place, metadata);
        }
    }
}

fn settle(place: Place<'_>, value: &mut Value) {
    match value {
        Value::Object(map) if place.is_builtin() => map.retain(|name, value| {
            let Some(child) = place.field(name) else {
                return true;
            };
            settle(child, value);
            if value.is_null() && !place.names(name) {
                // A text in a map is there all the same.
                let is_text = child.shape(None) == Shape::Scalar("string");
                *value = if is_text { json!("") } else { Value::Null };
                return is_text;
            }
            let empty = match value {
                Value::Array(list) => list.is_empty(),
                Value::Object(map) => map.is_empty(),
                _ => false,
            };
            !(value.is_null()
                || empty && place.names(name) && child.is_collection() && !place.requires(name))
        }),
        Value::Array(list) => list
            .iter_mut()
            .for_each(|value| settle(place.items(), value)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use crate::{
        resource::{CONFIG_MAPS, PODS},
        schema::builtin,
    };

    #[test]
    fn nulls_and_empty_collections_go() {
        let mut pod = json!({
            "metadata": { "labels": {}, "finalizers": [], "annotations": { "a": null } },
            "spec": {
                "containers": [{ "name": "a", "args": null, "env": [] }],
                "volumes": [{ "name": "v", "emptyDir": {} }],
                "nodeName": null,
            },
        });
        builtin(&PODS).unwrap().settle(&mut pod);
        assert_eq!(
            pod,
            json!({
                "metadata": { "annotations": { "a": "" } },
                "spec": {
                    "containers": [{ "name": "a" }],
                    "volumes": [{ "name": "v", "emptyDir": {} }],
                },
            })
        );
        let mut map = json!({ "metadata": {}, "data": { "a": null }, "binaryData": {} });
        builtin(&CONFIG_MAPS).unwrap().settle(&mut map);
        assert_eq!(map, json!({ "metadata": {}, "data": { "a": "" } }));
    }
}
