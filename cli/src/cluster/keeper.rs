//! Looks after the webhooks' certificates, and after what the API server is told of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::Client;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::authority::{self, Certificate, Shared, encoded};
use super::conversion;
use super::health::Health;
use super::webhook_configuration::{self, Address};

/// How often the certificates are looked after.
const LOOK_AFTER: Duration = Duration::from_secs(30);

/// Looks after the certificates.
pub(super) struct Keeper {
    /// The API.
    pub(super) client: Client,
    /// That of the installation, with the Secret.
    pub(super) namespace: String,
    /// Where the API server reaches the webhooks.
    pub(super) address: Address,
    /// What the webhooks show.
    pub(super) certificate: Arc<Certificate>,
    /// Ready once the API server was told.
    pub(super) health: Arc<Health>,
}

impl Keeper {
    /// Until `stop`.
    pub(super) async fn run(self, first: Shared, stop: CancellationToken) {
        let mut shared = first;
        let mut renewed = Instant::now();
        let mut told = String::new();
        loop {
            if let Err(error) = self.look(&mut shared, &mut renewed, &mut told).await {
                tracing::warn!("certificates of the webhooks: {error:#}");
            }
            if stop.run_until_cancelled(sleep(LOOK_AFTER)).await.is_none() {
                return;
            }
        }
    }

    async fn look(
        &self,
        shared: &mut Shared,
        renewed: &mut Instant,
        told: &mut String,
    ) -> anyhow::Result<()> {
        let now = authority::shared(&self.client, &self.namespace, Some(shared)).await?;
        // First the API server trusts, then the certificate changes.
        let bundle = encoded(&now.bundle());
        let conversion = conversion::keep(&self.client, &self.address, &bundle).await;
        let current = webhook_configuration::is_current(&self.client, &now.bundle()).await?;
        if *told != now.bundle() || !current {
            webhook_configuration::apply(&self.client, &self.address, &now.bundle())
                .await
                .context("can't tell the API server of the webhooks")?;
            *told = now.bundle();
            self.health.set_ready();
        }
        if now != *shared || renewed.elapsed() >= Certificate::renewed_after() {
            self.certificate.renew(&now, &self.address.names())?;
            *renewed = Instant::now();
            *shared = now;
        }
        // Experiments of today's version go on without it.
        conversion.context("can't tell the API server who converts experiments")
    }
}
