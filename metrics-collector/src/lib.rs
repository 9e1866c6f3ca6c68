//! Follows and parses what a trial says about itself.
//!
//! [`parse`] is pure: bytes go in, rows come out. [`tail`] follows a file that grows, [`watch`]
//! tells it when. [`collect()`] follows a file or an output, [`collect_events`] a folder of event
//! files, [`scrape()`] asks an endpoint; all hand rows to a [`Sink`] while the trial runs, each row
//! once, even over restarts, and say why the objective is unavailable if it is. [`StopRules`]
//! decides from the rows when a trial is to be stopped. [`sidecar`] is Katib's collector container.
//! Nothing here knows where rows are stored or how a trial is run.

pub mod absence;
mod any_certificate;
pub mod collect;
pub mod endpoint;
pub mod folder;
pub mod journal;
pub mod parse;
mod report;
pub mod scrape;
pub mod sidecar;
pub mod sink;
pub mod stop;
pub mod tail;
pub mod watch;

pub use absence::{Absence, Found};
pub use collect::{CollectError, Outcome, Source, collect};
pub use endpoint::{Endpoint, EndpointError};
pub use folder::{EventSource, collect_events};
pub use journal::{Journal, Manager};
pub use parse::{Damage, EventParser, ExpositionParser, FileFormat, ParseError, Parser};
pub use scrape::{ScrapeSource, scrape};
pub use sink::{Batch, Resume, Sink, SinkError};
pub use stop::{StopRuleError, StopRules};
pub use watch::Watcher;
