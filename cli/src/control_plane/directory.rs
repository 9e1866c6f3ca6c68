//! Which trials there are, for calls that name a trial without its namespace.

use async_trait::async_trait;
use diwan_db_manager::grpc::{LookupError, TrialDirectory};
use diwan_embedded::{Api, resource};

/// Finds trials by name, for reports that don't say the namespace.
#[derive(Clone)]
pub(super) struct Directory(pub(super) Api);

#[async_trait]
impl TrialDirectory for Directory {
    async fn namespaces(&self, trial: &str) -> Result<Vec<String>, LookupError> {
        let (namespaces, _) = self.0.list(&resource::NAMESPACES, None);
        let names = namespaces
            .iter()
            .filter_map(|n| n["metadata"]["name"].as_str());
        let found = names
            .filter(|namespace| self.0.get(&resource::TRIALS, namespace, trial).is_some())
            .map(str::to_owned);
        Ok(found.collect())
    }
}
