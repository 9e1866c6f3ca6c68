//! Conversions between the messages and the vocabulary, as `From` and `TryFrom`.
//!
//! Messages have no unset numbers, so a goal, a count or a number of layers of zero reads as unset.

mod early_stopping;
mod experiment;
mod observation_log;
mod parameter;
mod suggestion;
mod trial;

pub use trial::trials_for_algorithm;

use crate::v1beta1 as message;

/// A message that has no meaning in the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// An entry of an observation log without name and value.
    #[error("metric log of {time_stamp:?} has no metric")]
    NoMetric {
        /// Time stamp of the entry.
        time_stamp: String,
    },
}

/// Names and values of settings and assignments: the same pair under several names.
macro_rules! same_pair {
    ($($message:ty => $type:ty),+ $(,)?) => {$(
        impl From<$type> for $message {
            fn from(pair: $type) -> Self {
                Self { name: pair.name, value: pair.value }
            }
        }
        impl From<$message> for $type {
            fn from(pair: $message) -> Self {
                Self { name: pair.name, value: pair.value }
            }
        }
    )+};
}
same_pair! {
    message::AlgorithmSetting => diwan_api::AlgorithmSetting,
    message::EarlyStoppingSetting => diwan_api::AlgorithmSetting,
    message::ParameterAssignment => diwan_api::ParameterAssignment,
}

/// Converts each element of a list.
fn each<A, B: From<A>>(list: impl IntoIterator<Item = A>) -> Vec<B> {
    list.into_iter().map(B::from).collect()
}
