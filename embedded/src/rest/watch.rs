//! Watching: the changes of a list as a stream of JSON documents.

use std::time::Duration;

use async_stream::stream;
use axum::body::Body;
use bytes::Bytes;
use futures::Stream;
use http::Response;
use rand::RngExt;
use serde_json::{Value, json};
use tokio::time::{Instant, interval_at, sleep_until};

use super::{Call, accept::Form, list_options, read, reply};
use crate::{
    api::Api,
    conversion, metadata,
    resource::{PODS, Resource},
    selector::Selector,
    status::Status,
    store::Object,
    table,
    watch::{Event, EventKind, Expired, Watcher},
};

/// How often a client that allows bookmarks gets one.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
/// A watch without a timeout ends after this and up to as much again, as in kube-apiserver.
const MIN_SECONDS: u64 = 1800;

/// How the events of one watch are chosen and written.
struct Lens {
    api: Api,
    resource: &'static Resource,
    namespace: Option<String>,
    selector: Selector,
    form: Form,
    include: table::Include,
    /// Whether the next table tells its columns: the first one does.
    columns: bool,
}

/// Answers with a stream of changes.
pub(super) fn answer(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let target = &call.target;
    list_options::check_watch(&call.query)?;
    let asked = call.query.get("resourceVersion");
    let asked = asked.map(list_options::version).transpose()?;
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let initial = Initial::of(call, asked, bookmarks);
    let mut lens = Lens {
        api: call.api.clone(),
        resource: target.resource,
        namespace: target.namespace.clone(),
        selector: selector(call)?,
        form: call.form()?,
        include: table::Include::parse(call.query.get("includeObject")),
        columns: true,
    };
    if lens.form == Form::Yaml {
        return Err(Status::not_acceptable_custom(
            "application/json;stream=watch",
        ));
    }
    let namespace = target.namespace.as_deref();
    let (objects, version) = call
        .api
        .select_objects(target.resource, namespace, &lens.selector);
    let mut frames: Vec<Bytes> = Vec::new();
    let from = if initial == Initial::None {
        asked.filter(|asked| *asked != 0).unwrap_or(version)
    } else {
        frames.extend(objects.iter().map(|object| lens.frame("ADDED", object)));
        version
    };
    if initial == Initial::WithEnd {
        frames.push(lens.bookmark(version, true));
    }
    let seconds = match call.query.number::<i64>("timeoutSeconds")? {
        Some(seconds) => seconds.max(0) as u64,
        None => rand::rng().random_range(MIN_SECONDS..2 * MIN_SECONDS),
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    let watcher = call.api.store().watch(target.resource.storage, from);
    let stream = frames_of(lens, watcher, frames, bookmarks, end);
    Ok(reply::response(
        200,
        "application/json",
        Body::from_stream(stream),
    ))
}

/// What is watched: one object, or those that a selector selects.
fn selector(call: &Call<'_>) -> Result<Selector, Status> {
    let Some(name) = &call.target.name else {
        return read::selector(call);
    };
    let field = format!("metadata.name={name}");
    Selector::parse(call.target.resource, None, Some(&field)).map_err(Status::internal)
}

/// Which objects a watch starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Initial {
    /// None: the client has them.
    None,
    /// Those that are there.
    Objects,
    /// Those that are there, and a bookmark that says where they end.
    WithEnd,
}

impl Initial {
    fn of(call: &Call<'_>, asked: Option<u64>, bookmarks: bool) -> Self {
        if call.query.get("sendInitialEvents").is_none() {
            return match asked {
                None | Some(0) => Self::Objects,
                Some(_) => Self::None,
            };
        }
        match call.query.flag("sendInitialEvents") {
            false => Self::None,
            true if bookmarks => Self::WithEnd,
            true => Self::Objects,
        }
    }
}

