//! Why a pod's processes are not started.

use thiserror::Error;

/// Why a pod's processes are not started.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Something is missing that may still be created.
    #[error("{0}")]
    Waiting(String),
    /// Nothing that happens later can heal it.
    #[error("{0}")]
    Broken(String),
}

impl Refusal {
    /// Puts the name of what is concerned before the message.
    pub(crate) fn of(self, what: &str) -> Self {
        match self {
            Self::Waiting(message) => Self::Waiting(message),
            Self::Broken(message) => Self::Broken(format!("{what}: {message}")),
        }
    }
}
