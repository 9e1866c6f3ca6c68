//! What a container says last: the text it wrote for that, or the end of its log.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::plan::Container;

/// A longer text is cut off.
const LONGEST_TEXT: u64 = 4096;
/// So much of the end of a log stands in for a text, in lines and bytes.
const LONGEST_LOG: u64 = 2048;
const MOST_LINES: usize = 80;

/// Empties the file for the container's next run. Without it the container says nothing.
pub(crate) fn clear(container: &Container) {
    if let Some((file, _)) = &container.message {
        let _ = File::options().write(true).truncate(true).open(file);
    }
}

/// The last words of a container's run; empty when there are none.
pub(crate) fn of(container: &Container, restart: u32, success: bool) -> String {
    let Some((file, logs)) = &container.message else {
        return String::new();
    };
    let text = start(file);
    if !text.is_empty() || success || !logs {
        return text;
    }
    let mut log = container.log.clone().into_os_string();
    log.push(format!("{restart}.log"));
    last_lines(&end(&PathBuf::from(log)))
}

/// The start of a file.
fn start(file: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(file) {
        // What can't be read is not there.
        let _ = file.take(LONGEST_TEXT).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The end of a file.
fn end(file: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(file) {
        let length = file.metadata().map_or(0, |m| m.len());
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_LOG)));
        let _ = file.take(LONGEST_LOG).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The last lines of a text.
fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines[lines.len().saturating_sub(MOST_LINES)..].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_stands_in_for_a_failed_container_that_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("message");
        let log = folder.path().join("log.3.log");
        let lines: Vec<String> = (0..100).map(|n| format!("{n}\n")).collect();
        std::fs::write(&log, lines.concat()).unwrap();
        std::fs::write(&file, "").unwrap();
        let mut container = Container {
            log: folder.path().join("log."),
            message: Some((file.clone(), true)),
            ..Container::default()
        };
        assert_eq!(of(&container, 3, false), lines[20..].concat());
        assert_eq!(of(&container, 3, true), "");
        std::fs::write(&file, "said").unwrap();
        assert_eq!(of(&container, 3, false), "said");
        clear(&container);
        container.message = Some((file, false));
        assert_eq!(of(&container, 3, false), "");
    }
}