fn frames_of(
    mut lens: Lens,
    mut watcher: Watcher,
    first: Vec<Bytes>,
    bookmarks: bool,
    end: Instant,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send {
    stream! {
        if !first.is_empty() {
            yield Ok(Bytes::from(first.concat()));
        }
        let mut tick = interval_at(Instant::now() + BOOKMARK_EVERY, BOOKMARK_EVERY);
        loop {
            let events = tokio::select! {
                events = watcher.next() => events,
                _ = tick.tick() => {
                    if bookmarks {
                        yield Ok(lens.bookmark(watcher.cursor(), false));
                    }
                    continue;
                }
                () = sleep_until(end) => {
                    if bookmarks {
                        yield Ok(lens.bookmark(watcher.cursor(), false));
                    }
                    return;
                }
            };
            match events {
                Ok(Some(events)) => {
                    let frames: Vec<Bytes> =
                        events.iter().filter_map(|event| lens.event(event)).collect();
                    if !frames.is_empty() {
                        yield Ok(Bytes::from(frames.concat()));
                    }
                }
                Ok(None) => return,
                Err(Expired { asked, oldest }) => {
                    let status = Status::expired(asked, oldest).to_value();
                    yield Ok(document("ERROR", status.to_string().as_bytes()));
                    return;
                }
            }
        }
    }
}

impl Lens {
    /// What a client sees of a change: an object may come into view or leave it.
    fn event(&mut self, event: &Event) -> Option<Bytes> {
        let object = &event.object;
        if self
            .namespace
            .as_ref()
            .is_some_and(|n| *n != object.key.namespace)
        {
            return None;
        }
        let selector = &self.selector;
        let before = event.previous.as_ref().filter(|o| selector.selects(o));
        let now = event.kind != EventKind::Deleted && selector.selects(object);
        match (before, now) {
            (None, true) => Some(self.frame("ADDED", object)),
            (Some(_), true) => Some(self.frame("MODIFIED", object)),
            (Some(_), false) if event.kind == EventKind::Deleted => {
                Some(self.frame("DELETED", object))
            }
            (Some(before), false) => {
                // As it was when it was last in view, at the version at which it left.
                let left = Object::new(
                    object.key.clone(),
                    object.version,
                    before.value().as_ref().clone(),
                );
                Some(self.frame("DELETED", &left))
            }
            (None, false) => None,
        }
    }

    fn frame(&mut self, type_: &str, object: &Object) -> Bytes {
        let kinds = self.api.kinds();
        if !matches!(self.form, Form::Table | Form::Metadata) {
            return document(type_, &conversion::json(&kinds, self.resource, object));
        }
        let stored = object.value();
        let view = conversion::from_stored(&kinds, self.resource, &stored);
        let value = match self.form {
            Form::Table => self.table(&view, self.include),
            _ => read::partial(&view),
        };
        document(type_, value.to_string().as_bytes())
    }

    fn bookmark(&mut self, version: u64, end_of_initial: bool) -> Bytes {
        let mut metadata = json!({ "resourceVersion": version.to_string() });
        if end_of_initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let mut object: Value = json!({
            "kind": self.resource.kind,
            "apiVersion": self.resource.api_version(),
            "metadata": metadata,
        });
        if self.resource == &PODS {
            // Typed readers of pods want the fields that every pod has.
            object["spec"] = json!({ "containers": [] });
        } else if !self.resource.custom && self.resource.kind == "Event" {
            object["involvedObject"] = json!({});
        }
        let value = match self.form {
            Form::Table => self.table(&object, table::Include::Metadata),
            Form::Metadata => read::partial(&object),
            _ => object,
        };
        document("BOOKMARK", value.to_string().as_bytes())
    }

    /// One object as a table, the first of which tells the columns.
    fn table(&mut self, object: &Value, include: table::Include) -> Value {
        let table = table::of(&self.api.kinds(), self.resource, &[object], include);
        let version = metadata::text(object, "resourceVersion");
        let value = table.to_value(json!({ "resourceVersion": version }), self.columns);
        self.columns = false;
        value
    }
}

/// One document of the stream.
fn document(type_: &str, object: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(object.len() + type_.len() + 24);
    bytes.extend_from_slice(b"{\"type\":\"");
    bytes.extend_from_slice(type_.as_bytes());
    bytes.extend_from_slice(b"\",\"object\":");
    bytes.extend_from_slice(object);
    bytes.extend_from_slice(b"}\n");
    Bytes::from(bytes)
}
