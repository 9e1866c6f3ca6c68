//! The suggester that the controllers ask: the one of `diwan-suggestion`.

use std::sync::Arc;

use async_trait::async_trait;
use diwan_api::{Experiment, Trial};
use diwan_controller::port;
use diwan_suggestion::config::ServiceImage;
use diwan_suggestion::{Suggesters, SuggestionError};

/// Puts the port of the controllers before the suggesters.
pub(crate) struct Suggester(pub(crate) Arc<Suggesters>);

#[async_trait]
impl port::Suggester for Suggester {
    async fn validate(&self, experiment: &Experiment) -> Result<(), port::SuggesterError> {
        self.0.validate(experiment).await.map_err(into_port)
    }

    fn image(&self, experiment: &Experiment) -> Option<port::ServiceImage> {
        self.0.image(experiment).map(image_into_port)
    }

    fn volume(&self, experiment: &Experiment) -> Option<port::ServiceImage> {
        self.0.volume(experiment).map(image_into_port)
    }

    fn spent_checkpoints(&self, experiment: &Experiment, trials: &[Arc<Trial>]) -> Vec<String> {
        self.0.spent_checkpoints(experiment, trials)
    }

    async fn suggest(
        &self,
        request: port::SuggestRequest,
    ) -> Result<port::SuggestReply, port::SuggesterError> {
        let port::SuggestRequest {
            experiment,
            trials,
            settings,
            count,
            total,
        } = request;
        let request = diwan_suggestion::SuggestRequest {
            experiment,
            trials,
            settings,
            count,
            total,
        };
        let reply = self.0.suggest(request).await.map_err(into_port)?;
        let diwan_suggestion::SuggestReply {
            assignments,
            settings,
            exhausted,
            note,
        } = reply;
        Ok(port::SuggestReply {
            assignments,
            settings,
            exhausted,
            note,
        })
    }
}

/// An image of the configuration, as the controllers know it.
pub(super) fn image_into_port(image: ServiceImage) -> port::ServiceImage {
    port::ServiceImage {
        container: image.container,
        service_account_name: image.service_account_name,
        volume_mount_path: image.volume_mount_path,
        volume_claim: image.persistent_volume_claim_spec,
        volume: image.persistent_volume_spec,
        volume_labels: image.persistent_volume_labels,
    }
}

fn into_port(error: SuggestionError) -> port::SuggesterError {
    match error {
        SuggestionError::Invalid(text) => port::SuggesterError::Invalid(text),
        SuggestionError::Retry(text) => port::SuggesterError::Retry(text),
        SuggestionError::Fatal(text) => port::SuggesterError::Fatal(text),
    }
}
