//! The pod's plan as the node writes it: words, each ended by a NUL byte.
//!
//! ```text
//! diwan-pod-1
//! isolate none|root|user     restart never|onfailure|always     grace SECONDS     stage DIR
//! engine SOCKET
//! container NAME init|main|sidecar   (the words below belong to the container named last)
//!   log FILE-PREFIX          cwd DIR          user UID GID       group GID …
//!   arg TEXT …               env NAME=VALUE … mount SOURCE TARGET rw|ro …
//!   message FILE file|logs   await            held               policy never|onfailure|always
//!   readonly                 nonewprivileges  capabilities MASK  cgroup DIR
//!   create FILE NAME SIGNAL
//! end
//! ```
//!
//! `await`: others go on only when an order says that the container has started. `held`: it is
//! asked to end only when an order lets it go. `capabilities` are those it keeps. With `engine`,
//! containers are those of the engine that listens at the socket: `create` names the file with the
//! body of the request that creates one, its name and the signal that asks it to end.
//!
//! Words are bytes: a path or a variable may hold anything but NUL. `end` proves that the plan is
//! whole.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::Wanted;

/// How a container gets mounts of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Not at all: the container sees the machine's file system.
    None,
    /// A mount namespace, made by root.
    Root,
    /// A mount namespace inside a user namespace, made by an ordinary user.
    User,
}

impl Isolation {
    /// The word for it in plans and in the output of `probe`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Root => "root",
            Self::User => "user",
        }
    }
}

/// When a container that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    /// Never.
    Never,
    /// When it failed.
    OnFailure,
    /// Always.
    Always,
}

/// When a container has its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With the others, after those that come first.
    #[default]
    Main,
    /// It runs, and ends, before the others start.
    Init,
    /// It starts in its turn among those that come first and runs until the others have ended.
    Sidecar,
}

/// A file or folder of the machine that a container sees elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The file or folder.
    pub(crate) source: PathBuf,
    /// Where the container sees it.
    pub(crate) target: PathBuf,
    /// The container may not change it.
    pub(crate) read_only: bool,
}

/// One container of the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Container {
    /// Its name.
    pub(crate) name: String,
    /// When it has its turn.
    pub(crate) kind: Kind,
    /// The log file without the number of the restart and `.log`.
    pub(crate) log: PathBuf,
    /// The working directory.
    pub(crate) directory: PathBuf,
    /// User and group, when they are not those of the node.
    pub(crate) user: Option<(u32, u32)>,
    /// Groups beside the user's.
    pub(crate) groups: Vec<u32>,
    /// The program and its arguments.
    pub(crate) arguments: Vec<CString>,
    /// Variables as `NAME=VALUE`.
    pub(crate) environment: Vec<CString>,
    /// What it sees elsewhere, parents before what lies in them.
    pub(crate) mounts: Vec<Mount>,
    /// The file with its last words, and whether the end of its log stands in for them.
    pub(crate) message: Option<(PathBuf, bool)>,
    /// Others go on only when an order says that it has started.
    pub(crate) awaited: bool,
    /// It is asked to end only when an order lets it go.
    pub(crate) held_back: bool,
    /// When it is started again, if not like the others.
    pub(crate) policy: Option<Restart>,
    /// It may write to its volumes only.
    pub(crate) read_only: bool,
    /// No program of it gets more rights than it has.
    pub(crate) no_new_privileges: bool,
    /// The capabilities that it keeps, by number.
    pub(crate) capabilities: Option<u64>,
    /// The control group it runs in.
    pub(crate) cgroup: Option<PathBuf>,
    /// What an engine is to make, where one runs the containers.
    pub(crate) wanted: Option<Wanted>,
}

/// What the holder does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How containers get their mounts.
    pub(crate) isolation: Isolation,
    /// When containers are started again.
    pub(crate) restart: Restart,
    /// How long processes may take to end after SIGTERM.
    pub(crate) grace: Duration,
    /// An empty folder over which folders are assembled.
    pub(crate) stage: PathBuf,
    /// The socket of the engine that runs the containers, where one does.
    pub(crate) engine: Option<PathBuf>,
    /// The containers, init containers first.
    pub(crate) containers: Vec<Container>,
}

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// The text is cut off or holds a word that is not known; the message names it.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let mut words = Words { rest: text };
        if words.next()? != b"diwan-pod-1" {
            return Err("not a plan of this version".into());
        }
        let mut plan = Self {
            isolation: Isolation::None,
            restart: Restart::Never,
            grace: Duration::from_secs(30),
            stage: PathBuf::new(),
            engine: None,
            containers: Vec::new(),
        };
        loop {
            match words.next()? {
                b"end" => return Ok(plan),
                b"isolate" => plan.isolation = isolation(words.next()?)?,
                b"restart" => plan.restart = restart(words.next()?)?,
                b"grace" => plan.grace = Duration::from_secs(words.number()?),
                b"stage" => plan.stage = words.path()?,
                b"engine" => plan.engine = Some(words.path()?),
                b"container" => {
                    let name = words.text()?;
                    let kind = match words.next()? {
                        b"init" => Kind::Init,
                        b"sidecar" => Kind::Sidecar,
                        _ => Kind::Main,
                    };
                    plan.containers.push(Container {
                        name,
                        kind,
                        ..Container::default()
                    });
                }
                word => {
                    let container = plan.containers.last_mut().ok_or("no container is named")?;
                    container_word(container, word, &mut words)?;
                }
            }
        }
    }
}

