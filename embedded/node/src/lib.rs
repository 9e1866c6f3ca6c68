//! Pods as local processes, or as containers of an engine, over the API for one machine.
//!
//! [`Node`] registers the machine, gives pods their place on it and runs them, each held by a
//! small program that outlives this process: what it does is on disk, so a node that is killed at
//! any moment goes on where it was.
//!
//! What is decided (who runs, what a record means) is pure; around it are
//! thin steps that write folders, start holders and change objects. Nothing here polls.

mod attend;
mod cgroup;
mod changes;
mod claim;
mod engine;
mod environment;
mod exec;
mod expand;
mod holder;
mod hook;
mod hosts;
mod ignored;
mod image;
mod logs;
mod mount;
mod node;
mod options;
mod payload;
mod plan;
mod pod;
mod prepare;
mod probe;
mod record;
mod refusal;
mod registration;
mod rights;
mod run;
mod schedule;
mod service;
mod settings;
mod source;
mod spares;
mod status;
mod streams;
mod usage;
mod volume;

use diwan_embedded::{event, quantity};

pub use self::holder::{ENTRYPOINT, Isolation, install as install_entrypoint};
pub use self::hook::{PodFiles, PodHook};
pub use self::node::{Node, StartError};
pub use self::options::{AccountToken, NodeOptions, Runtime, TokenProvider};
