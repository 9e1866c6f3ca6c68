//! The logs of trials whose pods are gone: the node keeps the files.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use diwan_embedded::{Api, resource};
use diwan_ui::LogArchive;

/// Reads the files that the node keeps.
pub(super) struct KeptLogs {
    /// Where trials are looked up.
    pub(super) api: Api,
    /// The folder of the node's logs: a folder for each namespace, with a file for each run of a
    /// container, `POD_UID_CONTAINER.RUN.log`.
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
        let container = object["spec"]["primaryContainerName"].as_str()?;
        let suffix = format!("_{container}.0.log");
        let folder = self.folder.join(namespace);
        let prefix = format!("{trial}-");
        let found = tokio::task::spawn_blocking(move || newest(&folder, &prefix, &suffix))
            .await
            .ok()??;
        let text = String::from_utf8_lossy(&tokio::fs::read(found).await.ok()?).into_owned();
        Some(tail_lines.map_or_else(|| text.clone(), |lines| tail(&text, lines).to_owned()))
    }
}

/// The newest file whose name starts and ends so.
fn newest(folder: &Path, prefix: &str, suffix: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(prefix) && name.ends_with(suffix)
        })
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
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
