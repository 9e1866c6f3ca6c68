//! The record that the holder of a pod writes (see the entrypoint), read back.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// What is known of a pod's processes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Record {
    /// The holder's process id.
    pub(crate) holder: Option<i32>,
    /// The holder takes orders.
    pub(crate) takes_orders: bool,
    /// Its processes are asked to end.
    pub(crate) ending: bool,
    /// The containers that were started, or could not be.
    pub(crate) containers: BTreeMap<String, ContainerRecord>,
    /// When no process was left.
    pub(crate) ended: Option<Timestamp>,
}

/// What is known of one container.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ContainerRecord {
    /// How often it was started again.
    pub(crate) restarts: u32,
    /// Somebody found that this run has started.
    pub(crate) started: bool,
    /// How many seconds it waits to be started again.
    pub(crate) backoff: u64,
    /// What this run said last, and whether it had more memory than it may, before its end is known.
    last_words: (String, bool),
    /// What its program does now.
    pub(crate) current: Program,
    /// How the program before it ended.
    pub(crate) previous: Option<Program>,
}

/// One run of a container's program.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Program {
    /// It runs.
    Running {
        /// Its process id, which is that of its process group.
        pid: i32,
        /// When it started.
        started: Timestamp,
    },
    /// It ended.
    Exited {
        /// When it started.
        started: Timestamp,
        /// When it ended.
        finished: Timestamp,
        /// The exit code; 128 + signal when a signal ended it.
        code: i32,
        /// The signal that ended it, or 0.
        signal: i32,
        /// What it said last.
        message: String,
        /// The kernel killed a process of it for its memory.
        out_of_memory: bool,
    },
    /// It could not be started.
    NotStarted {
        /// When that was tried.
        at: Timestamp,
        /// Why.
        message: String,
    },
}

impl Default for Program {
    fn default() -> Self {
        Self::NotStarted {
            at: Timestamp::UNIX_EPOCH,
            message: String::new(),
        }
    }
}

impl ContainerRecord {
    /// The record of a container's first run.
    pub(crate) fn first(current: Program) -> Self {
        Self {
            current,
            ..Self::default()
        }
    }

    /// The process of its program while it runs.
    pub(crate) fn pid(&self) -> Option<i32> {
        match self.current {
            Program::Running { pid, .. } => Some(pid),
            _ => None,
        }
    }
}

impl Record {
    /// Reads a record; lines that are cut off or not known are passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let mut record = Self::default();
        for line in text.lines() {
            let _ = record.line(line);
        }
        record
    }

    /// Whether any program was started, or tried to be.
    pub(crate) fn started(&self) -> bool {
        !self.containers.is_empty()
    }

    /// Applies a line. `None`: it makes no sense.
    fn line(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "hold" => {
                let mut words = rest.split(' ');
                self.holder = words.next()?.parse().ok();
                self.takes_orders = words.nth(1) == Some("orders");
            }
            "started" => {
                let [restart, name] = split(rest)?;
                let container = self.run(name, restart)?;
                container.started = true;
            }
            "message" => {
                let [restart, name, text] = split(rest)?;
                self.run(name, restart)?.last_words.0 = unescape(text);
            }
            "oom" => {
                let [restart, name] = split(rest)?;
                self.run(name, restart)?.last_words.1 = true;
            }
            "wait" => {
                let [seconds, name] = split(rest)?;
                self.containers.get_mut(name)?.backoff = seconds.parse().ok()?;
            }
            "ending" => self.ending = true,
            "start" => {
                let [restart, pid, at, name] = split(rest)?;
                let (pid, started) = (pid.parse().ok()?, time(at)?);
                self.set(
                    name,
                    restart.parse().ok()?,
                    Program::Running { pid, started },
                );
            }
            "exit" => {
                let [restart, code, signal, at, name] = split(rest)?;
                let finished = time(at)?;
                let started = match self.containers.get(name)?.current {
                    Program::Running { started, .. } => started,
                    _ => finished,
                };
                let (code, signal) = (code.parse().ok()?, signal.parse().ok()?);
                let restart = restart.parse().ok()?;
                let container = self.containers.get_mut(name)?;
                let (message, out_of_memory) = std::mem::take(&mut container.last_words);
                container.current = Program::Exited {
                    started,
                    finished,
                    code,
                    signal,
                    message,
                    out_of_memory,
                };
                container.restarts = restart;
            }
            "fail" => {
                let [restart, at, name, message] = split(rest)?;
                let (at, message) = (time(at)?, message.to_owned());
                self.set(
                    name,
                    restart.parse().ok()?,
                    Program::NotStarted { at, message },
                );
            }
            "end" => self.ended = time(rest),
            _ => {}
        }
        Some(())
    }

    /// A container in this run.
    fn run(&mut self, name: &str, restart: &str) -> Option<&mut ContainerRecord> {
        let restart: u32 = restart.parse().ok()?;
        let container = self.containers.get_mut(name)?;
        (container.restarts == restart).then_some(container)
    }

    fn set(&mut self, name: &str, restarts: u32, current: Program) {
        let previous = self.containers.remove(name).map(|c| c.current);
        self.containers.insert(
            name.to_owned(),
            ContainerRecord {
                restarts,
                current,
                previous,
                ..ContainerRecord::default()
            },
        );
    }
}

