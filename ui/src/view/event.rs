//! Kubernetes events as the page shows them.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use serde::Serialize;
use utoipa::ToSchema;

/// What happened to an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct EventRow {
    /// When it last happened.
    pub time: Option<Timestamp>,
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub type_: String,
    /// What happened, in one word.
    pub reason: String,
    /// What happened, in a sentence.
    pub message: String,
    /// The object, as `Kind/name`.
    pub object: String,
    /// How often it happened.
    pub count: i32,
}

/// The events of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct EventList {
    /// The events, newest first.
    pub items: Vec<EventRow>,
}

impl From<&Event> for EventRow {
    fn from(event: &Event) -> Self {
        let series = event.series.as_ref();
        let time = series
            .and_then(|series| series.last_observed_time.as_ref())
            .map(|time| time.0)
            .or_else(|| event.last_timestamp.as_ref().map(|time| time.0))
            .or_else(|| event.event_time.as_ref().map(|time| time.0))
            .or_else(|| {
                event
                    .metadata
                    .creation_timestamp
                    .as_ref()
                    .map(|time| time.0)
            });
        let object = &event.involved_object;
        Self {
            time,
            type_: event.type_.clone().unwrap_or_default(),
            reason: event.reason.clone().unwrap_or_default(),
            message: event.message.clone().unwrap_or_default(),
            object: format!(
                "{}/{}",
                object.kind.as_deref().unwrap_or_default(),
                object.name.as_deref().unwrap_or_default()
            ),
            count: series
                .and_then(|series| series.count)
                .or(event.count)
                .unwrap_or(1),
        }
    }
}

/// Returns the rows of events, newest first.
pub(crate) fn rows(events: &[Event]) -> EventList {
    let mut items = events.iter().map(EventRow::from).collect::<Vec<_>>();
    items.sort_by_key(|row| std::cmp::Reverse(row.time));
    EventList { items }
}
