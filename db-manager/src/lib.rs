//! The observation log: what trials reported, kept in a database and served over gRPC.
//!
//! [`ObservationStore`] is the port; each database is one file under `store/` and passes one
//! conformance suite. [`grpc::serve`] puts the service `api.v1.beta1.DBManager` of Katib in front
//! of any store, [`client::Client`] calls it. [`retention`] forgets what is old; [`katib`] reads the
//! settings of an existing installation. Metric values are opaque text here: nothing judges
//! whether a value is good.

pub mod client;
pub mod curve;
pub mod grpc;
pub mod katib;
pub mod reader;
pub mod retention;
pub mod store;
pub mod summary;
pub mod time;
pub mod token;
pub mod url;

pub use curve::{Curve, CurvePoint};
pub use store::{
    Delivery, Keep, LogQuery, ObservationStore, OpenOptions, Report, Schema, ServerStore,
    SourceRange, SqliteStore, StoreError, Swept, TrialRef,
};
pub use summary::Summary;
pub use token::TrialTokens;
