//! Leader election: of several replicas, the one that holds a Lease runs the controllers.
//!
//! The record is that of client-go, so others read it alike: whoever renews the Lease within its
//! duration has it. Times in the record are for people; a follower counts from the moment at which
//! it saw the record change, so clocks need not agree.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How the Lease is held.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// After so long without a renewal others take it.
    pub duration: Duration,
    /// After so long without a renewal the holder gives up: before others take it.
    pub renew_within: Duration,
    /// How often it is renewed.
    pub renewal: Duration,
    /// How often it is looked at, and renewal tried again.
    pub period: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(10),
            renew_within: Duration::from_secs(7),
            renewal: Duration::from_secs(3),
            period: Duration::from_secs(2),
        }
    }
}

/// A candidate for one Lease.
pub struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
    timing: Timing,
    seen: Option<Seen>,
    /// As we last wrote it: enough to renew it without a look.
    held: Option<Lease>,
}

/// The record as it was last seen to change.
struct Seen {
    spec: LeaseSpec,
    at: Instant,
}

/// What a look at the record leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is ours: renew it.
    Renew,
    /// Nobody holds it: take it.
    Take,
    /// Somebody does.
    Wait,
}

impl Election {
    /// A candidate under this identity, which no other has.
    pub fn new(client: &Client, namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            timing: Timing::default(),
            seen: None,
            held: None,
        }
    }

    /// With other times, for tests.
    #[must_use]
    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Waits until the Lease is held; false when told to stop first.
    pub async fn win(&mut self, stop: &CancellationToken) -> bool {
        loop {
            let limit = self.timing.renew_within;
            let attempt = tokio::time::timeout(limit, self.attempt());
            match stop.run_until_cancelled(attempt).await {
                None => return false,
                Some(Ok(Ok(true))) => return true,
                Some(Ok(Ok(false))) => {}
                Some(Ok(Err(error))) => tracing::warn!(lease = self.name, "{error}"),
                Some(Err(_)) => tracing::warn!(lease = self.name, "the API server does not answer"),
            }
            if stop
                .run_until_cancelled(sleep(self.timing.period))
                .await
                .is_none()
            {
                return false;
            }
        }
    }

    /// Renews the Lease until told to stop, and then gives it back; returns earlier when it is
    /// lost. What depends on it has to end then.
    pub async fn hold(&mut self, stop: &CancellationToken) {
        let mut renewed = Instant::now();
        let mut pause = self.timing.renewal;
        loop {
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                self.give_back().await;
                return;
            }
            let left = self.timing.renew_within.saturating_sub(renewed.elapsed());
            // Others count from the write, which may be long before its answer.
            let begun = Instant::now();
            match tokio::time::timeout(left, self.attempt()).await {
                Ok(Ok(true)) => {
                    renewed = begun;
                    pause = self.timing.renewal;
                    continue;
                }
                Ok(Ok(false)) => {
                    tracing::warn!(lease = self.name, "somebody else has taken the lease");
                    return;
                }
                Ok(Err(error)) => tracing::warn!(lease = self.name, "{error}"),
                Err(_) => {}
            }
            pause = self.timing.period;
            if renewed.elapsed() >= self.timing.renew_within {
                tracing::warn!(lease = self.name, "the lease could not be renewed in time");
                return;
            }
        }
    }

    /// Looks at the record, and takes or renews it where that is due; whether it is ours now.
    async fn attempt(&mut self) -> kube::Result<bool> {
        if let Some(mut lease) = self.held.take() {
            lease.spec = Some(self.record(lease.spec.as_ref()));
            if self.write(&lease).await? {
                return Ok(true);
            }
        }
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.record(None)),
            };
            let created = self.api.create(&PostParams::default(), &lease).await;
            return self.won(created);
        };
        let spec = lease.spec.unwrap_or_default();
        let step = self.step(&spec, Instant::now());
        lease.spec = Some(match step {
            Step::Wait => return Ok(false),
            Step::Renew | Step::Take => self.record(Some(&spec)),
        });
        self.write(&lease).await
    }

    /// Writes the record, unless somebody else did since it was read; whether it is ours now.
    async fn write(&mut self, lease: &Lease) -> kube::Result<bool> {
        let params = PostParams::default();
        let written = self.api.replace(&self.name, &params, lease).await;
        self.won(written)
    }

    /// A write that another came before is no error: the record is theirs.
    fn won(&mut self, written: kube::Result<Lease>) -> kube::Result<bool> {
        match written {
            Ok(lease) => {
                self.held = Some(lease);
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn step(&mut self, spec: &LeaseSpec, now: Instant) -> Step {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder == self.identity {
            return Step::Renew;
        }
        if holder.is_empty() {
            return Step::Take;
        }
        let unchanged = self.seen.as_ref().filter(|seen| seen.spec == *spec);
        let Some(seen) = unchanged else {
            self.seen = Some(Seen {
                spec: spec.clone(),
                at: now,
            });
            return Step::Wait;
        };
        let seconds = spec.lease_duration_seconds.unwrap_or_default();
        let duration = u64::try_from(seconds).map_or(self.timing.duration, Duration::from_secs);
        if now.duration_since(seen.at) >= duration {
            Step::Take
        } else {
            Step::Wait
        }
    }

    fn record(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = Some(MicroTime(Timestamp::now()));
        let mine = |spec: &&LeaseSpec| spec.holder_identity.as_ref() == Some(&self.identity);
        let kept = before.filter(mine);
        let changes = before.and_then(|spec| spec.lease_transitions).unwrap_or(-1);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.timing.duration.as_secs().max(1)).ok(),
            acquire_time: kept.map_or(now.clone(), |spec| spec.acquire_time.clone()),
            renew_time: now,
            lease_transitions: Some(kept.map_or(changes + 1, |spec| {
                spec.lease_transitions.unwrap_or_default()
            })),
            ..LeaseSpec::default()
        }
    }

    /// Lets the next one take it at once.
    async fn give_back(&self) {
        let released = async {
            let mut lease = self.api.get(&self.name).await?;
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_ref() == Some(&self.identity) {
                spec.holder_identity = Some(String::new());
                let params = PostParams::default();
                self.api.replace(&self.name, &params, &lease).await?;
            }
            Ok::<(), kube::Error>(())
        };
        match tokio::time::timeout(self.timing.renew_within, released).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(lease = self.name, "can't give the lease back: {error}");
            }
            Err(_) => tracing::warn!(lease = self.name, "can't give the lease back in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate() -> Election {
        let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            Ok::<_, tower::BoxError>(http::Response::new(kube::client::Body::empty()))
        });
        Election::new(&Client::new(service, "default"), "default", "lease", "me")
    }

    fn held_by(holder: &str, renewed: i64) -> LeaseSpec {
        let time = Timestamp::from_second(renewed).unwrap();
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(10),
            renew_time: Some(MicroTime(time)),
            ..LeaseSpec::default()
        }
    }

    #[tokio::test]
    async fn a_lease_is_taken_when_nobody_renews_it_by_our_own_clock() {
        let mut me = candidate();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(me.step(&held_by("me", 0), begin), Step::Renew);
        assert_eq!(me.step(&held_by("", 0), begin), Step::Take);
        // Its times are years old: that says nothing.
        assert_eq!(me.step(&held_by("other", 0), begin), Step::Wait);
        assert_eq!(me.step(&held_by("other", 0), at(9)), Step::Wait);
        assert_eq!(me.step(&held_by("other", 9), at(10)), Step::Wait);
        assert_eq!(me.step(&held_by("other", 9), at(19)), Step::Wait);
        assert_eq!(me.step(&held_by("other", 9), at(20)), Step::Take);
    }

    #[tokio::test]
    async fn taking_counts_and_renewing_keeps() {
        let me = candidate();
        let mut theirs = held_by("other", 5);
        theirs.lease_transitions = Some(3);
        let taken = me.record(Some(&theirs));
        assert_eq!(taken.lease_transitions, Some(4));
        assert_eq!(taken.acquire_time, taken.renew_time);
        let mut mine = held_by("me", 5);
        mine.acquire_time.clone_from(&mine.renew_time);
        mine.lease_transitions = Some(4);
        let renewed = me.record(Some(&mine));
        assert_eq!(renewed.acquire_time, mine.acquire_time);
        assert_eq!(renewed.lease_transitions, Some(4));
        assert_eq!(me.record(None).lease_transitions, Some(0));
    }
}