/// Reads one property of a container.
fn container_word(
    container: &mut Container,
    word: &[u8],
    words: &mut Words<'_>,
) -> Result<(), String> {
    match word {
        b"log" => container.log = words.path()?,
        b"cwd" => container.directory = words.path()?,
        b"user" => container.user = Some((words.number()? as u32, words.number()? as u32)),
        b"group" => container.groups.push(words.number()? as u32),
        b"message" => container.message = Some((words.path()?, words.next()? == b"logs")),
        b"await" => container.awaited = true,
        b"held" => container.held_back = true,
        b"policy" => container.policy = Some(restart(words.next()?)?),
        b"readonly" => container.read_only = true,
        b"nonewprivileges" => container.no_new_privileges = true,
        b"capabilities" => container.capabilities = Some(words.number()?),
        b"cgroup" => container.cgroup = Some(words.path()?),
        b"create" => {
            container.wanted = Some(Wanted {
                file: words.path()?,
                name: words.text()?,
                signal: words.text()?,
            });
        }
        b"arg" => container.arguments.push(words.c_string()?),
        b"env" => container.environment.push(words.c_string()?),
        b"mount" => container.mounts.push(Mount {
            source: words.path()?,
            target: words.path()?,
            read_only: words.next()? == b"ro",
        }),
        other => return Err(format!("unknown word {}", String::from_utf8_lossy(other))),
    }
    Ok(())
}

fn isolation(word: &[u8]) -> Result<Isolation, String> {
    match word {
        b"none" => Ok(Isolation::None),
        b"root" => Ok(Isolation::Root),
        b"user" => Ok(Isolation::User),
        _ => Err("unknown isolation".into()),
    }
}

fn restart(word: &[u8]) -> Result<Restart, String> {
    match word {
        b"never" => Ok(Restart::Never),
        b"onfailure" => Ok(Restart::OnFailure),
        b"always" => Ok(Restart::Always),
        _ => Err("unknown restart policy".into()),
    }
}

/// The words that are left.
struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<&'a [u8], String> {
        let end = self
            .rest
            .iter()
            .position(|b| *b == 0)
            .ok_or("the plan is cut off")?;
        let (word, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        Ok(word)
    }
    fn text(&mut self) -> Result<String, String> {
        Ok(String::from_utf8_lossy(self.next()?).into_owned())
    }
    fn path(&mut self) -> Result<PathBuf, String> {
        Ok(PathBuf::from(OsStr::from_bytes(self.next()?)))
    }
    fn number(&mut self) -> Result<u64, String> {
        let text = self.text()?;
        text.parse().map_err(|_| format!("not a number: {text}"))
    }
    fn c_string(&mut self) -> Result<CString, String> {
        CString::new(self.next()?).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<u8> {
        words.iter().flat_map(|w| w.bytes().chain([0])).collect()
    }

    #[test]
    fn a_whole_plan_is_read() {
        let text = words(&[
            "diwan-pod-1",
            "isolate",
            "user",
            "restart",
            "onfailure",
            "grace",
            "3",
            "stage",
            "/s",
            "container",
            "a",
            "init",
            "log",
            "/l/a.",
            "cwd",
            "/",
            "arg",
            "true",
            "container",
            "b",
            "main",
            "user",
            "5",
            "6",
            "env",
            "A=1\n2",
            "mount",
            "/x",
            "/y",
            "ro",
            "end",
        ]);
        let plan = Plan::parse(&text).unwrap();
        assert_eq!(plan.isolation, Isolation::User);
        assert_eq!(plan.restart, Restart::OnFailure);
        assert_eq!(plan.grace, Duration::from_secs(3));
        assert_eq!(
            (plan.containers[0].kind, plan.containers[1].kind),
            (Kind::Init, Kind::Main)
        );
        assert_eq!(plan.containers[0].arguments, [c"true".to_owned()]);
        assert_eq!(plan.containers[1].user, Some((5, 6)));
        assert_eq!(plan.containers[1].environment, [c"A=1\n2".to_owned()]);
        assert!(plan.containers[1].mounts[0].read_only);
    }

    #[test]
    fn a_plan_that_is_cut_off_anywhere_is_refused() {
        let text = words(&[
            "diwan-pod-1",
            "container",
            "a",
            "main",
            "arg",
            "true",
            "end",
        ]);
        for end in 0..text.len() {
            assert!(Plan::parse(&text[..end]).is_err(), "cut at {end}");
        }
        assert!(Plan::parse(&text).is_ok());
    }

    #[test]
    fn an_unknown_word_is_named() {
        let text = words(&["diwan-pod-1", "container", "a", "main", "colour", "end"]);
        assert_eq!(Plan::parse(&text), Err("unknown word colour".into()));
    }
}
