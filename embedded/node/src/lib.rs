//! Pods as local processes, and Jobs, over the API for one machine.
//!
//! [`Node`] registers the machine, gives pods their place on it and runs them, each held by a
//! small program that outlives this process: what it does is on disk, so a node that is killed at
//! any moment goes on where it was. [`JobController`] makes the pods of Jobs.
//!
//! What is decided (who runs, what a record means, what a Job needs next) is pure; around it are
//! thin steps that write folders, start holders and change objects. Nothing here polls.

mod changes;
mod environment;
mod event;
mod expand;
mod holder;
mod hook;
mod image;
mod job;
mod logs;
mod node;
mod options;
mod pod;
mod prepare;
mod quantity;
mod record;
mod refusal;
mod registration;
mod run;
mod schedule;
mod settings;
mod source;
mod spares;
mod status;
mod volume;

pub use self::holder::{ENTRYPOINT, Isolation, install as install_entrypoint};
pub use self::hook::{PodFiles, PodHook};
pub use self::job::JobController;
pub use self::node::{Node, StartError};
pub use self::options::{NodeOptions, TokenProvider};
