//! The stream of changes.

use std::convert::Infallible;

use async_stream::stream;
use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::Stream;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    App,
    access::{Action, Caller},
    error::{ApiError, ErrorBody},
    extract::Query,
    live::{Changed, Message},
    view::live::LiveBatch,
};

/// Which changes are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Only of this namespace; of all that the caller may see when absent or empty.
    #[serde(default)]
    namespace: String,
    /// Only of this experiment, and then its trials too; of all experiments without their trials
    /// when absent or empty.
    #[serde(default)]
    experiment: String,
}

impl Filter {
    /// What a page needs that is told of changes in a namespace.
    fn needs(&self, namespace: &str) -> Vec<Action> {
        let mut needs = vec![Action::list_experiments(namespace)];
        if !self.experiment.is_empty() {
            needs.push(Action::list_trials(namespace));
        }
        needs
    }

    /// Whether the caller may be told of changes in a namespace now.
    async fn may_be_told(&self, caller: &Caller, namespace: &str) -> Result<bool, ApiError> {
        for action in self.needs(namespace) {
            if !caller.may(&action).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the JSON that this page gets of a batch.
    fn pick<'a>(&self, changed: &'a Changed) -> Option<&'a str> {
        let wanted = |filter: &str, value: &str| filter.is_empty() || filter == value;
        if !wanted(&self.namespace, &changed.namespace)
            || !wanted(&self.experiment, &changed.experiment)
        {
            return None;
        }
        if self.experiment.is_empty() {
            changed.summary.as_deref()
        } else {
            Some(&changed.all)
        }
    }
}

/// Streams changes as server-sent events.
///
/// `reload` says that everything has to be loaded again, which is also the first event; `changes`
/// holds the latest state of what changed.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "watchChanges",
    params(Filter),
    responses(
        (status = 200, description = "the data of each `changes` event is a LiveBatch",
            content_type = "text/event-stream", body = LiveBatch),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn events(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    if !filter.namespace.is_empty() {
        for action in filter.needs(&filter.namespace) {
            caller.check(action).await?;
        }
    }
    let mut subscription = app.live.subscribe().await;
    let events = stream! {
        subscription.ready().await;
        yield Ok(reload());
        while let Some(message) = subscription.next().await {
            match message {
                Message::Reload => yield Ok(reload()),
                Message::Changed(changed) => if let Some(json) = filter.pick(&changed) {
                    // What a caller may do changes while a page is open.
                    match filter.may_be_told(&caller, &changed.namespace).await {
                        Ok(true) => yield Ok(Event::default().event("changes").data(json)),
                        Ok(false) => {}
                        // The page comes again, and loads what it missed.
                        Err(_) => return,
                    }
                }
            }
        }
    };
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn reload() -> Event {
    // An event without data is never dispatched by a browser.
    Event::default().event("reload").data("{}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(namespace: &str, experiment: &str, changed: &Changed) -> Option<String> {
        let filter = Filter {
            namespace: namespace.into(),
            experiment: experiment.into(),
        };
        filter.pick(changed).map(str::to_owned)
    }

    #[test]
    fn a_list_gets_no_trials_and_a_page_only_its_own() {
        let mut changed = Changed {
            namespace: "team".into(),
            experiment: "tune".into(),
            all: "all".into(),
            summary: Some("summary".into()),
        };
        assert_eq!(pick("", "", &changed).as_deref(), Some("summary"));
        assert_eq!(pick("team", "", &changed).as_deref(), Some("summary"));
        assert_eq!(pick("team", "tune", &changed).as_deref(), Some("all"));
        assert_eq!(pick("other", "tune", &changed), None);
        assert_eq!(pick("team", "other", &changed), None);
        changed.summary = None;
        assert_eq!(pick("team", "", &changed), None);
    }
}
