//! Which addresses are listened on.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;
use tokio::net::TcpListener;

/// Port of the API and the web UI.
pub(super) const DEFAULT_PORT: u16 = 8080;
/// Port of the DB manager, as Katib's clients know it.
pub(super) const DEFAULT_DB_MANAGER_PORT: u16 = 6789;
/// Port of the algorithms, as Katib's collectors know that of early stopping.
pub(super) const DEFAULT_SUGGESTION_PORT: u16 = 6788;
/// How many ports, or addresses, are tried after the preferred one.
const TRIES: u16 = 100;

/// Where to listen: at an address that was asked for, or at a port or one of those after it.
#[derive(Clone, Copy)]
pub(super) struct Listen {
    address: SocketAddr,
    others: u16,
}

impl Listen {
    /// At this address, or not at all.
    pub(super) fn exactly(address: SocketAddr) -> Self {
        Self { address, others: 0 }
    }

    /// At the address that was given, or else on loopback at `port` or the next free one.
    pub(super) fn preferring(given: Option<SocketAddr>, port: u16) -> Self {
        let preferred = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        given.map_or(
            Self {
                address: preferred,
                others: TRIES,
            },
            Self::exactly,
        )
    }

    /// Starts to listen.
    pub(super) async fn bind(self) -> anyhow::Result<TcpListener> {
        let mut address = self.address;
        for _ in 0..self.others {
            match TcpListener::bind(address).await {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    address.set_port(address.port() + 1);
                }
                other => return other.with_context(|| format!("can't listen on {address}")),
            }
        }
        TcpListener::bind(address)
            .await
            .with_context(|| format!("can't listen on {address}"))
    }
}

/// Listens at the DB manager's own port on a loopback address that other control planes of this
/// machine are unlikely to use: inside pods, the service's name resolves to it, so that SDKs find
/// the log of their own control plane at the port they know.
pub(super) async fn bind_for_pods(data: &Path) -> anyhow::Result<TcpListener> {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    let mut seed = hasher.finish();
    let mut last = None;
    for _ in 0..TRIES {
        let [a, b, c, ..] = seed.to_le_bytes();
        // 127.0.x.y is left to others; a last byte of 0 or 255 would look like a network.
        let ip = Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254));
        match TcpListener::bind((IpAddr::V4(ip), DEFAULT_DB_MANAGER_PORT)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
    let error = last.map_or_else(String::new, |error| format!(": {error}"));
    anyhow::bail!("can't listen on a loopback address at port {DEFAULT_DB_MANAGER_PORT}{error}")
}
