//! The logs of containers, as the API gives them out.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use async_stream::stream;
use async_trait::async_trait;
use bytes::Bytes;
use diwan_api::metadata::{ANNOTATION_METRICS_COLLECTOR, CONTAINER_METRICS_LOGGER};
use diwan_embedded::{LogOptions, PodLogs, Status};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::watch;

use crate::changes::Subscription;
use crate::holder;
use crate::node::Shared;
use crate::pod::metadata;
use crate::record::Program;

/// How much of a log is read at once.
const CHUNK: usize = 64 << 10;

/// Gives out the logs of a node's pods.
pub(crate) struct Logs {
    /// Weak: the API holds the logs, and the node the API.
    shared: Weak<Shared>,
}

impl Logs {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::downgrade(shared),
        }
    }
}

#[async_trait]
impl PodLogs for Logs {
    async fn open(
        &self,
        pod: &Value,
        container: Option<&str>,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Bytes>, Status> {
        let shared = self
            .shared
            .upgrade()
            .ok_or_else(|| Status::internal("the node is gone"))?;
        let name = choose(pod, container)?;
        let log = Log::find(&shared, pod, name, &options)?;
        let position = start(&log.path, &options).map_err(Status::internal)?;
        Ok(read(log, position, options).boxed())
    }
}

/// The container whose log is meant.
pub(crate) fn choose<'a>(pod: &'a Value, asked: Option<&'a str>) -> Result<&'a str, Status> {
    let names = |list: &str| -> Vec<&'a str> {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        containers.filter_map(|c| c["name"].as_str()).collect()
    };
    let (mains, inits) = (names("containers"), names("initContainers"));
    let pod_name = metadata(pod, "name");
    let annotations = &pod["metadata"]["annotations"];
    let Some(asked) = asked.filter(|name| !name.is_empty()) else {
        let preferred = annotations["kubectl.kubernetes.io/default-container"].as_str();
        if let Some(name) = preferred.filter(|name| mains.contains(name)) {
            return Ok(name);
        }
        if let ([only], []) = (mains.as_slice(), inits.as_slice()) {
            return Ok(only);
        }
        let others = match inits.join(" ") {
            names if names.is_empty() => names,
            names => format!(" or one of the init containers: [{names}]"),
        };
        let text = format!(
            "a container name must be specified for pod {pod_name}, choose one of: [{}]{others}",
            mains.join(" ")
        );
        return Err(Status::bad_request(text));
    };
    if mains.contains(&asked) || inits.contains(&asked) {
        return Ok(asked);
    }
    if asked == CONTAINER_METRICS_LOGGER {
        let plan = annotations[ANNOTATION_METRICS_COLLECTOR]
            .as_str()
            .unwrap_or_default();
        let plan: Value = serde_json::from_str(plan).unwrap_or_default();
        let primary = plan["primaryContainer"].as_str();
        if let Some(name) = mains.into_iter().find(|name| Some(*name) == primary) {
            return Ok(name);
        }
    }
    Err(Status::bad_request(format!(
        "container {asked} is not valid for pod {pod_name}"
    )))
}

/// One run's log.
struct Log {
    path: PathBuf,
    folder: PathBuf,
    container: String,
    run: u32,
    /// What tells of changes; nothing when the pod is over.
    live: Option<(watch::Receiver<()>, Option<Subscription>)>,
}

