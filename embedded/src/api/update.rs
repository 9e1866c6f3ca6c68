//! Changing objects.

use std::{borrow::Cow, sync::Arc};

use diwan_api::FieldError;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Api, Operation};
use crate::{
    address, admission, conversion, default, event_view, metadata,
    ownership::{self, Writer, same_but_times},
    resource::{ENDPOINT_SLICES, PERSISTENT_VOLUMES, PRIORITY_CLASSES, Resource},
    status::Status,
    store::{Change, Expect, Object, Outcome},
    validate::{self, immutable},
};

/// Which part of an object a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// All but the status, where the kind has a status subresource.
    None,
    /// Only the status.
    Status,
}

impl Subresource {
    /// The name in paths; empty for whole objects.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Status => "status",
        }
    }

    fn written_by(writer: &Writer) -> Self {
        match writer.subresource {
            "status" => Self::Status,
            _ => Self::None,
        }
    }
}

/// What a change starts from.
#[derive(Clone, Debug)]
pub(crate) enum Revision {
    /// The object becomes this. It holds only for the version that the object names, if any.
    Replace(Value),
    /// The object stays as it is.
    Unchanged,
}

/// A change of one object.
struct Update<'a> {
    resource: &'static Resource,
    namespace: &'a str,
    name: &'a str,
    subresource: Subresource,
    writer: &'a Writer,
    dry_run: bool,
}

