//! The holder's loop: starts what is due, waits for a signal, writes down what ended.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::engine;
use crate::held::{Held, State};
use crate::launch;
use crate::lock;
use crate::message;
use crate::orders::{Order, Orders};
use crate::plan::{Container, Kind, Plan};
use crate::record::{self, Record};
use crate::sys::{self, SIGCHLD, SIGINT, SIGKILL, SIGTERM, SIGUSR1, SignalSet};
use crate::tree;
use crate::{EXIT_BROKEN, EXIT_HELD};

/// How often processes that were killed are looked for again.
const KILL_AGAIN: Duration = Duration::from_millis(50);

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
    let signals = SignalSet::of(&[SIGCHLD, SIGTERM, SIGINT, SIGUSR1]);
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
    orders: Orders,
    held: Vec<Held<'a>>,
    /// When the processes are killed, once the pod is to end.
    kill_at: Option<Instant>,
}

impl<'a> Holder<'a> {
    fn new(folder: &'a Path, plan: &'a Plan, record: Record) -> Self {
        let now = Instant::now();
        Self {
            folder,
            plan,
            record,
            orders: Orders::default(),
            held: plan.containers.iter().map(|c| Held::new(c, now)).collect(),
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
            if self.kill_at.is_none() && !self.has_work() {
                self.end_within(self.plan.grace);
            }
            match sys::wait_signal(signals, self.timeout()) {
                None => self.kill_when_due(),
                Some(SIGCHLD) => self.reap(),
                Some(SIGUSR1) => self.obey(),
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

    /// The containers whose turn it is: the first init container that is not done with the sidecars
    /// before it, else all that run together.
    fn turn(&self) -> Vec<usize> {
        let mut turn = Vec::new();
        for (index, held) in self.held.iter().enumerate() {
            match (held.container.kind, held.state) {
                (Kind::Init, State::Done(true)) => {}
                (Kind::Init | Kind::Sidecar, State::Done(_)) => return turn,
                (Kind::Init, _) => {
                    turn.push(index);
                    return turn;
                }
                (Kind::Sidecar, _) => {
                    turn.push(index);
                    if !held.passed {
                        return turn;
                    }
                }
                (Kind::Main, _) => turn.push(index),
            }
        }
        turn
    }

    /// Starts the containers that are due.
    fn start_due(&mut self) {
        while self.kill_at.is_none() {
            let now = Instant::now();
            let due = |h: &Held<'_>| matches!(h.state, State::Due(at) if at <= now);
            let Some(index) = self.turn().into_iter().find(|i| due(&self.held[*i])) else {
                return;
            };
            let held = &mut self.held[index];
            let (name, at) = (&held.container.name, record::now());
            message::clear(held.container);
            held.killed_for_memory = killed_for_memory(held.container);
            match launch::launch(self.plan, held.container, held.restart) {
                Ok(pid) => {
                    self.record.start(name, held.restart, pid, at);
                    held.start(pid, now);
                }
                // Starting it again would fail again.
                Err(message) => {
                    self.record.fail(name, held.restart, &message);
                    held.state = State::Done(false);
                }
            }
        }
    }

    /// Whether a container other than a sidecar has something left to do, now or in its turn.
    fn has_work(&self) -> bool {
        self.turn().into_iter().any(|i| self.held[i].has_work())
    }

    /// No container runs, and none will be started.
    fn finished(&self) -> bool {
        let running = self.held.iter().any(|h| h.pid().is_some());
        !running && (self.kill_at.is_some() || !self.has_work())
    }

    /// How long to wait for a signal: until the next start or the next kill.
    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let left = |at: Instant| at.saturating_duration_since(now);
        let kills = self
            .held
            .iter()
            .filter_map(|h| h.kill_at)
            .chain(self.kill_at);
        let kill = kills.map(|at| left(at).max(KILL_AGAIN)).min();
        if self.kill_at.is_some() {
            return kill;
        }
        let due = |i: usize| match self.held[i].state {
            State::Due(at) => Some(left(at)),
            _ => None,
        };
        self.turn().into_iter().filter_map(due).chain(kill).min()
    }

    /// Writes down the containers that ended and decides whether they are started again.
    fn reap(&mut self) {
        while let Ok(Some(ended)) = sys::reap() {
            let mine = |h: &&mut Held<'_>| h.pid() == Some(ended.pid);
            let Some(held) = self.held.iter_mut().find(mine) else {
                continue;
            };
            // What the program left in its process group ends with it.
            sys::kill(-ended.pid, SIGKILL);
            let (container, restart) = (held.container, held.restart);
            let success = ended.code == 0;
            let text = message::of(container, restart, success);
            if !text.is_empty() {
                self.record.message(&container.name, restart, &text);
            }
            if killed_for_memory(container) > held.killed_for_memory {
                self.record.out_of_memory(&container.name, restart);
            }
            self.record.exit(&container.name, restart, ended);
            let stopping = self.kill_at.is_some();
            let wait = held.after_exit(self.plan.restart, success, stopping, Instant::now());
            if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
                self.record.wait(&container.name, wait.as_secs());
            }
        }
        self.ask();
    }

    /// Does what the node has ordered.
    fn obey(&mut self) {
        for order in self.orders.take(self.folder) {
            let (Order::Started(restart, name)
            | Order::Kill(restart, _, name)
            | Order::Go(restart, name)) = &order;
            let meant = |h: &&mut Held<'_>| {
                h.container.name == *name && h.restart == *restart && h.pid().is_some()
            };
            let Some(held) = self.held.iter_mut().find(meant) else {
                continue;
            };
            match order {
                Order::Started(restart, name) => {
                    held.passed = true;
                    self.record.started(&name, restart);
                }
                Order::Kill(_, grace, _) => {
                    held.kill_at = Some(Instant::now() + Duration::from_secs(grace));
                    tree::signal(held.pid().unwrap_or_default(), SIGTERM);
                }
                Order::Go(..) => held.let_go = true,
            }
        }
        self.ask();
        self.kill_when_due();
    }

