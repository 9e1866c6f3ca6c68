//! JSON patches (RFC 6902), as lenient as Kubernetes takes them: `replace` adds a field, what is
//! copied may be absent, and places in lists count from the end when they are negative.

use serde_json::Value;

use crate::status::Status;

/// As many operations a patch has at most.
const MAX_OPERATIONS: usize = 10_000;

/// The operations of a JSON patch.
#[derive(Clone, Debug)]
pub(crate) struct Operations(Vec<Value>);

/// That an operation can't be done.
struct Failed;

impl Operations {
    /// Reads a patch.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Status> {
        let wrong = |why: String| Err(Status::bad_request(format!("error decoding patch: {why}")));
        let operations = match serde_json::from_slice(bytes) {
            Ok(Value::Array(operations)) => operations,
            Ok(Value::Null) => Vec::new(),
            Ok(other) => {
                return wrong(format!(
                    "json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp",
                    super::go_kind(&other)
                ));
            }
            Err(error) => return wrong(super::json_error(&error)),
        };
        let misfit = |operation: &&Value| !operation.is_object() && !operation.is_null();
        if let Some(other) = operations.iter().find(misfit) {
            return wrong(format!(
                "json: cannot unmarshal {} into Go value of type handlers.jsonPatchOp",
                super::go_kind(other)
            ));
        }
        if operations.len() > MAX_OPERATIONS {
            let text = format!(
                "Request entity too large: The allowed maximum operations in a JSON patch is \
                 {MAX_OPERATIONS}, got {}",
                operations.len()
            );
            return Err(Status::new(413, "RequestEntityTooLarge", text));
        }
        Ok(Self(operations))
    }

    /// Applies the patch. The object is of no use when any operation fails.
    pub(super) fn apply(&self, object: &mut Value) -> Result<(), Status> {
        for operation in &self.0 {
            apply(object, operation).map_err(|Failed| {
                let text = "the server rejected our request due to an error in our request";
                let mut status = Status::new(422, "Invalid", text);
                status.details = Some(Box::new(serde_json::json!({})));
                status
            })?;
        }
        Ok(())
    }
}

fn apply(object: &mut Value, operation: &Value) -> Result<(), Failed> {
    let text = |field: &str| operation[field].as_str().ok_or(Failed);
    let path = text("path")?;
    let value = || operation["value"].clone();
    match text("op")? {
        "add" => add(object, path, value()),
        "remove" => remove(object, path).map(drop),
        "replace" => replace(object, path, value()),
        "move" => {
            let value = remove(object, text("from")?)?;
            add(object, path, value)
        }
        "copy" => {
            let value = get(object, text("from")?)?.cloned().unwrap_or_default();
            add(object, path, value)
        }
        "test" => {
            let found = get(object, path)?.unwrap_or(&Value::Null);
            if *found == operation["value"] {
                Ok(())
            } else {
                Err(Failed)
            }
        }
        _ => Err(Failed),
    }
}

/// The parent of what a path names, and the last step to it.
fn split(path: &str) -> Result<(&str, String), Failed> {
    let (parent, last) = path.rsplit_once('/').ok_or(Failed)?;
    Ok((parent, last.replace("~1", "/").replace("~0", "~")))
}

/// A place in a list; from its end when negative.
fn index(step: &str, length: usize) -> Result<usize, Failed> {
    let index: i64 = step.parse().map_err(|_| Failed)?;
    let length = i64::try_from(length).map_err(|_| Failed)?;
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index).map_err(|_| Failed)
}

fn parent<'a>(object: &'a mut Value, path: &str) -> Result<&'a mut Value, Failed> {
    object.pointer_mut(path).ok_or(Failed)
}

/// What a path names; `None` when only its last step is missing.
fn get<'a>(object: &'a Value, path: &str) -> Result<Option<&'a Value>, Failed> {
    if path.is_empty() {
        return Ok(Some(object));
    }
    let (above, step) = split(path)?;
    match object.pointer(above).ok_or(Failed)? {
        Value::Object(map) => Ok(map.get(&step)),
        Value::Array(list) => list.get(index(&step, list.len())?).map(Some).ok_or(Failed),
        _ => Err(Failed),
    }
}

