//! Creating objects.

use std::sync::Arc;

use jiff::Timestamp;
use rand::RngExt;
use serde_json::{Value, json};

use super::{Api, Operation, Subresource, identify};
use crate::{
    address, admission, conversion,
    custom::{Custom, definition},
    default, metadata,
    ownership::{self, Writer},
    resource::{CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, PERSISTENT_VOLUMES, Resource},
    status::Status,
    storage_class,
    store::{Change, Expect, Key, Object, Outcome},
    validate,
};

/// Letters of generated names: no vowels and no digits that look like them, so no words.
const SUFFIX_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
/// A longer prefix is cut so that the whole fits a label.
const PREFIX_MAX: usize = 63 - SUFFIX_LENGTH;
/// As many generated names are tried until one is free.
const NAME_ATTEMPTS: usize = 8;

impl Api {
    /// Creates an object. `namespace` is empty for cluster-wide kinds.
    pub async fn create(
        &self,
        resource: &'static Resource,
        namespace: &str,
        object: Value,
    ) -> Result<Arc<Value>, Status> {
        Ok(self
            .create_object(resource, namespace, object, &self.writer(), false)
            .await?
            .value()
            .clone())
    }

    pub(crate) async fn create_object(
        &self,
        resource: &'static Resource,
        namespace: &str,
        mut object: Value,
        writer: &Writer,
        dry_run: bool,
    ) -> Result<Arc<Object>, Status> {
        let mut resource = resource;
        if conversion::is_own(resource) {
            object = conversion::upgrade(self, resource, namespace, object)?;
            resource = self.stored_kind(resource);
        }
        if self.kinds().custom(resource).is_some_and(Custom::is_ending) {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(Status::new(405, "MethodNotAllowed", why));
        }
        prepare(resource, namespace, &mut object)?;
        default::name(resource, &mut object);
        if metadata::name(&object).is_empty() && metadata::text(&object, "generateName").is_empty()
        {
            return Err(validate::name_required(resource));
        }
        let generated = metadata::name(&object).is_empty();
        if generated {
            let name = generate(metadata::text(&object, "generateName"));
            metadata::set(&mut object, "name", name);
        }
        self.require_namespace(namespace)?;
        let made = ownership::made(resource, &object);
        self.default(resource, Subresource::None, &mut object);
        self.track(resource, None, &mut object, writer);
        ownership::disown(&mut object, &made);
        default::storage::protect(resource.kind, &mut object);
        if resource == &PERSISTENT_VOLUMES {
            default::storage::enter_phase(&Value::Null, &mut object);
        }
        storage_class::choose(self, resource, &mut object);
        address::assign(self, resource, &mut object)?;
        admission::mutate(self, resource, namespace, &mut object)?;
        let checked = self.check(resource, &object, None);
        let admitted = self
            .admit(Operation::Create, resource, &mut object, None)
            .await;
        Status::both(resource, metadata::name(&object), checked, admitted)?;
        let held = self
            .within_quotas(resource, namespace, &mut object, None)
            .await?;
        let mut attempts = if generated { NAME_ATTEMPTS } else { 1 };
        loop {
            let name = metadata::name(&object).to_owned();
            match self
                .put_new(resource, namespace, &name, &object, dry_run)
                .await
            {
                Err(status) if status.reason == "AlreadyExists" && attempts > 1 => {
                    attempts -= 1;
                    let name = generate(metadata::text(&object, "generateName"));
                    metadata::set(&mut object, "name", name);
                }
                result => {
                    if result.is_ok() && resource == &NAMESPACES && !dry_run {
                        self.furnish(&name).await;
                    }
                    if result.is_ok() && held.is_some() && !dry_run {
                        self.refresh_quotas(namespace).await;
                    }
                    return result;
                }
            }
        }
    }

    pub(super) async fn put_new(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        object: &Value,
        dry_run: bool,
    ) -> Result<Arc<Object>, Status> {
        let key = Key {
            storage: resource.storage,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        if dry_run {
            if self.object(resource, namespace, name).is_some() {
                return Err(self.exists(resource, namespace, name));
            }
            return Ok(Arc::new(Object::new(key, 0, object.clone())));
        }
        let object = conversion::to_stored(&self.kinds(), resource, object.clone());
        match self
            .store()
            .write(key, Expect::Absent, Change::Put(object))
            .await
        {
            Outcome::Done(object) => Ok(object),
            Outcome::Conflict => Err(self.exists(resource, namespace, name)),
            Outcome::NoNamespace => Err(Status::not_found(&NAMESPACES, namespace)),
            Outcome::NamespaceEnds => Err(namespace_ends(resource, namespace, name)),
            Outcome::Failed(why) => Err(Status::internal(why)),
        }
    }

    fn exists(&self, resource: &'static Resource, namespace: &str, name: &str) -> Status {
        let mut status = Status::already_exists(resource, name);
        let current = self.object(resource, namespace, name);
        if current.is_some_and(|current| current.is_deleting) {
            status.message = format!("object is being deleted: {}", status.message);
        }
        status
    }

    /// Says early that the namespace is missing; the writer decides it again.
    fn require_namespace(&self, namespace: &str) -> Result<(), Status> {
        if namespace.is_empty() || self.object(&NAMESPACES, "", namespace).is_some() {
            return Ok(());
        }
        Err(Status::not_found(&NAMESPACES, namespace))
    }

    /// Checks names, and the schema of our kinds or the rules of built-in ones.
    pub(super) fn check(
        &self,
        resource: &'static Resource,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        let mut causes = validate::metadata(resource, object);
        match self.kinds().custom(resource) {
            Some(custom) => causes.extend(custom.check(object, old)),
            None if resource == &CUSTOM_RESOURCE_DEFINITIONS => {
                causes.extend(definition::validate(object, old));
            }
            None => causes.extend(validate::builtin(resource, object)),
        }
        if causes.is_empty() {
            return Ok(());
        }
        Err(Status::invalid(resource, metadata::name(object), &causes))
    }
}

/// Checks what the caller sent and gives the object its identity.
fn prepare(resource: &'static Resource, namespace: &str, object: &mut Value) -> Result<(), Status> {
    if !object.is_object() || metadata::of(object).is_none() {
        return Err(Status::bad_request(
            "the object and its metadata must be JSON objects",
        ));
    }
    let own = metadata::namespace(object);
    if resource.namespaced && !own.is_empty() && own != namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if !metadata::text(object, "resourceVersion").is_empty() {
        // Kubernetes has no reason for this error.
        return Err(Status::new(
            500,
            "",
            "resourceVersion should not be set on objects to be created",
        ));
    }
    for field in [
        "uid",
        "creationTimestamp",
        "resourceVersion",
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "namespace",
    ] {
        metadata::unset(object, field);
    }
    if resource.namespaced {
        metadata::set(object, "namespace", namespace);
    }
    // A node reports what it is when it registers; all other status comes later.
    if resource.status
        && resource.kind != "Node"
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    identify(resource, object, Timestamp::now());
    Ok(())
}

fn generate(prefix: &str) -> String {
    let mut end = prefix.len().min(PREFIX_MAX);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = prefix[..end].to_owned();
    let mut rng = rand::rng();
    for _ in 0..SUFFIX_LENGTH {
        name.push(char::from(
            SUFFIX_LETTERS[rng.random_range(0..SUFFIX_LETTERS.len())],
        ));
    }
    name
}

fn namespace_ends(resource: &Resource, namespace: &str, name: &str) -> Status {
    let why = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    let mut status = Status::forbidden(resource, name, &why);
    if let Some(details) = &mut status.details {
        details["causes"] = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
    }
    status
}
