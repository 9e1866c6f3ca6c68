//! Probes: what they ask, when, and what follows from the answers.

mod grpc;
mod http;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

pub(crate) use self::http::get;
use crate::exec::Inside;

/// When a probe asks and how many answers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    delay: Duration,
    pub(crate) period: Duration,
    limit: Duration,
    success: u32,
    failure: u32,
}

impl Timing {
    /// Reads it, with the defaults of Kubernetes.
    pub(crate) fn of(probe: &Probe) -> Self {
        let seconds = |value: Option<i32>, default: u64| {
            Duration::from_secs(value.map_or(default, |n| n.max(0) as u64))
        };
        let at_least_one =
            |value: Option<i32>, default: u64| seconds(value.filter(|n| *n > 0), default);
        let count = |value: Option<i32>, default: u32| {
            value.filter(|n| *n > 0).map_or(default, |n| n as u32)
        };
        Self {
            delay: seconds(probe.initial_delay_seconds, 0),
            period: at_least_one(probe.period_seconds, 10),
            limit: at_least_one(probe.timeout_seconds, 1),
            success: count(probe.success_threshold, 1),
            failure: count(probe.failure_threshold, 3),
        }
    }

    /// When the first question is asked of a container that has run for so long.
    pub(crate) fn first(&self, now: Instant, ran: Duration) -> Instant {
        now + self.delay.saturating_sub(ran)
    }
}

/// Counts answers.
#[derive(Debug)]
pub(crate) struct Tally {
    timing: Timing,
    last: Option<bool>,
    count: u32,
}

impl Tally {
    pub(crate) fn new(timing: Timing) -> Self {
        Self {
            timing,
            last: None,
            count: 0,
        }
    }

    /// Adds an answer; returns what is now known, once enough answers in a row were the same.
    pub(crate) fn add(&mut self, success: bool) -> Option<bool> {
        if self.last != Some(success) {
            (self.last, self.count) = (Some(success), 0);
        }
        self.count += 1;
        let wanted = if success {
            self.timing.success
        } else {
            self.timing.failure
        };
        (self.count >= wanted).then_some(success)
    }
}

/// Asks once; `host` is the pod's address.
///
/// # Errors
/// Says what the answer was, or why there was none.
pub(crate) async fn ask(
    probe: &Probe,
    container: &Container,
    inside: &Inside,
    host: &str,
) -> Result<(), String> {
    let limit = Timing::of(probe).limit;
    if let Some(action) = &probe.exec {
        let words = action.command.clone().unwrap_or_default();
        return match timeout(limit, inside.output(&words)).await {
            Ok(Ok((0, _))) => Ok(()),
            Ok(Ok((_, output))) => Err(output),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(format!(
                "command timed out: {:?} timed out after {}s",
                words.join(" "),
                limit.as_secs()
            )),
        };
    }
    let late = |what: String| format!("{what}: context deadline exceeded");
    if let Some(action) = &probe.http_get {
        let answer = timeout(limit, get(action, container, host)).await;
        return answer.unwrap_or_else(|_| {
            Err(late(format!(
                "Get {:?}",
                http::url(action, container, host)
            )))
        });
    }
    if let Some(action) = &probe.tcp_socket {
        let port = port(&action.port, container)?;
        let host = action.host.as_deref().unwrap_or(host);
        let answer = timeout(limit, connect(host, port)).await;
        return answer
            .unwrap_or_else(|_| Err(format!("dial tcp {host}:{port}: i/o timeout")))
            .map(drop);
    }
    if let Some(action) = &probe.grpc {
        let answer = timeout(limit, grpc::check(action, host)).await;
        return answer.unwrap_or_else(|_| {
            let text = format!(
                "timeout: failed to connect service \"{host}:{}\"",
                action.port
            );
            Err(late(text))
        });
    }
    Err("the probe names no action".into())
}

/// Connects to a port.
///
/// # Errors
/// Says why that is refused.
pub(crate) async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    TcpStream::connect((host, port)).await.map_err(|error| {
        let text = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            _ => error.to_string(),
        };
        format!("dial tcp {host}:{port}: {text}")
    })
}

/// The number of a port that may be named.
///
/// # Errors
/// No port of the container has that name, or there is no such number.
pub(crate) fn port(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let found = ports.find(|p| p.name.as_ref() == Some(name));
            found
                .map(|p| p.container_port)
                .or_else(|| name.parse().ok())
                .ok_or_else(|| {
                    format!(
                        "couldn't find port {name:?} in container {:?}",
                        container.name
                    )
                })?
        }
    };
    u16::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("invalid port number: {number}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn probe(value: serde_json::Value) -> Probe {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn so_many_equal_answers_in_a_row_count() {
        let timing = Timing::of(&probe(
            json!({ "failureThreshold": 2, "successThreshold": 3 }),
        ));
        let mut tally = Tally::new(timing);
        let answers = [false, true, false, false, false, true, true, true, true];
        let known: Vec<Option<bool>> = answers.iter().map(|answer| tally.add(*answer)).collect();
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(known, [None, None, None, no, no, None, None, yes, yes]);
    }

    #[test]
    fn what_a_probe_leaves_out_is_as_in_kubernetes() {
        let timing = Timing::of(&probe(json!({ "periodSeconds": 0 })));
        assert_eq!(
            (
                timing.delay,
                timing.period,
                timing.limit,
                timing.success,
                timing.failure
            ),
            (
                Duration::ZERO,
                Duration::from_secs(10),
                Duration::from_secs(1),
                1,
                3
            )
        );
        let now = Instant::now();
        let timing = Timing::of(&probe(json!({ "initialDelaySeconds": 5 })));
        let first = |ran| timing.first(now, Duration::from_secs(ran)) - now;
        assert_eq!(
            (first(2), first(7)),
            (Duration::from_secs(3), Duration::ZERO)
        );
    }

    #[test]
    fn a_port_may_be_named() {
        let container = serde_json::from_value(json!({
            "name": "c", "ports": [{ "name": "web", "containerPort": 8080 }],
        }));
        let container: Container = container.unwrap();
        let found = |value| port(&serde_json::from_value(value).unwrap(), &container);
        assert_eq!(found(json!("web")), Ok(8080));
        assert_eq!(found(json!(81)), Ok(81));
        assert_eq!(found(json!("82")), Ok(82));
        assert!(found(json!("db")).is_err() && found(json!(0)).is_err());
    }
}