fn add(object: &mut Value, path: &str, value: Value) -> Result<(), Failed> {
    if path.is_empty() {
        *object = value;
        return Ok(());
    }
    let (above, step) = split(path)?;
    match parent(object, above)? {
        Value::Object(map) => {
            map.insert(step, value);
        }
        Value::Array(list) if step == "-" => list.push(value),
        Value::Array(list) => {
            // From the end, a new item comes after the one that is named.
            let place = index(&step, list.len() + 1)?;
            if place > list.len() {
                return Err(Failed);
            }
            list.insert(place, value);
        }
        _ => return Err(Failed),
    }
    Ok(())
}

fn remove(object: &mut Value, path: &str) -> Result<Value, Failed> {
    let (above, step) = split(path)?;
    match parent(object, above)? {
        Value::Object(map) => map.remove(&step).ok_or(Failed),
        Value::Array(list) => {
            let place = index(&step, list.len())?;
            if place >= list.len() {
                return Err(Failed);
            }
            Ok(list.remove(place))
        }
        _ => Err(Failed),
    }
}

fn replace(object: &mut Value, path: &str, value: Value) -> Result<(), Failed> {
    if path.is_empty() {
        *object = value;
        return Ok(());
    }
    let (above, step) = split(path)?;
    match parent(object, above)? {
        Value::Object(map) => {
            map.insert(step, value);
        }
        Value::Array(list) => {
            let place = index(&step, list.len())?;
            *list.get_mut(place).ok_or(Failed)? = value;
        }
        _ => return Err(Failed),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::Operations;

    /// What a patch makes of an object; the code when it is refused.
    fn patched(patch: &Value) -> Result<Value, u16> {
        let mut object = json!({ "a": "1", "l": ["x", "y"] });
        Operations::read(patch.to_string().as_bytes())
            .and_then(|operations| operations.apply(&mut object))
            .map_err(|status| status.code)?;
        Ok(object)
    }

    #[test]
    fn operations_do_what_kubernetes_does() {
        let done = |operation: Value, expected: Value| {
            assert_eq!(patched(&json!([operation])), Ok(expected), "{operation}");
        };
        let list = |list: Value| json!({ "a": "1", "l": list });
        done(
            json!({ "op": "add", "path": "/l/-", "value": 1 }),
            list(json!(["x", "y", 1])),
        );
        done(
            json!({ "op": "add", "path": "/l/0", "value": 1 }),
            list(json!([1, "x", "y"])),
        );
        done(
            json!({ "op": "remove", "path": "/l/-1" }),
            list(json!(["x"])),
        );
        done(
            json!({ "op": "replace", "path": "/b~1c", "value": 1 }),
            json!({ "a": "1", "b/c": 1, "l": ["x", "y"] }),
        );
        done(
            json!({ "op": "copy", "from": "/q", "path": "/b" }),
            json!({ "a": "1", "b": null, "l": ["x", "y"] }),
        );
        done(
            json!({ "op": "move", "from": "/a", "path": "/b" }),
            json!({ "b": "1", "l": ["x", "y"] }),
        );
        done(
            json!({ "op": "test", "path": "/q", "value": null }),
            list(json!(["x", "y"])),
        );
    }

    #[test]
    fn what_can_not_be_done_is_refused() {
        for operation in [
            json!({ "op": "test", "path": "/a", "value": "2" }),
            json!({ "op": "remove", "path": "/q" }),
            json!({ "op": "remove", "path": "" }),
            json!({ "op": "remove", "path": "a" }),
            json!({ "op": "remove" }),
            json!({ "op": "remove", "path": "/l/2" }),
            json!({ "op": "add", "path": "/l/3", "value": 1 }),
            json!({ "op": "add", "path": "/l/x", "value": 1 }),
            json!({ "op": "add", "path": "/q/a", "value": 1 }),
            json!({ "op": "replace", "path": "/l/2", "value": 1 }),
            json!({ "op": "move", "from": "/q", "path": "/b" }),
            json!({ "op": "dance", "path": "/a" }),
            json!({ "path": "/a" }),
        ] {
            assert_eq!(patched(&json!([operation])), Err(422), "{operation}");
        }
        assert_eq!(patched(&json!({ "op": "add" })), Err(400));
        assert_eq!(patched(&json!(["x"])), Err(400));
        let many = vec![json!({ "op": "test", "path": "/a", "value": "1" }); 10_001];
        assert_eq!(patched(&json!(many)), Err(413));
    }
}
