//! The logs of trials whose pods are gone: the node keeps the files.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use diwan_embedded::{Api, resource};
use diwan_ui::LogArchive;

/// Reads the files that the node keeps.
pub(super) struct KeptLogs {
    /// Where trials are looked up.
    pub(super) api: Api,
    /// The folder of the node's logs: namespace, pod, container.
    pub(super) folder: PathBuf,
}

#[async_trait]
impl LogArchive for KeptLogs {
    async fn read(
        &self,
        namespace: &str,
        trial: &str,
        tail_lines: Option<usize>,
    ) -> Option<String> {
        let object = self.api.get(&resource::TRIALS, namespace, trial)?;
        let container = object["spec"]["primaryContainerName"].as_str()?.to_owned();
        let folder = self.folder.join(namespace);
        let prefix = format!("{trial}-");
        let found = tokio::task::spawn_blocking(move || newest(&folder, &prefix, &container))
            .await
            .ok()??;
        let text = String::from_utf8_lossy(&tokio::fs::read(found).await.ok()?).into_owned();
        Some(tail_lines.map_or_else(|| text.clone(), |lines| tail(&text, lines).to_owned()))
    }
}

/// The first log of the container in the newest pod whose name starts with `prefix`.
fn newest(folder: &Path, prefix: &str, container: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(format!("{container}.0.log")))
        .filter_map(|file| Some((std::fs::metadata(&file).ok()?.modified().ok()?, file)))
        .max()
        .map(|(_, file)| file)
}

/// The last `lines` lines.
fn tail(text: &str, lines: usize) -> &str {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let start = body
        .rmatch_indices('\n')
        .nth(lines.saturating_sub(1))
        .map_or(0, |(at, _)| at + 1);
    if lines == 0 { "" } else { &text[start..] }
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn the_tail_has_as_many_lines_as_asked_for() {
        let text = "a\nb\nc\n";
        for (lines, expected) in [(0, ""), (1, "c\n"), (2, "b\nc\n"), (3, text), (9, text)] {
            assert_eq!(tail(text, lines), expected, "{lines}");
        }
        assert_eq!(tail("a\nb", 1), "b");
    }
}
