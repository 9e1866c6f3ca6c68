//! What calls carry beside their messages, which name a trial but not its namespace.

use tonic::Status;
use tonic::metadata::MetadataMap;

/// The namespace of the trials that a call names.
pub const NAMESPACE_KEY: &str = "diwan-namespace";
/// What shows that the caller may act for the trial.
pub const TOKEN_KEY: &str = "diwan-trial-token";
/// The id of a report; a second report of the trial with the same id is not stored.
pub const BATCH_KEY: &str = "diwan-batch";

/// Reads a value; an empty one counts as not sent.
///
/// # Errors
/// It is no ASCII text.
pub fn text(metadata: &MetadataMap, key: &str) -> Result<Option<String>, Status> {
    let Some(value) = metadata.get(key) else {
        return Ok(None);
    };
    let value = value
        .to_str()
        .map_err(|_| Status::invalid_argument(format!("metadata {key} is not ascii text")))?;
    Ok(Some(value.to_owned()).filter(|value| !value.is_empty()))
}
