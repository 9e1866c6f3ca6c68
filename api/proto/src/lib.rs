//! The gRPC contract `api.v1.beta1` of Katib: generated types, services, and the conversions
//! between them and the vocabulary of `diwan-api`.
//!
//! Nothing here opens a connection.

mod convert;
pub mod metadata;

pub use convert::{ConvertError, trials_for_algorithm};

/// The generated messages, clients and servers of package `api.v1.beta1`.
#[allow(
    missing_docs,
    clippy::pedantic,
    unreachable_pub,
    elided_lifetimes_in_paths
)]
pub mod v1beta1 {
    tonic::include_proto!("api.v1.beta1");
}

/// The serialized descriptor set, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// The service name under which suggestion services report their health, as the pod probes of
/// Katib send it.
pub const SUGGESTION_HEALTH_SERVICE: &str = "manager.v1beta1.Suggestion";
