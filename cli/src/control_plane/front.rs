//! The front door: one port for `kubectl` and SDKs (TLS and a token) and for browsers (the page).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use diwan_embedded::{BrowserAuth, Credentials, Hosts, write_kubeconfig};
use diwan_ui::{LogArchive, UiState};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::base::Base;
use super::logs::KeptLogs;
use crate::port::observations::Observations;

/// The front door, before it is opened.
pub(super) struct Front {
    listener: TcpListener,
    credentials: Credentials,
    auth: BrowserAuth,
    address: SocketAddr,
    /// The file for `kubectl` and SDKs.
    pub(super) kubeconfig: PathBuf,
}

impl Front {
    /// Reads or makes certificates and secrets in the data folder, and writes the kubeconfig.
    pub(super) fn prepare(listener: TcpListener, data: &Path) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let names = [address.ip().to_string()];
        let credentials = Credentials::open(data, &names)
            .with_context(|| format!("can't prepare the certificates in {}", data.display()))?;
        let kubeconfig = data.join("kubeconfig");
        let reachable = reachable(address);
        write_kubeconfig(&kubeconfig, &credentials, &format!("https://{reachable}"))
            .with_context(|| format!("can't write {}", kubeconfig.display()))?;
        let auth = BrowserAuth::open(data, address.port())?;
        Ok(Self {
            listener,
            credentials,
            auth,
            address,
            kubeconfig,
        })
    }

    /// Where pods and clients on this machine reach the API.
    pub(super) fn api_address(&self) -> SocketAddr {
        reachable(self.address)
    }

    /// What tells clients that it is us.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The address of the page, with a key that signs one browser in.
    pub(super) fn page(&self) -> String {
        format!(
            "http://{}{}?token={}",
            reachable(self.address),
            diwan_ui::BASE,
            self.auth.mint()
        )
    }

    /// Serves until `stop`.
    pub(super) async fn serve(
        self,
        base: Base,
        observations: Observations,
        logs: KeptLogs,
        stop: CancellationToken,
    ) {
        let logs: Option<Arc<dyn LogArchive>> = Some(Arc::new(logs));
        let page = diwan_ui::router(UiState {
            client: base.client,
            observations: Arc::new(observations),
            logs,
            // Whoever is signed in is the user of this machine.
            access: None,
        });
        let home = Router::new().route("/", get(|| async { Redirect::to(diwan_ui::BASE) }));
        let browser = self.auth.guard(page.merge(home));
        let hosts = Hosts::new(self.address.ip(), &[]);
        let service = diwan_embedded::service(base.api);
        diwan_embedded::serve(
            self.listener,
            service,
            self.credentials,
            browser,
            hosts,
            stop,
        )
        .await;
    }
}

/// An address to which a client of this machine can connect.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}