impl Log {
    /// Finds the log of a container's current or previous run.
    fn find(
        shared: &Shared,
        pod: &Value,
        container: &str,
        options: &LogOptions,
    ) -> Result<Self, Status> {
        let (name, uid) = (metadata(pod, "name"), metadata(pod, "uid"));
        let folder = shared.settings.pod(uid);
        let live = shared.live.lock().get(uid).cloned();
        let known = match &live {
            Some(_) => holder::record(&folder)
                .containers
                .get(container)
                .map(|c| c.restarts),
            None => None,
        };
        let mut run = known.unwrap_or_else(|| restarts(pod, container));
        if options.previous {
            run = run.checked_sub(1).ok_or_else(|| {
                Status::bad_request(format!(
                    "previous terminated container {container:?} in pod {name:?} not found"
                ))
            })?;
        }
        let namespace = metadata(pod, "namespace");
        let mut path = shared
            .settings
            .log(namespace, name, uid, container)
            .into_os_string();
        path.push(format!("{run}.log"));
        let path = PathBuf::from(path);
        if !path.exists() {
            let state = match pod["status"]["phase"].as_str() {
                Some("Succeeded" | "Failed") => "not available".to_owned(),
                _ => format!("waiting to start: {}", waiting(pod, container)),
            };
            let text = format!("container {container:?} in pod {name:?} is {state}");
            return Err(Status::bad_request(text));
        }
        let live = live.filter(|_| options.follow).map(|live| {
            let changes = shared.changes.subscribe(&path).ok();
            (live, changes)
        });
        Ok(Self {
            path,
            folder,
            container: container.to_owned(),
            run,
            live,
        })
    }

    /// Whether nothing will be added any more.
    fn is_complete(&self) -> bool {
        let Some((live, _)) = &self.live else {
            return true;
        };
        if live.has_changed().is_err() {
            return true;
        }
        let record = holder::record(&self.folder);
        record
            .containers
            .get(&self.container)
            .is_some_and(|container| {
                container.restarts > self.run
                    || !matches!(container.current, Program::Running { .. })
            })
    }

    /// Waits until something may have been added.
    async fn changed(&mut self) {
        let Some((live, changes)) = &mut self.live else {
            return;
        };
        match changes {
            Some(changes) => tokio::select! {
                () = changes.changed() => {}
                // An error is the end of the pod, which is checked next.
                _ = live.changed() => {}
            },
            None => drop(live.changed().await),
        }
    }
}

fn statuses(pod: &Value) -> impl Iterator<Item = &Value> {
    ["containerStatuses", "initContainerStatuses"]
        .into_iter()
        .flat_map(|list| pod["status"][list].as_array().into_iter().flatten())
}

fn restarts(pod: &Value, container: &str) -> u32 {
    let status = statuses(pod).find(|status| status["name"] == container);
    status.and_then(|s| s["restartCount"].as_u64()).unwrap_or(0) as u32
}

fn waiting<'a>(pod: &'a Value, container: &str) -> &'a str {
    let status = statuses(pod).find(|status| status["name"] == container);
    let reason = status.and_then(|s| s["state"]["waiting"]["reason"].as_str());
    reason.unwrap_or("ContainerCreating")
}

/// Where reading starts.
fn start(path: &Path, options: &LogOptions) -> io::Result<u64> {
    let since = options.since_time.or_else(|| {
        let seconds = options.since_seconds?;
        Timestamp::from_second(Timestamp::now().as_second() - seconds).ok()
    });
    let file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    // Lines have no time of their own: the log counts as written when it was last changed.
    if since.is_some_and(|since| written(&file).is_some_and(|at| at < since)) {
        return Ok(length);
    }
    match options.tail_lines {
        Some(lines) => tail(file, length, lines),
        None => Ok(0),
    }
}

fn written(file: &fs::File) -> Option<Timestamp> {
    let modified: SystemTime = file.metadata().ok()?.modified().ok()?;
    Timestamp::try_from(modified).ok()
}

/// The position of the last `lines` lines, found from the end.
fn tail(mut file: fs::File, length: u64, lines: u64) -> io::Result<u64> {
    if lines == 0 {
        return Ok(length);
    }
    let (mut position, mut seen) = (length, 0);
    let mut buffer = vec![0; CHUNK];
    while position > 0 {
        let size = (CHUNK as u64).min(position);
        position -= size;
        file.seek(SeekFrom::Start(position))?;
        let chunk = &mut buffer[..size as usize];
        file.read_exact(chunk)?;
        for (index, byte) in chunk.iter().enumerate().rev() {
            let at = position + index as u64;
            // A line feed at the very end closes the last line.
            if *byte == b'\n' && at + 1 != length {
                seen += 1;
                if seen == lines {
                    return Ok(at + 1);
                }
            }
        }
    }
    Ok(0)
}

