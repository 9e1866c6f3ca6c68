//! Events: what happened to an object, for people.

use diwan_embedded::Api;
use diwan_embedded::resource::EVENTS;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::pod::metadata;
use crate::status::time;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// `Normal` or `Warning`.
    pub(crate) kind: &'static str,
    /// One word.
    pub(crate) reason: &'static str,
    /// A sentence.
    pub(crate) message: String,
}

impl Event {
    /// Something that is as it should be.
    pub(crate) fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind: "Normal",
            reason,
            message: message.into(),
        }
    }
    /// Something that somebody should look at.
    pub(crate) fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind: "Warning",
            reason,
            message: message.into(),
        }
    }
}

/// Writes an event about an object, without making anybody wait for it.
pub(crate) fn record(api: &Api, component: &'static str, object: &Value, event: Event) {
    let now = Timestamp::now();
    let (name, namespace) = (
        metadata(object, "name"),
        metadata(object, "namespace").to_owned(),
    );
    let value = json!({
        "metadata": { "name": format!("{name}.{:x}", now.as_nanosecond()) },
        "involvedObject": {
            "kind": object["kind"],
            "namespace": namespace,
            "name": name,
            "uid": metadata(object, "uid"),
            "apiVersion": object["apiVersion"],
            "resourceVersion": metadata(object, "resourceVersion"),
        },
        "reason": event.reason,
        "message": event.message,
        "source": { "component": component },
        "firstTimestamp": time(now),
        "lastTimestamp": time(now),
        "count": 1,
        "type": event.kind,
        "eventTime": null,
        "reportingComponent": component,
        "reportingInstance": "",
    });
    let api = api.clone();
    tokio::spawn(async move {
        if let Err(status) = api.create(&EVENTS, &namespace, value).await {
            tracing::debug!(namespace, %status, "cannot write an event");
        }
    });
}