/// Splits into `N` words, the last of which may hold blanks.
fn split<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.splitn(N, ' ').collect::<Vec<_>>().try_into().ok()
}

/// The text of a message: `\n` is a line feed, `\\` a backslash.
fn unescape(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.clone().next() == Some('n') => {
                rest.next();
                result.push('\n');
            }
            '\\' => result.extend(rest.next()),
            c => result.push(c),
        }
    }
    result
}

/// Reads nanoseconds since 1970.
fn time(text: &str) -> Option<Timestamp> {
    Timestamp::from_nanosecond(text.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn second(n: i64) -> Timestamp {
        Timestamp::from_second(n).unwrap()
    }

    #[test]
    fn a_record_tells_the_story_of_each_container() {
        let record = Record::parse(
            "hold 7 1000000000\nstart 0 8 2000000000 a\nexit 0 139 11 3000000000 a\n\
             start 1 9 4000000000 a\nfail 0 5000000000 b program not found: x\nend 6000000000\n",
        );
        assert_eq!((record.holder, record.ended), (Some(7), Some(second(6))));
        let a = &record.containers["a"];
        assert_eq!(
            (a.restarts, &a.current),
            (
                1,
                &Program::Running {
                    pid: 9,
                    started: second(4)
                }
            )
        );
        assert_eq!(
            a.previous,
            Some(Program::Exited {
                started: second(2),
                finished: second(3),
                code: 139,
                signal: 11,
                message: String::new(),
                out_of_memory: false,
            })
        );
        let message = "program not found: x".to_owned();
        assert_eq!(
            record.containers["b"].current,
            Program::NotStarted {
                at: second(5),
                message
            }
        );
    }

    #[test]
    fn what_is_known_of_a_run_ends_with_it() {
        let mut record = Record::parse(
            "hold 7 1 orders\nstart 0 8 2 ab\nstarted 0 ab\nstarted 1 ab\n\
             message 0 ab x\\ny\\\\n\noom 0 ab\nexit 0 137 9 3 ab\nwait 10 ab\nending 4\n",
        );
        assert!(record.takes_orders && record.ending);
        let container = &record.containers["ab"];
        assert!(container.started && container.backoff == 10);
        let Program::Exited {
            message,
            out_of_memory,
            ..
        } = &container.current
        else {
            panic!("{container:?}");
        };
        assert_eq!((message.as_str(), *out_of_memory), ("x\ny\\n", true));
        record.line("start 1 9 5 ab");
        let container = &record.containers["ab"];
        assert!(!container.started && container.backoff == 0 && container.pid() == Some(9));
    }

    #[test]
    fn a_record_that_is_cut_off_is_read_up_to_there() {
        let whole = "hold 7 1\nstart 0 8 2 a\nexit 0 0 0 3 a\nend 4\n";
        for end in 0..whole.len() {
            let record = Record::parse(&whole[..end]);
            assert!(
                record.ended.is_none() || end > whole.len() - 3,
                "cut at {end}"
            );
        }
    }
}
