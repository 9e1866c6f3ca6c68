//! The early stopper that the controllers ask: the one of `diwan-suggestion`.

use async_trait::async_trait;
use diwan_controller::port;
use diwan_suggestion::{Curves, stopping_rules};

/// Puts the port of the controllers before the built-in algorithms.
pub(super) struct EarlyStopper;

#[async_trait]
impl port::EarlyStopper for EarlyStopper {
    async fn rules(
        &self,
        request: port::RulesRequest,
    ) -> Result<port::Rules, port::EarlyStopperError> {
        let port::RulesRequest {
            experiment,
            succeeded,
            stopped,
            running,
        } = request;
        let curves = Curves {
            succeeded,
            stopped,
            running,
        };
        let rules = stopping_rules(&experiment, &curves)
            .map_err(|error| port::EarlyStopperError(error.to_string()))?;
        Ok(port::Rules {
            fresh: rules.fresh,
            running: rules.running,
        })
    }
}