    /// Asks all processes to end; the folder may hold a shorter time than the plan's.
    fn stop(&mut self) {
        let written = launch::seconds_in(&self.folder.join("grace")).map(Duration::from_secs);
        self.end_within(written.unwrap_or(self.plan.grace));
    }

    /// Asks all processes to end within this time.
    fn end_within(&mut self, grace: Duration) {
        if self.kill_at.is_none() {
            self.record.ending();
        }
        let at = Instant::now() + grace;
        self.kill_at = Some(self.kill_at.map_or(at, |earlier| earlier.min(at)));
        let plain = |h: &Held<'_>| h.container.kind != Kind::Sidecar && h.let_go;
        if self.held.iter().all(plain) {
            tree::signal_all(SIGTERM);
        } else {
            let known: Vec<i32> = self.held.iter().filter_map(Held::pid).collect();
            for pid in tree::own().into_iter().filter(|pid| !known.contains(pid)) {
                tree::signal(pid, SIGTERM);
            }
            self.ask();
        }
        self.kill_when_due();
    }

    /// Once the pod is to end, asks those to end whose turn that is: sidecars in reverse order when
    /// no other container runs.
    fn ask(&mut self) {
        if self.kill_at.is_none() {
            return;
        }
        let runs = |h: &Held<'_>| h.pid().is_some();
        let is_sidecar = |h: &Held<'_>| h.container.kind == Kind::Sidecar;
        let last = self.held.iter().rposition(|h| runs(h) && is_sidecar(h));
        let others = self.held.iter().any(|h| runs(h) && !is_sidecar(h));
        for (index, held) in self.held.iter_mut().enumerate() {
            let turn = if others {
                !is_sidecar(held)
            } else {
                last == Some(index)
            };
            if let Some(pid) = held.pid()
                && turn
                && held.let_go
                && !held.asked
            {
                held.asked = true;
                tree::signal(pid, SIGTERM);
            }
        }
    }

    fn kill_when_due(&mut self) {
        let now = Instant::now();
        if self.kill_at.is_some_and(|at| at <= now) {
            if self.plan.engine.is_none() {
                tree::signal_all(SIGKILL);
            } else {
                let running = self.held.iter().filter_map(Held::pid);
                running.for_each(|pid| self.kill(pid));
            }
        }
        for held in &self.held {
            if let (Some(pid), Some(at)) = (held.pid(), held.kill_at)
                && at <= now
            {
                self.kill(pid);
            }
        }
    }

    /// Kills a container: its processes, or through the process that stands for it.
    fn kill(&self, pid: i32) {
        if self.plan.engine.is_some() {
            sys::kill(pid, engine::KILL);
        } else {
            tree::signal(pid, SIGKILL);
        }
    }
}

/// How many processes of a container's control group the kernel killed for their memory.
fn killed_for_memory(container: &Container) -> u64 {
    if let Some(wanted) = &container.wanted {
        return wanted.killed_for_memory();
    }
    let events = container
        .cgroup
        .as_ref()
        .map(|dir| dir.join("memory.events"));
    let text = events.and_then(|file| fs::read_to_string(file).ok());
    let count = text.as_deref().and_then(|text| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix("oom_kill "))
    });
    count
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}
