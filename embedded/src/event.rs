//! Events: what happened to an object, for people.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Api;
use crate::metadata::{text as metadata, time};
use crate::resource::EVENTS;

/// How many normal events may be written at once.
const BURST: f64 = 200.0;
/// How many normal events may be written a second, for long.
const RATE: f64 = 25.0;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `Normal` or `Warning`.
    pub kind: &'static str,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

impl Event {
    /// Something that is as it should be.
    pub fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind: "Normal",
            reason,
            message: message.into(),
        }
    }
    /// Something that somebody should look at.
    pub fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind: "Warning",
            reason,
            message: message.into(),
        }
    }
}

/// Writes the events of one component. While objects come and go by the hundred a second, those
/// that say nothing but that all is well are thinned out.
#[derive(Clone)]
pub struct Recorder {
    api: Api,
    component: &'static str,
    allowance: Arc<Mutex<Allowance>>,
}

impl Recorder {
    /// A recorder for one component.
    pub fn new(api: Api, component: &'static str) -> Self {
        let allowance = Allowance {
            left: BURST,
            at: Instant::now(),
        };
        Self {
            api,
            component,
            allowance: Arc::new(Mutex::new(allowance)),
        }
    }

    /// Writes an event, unless it is one too many.
    pub fn record(&self, object: &Value, event: Event) {
        let mut allowance = self
            .allowance
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if event.kind == "Warning" || allowance.take() {
            record(&self.api, self.component, object, event);
        }
    }
}

struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn take(&mut self) -> bool {
        let ago = self.at.elapsed();
        self.at += ago;
        self.left = (self.left + ago.as_secs_f64() * RATE).min(BURST);
        let granted = self.left >= 1.0;
        if granted {
            self.left -= 1.0;
        }
        granted
    }
}

/// Writes an event about an object, without making anybody wait for it.
pub fn record(api: &Api, component: &'static str, object: &Value, event: Event) {
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
