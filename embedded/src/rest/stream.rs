//! Subresources of pods that are connections: `exec`, `attach`, `portforward`.

mod channel;
mod command;
mod forward;
mod spdy;
mod upgrade;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Response, request::Parts};
use serde_json::Value;
use tokio::time::timeout;

use self::channel::Channels;
use self::forward::Forward;
use self::spdy::Connection;
use self::upgrade::Tunnel;
use super::{path::Target, query::Query};
use crate::api::Api;
use crate::pod_streams::{ExecOptions, PodStreams};
use crate::status::Status;

/// The protocols of `exec` and `attach`, the best first.
const COMMAND: [&str; 3] = ["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"];
/// The protocol of `portforward` over SPDY.
const FORWARD: &str = "portforward.k8s.io";
/// Its protocols over WebSocket: SPDY within it, or channels.
const FORWARDS: [&str; 3] = [
    "SPDY/3.1+portforward.k8s.io",
    "v4.channel.k8s.io",
    "portforward.k8s.io",
];
/// A client begins its streams within this time.
const STREAMS_WITHIN: Duration = Duration::from_secs(30);

/// Whether a path stands for a connection.
pub(super) fn is_meant(target: &Target) -> bool {
    matches!(
        target.subresource.as_deref(),
        Some("exec" | "attach" | "portforward")
    )
}

/// Opens the connection.
pub(super) async fn answer(
    api: &Api,
    target: &Target,
    query: &Query,
    parts: &mut Parts,
) -> Result<Response<Body>, Status> {
    if !matches!(parts.method, Method::GET | Method::POST) {
        return Err(Status::method_not_allowed());
    }
    let pod = api.get(target.resource, target.namespace(), target.name());
    let pod = pod.ok_or_else(|| Status::not_found(target.resource, target.name()))?;
    let streams = api.streams().ok_or_else(|| {
        let text = "no node is running that could reach into pods";
        Status::new(503, "ServiceUnavailable", text)
    })?;
    match target.subresource.as_deref() {
        Some("portforward") => port_forward(streams, pod, query, parts).await,
        other => remote_command(streams, &pod, query, parts, other == Some("attach")).await,
    }
}

async fn remote_command(
    streams: Arc<dyn PodStreams>,
    pod: &Value,
    query: &Query,
    parts: &mut Parts,
    attach: bool,
) -> Result<Response<Body>, Status> {
    let options = options(query, attach)?;
    let wanted = command_streams(&options);
    let upgrade = if upgrade::is_spdy(parts) {
        None
    } else {
        Some(upgrade::web_socket(parts).await?.protocols(COMMAND))
    };
    let session = if attach {
        streams.attach(pod, options).await?
    } else {
        streams.exec(pod, options).await?
    };
    let Some(upgrade) = upgrade else {
        return upgrade::spdy(parts, &COMMAND[1..2], async move |connection| {
            if let Some(channels) = gather(connection, &wanted).await {
                command::serve(channels, session, true).await;
            }
        });
    };
    let version = upgrade.selected_protocol().and_then(|v| v.to_str().ok());
    let closes = version == Some(COMMAND[0]);
    Ok(upgrade
        .on_upgrade(move |socket| command::serve(Channels::of_web_socket(socket), session, closes)))
}

/// The streams of SPDY that a client begins, by their types and the numbers of their channels.
fn command_streams(options: &ExecOptions) -> Vec<(&'static str, u8)> {
    let all = [
        (true, "error", command::ERROR),
        (options.stdin, "stdin", command::STDIN),
        (options.stdout, "stdout", command::STDOUT),
        (options.stderr, "stderr", command::STDERR),
        (options.tty, "resize", command::RESIZE),
    ];
    let wanted = all.into_iter().filter(|(wanted, ..)| *wanted);
    wanted.map(|(_, kind, channel)| (kind, channel)).collect()
}

/// Waits until the client has begun all streams; `None`: it has not.
async fn gather(mut connection: Connection, wanted: &[(&str, u8)]) -> Option<Channels> {
    let mut streams = Vec::new();
    let gathering = async {
        while streams.len() < wanted.len() {
            let stream = connection.streams.recv().await?;
            let kind = stream.header("streamType");
            if let Some((_, channel)) = wanted.iter().find(|(name, _)| *name == kind) {
                streams.push((*channel, stream));
            }
        }
        Some(())
    };
    timeout(STREAMS_WITHIN, gathering).await.ok()??;
    Some(Channels::of_spdy(connection, streams))
}

async fn port_forward(
    streams: Arc<dyn PodStreams>,
    pod: Arc<Value>,
    query: &Query,
    parts: &mut Parts,
) -> Result<Response<Body>, Status> {
    let forward = Forward { streams, pod };
    if upgrade::is_spdy(parts) {
        let serve = |connection| forward.serve_spdy(connection);
        return upgrade::spdy(parts, &[FORWARD], serve);
    }
    let upgrade = upgrade::web_socket(parts).await?.protocols(FORWARDS);
    let version = upgrade.selected_protocol().and_then(|v| v.to_str().ok());
    if version == Some(FORWARDS[0]) {
        return Ok(
            upgrade.on_upgrade(|socket| forward.serve_spdy(Connection::new(Tunnel::new(socket))))
        );
    }
    let ports = ports(query)?;
    Ok(upgrade.on_upgrade(|socket| forward.serve_channels(Channels::of_web_socket(socket), ports)))
}

/// The ports that a client of channels names.
fn ports(query: &Query) -> Result<Vec<u16>, Status> {
    let ports = query.all("ports").flat_map(|list| list.split(','));
    let ports = ports.map(|text| {
        let port: Option<u16> = text.trim().parse().ok().filter(|port| *port > 0);
        port.ok_or_else(|| Status::bad_request(format!("unable to parse {text:?} as a port")))
    });
    let ports = ports.collect::<Result<Vec<_>, _>>()?;
    if ports.is_empty() {
        let text = "query parameter \"ports\" is required";
        return Err(Status::bad_request(text));
    }
    Ok(ports)
}

/// What the client wants of the container.
fn options(query: &Query, attach: bool) -> Result<ExecOptions, Status> {
    let flag = |name: &str| query.flag(name);
    let tty = flag("tty");
    let options = ExecOptions {
        container: query.get("container").map(str::to_owned),
        command: query.all("command").map(str::to_owned).collect(),
        stdin: flag("stdin"),
        stdout: flag("stdout"),
        // A terminal has one stream.
        stderr: flag("stderr") && !tty,
        tty,
    };
    if !attach && options.command.is_empty() {
        return Err(Status::bad_request("you must specify at least one command"));
    }
    if !(options.stdin || options.stdout || options.stderr) {
        let text = "you must specify at least 1 of stdin, stdout, stderr";
        return Err(Status::bad_request(text));
    }
    Ok(options)
}
