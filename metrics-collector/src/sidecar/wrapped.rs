//! A trial that `diwan-entrypoint wrap` runs in another container of the pod. The two share nothing
//! but a folder: neither processes nor a shell are needed to see how the trial ended.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::PathBuf,
    time::Duration,
};

use tokio::sync::oneshot;

use super::processes::End;

/// What the entry point writes down: `start`, then `exit CODE SIGNAL` or `fail`, for each time that
/// the container is started. It is locked while the program runs.
const RECORD: &str = ".diwan-trial";
/// Asks the entry point to stop the program.
const STOP: &str = ".diwan-stop";
/// How many ends of the program were taken note of.
const SEEN: &str = ".diwan-seen";

/// The trial's container.
#[derive(Clone, Debug)]
pub(super) struct Wrapped {
    folder: PathBuf,
}

/// Where the program stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has not been started, or not again since its last end was taken note of.
    Waiting,
    /// It runs.
    Running,
    /// Of so many runs the last has ended: well, or with this problem.
    Ended(usize, Result<End, String>),
}

impl Wrapped {
    pub(super) fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Looks at the record.
    pub(super) fn state(&self) -> io::Result<State> {
        let Some(text) = self.record()? else {
            return Ok(State::Waiting);
        };
        let runs = runs(&text);
        if runs <= self.seen() {
            return Ok(State::Waiting);
        }
        if let Some(end) = self.end(&text) {
            return Ok(State::Ended(runs, end));
        }
        match self.file()?.try_lock_shared() {
            Err(TryLockError::WouldBlock) => return Ok(State::Running),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        // It may have ended between the two looks.
        let text = self.record()?.unwrap_or_default();
        if self::runs(&text) > runs {
            // And begun again.
            return Ok(State::Running);
        }
        let killed = "training container is failed: it was killed".to_owned();
        Ok(State::Ended(runs, self.end(&text).unwrap_or(Err(killed))))
    }

    /// Waits for the end of a program that runs, or for `longest`.
    pub(super) async fn changed(&self, longest: Duration) {
        let Ok(file) = self.file() else {
            return tokio::time::sleep(longest).await;
        };
        let (sender, ended) = oneshot::channel();
        // Not a thread of the runtime's, which would wait for it.
        std::thread::spawn(move || {
            let _ = file.lock_shared();
            let _ = sender.send(());
        });
        let _ = tokio::time::timeout(longest, ended).await;
    }

    /// Takes note of the end of so many runs, so that a collector that is started again waits for
    /// the next one.
    pub(super) fn take_note(&self, runs: usize) -> io::Result<()> {
        fs::write(self.folder.join(SEEN), runs.to_string())
    }

    /// Asks for the program to be stopped.
    pub(super) fn stop(&self) -> Result<(), String> {
        let path = self.folder.join(STOP);
        fs::write(&path, "").map_err(|error| format!("{}: {error}", path.display()))
    }

    fn end(&self, record: &str) -> Option<Result<End, String>> {
        let failed = |how: &str| Some(Err(format!("training container is failed: {how}")));
        let line = record.lines().next_back()?;
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["exit", ..] if self.folder.join(STOP).exists() => Some(Ok(End::EarlyStopped)),
            ["exit", "0", ..] => Some(Ok(End::Completed)),
            ["exit", code, "0", ..] => failed(&format!("exit code {code}")),
            ["exit", _, signal, ..] => failed(&format!("killed by signal {signal}")),
            ["fail", ..] => failed(line.splitn(3, ' ').nth(2).unwrap_or_default()),
            _ => None,
        }
    }

    fn seen(&self) -> usize {
        let text = fs::read_to_string(self.folder.join(SEEN)).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    }

    fn record(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(self.folder.join(RECORD)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn file(&self) -> io::Result<File> {
        File::open(self.folder.join(RECORD))
    }
}

fn runs(record: &str) -> usize {
    let starts = record.lines().filter(|line| line.starts_with("start "));
    starts.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &str, files: &[&str], expected: State) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(RECORD), record).unwrap();
        for file in files {
            let (name, content) = file.split_once('=').unwrap();
            fs::write(folder.path().join(name), content).unwrap();
        }
        let state = Wrapped::new(folder.path()).state().unwrap();
        assert_eq!(state, expected, "{record:?} {files:?}");
    }

    #[test]
    fn the_record_tells_where_the_program_stands() {
        let failed = |how: &str| {
            let problem = format!("training container is failed: {how}");
            State::Ended(1, Err(problem))
        };
        let completed = State::Ended(1, Ok(End::Completed));
        check("", &[], State::Waiting);
        check("start 1\nexit 0 0 2\n", &[], completed);
        check("start 1\nexit 3 0 2\n", &[], failed("exit code 3"));
        check("start 1\nexit 137 9 2\n", &[], failed("killed by signal 9"));
        check(
            "start 1\nfail 2 program not found: x\n",
            &[],
            failed("program not found: x"),
        );
        check("start 1\n", &[], failed("it was killed"));
        let stopped = State::Ended(1, Ok(End::EarlyStopped));
        check("start 1\nexit 143 15 2\n", &[".diwan-stop="], stopped);
        check("start 1\nexit 3 0 2\n", &[".diwan-seen=1"], State::Waiting);
        let again = "start 1\nexit 3 0 2\nstart 3\nexit 0 0 4\n";
        check(
            again,
            &[".diwan-seen=1"],
            State::Ended(2, Ok(End::Completed)),
        );
    }

    #[test]
    fn a_run_that_began_while_another_was_reported_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join(RECORD);
        let wrapped = Wrapped::new(folder.path());
        fs::write(&record, "start 1\nexit 3 0 2\n").unwrap();
        let State::Ended(runs, _) = wrapped.state().unwrap() else {
            panic!("the first run has ended");
        };
        fs::write(&record, "start 1\nexit 3 0 2\nstart 3\nexit 0 0 4\n").unwrap();
        wrapped.take_note(runs).unwrap();
        let second = State::Ended(2, Ok(End::Completed));
        assert_eq!(wrapped.state().unwrap(), second);
        wrapped.take_note(2).unwrap();
        assert_eq!(wrapped.state().unwrap(), State::Waiting);
    }

    #[tokio::test]
    async fn a_locked_record_is_of_a_program_that_runs() {
        let folder = tempfile::tempdir().unwrap();
        let wrapped = Wrapped::new(folder.path());
        assert_eq!(wrapped.state().unwrap(), State::Waiting);
        fs::write(folder.path().join(RECORD), "start 1\n").unwrap();
        let program = File::open(folder.path().join(RECORD)).unwrap();
        program.lock().unwrap();
        assert_eq!(wrapped.state().unwrap(), State::Running);
        let waiting = wrapped.clone();
        let waiting = tokio::spawn(async move { waiting.changed(Duration::from_mins(1)).await });
        drop(program);
        waiting.await.unwrap();
    }
}