impl Api {
    /// Changes an object in place. `change` edits it and returns whether anything is to be
    /// written; it is called again when somebody else was faster, so no update is lost and none
    /// conflicts. Returns the object as it is afterwards, or `None` when there is none.
    pub async fn modify(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        subresource: Subresource,
        mut change: impl FnMut(&mut Value) -> bool + Send,
    ) -> Result<Option<Arc<Value>>, Status> {
        let result = self
            .update_object(
                resource,
                namespace,
                name,
                &self.writer().of(subresource.name()),
                false,
                |current| {
                    let mut new = current.clone();
                    if !change(&mut new) {
                        return Ok(Revision::Unchanged);
                    }
                    metadata::unset(&mut new, "resourceVersion");
                    Ok(Revision::Replace(new))
                },
            )
            .await;
        match result {
            Ok(object) => Ok(Some(object.value())),
            Err(status) if status.reason == "NotFound" => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// Changes an object to what `revise` makes of it, in the version of its kind.
    pub(crate) async fn update_object(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        writer: &Writer,
        dry_run: bool,
        mut revise: impl FnMut(&Value) -> Result<Revision, Status> + Send,
    ) -> Result<Arc<Object>, Status> {
        let subresource = Subresource::written_by(writer);
        let mut update = Update {
            resource,
            namespace,
            name,
            subresource,
            writer,
            dry_run,
        };
        if !conversion::is_own(resource) {
            return self.update_version(&update, &mut revise).await;
        }
        let mut revise = |current: &Value| {
            let view = conversion::from_stored(&self.kinds(), resource, current).into_owned();
            Ok(match revise(&view)? {
                Revision::Replace(new) => {
                    Revision::Replace(conversion::upgrade(self, resource, namespace, new)?)
                }
                Revision::Unchanged => Revision::Unchanged,
            })
        };
        update.resource = self.stored_kind(resource);
        self.update_version(&update, &mut revise).await
    }

    /// The kind of objects as they are stored.
    pub(super) fn stored_kind(&self, resource: &'static Resource) -> &'static Resource {
        self.kinds()
            .of_storage(resource.storage)
            .unwrap_or(resource)
    }

    /// Changes an object to what `revise` makes of it. A revision without a resource version is
    /// made again when somebody else was faster; one with a stale version is a conflict.
    async fn update_version(
        &self,
        update: &Update<'_>,
        revise: &mut (dyn FnMut(&Value) -> Result<Revision, Status> + Send),
    ) -> Result<Arc<Object>, Status> {
        let &Update {
            resource,
            namespace,
            name,
            subresource,
            writer,
            dry_run,
        } = update;
        loop {
            let Some(current) = self.object(resource, namespace, name) else {
                return Err(Status::not_found(resource, name));
            };
            let kinds = self.kinds();
            let stored = current.value();
            let before = match kinds.custom(resource) {
                Some(_) => conversion::from_stored(&kinds, resource, &stored),
                None => Cow::Borrowed(&*stored),
            };
            let Revision::Replace(mut new) = revise(&before)? else {
                return Ok(current);
            };
            if !new.is_object() || metadata::of(&mut new).is_none() {
                return Err(Status::bad_request(
                    "the object and its metadata must be JSON objects",
                ));
            }
            let wanted = metadata::text(&new, "resourceVersion").to_owned();
            if !wanted.is_empty() && wanted != current.version.to_string() {
                return Err(Status::conflict(resource, name));
            }
            self.complete(update, &before, &mut new)?;
            let is_same = |new: &Value, alike: fn(&Value, &Value) -> bool| {
                if let Cow::Borrowed(before) = &before {
                    return alike(before, new);
                }
                let new = conversion::to_stored(&kinds, resource, new.clone());
                alike(&stored, &new)
            };
            if is_same(&new, Value::eq) {
                return Ok(current);
            }
            self.track(resource, Some(&before), &mut new, writer);
            self.judge(update, &before, &mut new).await?;
            // Admission may have put back what the request left out.
            if subresource == Subresource::None && is_same(&new, same_but_times) {
                return Ok(current);
            }
            let old = Some(before.as_ref());
            let _held = self
                .within_quotas(resource, namespace, &mut new, old)
                .await?;
            count_generation(resource, &before, &mut new);
            let new = conversion::to_stored(&kinds, resource, new);
            let change = change_to(resource, new);
            if dry_run {
                let (Change::Put(new) | Change::Remove(new)) = change;
                let (key, version) = (current.key.clone(), current.version);
                return Ok(Arc::new(Object::new(key, version, new)));
            }
            let expect = Expect::Version(current.version);
            let ends = matches!(change, Change::Remove(_));
            match self
                .store()
                .write(current.key.clone(), expect, change)
                .await
            {
                // As in Kubernetes, the caller sees the version that the end was made from.
                Outcome::Done(object) if ends => return Ok(at_version(&object, current.version)),
                Outcome::Done(object) => return Ok(object),
                Outcome::Failed(why) => return Err(Status::internal(why)),
                _ if wanted.is_empty() => {}
                _ => return Err(Status::conflict(resource, name)),
            }
        }
    }

    /// Refuses a change that breaks rules; admission may change it.
    async fn judge(
        &self,
        update: &Update<'_>,
        before: &Value,
        new: &mut Value,
    ) -> Result<(), Status> {
        let (resource, subresource) = (update.resource, update.subresource);
        let checked = self.check_update(resource, subresource, before, new);
        if subresource == Subresource::Status {
            return checked;
        }
        admission::check_change(self, resource, before, new)?;
        let old = Some(before);
        let admitted = self.admit(Operation::Update, resource, new, old).await;
        Status::both(resource, update.name, checked, admitted)
    }

    /// Takes over what the caller can't change, and fills in what was left out.
    fn complete(&self, update: &Update<'_>, before: &Value, new: &mut Value) -> Result<(), Status> {
        let (resource, subresource) = (update.resource, update.subresource);
        check_identity(resource, before, new)?;
        check_end(resource, before, new)?;
        merge(resource, subresource, before, new);
        address::keep(resource, before, new);
        self.default(resource, subresource, new);
        if resource == &PERSISTENT_VOLUMES {
            default::storage::enter_phase(before, new);
        }
        if address::is_moved(resource, before, new) {
            return Ok(());
        }
        address::assign(self, resource, new)
    }

    /// Records who owns what of an object that is about to be stored.
    pub(super) fn track(
        &self,
        resource: &'static Resource,
        old: Option<&Value>,
        new: &mut Value,
        writer: &Writer,
    ) {
        let Some(schema) = self.kinds().schema(resource).filter(|_| !writer.applies) else {
            return;
        };
        let now = Timestamp::now();
        if !event_view::is_view(resource) {
            return ownership::track(&schema, resource, old, new, writer, now);
        }
        let old = old.map(|old| event_view::from_stored(resource, old));
        let mut view = event_view::from_stored(resource, new).into_owned();
        ownership::track(&schema, resource, old.as_deref(), &mut view, writer, now);
        match view["metadata"]["managedFields"].take() {
            Value::Null => metadata::unset(new, "managedFields"),
            owners => metadata::set(new, "managedFields", owners),
        }
    }

    fn check_update(
        &self,
        resource: &'static Resource,
        subresource: Subresource,
        old: &Value,
        new: &Value,
    ) -> Result<(), Status> {
        let checked = self.check(resource, new, Some(old));
        if subresource == Subresource::Status {
            return checked;
        }
        let mut causes = validate::new_finalizers(old, new);
        causes.extend(immutable::changed(resource, old, new));
        let name = metadata::name(new);
        let kept = match causes.as_slice() {
            [] => Ok(()),
            causes => Err(Status::invalid(resource, name, causes)),
        };
        Status::both(resource, name, checked, kept)
    }
}

/// What writing an object does: it goes when nothing holds it any more.
fn change_to(resource: &Resource, new: Value) -> Change {
    if is_finished(resource, &new) {
        Change::Remove(new)
    } else {
        Change::Put(new)
    }
}

/// An object with another version.
fn at_version(object: &Object, version: u64) -> Arc<Object> {
    let value = object.value().as_ref().clone();
    Arc::new(Object::new(object.key.clone(), version, value))
}

/// The identity of an object never changes.
fn check_identity(resource: &Resource, old: &Value, new: &Value) -> Result<(), Status> {
    let (ours, theirs) = (metadata::uid(old), metadata::uid(new));
    if !theirs.is_empty() && ours != theirs {
        let key = if resource.custom {
            format!("{}/{}", resource.group, resource.plural)
        } else {
            resource.plural.to_owned()
        };
        let (namespace, name) = (metadata::namespace(old), metadata::name(old));
        let place = [&key, namespace, name]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/");
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{place}, ResourceVersion: 0, \
             AdditionalErrorMsg: Precondition failed: UID in precondition: {theirs}, UID in \
             object meta: {ours}"
        );
        return Err(Status::conflict_because(
            resource,
            metadata::name(old),
            &why,
        ));
    }
    Ok(())
}

/// Nobody but the server says when an object ends.
fn check_end(resource: &Resource, old: &Value, new: &Value) -> Result<(), Status> {
    let field = "deletionTimestamp";
    let wanted = metadata::text(new, field);
    if wanted.is_empty() || wanted == metadata::text(old, field) {
        return Ok(());
    }
    let error = FieldError::invalid(format!("metadata.{field}"), wanted, "field is immutable");
    let cause = validate::cause(error);
    // Kubernetes checks this twice.
    Err(Status::invalid(
        resource,
        metadata::name(old),
        &[cause.clone(), cause],
    ))
}

/// Takes over what the caller can't change, and the part that the request is not about.
fn merge(resource: &Resource, subresource: Subresource, old: &Value, new: &mut Value) {
    if subresource == Subresource::Status {
        let managed = new.pointer("/metadata/managedFields").cloned();
        // A status can be large, and so can the rest: only what the caller changed is put back.
        if let (Some(new), Some(old)) = (new.as_object_mut(), old.as_object()) {
            new.retain(|field, _| field == "status" || old.contains_key(field));
            for (field, value) in old.iter().filter(|(field, _)| *field != "status") {
                if new.get(field) != Some(value) {
                    new.insert(field.clone(), value.clone());
                }
            }
        }
        if let Some(managed) = managed {
            metadata::set(new, "managedFields", managed);
        }
        return;
    }
    for field in [
        "uid",
        "name",
        "namespace",
        "creationTimestamp",
        "generation",
        "generateName",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        match old["metadata"].get(field) {
            Some(value) => metadata::set(new, field, value.clone()),
            None => metadata::unset(new, field),
        }
    }
    metadata::unset(new, "selfLink");
    let Some(object) = new.as_object_mut() else {
        return;
    };
    object.insert("apiVersion".to_owned(), old["apiVersion"].clone());
    object.insert("kind".to_owned(), old["kind"].clone());
    if resource.status {
        match old.get("status") {
            Some(status) => object.insert("status".to_owned(), status.clone()),
            None => object.remove("status"),
        };
    }
}

/// Counts the generation up when anything but metadata and status has changed. Kubernetes gives
/// classes a first generation that it never counts up, and counts labels of slices.
fn count_generation(resource: &Resource, old: &Value, new: &mut Value) {
    if !resource.counts_generations() || resource == &PRIORITY_CLASSES {
        return;
    }
    let relabelled =
        resource == &ENDPOINT_SLICES && old["metadata"]["labels"] != new["metadata"]["labels"];
    let counted = |field: &&String| !matches!(field.as_str(), "metadata" | "status");
    let (before, after) = (old.as_object(), new.as_object());
    let mut fields = before
        .into_iter()
        .chain(after)
        .flat_map(|object| object.keys());
    if relabelled || fields.any(|field| counted(&field) && old.get(field) != new.get(field)) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        metadata::set(new, "generation", json!(generation));
    }
}

/// Whether nothing holds an object any more that is being deleted.
fn is_finished(resource: &Resource, object: &Value) -> bool {
    metadata::is_deleting(object)
        && metadata::finalizers(object).is_empty()
        && object["metadata"]["deletionGracePeriodSeconds"]
            .as_i64()
            .unwrap_or(0)
            == 0
        && !super::delete::waits_for_content(resource, object)
}
