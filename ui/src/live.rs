//! Changes of experiments and trials, pushed to open pages.
//!
//! One watch per kind serves all pages. It starts with the first page, ends with the last one, and
//! keeps no objects: a page loads what it shows through the REST interface and is told what changed
//! since, or to load again when changes may have been missed.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use diwan_api::Experiment;
use futures::{Stream, StreamExt, stream};
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::{
    sync::{Mutex, broadcast, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::view::{
    experiment::ExperimentSummary,
    live::{LiveBatch, LiveChange},
    trial::{self, ListedTrial, TrialRow},
};

mod coalescer;

use coalescer::{Coalescer, Group};

/// How long changes of one experiment are gathered before they are sent.
const INTERVAL: Duration = Duration::from_millis(250);
/// How many messages a slow page may lag behind before it has to load again.
const BACKLOG: usize = 256;

/// Hands out subscriptions to one shared feed.
pub(crate) struct Live {
    client: kube::Client,
    feed: Mutex<Weak<Feed>>,
}

/// One page's share of the feed; the feed ends with the last of them.
pub(crate) struct Subscription {
    feed: Arc<Feed>,
    ready: watch::Receiver<bool>,
    messages: broadcast::Receiver<Message>,
}

/// What a page is told.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// Changes may have been missed: everything has to be loaded again.
    Reload,
    /// Something changed in one experiment.
    Changed(Arc<Changed>),
}

/// A batch, written down once for all pages.
#[derive(Debug)]
pub(crate) struct Changed {
    /// Namespace of the experiment.
    pub namespace: String,
    /// Name of the experiment.
    pub experiment: String,
    /// The whole batch as JSON.
    pub all: String,
    /// The batch without trials as JSON, when anything is left.
    pub summary: Option<String>,
}

struct Feed {
    ready: watch::Receiver<bool>,
    messages: broadcast::Sender<Message>,
    task: JoinHandle<()>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Live {
    /// Makes a hub that watches nothing yet.
    pub(crate) fn new(client: kube::Client) -> Self {
        Self {
            client,
            feed: Mutex::new(Weak::new()),
        }
    }

    /// Joins the running feed or starts one.
    pub(crate) async fn subscribe(&self) -> Subscription {
        let mut current = self.feed.lock().await;
        let feed = current.upgrade().unwrap_or_else(|| {
            let feed = Arc::new(Feed::start(self.client.clone()));
            *current = Arc::downgrade(&feed);
            feed
        });
        Subscription {
            ready: feed.ready.clone(),
            messages: feed.messages.subscribe(),
            feed,
        }
    }
}

impl Subscription {
    /// Waits until every change from now on is seen.
    pub(crate) async fn ready(&mut self) {
        // The feed runs while this subscription holds it; an error would mean that it panicked.
        if self.ready.wait_for(|ready| *ready).await.is_err() {
            tracing::error!(
                ended = self.feed.task.is_finished(),
                "feed for open pages is gone"
            );
        }
    }

    /// Waits for the next message; `None` when the feed has ended.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        match self.messages.recv().await {
            Ok(message) => Some(message),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Message::Reload),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Feed {
    fn start(client: kube::Client) -> Self {
        let (messages, _) = broadcast::channel(BACKLOG);
        let (is_ready, ready) = watch::channel(false);
        let task = tokio::spawn(run(client, messages.clone(), is_ready));
        Self {
            ready,
            messages,
            task,
        }
    }
}

/// What a watch tells.
enum Signal {
    /// From now on every change is seen.
    Synced,
    /// An object of an experiment changed.
    Change(Group, LiveChange),
}

async fn run(
    client: kube::Client,
    messages: broadcast::Sender<Message>,
    is_ready: watch::Sender<bool>,
) {
    let mut signals = stream::select(experiments(client.clone()), trials(client));
    let mut coalescer = Coalescer::new(INTERVAL);
    let mut synced = 0;
    loop {
        let due = coalescer.due();
        tokio::select! {
            signal = signals.next() => match signal {
                Some(Signal::Change(group, change)) => {
                    coalescer.push(group, change, Instant::now());
                }
                Some(Signal::Synced) => {
                    synced += 1;
                    if synced == KINDS {
                        is_ready.send_replace(true);
                    } else if synced > KINDS {
                        // Nobody listening is no failure; the next page loads afresh.
                        let _ = messages.send(Message::Reload);
                    }
                }
                None => return,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                for batch in coalescer.take_due(Instant::now()) {
                    let _ = messages.send(Message::Changed(Arc::new(write(&batch))));
                }
            }
        }
    }
}

/// How many kinds are watched.
const KINDS: usize = 2;

fn write(batch: &LiveBatch) -> Changed {
    let json = |batch: &LiveBatch| {
        serde_json::to_string(batch).expect("rows have text keys and finite numbers")
    };
    let own = batch.changes.iter().find(|change| change.is_experiment());
    let summary = own.map(|change| LiveBatch {
        changes: vec![change.clone()],
        ..batch.clone()
    });
    Changed {
        namespace: batch.namespace.clone(),
        experiment: batch.experiment.clone(),
        all: json(batch),
        summary: summary.as_ref().map(json),
    }
}

fn experiments(client: kube::Client) -> impl Stream<Item = Signal> + Unpin {
    let events = watcher(Api::<Experiment>::all(client), watcher::Config::default());
    signals(events, |experiment, deleted| {
        let change = if deleted {
            LiveChange::ExperimentDeleted
        } else {
            LiveChange::Experiment {
                summary: Box::new(ExperimentSummary::from(experiment)),
            }
        };
        Some((group(experiment.namespace(), experiment.name_any()), change))
    })
}

fn trials(client: kube::Client) -> impl Stream<Item = Signal> + Unpin {
    let api = Api::<ListedTrial>::all_with(client, &trial::resource());
    signals(
        watcher(api, watcher::Config::default()),
        |trial, deleted| {
            let experiment = trial::experiment_of(&trial.metadata)?;
            let change = if deleted {
                LiveChange::TrialDeleted {
                    name: trial.name_any(),
                }
            } else {
                LiveChange::Trial {
                    row: Box::new(TrialRow::from(trial)),
                }
            };
            Some((group(trial.namespace(), experiment.to_owned()), change))
        },
    )
}

fn group(namespace: Option<String>, experiment: String) -> Group {
    Group {
        namespace: namespace.unwrap_or_default(),
        experiment,
    }
}

/// Reads a watch without keeping what it lists at its start. A watch that breaks is taken up again
/// after a while, and says so by another [`Signal::Synced`].
fn signals<K>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
    read: impl Fn(&K, bool) -> Option<(Group, LiveChange)> + Send + 'static,
) -> impl Stream<Item = Signal> + Unpin {
    let change = |(group, change)| Signal::Change(group, change);
    events
        .default_backoff()
        .filter_map(move |event| {
            let signal = match event {
                Ok(watcher::Event::Apply(object)) => read(&object, false).map(change),
                Ok(watcher::Event::Delete(object)) => read(&object, true).map(change),
                Ok(watcher::Event::InitDone) => Some(Signal::Synced),
                Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => None,
                Err(error) => {
                    tracing::debug!(%error, "watch for open pages broke, taking it up again");
                    None
                }
            };
            std::future::ready(signal)
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_share_one_feed_that_ends_with_the_last_of_them() {
        let data = tempfile::tempdir().unwrap();
        let api = diwan_embedded::Api::open(diwan_embedded::Options::new(data.path())).unwrap();
        let live = Live::new(kube::Client::new(diwan_embedded::service(api), "default"));

        let mut first = live.subscribe().await;
        first.ready().await;
        let mut second = live.subscribe().await;
        second.ready().await;
        assert!(Arc::ptr_eq(&first.feed, &second.feed));

        drop(first);
        assert!(live.feed.lock().await.upgrade().is_some());
        drop(second);
        assert!(live.feed.lock().await.upgrade().is_none());

        live.subscribe().await.ready().await;
    }
}
