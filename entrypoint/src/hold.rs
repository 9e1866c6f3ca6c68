//! The holder's loop: starts what is due, waits for a signal, writes down what ended.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::launch;
use crate::lock;
use crate::plan::{Container, Plan, Restart};
use crate::record::{self, Record};
use crate::sys::{self, SIGCHLD, SIGINT, SIGKILL, SIGTERM, SignalSet};
use crate::tree;
use crate::{EXIT_BROKEN, EXIT_HELD};

/// The first wait before a container is started again; it doubles each time.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait before a container is started again.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);
/// How long a container must have run for the wait to start over.
const CALM: Duration = Duration::from_mins(10);
/// How often processes that were killed are looked for again.
const KILL_AGAIN: Duration = Duration::from_millis(50);

/// Where a container stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// To be started at this moment.
    Due(Instant),
    /// Its program runs.
    Running { pid: i32, since: Instant },
    /// Ended for good; whether it succeeded.
    Done(bool),
}

/// One container and how often it was started.
struct Held<'a> {
    container: &'a Container,
    state: State,
    restart: u32,
    backoff: Duration,
}

/// Holds the pod in `folder` until none of its processes is left. Returns the exit status.
pub(crate) fn hold(folder: &Path) -> i32 {
    // A session of its own: a Ctrl-C on the terminal is for the node alone.
    let _ = sys::set_session();
    let Ok(lock) = File::open(folder) else {
        return EXIT_BROKEN;
    };
    if !lock::take(&lock) {
        return EXIT_HELD;
    }
    let Ok(text) = fs::read(folder.join("plan")) else {
        return EXIT_BROKEN;
    };
    let Ok(plan) = Plan::parse(&text) else {
        return EXIT_BROKEN;
    };
    // Blocked before the record tells anybody whom to signal.
    let signals = SignalSet::of(&[SIGCHLD, SIGTERM, SIGINT]);
    sys::block_signals(&signals);
    if sys::become_subreaper().is_err() {
        return EXIT_BROKEN;
    }
    let Ok(record) = Record::create(folder) else {
        return EXIT_HELD;
    };
    let mut holder = Holder::new(folder, &plan, record);
    holder.run(&signals);
    // `lock` is held up to here: whoever gets it finds a finished record.
    drop(lock);
    0
}

/// The state of the pod.
struct Holder<'a> {
    folder: &'a Path,
    plan: &'a Plan,
    record: Record,
    held: Vec<Held<'a>>,
    /// When the processes are killed, once the pod is to end.
    kill_at: Option<Instant>,
}

impl<'a> Holder<'a> {
    fn new(folder: &'a Path, plan: &'a Plan, record: Record) -> Self {
        let now = Instant::now();
        let held = |container| Held {
            container,
            state: State::Due(now),
            restart: 0,
            backoff: FIRST_BACKOFF,
        };
        Self {
            folder,
            plan,
            record,
            held: plan.containers.iter().map(held).collect(),
            kill_at: None,
        }
    }

    /// Runs the pod to its end.
    fn run(&mut self, signals: &SignalSet) {
        loop {
            self.start_due();
            if self.finished() {
                break;
            }
            match sys::wait_signal(signals, self.timeout()) {
                None => self.kill_when_due(),
                Some(SIGCHLD) => self.reap(),
                Some(_) => self.stop(),
            }
        }
        // Programs that went to the background end with the pod.
        while tree::signal_all(SIGKILL) {
            sys::wait_signal(signals, Some(KILL_AGAIN));
            self.reap();
        }
        self.record.end();
    }

    /// The containers whose turn it is: the first init container that is not done, else the rest.
    fn turn(&self) -> std::ops::Range<usize> {
        let inits = self.held.iter().take_while(|h| h.container.init).count();
        for (index, held) in self.held[..inits].iter().enumerate() {
            match held.state {
                State::Done(true) => {}
                State::Done(false) => return 0..0,
                _ => return index..index + 1,
            }
        }
        inits..self.held.len()
    }

    /// Starts the containers that are due.
    fn start_due(&mut self) {
        while self.kill_at.is_none() {
            let now = Instant::now();
            let due = |h: &Held<'_>| matches!(h.state, State::Due(at) if at <= now);
            let Some(index) = self.turn().find(|i| due(&self.held[*i])) else {
                return;
            };
            let held = &mut self.held[index];
            let (name, at) = (&held.container.name, record::now());
            match launch::launch(self.plan, held.container, held.restart) {
                Ok(pid) => {
                    self.record.start(name, held.restart, pid, at);
                    held.state = State::Running { pid, since: now };
                }
                // Starting it again would fail again.
                Err(message) => {
                    self.record.fail(name, held.restart, &message);
                    held.state = State::Done(false);
                }
            }
        }
    }

    /// No container runs, and none will be started.
    fn finished(&self) -> bool {
        let running = self
            .held
            .iter()
            .any(|h| matches!(h.state, State::Running { .. }));
        let waiting = self
            .turn()
            .any(|i| matches!(self.held[i].state, State::Due(_)));
        !running && (!waiting || self.kill_at.is_some())
    }

    /// How long to wait for a signal: until the next start or the next kill.
    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        if let Some(at) = self.kill_at {
            return Some(at.saturating_duration_since(now).max(KILL_AGAIN));
        }
        let due = |i: usize| match self.held[i].state {
            State::Due(at) => Some(at.saturating_duration_since(now)),
            _ => None,
        };
        self.turn().filter_map(due).min()
    }

    /// Writes down the containers that ended and decides whether they are started again.
    fn reap(&mut self) {
        while let Ok(Some(ended)) = sys::reap() {
            let mine = |h: &&mut Held<'_>| matches!(h.state, State::Running { pid, .. } if pid == ended.pid);
            let Some(held) = self.held.iter_mut().find(mine) else {
                continue;
            };
            // What the program left in its process group ends with it.
            sys::kill(-ended.pid, SIGKILL);
            self.record.exit(&held.container.name, held.restart, ended);
            held.after_exit(self.plan.restart, ended.code == 0, self.kill_at.is_some());
        }
    }

    /// Asks all processes to end; the folder may hold a shorter time than the plan's.
    fn stop(&mut self) {
        let written = launch::seconds_in(&self.folder.join("grace")).map(Duration::from_secs);
        let at = Instant::now() + written.unwrap_or(self.plan.grace);
        self.kill_at = Some(self.kill_at.map_or(at, |earlier| earlier.min(at)));
        tree::signal_all(SIGTERM);
        self.kill_when_due();
    }

    fn kill_when_due(&mut self) {
        if self.kill_at.is_some_and(|at| at <= Instant::now()) {
            tree::signal_all(SIGKILL);
        }
    }
}

impl Held<'_> {
    /// Decides what follows the end of the program.
    fn after_exit(&mut self, policy: Restart, success: bool, stopping: bool) {
        let State::Running { since, .. } = self.state else {
            return;
        };
        let again = match policy {
            Restart::Never => false,
            Restart::OnFailure => !success,
            Restart::Always => !success || !self.container.init,
        };
        if !again || stopping {
            self.state = State::Done(success);
            return;
        }
        if since.elapsed() >= CALM {
            self.backoff = FIRST_BACKOFF;
        }
        self.state = State::Due(Instant::now() + self.backoff);
        self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
        self.restart += 1;
    }
}
