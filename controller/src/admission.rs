//! What is done to objects before they are stored: defaults filled in, everything that is wrong
//! named at once, pods of trials prepared.
//!
//! Pure functions over JSON: the embedded API calls them, and so will the webhooks of a cluster.
//! What they do not know they leave as it is.

pub mod experiment;
pub mod image_program;
pub mod injection;
pub mod mark;
pub mod owner;
pub mod pod;
pub mod trial;
mod type_error;

use diwan_api::FieldErrors;

/// Why an object is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It can't be read as what it says it is.
    #[error("{kind} can't be read: {detail}")]
    Unreadable {
        /// The kind that it says it is.
        kind: &'static str,
        /// What does not fit.
        detail: String,
    },
    /// Fields are wrong.
    #[error("{0}")]
    Fields(FieldErrors),
}

impl From<FieldErrors> for Denied {
    fn from(errors: FieldErrors) -> Self {
        Self::Fields(errors)
    }
}
