//! The class of claims that name none, and the class that is there from the start.

use serde_json::{Value, json};

use crate::{
    api::Api,
    metadata,
    resource::{PERSISTENT_VOLUME_CLAIMS, Resource, STORAGE_CLASSES},
};

/// The name of the class that is there from the start.
pub const STANDARD: &str = "standard";
/// Who makes volumes of that class.
pub const PROVISIONER: &str = "diwan.dev/folder";
/// On classes: claims that name none are of this one.
const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

/// The class that is there from the start.
pub(crate) fn standard() -> Value {
    json!({
        "metadata": { "name": STANDARD, "annotations": { DEFAULT: "true" } },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    })
}

/// Gives a claim that names no class the default one: of several the newest.
pub(crate) fn choose(api: &Api, resource: &Resource, object: &mut Value) {
    if resource != &PERSISTENT_VOLUME_CLAIMS || !object["spec"]["storageClassName"].is_null() {
        return;
    }
    let (classes, _) = api.list(&STORAGE_CLASSES, None);
    let is_default = |class: &&_| is_default(class);
    let newest = classes
        .iter()
        .map(|class| &**class)
        .filter(is_default)
        .max_by_key(|class| {
            (
                metadata::text(class, "creationTimestamp"),
                std::cmp::Reverse(metadata::name(class)),
            )
        });
    if let (Some(class), Some(spec)) = (newest, object["spec"].as_object_mut()) {
        spec.insert("storageClassName".to_owned(), json!(metadata::name(class)));
    }
}

/// Whether claims that name no class are of this one.
pub(crate) fn is_default(class: &Value) -> bool {
    class["metadata"]["annotations"][DEFAULT] == "true"
}
