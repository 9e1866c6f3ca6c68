//! What is forgotten, and when.
//!
//! Ids of batches go after a day. Logs are kept for ever unless an age is set; then the log of a
//! trial goes as a whole when the trial has reported nothing for that long, counted by the clock of
//! this program and not by the time stamps in the log. (Katib's table doesn't tell when its rows
//! came, so there it is the latest time stamp; logs without any known time are kept.)

use std::{future::Future, str::FromStr, sync::Arc, time::Duration};

use crate::store::{BATCHES_KEPT, Keep, ObservationStore, StoreError, Swept};

/// How often a store is swept.
const EVERY: Duration = Duration::from_hours(1);

/// An age, such as `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(pub Duration);

/// A text that is no age.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("age {0:?} is not a number with s, m, h, d or w behind it, such as 30d")]
pub struct AgeError(String);

impl FromStr for Age {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Self, AgeError> {
        let error = || AgeError(text.to_owned());
        let unit = text.chars().last().ok_or_else(error)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            _ => return Err(error()),
        };
        let number: u32 = text[..text.len() - 1].parse().map_err(|_| error())?;
        Ok(Self(Duration::from_secs(u64::from(number) * seconds)))
    }
}

/// Forgets what is older than wanted, counted from `now`, in microseconds since 1970.
pub async fn sweep(
    store: &dyn ObservationStore,
    keep_logs: Option<Age>,
    now: i64,
) -> Result<Swept, StoreError> {
    let before = |age: Duration| {
        let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        now.saturating_sub(age)
    };
    let keep = Keep {
        logs_since: keep_logs.map(|age| before(age.0)),
        batches_since: before(BATCHES_KEPT),
    };
    store.sweep(keep).await
}

/// Sweeps a store now and every hour, until `shutdown` is ready.
pub async fn run(
    store: Arc<dyn ObservationStore>,
    keep_logs: Option<Age>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut times = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            _ = times.tick() => {}
        }
        let now = jiff::Timestamp::now().as_microsecond();
        match sweep(&*store, keep_logs, now).await {
            Ok(Swept { trials: 0, .. }) => {}
            Ok(Swept { trials, .. }) => tracing::info!(trials, "old observation logs were removed"),
            Err(StoreError::Closed) => return,
            Err(error) => tracing::warn!(%error, "old observation logs could not be removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_numbers_with_a_unit() {
        let days = |days: u64| Ok(Age(Duration::from_secs(days * 86_400)));
        for (text, expected) in [("30d", days(30)), ("2w", days(14)), ("48h", days(2))] {
            assert_eq!(text.parse(), expected);
        }
        for text in ["", "d", "30", "-1d", "1.5d", "30 d", "3é", "30D"] {
            assert_eq!(text.parse::<Age>(), Err(AgeError(text.to_owned())));
        }
    }
}
