//! Changing objects, as controllers do it.

use diwan_embedded::resource::Resource;
use diwan_embedded::{Api, DeleteOptions, Status, Subresource};
use serde_json::Value;

use crate::object::metadata;

/// Deletes an object and after it what it owns. One that is gone already is as good as deleted.
pub(crate) async fn delete(
    api: &Api,
    resource: &'static Resource,
    namespace: &str,
    name: &str,
) -> Result<(), Status> {
    let deleted = api.delete(resource, namespace, name, DeleteOptions::background());
    match deleted.await {
        Err(status) if status.reason != "NotFound" => Err(status),
        _ => Ok(()),
    }
}

/// Writes the status of an object, unless it is as it was or the object is another one.
pub(crate) async fn write_status(
    api: &Api,
    resource: &'static Resource,
    object: &Value,
    status: Value,
) -> Result<(), Status> {
    if object["status"] == status {
        return Ok(());
    }
    let (namespace, name) = (metadata(object, "namespace"), metadata(object, "name"));
    let written = api.modify(resource, namespace, name, Subresource::Status, |current| {
        current["status"] = status.clone();
        metadata(current, "uid") == metadata(object, "uid")
    });
    written.await.map(drop)
}
