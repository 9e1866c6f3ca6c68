//! Events: what a user reads at the end of `kubectl describe`.
//!
//! Writing them never delays the work: they go through a bounded queue, and while trials end by the
//! hundred a second those that say nothing but that all is well are thinned out.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::port::{Chance, Clock};

/// How many events may wait to be written.
const WAITING: usize = 1_024;
/// How many normal events may be written at once.
const BURST: f64 = 200.0;
/// How many normal events may be written a second, for long.
const RATE: f64 = 25.0;

/// What kind of news an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Normal,
    Warning,
}

/// Something that happened to an object.
struct News {
    regarding: ObjectReference,
    severity: Severity,
    reason: String,
    message: String,
    at: Timestamp,
}

/// Where events are handed in.
#[derive(Clone)]
pub(crate) struct Recorder {
    sender: mpsc::Sender<News>,
    clock: Clock,
}

impl Recorder {
    /// A recorder, and the task that writes what it is given until `stop`.
    pub(crate) fn new(
        client: Client,
        component: String,
        clock: Clock,
        chance: Chance,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let writer = write(client, component, chance, receiver, stop);
        (Self { sender, clock }, writer)
    }

    /// Hands in an event about an object; it is dropped when too many are waiting.
    pub(crate) fn publish<K>(&self, object: &K, severity: Severity, reason: &str, message: &str)
    where
        K: Resource<DynamicType = ()>,
    {
        let news = News {
            regarding: object.object_ref(&()),
            severity,
            reason: reason.to_owned(),
            message: shorten(message),
            at: (self.clock)(),
        };
        if self.sender.try_send(news).is_err() {
            tracing::debug!(reason, "too many events are waiting, one was dropped");
        }
    }
}

/// Kubernetes accepts up to 1,024 bytes.
fn shorten(message: &str) -> String {
    const LIMIT: usize = 1_000;
    if message.len() <= LIMIT {
        return message.to_owned();
    }
    let end = (0..=LIMIT)
        .rev()
        .find(|&at| message.is_char_boundary(at))
        .unwrap_or_default();
    format!("{}…", &message[..end])
}

async fn write(
    client: Client,
    component: String,
    chance: Chance,
    mut receiver: mpsc::Receiver<News>,
    stop: CancellationToken,
) {
    let mut allowance = Allowance {
        left: BURST,
        at: Instant::now(),
    };
    while let Some(Some(news)) = stop.run_until_cancelled(receiver.recv()).await {
        if news.severity == Severity::Normal && !allowance.take() {
            continue;
        }
        let namespace = news.regarding.namespace.clone().unwrap_or_default();
        let event = event(news, &component, chance());
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        if let Err(error) = api.create(&PostParams::default(), &event).await {
            tracing::debug!(%error, "event was not written");
        }
    }
}

struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn take(&mut self) -> bool {
        let ago: Duration = self.at.elapsed();
        self.at += ago;
        self.left = (self.left + ago.as_secs_f64() * RATE).min(BURST);
        let granted = self.left >= 1.0;
        if granted {
            self.left -= 1.0;
        }
        granted
    }
}

fn event(news: News, component: &str, unique: u64) -> Event {
    let name = news.regarding.name.as_deref().unwrap_or_default();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{unique:016x}")),
            namespace: news.regarding.namespace.clone(),
            ..ObjectMeta::default()
        },
        type_: Some(format!("{:?}", news.severity)),
        reason: Some(news.reason),
        message: Some(news.message),
        involved_object: news.regarding,
        source: Some(EventSource {
            component: Some(component.to_owned()),
            host: None,
        }),
        reporting_component: Some(component.to_owned()),
        reporting_instance: Some(component.to_owned()),
        first_timestamp: Some(Time(news.at)),
        last_timestamp: Some(Time(news.at)),
        event_time: Some(MicroTime(news.at)),
        action: Some("Reconcile".to_owned()),
        count: Some(1),
        ..Event::default()
    }
}
