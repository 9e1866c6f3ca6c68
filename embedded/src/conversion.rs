//! Objects in the version in which they are asked for, and in the one in which they are stored.
//!
//! Between the versions of a definition only `apiVersion` changes: fields that the other version
//! does not know are dropped, and its defaults filled in. Experiments are converted, as the webhook
//! of a cluster does it.

use std::borrow::Cow;

use bytes::Bytes;
use diwan_api::{
    crd::EXPERIMENTS as OWN,
    trial_template::is_for_all,
    v1alpha3::{convert, template_source},
};
use serde_json::{Value, json};

use crate::{
    api::Api,
    custom::Custom,
    event_view, metadata,
    resource::{CONFIG_MAPS, Kinds, Resource, intern},
    status::Status,
    store::Object,
};

/// Whether objects of a kind have a conversion of their own to the form in which they are stored.
pub(crate) fn is_own(resource: &Resource) -> bool {
    resource.custom
        && resource.version == diwan_api::v1alpha3::VERSION
        && intern::storage_name(resource.storage) == OWN
}

/// The JSON that readers of a kind are sent of an object.
pub(crate) fn json(kinds: &Kinds, resource: &Resource, object: &Object) -> Bytes {
    if is_as_stored(kinds, resource, object) {
        return object.json.clone();
    }
    let stored = object.value();
    Bytes::from(from_stored(kinds, resource, &stored).to_string())
}

/// Whether that is the JSON in which it is stored.
fn is_as_stored(kinds: &Kinds, resource: &Resource, object: &Object) -> bool {
    match kinds.custom(resource) {
        None => !event_view::is_view(resource),
        Some(custom) => {
            !is_own(resource)
                && object.is_of(&resource.api_version())
                && object.version >= custom.since
        }
    }
}

/// An object in the version of its kind, from how it is stored.
pub(crate) fn from_stored<'a>(
    kinds: &Kinds,
    resource: &Resource,
    object: &'a Value,
) -> Cow<'a, Value> {
    let Some(custom) = kinds.custom(resource) else {
        return event_view::from_stored(resource, object);
    };
    if is_own(resource) {
        return match convert(object, diwan_api::v1alpha3::API_VERSION, None) {
            Ok(object) => Cow::Owned(object),
            // What is stored can always be written in the older version.
            Err(_) => Cow::Borrowed(object),
        };
    }
    if object["apiVersion"] == resource.api_version() && !is_older(object, custom) {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    object["apiVersion"] = json!(resource.api_version());
    custom.schema().prune(&mut object, None);
    custom.default(&mut object);
    Cow::Owned(object)
}

/// Whether an object was stored before the definition became what it is.
fn is_older(object: &Value, custom: &Custom) -> bool {
    let version = metadata::text(object, "resourceVersion").parse::<u64>();
    version.is_ok_and(|version| version < custom.since)
}

/// An object with the version in which it is stored.
pub(crate) fn to_stored(kinds: &Kinds, resource: &Resource, mut object: Value) -> Value {
    if let Some(custom) = kinds.custom(resource)
        && custom.storage_version != resource.version
    {
        object["apiVersion"] = json!(format!("{}/{}", resource.group, custom.storage_version));
        let stored = kinds.find(resource.group, custom.storage_version, resource.plural);
        // A version that is not served has no readers who would miss or mind anything.
        if let Some(stored) = stored.and_then(|stored| kinds.custom(stored)) {
            stored.schema().prune(&mut object, None);
            stored.default(&mut object);
        }
    }
    object
}

/// An experiment of the older version as it is stored, with its defaults.
pub(crate) fn upgrade(
    api: &Api,
    resource: &Resource,
    namespace: &str,
    mut object: Value,
) -> Result<Value, Status> {
    let to = diwan_api::v1alpha3::STORED_API_VERSION;
    metadata::set(&mut object, "namespace", namespace);
    let template = template_source(&object, to).and_then(|source| {
        let place = &source.config_map_namespace;
        let map = api.get(&CONFIG_MAPS, place, &source.config_map_name)?;
        let labels = serde_json::from_value(map["metadata"]["labels"].clone()).ok();
        if !is_for_all(labels.as_ref()) {
            return None;
        }
        Some(map["data"].get(&source.template_path)?.as_str()?.to_owned())
    });
    convert(&object, to, template.as_deref()).map_err(|error| {
        let text = format!(
            "conversion webhook for {}, Kind={} failed: {error}",
            resource.api_version(),
            resource.kind
        );
        Status::new(500, "InternalError", text)
    })
}
