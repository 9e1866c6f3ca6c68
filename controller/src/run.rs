//! Starts the controllers and keeps them going.

use std::sync::Arc;
use std::time::Instant;

use diwan_api::{Experiment, Suggestion, Trial};
use k8s_openapi::api::batch::v1::Job;
use kube::api::TypeMeta;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::checkpoint::Spent;
use crate::event::Recorder;
use crate::key::Key;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::port::Ports;
use crate::queue::{Outcome, Queue};
use crate::trial::kinds::Kinds;
use crate::world::{Caches, Ledgers, Queues, World};
use crate::{experiment, stopping, suggestion, trial};

/// Runs the controllers until `shutdown`, then waits for what is in work.
///
/// Nothing is lost when the process ends at any other instant: all that is to be known is in the
/// API, and the names of trials come from the suggestions.
pub async fn run(
    client: Client,
    ports: Ports,
    options: Options,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let queues = Queues::default();
    let ledgers = Arc::new(Ledgers::default());
    let caches = Caches::new(&queues, ledgers.clone(), &metrics, ports.clock.clone());
    watch(&tasks, &client, &caches, &shutdown);
    let (recorder, events) = Recorder::new(
        client.clone(),
        options.component.clone(),
        ports.clock.clone(),
        ports.chance.clone(),
        shutdown.clone(),
    );
    tasks.spawn(events);
    let kinds = Kinds::new(
        client.clone(),
        queues.trials.clone(),
        tasks.clone(),
        shutdown.clone(),
    );
    let world = Arc::new(World {
        client,
        ports,
        options,
        experiments: caches.experiments,
        suggestions: caches.suggestions,
        trials: caches.trials,
        kinds,
        ledgers,
        fresh_rules: stopping::FreshRules::default(),
        spent: Spent::default(),
        queues,
        recorder,
        metrics: metrics.clone(),
    });
    metrics.follow(&world);
    if shutdown
        .run_until_cancelled(first_lists(&world))
        .await
        .is_some()
    {
        tracing::info!("controllers are running");
        work(&tasks, &world, &shutdown);
        shutdown.cancelled().await;
    }
    tasks.close();
    tasks.wait().await;
}

fn watch(tasks: &TaskTracker, client: &Client, caches: &Caches, stop: &CancellationToken) {
    let config = watcher::Config::default;
    let api: Api<Experiment> = Api::all(client.clone());
    let (cache, token) = (caches.experiments.clone(), stop.clone());
    tasks.spawn(async move { cache.follow(api, config(), token).await });
    let api: Api<Suggestion> = Api::all(client.clone());
    let (cache, token) = (caches.suggestions.clone(), stop.clone());
    tasks.spawn(async move { cache.follow(api, config(), token).await });
    let api: Api<Trial> = Api::all(client.clone());
    let (cache, token) = (caches.trials.clone(), stop.clone());
    tasks.spawn(async move { cache.follow(api, config(), token).await });
}

/// Nothing is planned before everything was seen once.
async fn first_lists(world: &World) {
    world.experiments.synced().await;
    world.suggestions.synced().await;
    world.trials.synced().await;
    if let Ok(jobs) = world.kinds.get(&TypeMeta::resource::<Job>()).await {
        jobs.cache.synced().await;
    }
}

fn work(tasks: &TaskTracker, world: &Arc<World>, stop: &CancellationToken) {
    let [experiments, suggestions, trials, stopping] = world.queues.by_controller();
    let controller = Arc::new(experiment::Controller::new(world.clone()));
    start(tasks, world, experiments, stop, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(key).await }
    });
    let controller = Arc::new(suggestion::Controller::new(world.clone()));
    start(tasks, world, suggestions, stop, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(key).await }
    });
    let controller = Arc::new(stopping::Controller::new(world.clone()));
    start(tasks, world, stopping, stop, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(key).await }
    });
    let controller = Arc::new(trial::Controller::new(world.clone()));
    start(tasks, world, trials, stop, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(key).await }
    });
}

/// Works off the queue of one controller; each look is timed.
fn start<F, Fut>(
    tasks: &TaskTracker,
    world: &World,
    (name, queue): (&'static str, &Arc<Queue>),
    stop: &CancellationToken,
    reconcile: F,
) where
    F: Fn(Key) -> Fut + Send + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let metrics = world.metrics.clone();
    let timed = move |key| {
        let (metrics, look) = (metrics.clone(), reconcile(key));
        async move {
            let begin = Instant::now();
            let outcome = look.await;
            metrics.reconciled(name, begin.elapsed(), outcome);
            outcome
        }
    };
    let concurrency = world.options.concurrency;
    tasks.spawn(queue.clone().run(concurrency, stop.clone(), timed));
}
