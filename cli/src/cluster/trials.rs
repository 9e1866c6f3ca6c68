//! Which trials there are, for calls that name a trial without its namespace.

use async_trait::async_trait;
use diwan_api::Trial;
use diwan_db_manager::grpc::TrialDirectory;
use kube::api::ListParams;
use kube::{Api, Client};

/// The trials of the cluster.
#[derive(Clone)]
pub(super) struct Trials(pub(super) Client);

#[async_trait]
impl TrialDirectory for Trials {
    async fn namespaces(&self, trial: &str) -> Vec<String> {
        let named = ListParams::default().fields(&format!("metadata.name={trial}"));
        let found = Api::<Trial>::all(self.0.clone())
            .list_metadata(&named)
            .await;
        match found {
            Ok(trials) => trials
                .items
                .into_iter()
                .filter_map(|trial| trial.metadata.namespace)
                .collect(),
            Err(error) => {
                tracing::warn!(trial.name = trial, "can't look the trial up: {error}");
                Vec::new()
            }
        }
    }
}
