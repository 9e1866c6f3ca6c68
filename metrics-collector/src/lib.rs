//! Follows and parses what a trial says about itself.
//!
//! [`parse`] is pure: bytes go in, rows come out. [`tail`] follows a file that grows, [`watch`]
//! tells it when. [`collect()`] puts them together and hands rows to a [`Sink`] while the trial
//! runs, each row once, even over restarts. Nothing here knows where rows are stored or how a
//! trial is run.

pub mod collect;
pub mod parse;
pub mod sink;
pub mod tail;
pub mod watch;

pub use collect::{CollectError, Outcome, Source, collect};
pub use parse::{Damage, EventParser, FileFormat, ParseError, Parser};
pub use sink::{Batch, Resume, Sink, SinkError};
pub use watch::Watcher;
