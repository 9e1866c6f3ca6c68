//! One container of a held pod: where it stands and what follows the end of its program. Pure but
//! for the clock's type.

use std::time::{Duration, Instant};

use crate::plan::{Container, Kind, Restart};

/// The first wait before a container is started again, the first time without any; it doubles.
const FIRST_BACKOFF: Duration = Duration::from_secs(10);
/// The longest wait before a container is started again.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);
/// How long a container must have run for the wait to start over.
const CALM: Duration = Duration::from_mins(10);

/// Where a container stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum State {
    /// To be started at this moment.
    Due(Instant),
    /// Its program runs.
    Running {
        /// The program's process.
        pid: i32,
        /// When it was started.
        since: Instant,
    },
    /// Ended for good; whether it succeeded.
    Done(bool),
}

/// One container and how often it was started.
pub(crate) struct Held<'a> {
    pub(crate) container: &'a Container,
    pub(crate) state: State,
    /// Which run this is.
    pub(crate) restart: u32,
    backoff: Duration,
    /// Those after it may start.
    pub(crate) passed: bool,
    /// It may be asked to end.
    pub(crate) let_go: bool,
    /// It was asked to end.
    pub(crate) asked: bool,
    /// When this run is killed.
    pub(crate) kill_at: Option<Instant>,
    /// How many processes the kernel had killed for their memory when this run began.
    pub(crate) killed_for_memory: u64,
}

impl<'a> Held<'a> {
    pub(crate) fn new(container: &'a Container, now: Instant) -> Self {
        Self {
            container,
            state: State::Due(now),
            restart: 0,
            backoff: Duration::ZERO,
            passed: false,
            let_go: !container.held_back,
            asked: false,
            kill_at: None,
            killed_for_memory: 0,
        }
    }

    /// The program's process while it runs.
    pub(crate) fn pid(&self) -> Option<i32> {
        match self.state {
            State::Running { pid, .. } => Some(pid),
            _ => None,
        }
    }

    /// Whether the pod is not over for its sake.
    pub(crate) fn has_work(&self) -> bool {
        let counts = self.container.kind != Kind::Sidecar || !self.passed;
        counts && !matches!(self.state, State::Done(_))
    }

    /// The program runs.
    pub(crate) fn start(&mut self, pid: i32, now: Instant) {
        self.state = State::Running { pid, since: now };
        self.passed |= !self.container.awaited;
        self.let_go = !self.container.held_back;
        self.asked = false;
        self.kill_at = None;
    }

    /// Decides what follows the end of the program; returns how long the container waits to be
    /// started again.
    pub(crate) fn after_exit(
        &mut self,
        plan: Restart,
        success: bool,
        stopping: bool,
        now: Instant,
    ) -> Option<Duration> {
        let State::Running { since, .. } = self.state else {
            return None;
        };
        self.kill_at = None;
        if stopping || !self.again(plan, success) {
            self.state = State::Done(success);
            return None;
        }
        if now.duration_since(since) >= CALM {
            self.backoff = Duration::ZERO;
        }
        let wait = self.backoff;
        self.state = State::Due(now + wait);
        self.backoff = (wait * 2).clamp(FIRST_BACKOFF, LONGEST_BACKOFF);
        self.restart += 1;
        Some(wait)
    }

    fn again(&self, plan: Restart, success: bool) -> bool {
        let kind = self.container.kind;
        if kind == Kind::Sidecar {
            return true;
        }
        match self.container.policy.unwrap_or(plan) {
            Restart::Never => false,
            Restart::OnFailure => !success,
            Restart::Always => !success || kind == Kind::Main,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_after_a_first_restart_at_once_and_start_over_after_calm() {
        let container = Container::default();
        let mut now = Instant::now();
        let mut held = Held::new(&container, now);
        let mut crash = |held: &mut Held<'_>, ran: u64| {
            held.start(1, now);
            now += Duration::from_secs(ran);
            let wait = held.after_exit(Restart::OnFailure, false, false, now);
            wait.unwrap().as_secs()
        };
        let waits: Vec<u64> = (0..8).map(|_| crash(&mut held, 1)).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(crash(&mut held, 600), 0);
        assert_eq!(crash(&mut held, 1), 10);
        assert_eq!(held.restart, 10);
    }

    #[test]
    fn who_is_started_again_follows_its_kind_and_policy() {
        use Restart::{Always, Never, OnFailure};
        let check = |kind, policy, plan, success, again| {
            let container = Container {
                kind,
                policy,
                ..Container::default()
            };
            let held = Held::new(&container, Instant::now());
            assert_eq!(held.again(plan, success), again, "{container:?} {plan:?}");
        };
        for (kind, policy, plan, success, again) in [
            (Kind::Main, None, Never, false, false),
            (Kind::Main, None, OnFailure, false, true),
            (Kind::Main, None, OnFailure, true, false),
            (Kind::Main, None, Always, true, true),
            (Kind::Main, Some(Never), Always, true, false),
            (Kind::Init, None, Always, true, false),
            (Kind::Init, None, Always, false, true),
            (Kind::Sidecar, None, Never, true, true),
        ] {
            check(kind, policy, plan, success, again);
        }
    }
}
