//! Which cluster, and where Diwan is installed in it.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use kube::{Client, Config};

/// Where a pod finds its own namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Flags of all commands that work on a cluster.
#[derive(Args)]
pub(super) struct Connection {
    /// A kubeconfig file; by default what `kubectl` would use, or the pod's own account
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// The namespace of the installation; by default the pod's own
    #[arg(long, env = "DIWAN_NAMESPACE")]
    namespace: Option<String>,
}

impl Connection {
    /// The API of the cluster.
    pub(super) async fn client(&self) -> anyhow::Result<Client> {
        let config = match &self.kubeconfig {
            Some(file) => {
                let describe = || format!("can't use {}", file.display());
                let read = kube::config::Kubeconfig::read_from(file).with_context(describe)?;
                let options = kube::config::KubeConfigOptions::default();
                Config::from_custom_kubeconfig(read, &options)
                    .await
                    .with_context(describe)?
            }
            None => Config::infer().await.context(
                "neither a kubeconfig nor a pod's account is here; give --kubeconfig FILE",
            )?,
        };
        Ok(Client::try_from(config)?)
    }

    /// The namespace of the installation: the one that is given, or the pod's own.
    pub(super) fn namespace(&self) -> String {
        let own = || std::fs::read_to_string(NAMESPACE_FILE).ok();
        let named = self.namespace.clone().or_else(own);
        named.map_or_else(|| "kubeflow".to_owned(), |name| name.trim().to_owned())
    }
}