/// Reads a log from a position to its end, and on while it grows when that is wanted.
fn read(
    mut log: Log,
    position: u64,
    options: LogOptions,
) -> impl futures::Stream<Item = Bytes> + Send + 'static {
    stream! {
        let Ok(mut file) = tokio::fs::File::open(&log.path).await else { return };
        if file.seek(SeekFrom::Start(position)).await.is_err() {
            return;
        }
        let mut left = options.limit_bytes.unwrap_or(u64::MAX);
        let mut stamps = options.timestamps.then(Stamps::default);
        let mut buffer = vec![0; CHUNK];
        loop {
            // Asked before reading, so that nothing written until then is missed.
            let complete = log.is_complete();
            while let Ok(size @ 1..) = file.read(&mut buffer).await {
                let mut chunk = match &mut stamps {
                    Some(stamps) => stamps.apply(&buffer[..size], Timestamp::now()),
                    None => buffer[..size].to_vec(),
                };
                chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                left -= chunk.len() as u64;
                yield Bytes::from(chunk);
                if left == 0 {
                    return;
                }
            }
            if complete {
                return;
            }
            log.changed().await;
        }
    }
}

/// Puts a time before each line: that of its reading, because programs write their logs directly.
struct Stamps {
    at_start: bool,
}

impl Default for Stamps {
    fn default() -> Self {
        Self { at_start: true }
    }
}

impl Stamps {
    fn apply(&mut self, text: &[u8], now: Timestamp) -> Vec<u8> {
        let mut result = Vec::with_capacity(text.len() + 64);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if self.at_start {
                result.extend_from_slice(format!("{now:.9} ").as_bytes());
            }
            result.extend_from_slice(line);
            self.at_start = line.ends_with(b"\n");
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let long = "x".repeat(CHUNK + 10);
        for (text, lines, rest) in [
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\nb\n", 5, "a\nb\n"),
            ("a\nb\n", 0, ""),
            ("\n\n\n", 1, "\n"),
            ("", 3, ""),
            (&format!("a\n{long}\nb\n"), 2, &format!("{long}\nb\n")),
        ] {
            fs::write(&path, text).unwrap();
            let file = fs::File::open(&path).unwrap();
            let position = tail(file, text.len() as u64, lines).unwrap();
            assert_eq!(&text[position as usize..], rest);
        }
    }

    #[test]
    fn the_container_is_chosen_as_kubernetes_does() {
        let plan = r#"{ "primaryContainer": "b" }"#;
        let pod = json!({
            "metadata": { "name": "p", "annotations": { "diwan.dev/metrics-collector": plan } },
            "spec": { "containers": [{ "name": "a" }, { "name": "b" }], "initContainers": [{ "name": "i" }] },
        });
        let message = |asked| choose(&pod, asked).map_err(|status| status.message);
        assert_eq!(message(Some("i")), Ok("i"));
        assert_eq!(message(Some("metrics-logger-and-collector")), Ok("b"));
        assert_eq!(
            message(Some("x")),
            Err("container x is not valid for pod p".into())
        );
        assert_eq!(
            message(None),
            Err(
                "a container name must be specified for pod p, choose one of: [a b] or one of the \
                 init containers: [i]"
                    .into()
            )
        );
        let single =
            json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "a" }] } });
        assert_eq!(choose(&single, None), Ok("a"));
    }

    #[test]
    fn each_line_is_stamped_once_however_it_arrives() {
        let mut stamps = Stamps::default();
        let now = Timestamp::from_second(0).unwrap();
        let mut text = stamps.apply(b"a\nb", now);
        text.extend(stamps.apply(b"c\n", now));
        let stamp = "1970-01-01T00:00:00.000000000Z";
        assert_eq!(
            String::from_utf8(text).unwrap(),
            format!("{stamp} a\n{stamp} bc\n")
        );
    }
}
