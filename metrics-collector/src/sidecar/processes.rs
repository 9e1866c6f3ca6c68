//! The processes of a pod whose containers share them, as Katib's wrapper leaves its marks on them.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The mark of a main process that went well.
const COMPLETED: &str = "completed";
/// The mark of a main process that is stopped early.
const EARLY_STOPPED: &str = "early-stopped";

/// What the system shows of processes.
#[derive(Clone, Debug)]
pub struct Processes {
    /// `/proc`.
    root: PathBuf,
    /// Where marks lie: the folder of the metrics file.
    marks: PathBuf,
}

/// How the main process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Well.
    Completed,
    /// By a rule.
    EarlyStopped,
}

impl Processes {
    /// Takes `/proc` (or what stands for it in a test) and the folder of the marks.
    pub fn new(root: impl Into<PathBuf>, marks: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            marks: marks.into(),
        }
    }

    /// Returns the first processes of the other containers, and which of them is the main one: it
    /// writes its mark where the metrics are, or is the first.
    pub(super) fn of_pod(&self) -> io::Result<Option<(i32, BTreeSet<i32>)>> {
        let own = std::process::id() as i32;
        let first: BTreeSet<i32> = self
            .all()?
            .filter(|(pid, parent)| *parent == 0 && *pid != 1 && *pid != own)
            .map(|(pid, _)| pid)
            .collect();
        let mark = format!("echo {COMPLETED} > {}", self.marks.display());
        let marked = first.iter().find(|pid| {
            let line = fs::read(self.root.join(pid.to_string()).join("cmdline"));
            line.is_ok_and(|line| {
                String::from_utf8_lossy(&line)
                    .replace('\0', " ")
                    .contains(&mark)
            })
        });
        let main = marked.or(first.first()).copied();
        Ok(main.map(|main| (main, first)))
    }

    pub(super) fn is_alive(&self, pid: i32) -> bool {
        self.root.join(pid.to_string()).exists()
    }

    /// Returns how a main process that is gone has ended, or why it counts as failed.
    pub(super) fn end_of(&self, pid: i32) -> Result<End, String> {
        let path = self.mark(pid);
        let content = fs::read_to_string(&path).map_err(|error| {
            format!(
                "training container is failed: {} can't be read: {error}",
                path.display()
            )
        })?;
        match content.trim() {
            COMPLETED => Ok(End::Completed),
            EARLY_STOPPED => Ok(End::EarlyStopped),
            other => Err(format!(
                "training container is failed: {} holds {other:?}, not {COMPLETED:?}",
                path.display()
            )),
        }
    }

    /// Whether some main process ended well before anybody looked.
    pub(super) fn completed_before(&self) -> bool {
        let entries = fs::read_dir(&self.marks).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|path| {
            path.extension().is_some_and(|extension| extension == "pid")
                && fs::read_to_string(path).is_ok_and(|content| content.trim() == COMPLETED)
        })
    }

    /// Marks a main process as stopped early, and asks its child to end.
    pub(super) fn stop(&self, main: i32) -> Result<(), String> {
        let children: Vec<i32> = self
            .all()
            .map_err(|error| error.to_string())?
            .filter(|(_, parent)| *parent == main)
            .map(|(pid, _)| pid)
            .collect();
        let &[child] = children.as_slice() else {
            let count = children.len();
            return Err(format!(
                "process {main} has {count} children, so it is not known which to stop"
            ));
        };
        let path = self.mark(main);
        fs::write(&path, format!("{EARLY_STOPPED}\n"))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        match kill(Pid::from_raw(child), Signal::SIGTERM) {
            // It ended by itself.
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(format!("process {child} can't be stopped: {error}")),
        }
    }

    fn mark(&self, pid: i32) -> PathBuf {
        self.marks.join(format!("{pid}.pid"))
    }

    /// All processes with their parents.
    fn all(&self) -> io::Result<impl Iterator<Item = (i32, i32)>> {
        let entries = fs::read_dir(&self.root)?;
        Ok(entries.flatten().filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, parent(&entry.path())?))
        }))
    }
}

/// Reads the parent of a process: the second field behind its name, which may hold anything.
fn parent(process: &Path) -> Option<i32> {
    let stat = fs::read(process.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_ascii_whitespace().nth(1)?.parse().ok()
}
