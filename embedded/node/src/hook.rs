//! What follows a pod while it runs: the port for the metrics collector.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::watch;

/// Follows pods while they run.
pub trait PodHook: Send + Sync {
    /// Is called once when a pod's processes start, and once more when a new node finds them
    /// running. The future must end soon after `ended` turns true, when all that the pod wrote is
    /// on disk; the pod's end is published after it, or after a minute. `None`: nothing is to be
    /// done for this pod.
    fn follow(
        &self,
        pod: Arc<Value>,
        files: PodFiles,
        ended: watch::Receiver<bool>,
    ) -> Option<BoxFuture<'static, ()>>;

    /// The folders of a pod's containers that have to be seen from this machine, by the containers'
    /// names, where containers have files of their own.
    fn folders(&self, _pod: &Value) -> Vec<(String, PathBuf)> {
        Vec::new()
    }
}

/// Where a pod's output and files are on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFiles {
    pub(crate) containers: Vec<ContainerFiles>,
}

/// Where a container's output and files are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ContainerFiles {
    pub(crate) name: String,
    pub(crate) log: PathBuf,
    pub(crate) working_directory: PathBuf,
    /// Path in the container and path on the machine, in the order in which they are mounted.
    pub(crate) mounts: Vec<(PathBuf, PathBuf)>,
}

impl PodFiles {
    fn container(&self, name: &str) -> Option<&ContainerFiles> {
        self.containers.iter().find(|c| c.name == name)
    }

    /// The file with the output of a container's first run.
    pub fn log(&self, container: &str) -> Option<PathBuf> {
        let mut path = self.container(container)?.log.clone().into_os_string();
        path.push("0.log");
        Some(path.into())
    }

    /// Where on this machine a path of a container is. Nothing needs to exist there yet.
    pub fn resolve(&self, container: &str, path: impl AsRef<Path>) -> Option<PathBuf> {
        let container = self.container(container)?;
        let path = container.working_directory.join(path);
        let inside = |(target, source): &(PathBuf, PathBuf)| {
            let rest = path.strip_prefix(target).ok()?;
            let whole = if rest == Path::new("") {
                source.clone()
            } else {
                source.join(rest)
            };
            Some((target.components().count(), whole))
        };
        let found = container
            .mounts
            .iter()
            .filter_map(inside)
            .max_by_key(|(depth, _)| *depth);
        Some(found.map_or(path.clone(), |(_, whole)| whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_through_the_deepest_mount() {
        let pair = |a: &str, b: &str| (PathBuf::from(a), PathBuf::from(b));
        let files = PodFiles {
            containers: vec![ContainerFiles {
                name: "a".into(),
                log: "/logs/a.".into(),
                working_directory: "/work".into(),
                mounts: vec![
                    pair("/x", "/data/1"),
                    pair("/x/y", "/data/2"),
                    pair("/f", "/data/3"),
                ],
            }],
        };
        for (path, expected) in [
            ("/x/a", "/data/1/a"),
            ("/x/y/a", "/data/2/a"),
            ("/xy", "/xy"),
            ("/f", "/data/3"),
            ("out.txt", "/work/out.txt"),
        ] {
            assert_eq!(files.resolve("a", path), Some(expected.into()), "{path}");
        }
        assert_eq!(files.log("a"), Some("/logs/a.0.log".into()));
        assert_eq!(files.resolve("b", "/x"), None);
    }
}
