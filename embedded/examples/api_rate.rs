//! What the API does per second: durable writes of 16 clients, and how late 50 watchers learn of a
//! write. In process, and over TLS for each NAME=KUBECONFIG given, be it of `diwan up` or of a
//! kube-apiserver: `api_rate [--seconds N] [NAME=KUBECONFIG]...`. Beside them what the disk does.

use std::{
    env,
    error::Error,
    fs::File,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use diwan_embedded::{Api, Options, service};
use futures::{AsyncBufReadExt, StreamExt, future::join_all};
use http::Request;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::sleep};

const WRITERS: usize = 16;
const WATCHERS: usize = 50;
const WATCHED_WRITES: u32 = 500;
const PATH: &str = "/api/v1/namespaces/default/configmaps";

type Failure = Box<dyn Error + Send + Sync>;

/// Someone to be measured; each client is a connection of its own.
enum Server {
    InProcess(Api),
    Tls(Box<Kubeconfig>),
}

impl Server {
    async fn client(&self) -> Result<Client, Failure> {
        match self {
            Self::InProcess(api) => Ok(Client::new(service(api.clone()), "default")),
            Self::Tls(file) => {
                let options = KubeConfigOptions::default();
                let config = Config::from_custom_kubeconfig(*file.clone(), &options).await?;
                Ok(Client::try_from(config)?)
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "another provider of cryptography is installed")?;
    let mut seconds = 5;
    let mut servers = Vec::new();
    let directory = env::temp_dir().join(format!("api-rate-{}", std::process::id()));
    let api = Api::open(Options::new(&directory))?;
    servers.push(("in process".to_owned(), Server::InProcess(api)));
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            seconds = arguments
                .next()
                .ok_or("--seconds needs a number")?
                .parse()?;
        } else {
            let (name, file) = argument.split_once('=').ok_or("expected NAME=KUBECONFIG")?;
            let file = Box::new(Kubeconfig::read_from(file)?);
            servers.push((format!("{name}, over TLS"), Server::Tls(file)));
        }
    }
    eprintln!("one file: {:.0} syncs/s", syncs(&directory)?);
    for (name, server) in &servers {
        let rate = writes(server, Duration::from_secs(seconds)).await?;
        let mut late = watch(server).await?;
        late.sort_unstable();
        let percentile = |p: usize| late[(late.len() - 1) * p / 100] as f64 / 1e3;
        eprintln!(
            "{name}: {WRITERS} clients {rate:.0} durable writes/s; {WATCHERS} watchers learn of a \
             write after {:.2} ms (p50), {:.2} ms (p99), from when it was sent",
            percentile(50),
            percentile(99),
        );
    }
    drop(servers);
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

fn syncs(directory: &Path) -> std::io::Result<f64> {
    let path = directory.join("bare");
    let mut file = File::create(&path)?;
    let (started, syncs) = (Instant::now(), 200);
    for _ in 0..syncs {
        file.write_all(&[0; 512])?;
        file.sync_data()?;
    }
    std::fs::remove_file(path)?;
    Ok(f64::from(syncs) / started.elapsed().as_secs_f64())
}

/// Every client changes an object of its own over and over.
async fn writes(server: &Server, time: Duration) -> Result<f64, Failure> {
    let mut clients = Vec::new();
    for writer in 0..WRITERS {
        let client = server.client().await?;
        create(&client, &format!("writer-{writer}")).await?;
        clients.push(client);
    }
    let (started, count) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let tasks = clients.into_iter().enumerate().map(|(writer, client)| {
        let count = count.clone();
        tokio::spawn(async move {
            let name = format!("writer-{writer}");
            for n in 0.. {
                if started.elapsed() > time {
                    break;
                }
                change(&client, &name, n).await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, Failure>(client)
        })
    });
    let ended: Vec<_> = join_all(tasks).await;
    let rate = count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    for (writer, task) in ended.into_iter().enumerate() {
        remove(&task??, &format!("writer-{writer}")).await?;
    }
    Ok(rate)
}

/// How many microseconds after a write was sent each watcher has it.
async fn watch(server: &Server) -> Result<Vec<u64>, Failure> {
    let client = server.client().await?;
    create(&client, "watched").await?;
    let started = Instant::now();
    let (events, mut seen) = mpsc::unbounded_channel();
    for _ in 0..WATCHERS {
        let client = server.client().await?;
        let events = events.clone();
        tokio::spawn(async move {
            let path = format!("{PATH}?watch=true&fieldSelector=metadata.name%3Dwatched");
            let request = Request::get(path).body(Vec::new())?;
            let mut lines = client.request_stream(request).await?.lines();
            while let Some(line) = lines.next().await {
                let line = line?;
                // What is measured is the server, not the reading of JSON.
                let n = line.split_once(r#""n":""#).map_or("", |(_, rest)| rest);
                let n = n.split('"').next().unwrap_or_default().parse::<u64>();
                if let Ok(sent) = n {
                    events
                        .send((sent, started.elapsed().as_micros() as u64))
                        .ok();
                }
            }
            Ok::<_, Failure>(())
        });
    }
    for _ in 0..WATCHERS {
        seen.recv().await.ok_or("a watch ended")?;
    }
    let mut late = Vec::new();
    for _ in 0..WATCHED_WRITES {
        let sent = started.elapsed().as_micros() as u64;
        change(&client, "watched", sent).await?;
        for _ in 0..WATCHERS {
            let (n, at) = seen.recv().await.ok_or("a watch ended")?;
            if n == sent {
                late.push(at - sent);
            }
        }
        sleep(Duration::from_millis(2)).await;
    }
    remove(&client, "watched").await?;
    Ok(late)
}

async fn create(client: &Client, name: &str) -> Result<(), Failure> {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name }, "data": { "n": "0" },
    });
    let request = Request::post(PATH)
        .header("content-type", "application/json")
        .body(serde_json::to_vec(&object)?)?;
    client.request::<Value>(request).await?;
    Ok(())
}

async fn change(client: &Client, name: &str, n: u64) -> Result<(), Failure> {
    let patch = json!({ "data": { "n": n.to_string() } });
    let request = Request::patch(format!("{PATH}/{name}"))
        .header("content-type", "application/merge-patch+json")
        .body(serde_json::to_vec(&patch)?)?;
    client.request_text(request).await?;
    Ok(())
}

async fn remove(client: &Client, name: &str) -> Result<(), Failure> {
    let request = Request::delete(format!("{PATH}/{name}")).body(Vec::new())?;
    client.request_text(request).await?;
    Ok(())
}
