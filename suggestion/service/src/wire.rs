//! Requests and replies as messages of the contract.

use std::sync::Arc;

use diwan_proto::trials_for_algorithm;
use diwan_proto::v1beta1 as proto;

use crate::encoded;
use crate::known::TrialSource;
use crate::service::{SuggestReply, SuggestRequest, overlay};

/// The request that a message makes, and its trials; `None` without an experiment.
pub(crate) fn request(
    message: encoded::GetSuggestionsRequest,
) -> Option<(SuggestRequest, Vec<TrialSource>)> {
    let number = |n: i32| usize::try_from(n).unwrap_or_default();
    let request = SuggestRequest {
        experiment: Arc::new(message.experiment?.into()),
        trials: Vec::new(),
        settings: Vec::new(),
        count: number(message.current_request_number),
        total: number(message.total_request_number),
    };
    let sources = message.trials.into_iter().map(TrialSource::Encoded);
    Some((request, sources.collect()))
}

/// The message that makes a request. Trials that tell an algorithm nothing are left out.
pub(crate) fn request_message(request: &SuggestRequest) -> proto::GetSuggestionsRequest {
    let mut experiment = proto::Experiment::from(&*request.experiment);
    if let Some(algorithm) = experiment.spec.as_mut().and_then(|s| s.algorithm.as_mut()) {
        let given = request.experiment.spec.algorithm.as_ref();
        let given = given.map_or(&[][..], |a| &a.algorithm_settings);
        let settings = overlay(given, &request.settings);
        algorithm.algorithm_settings = settings.into_iter().map(Into::into).collect();
    }
    let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    proto::GetSuggestionsRequest {
        experiment: Some(experiment),
        trials: trials_for_algorithm(request.trials.iter().map(|trial| &**trial)),
        current_request_number: number(request.count),
        total_request_number: number(request.total),
    }
}

/// The reply of an outside service. One that proposes nothing has nothing left.
pub(crate) fn reply(message: proto::GetSuggestionsReply) -> SuggestReply {
    let settings = message
        .algorithm
        .map(|a| a.algorithm_settings)
        .unwrap_or_default();
    SuggestReply {
        exhausted: message.parameter_assignments.is_empty(),
        assignments: message
            .parameter_assignments
            .into_iter()
            .map(Into::into)
            .collect(),
        settings: settings.into_iter().map(Into::into).collect(),
        note: None,
    }
}

/// The message of a reply.
pub(crate) fn reply_message(algorithm: &str, reply: SuggestReply) -> proto::GetSuggestionsReply {
    proto::GetSuggestionsReply {
        parameter_assignments: reply.assignments.into_iter().map(Into::into).collect(),
        algorithm: (!reply.settings.is_empty()).then(|| proto::AlgorithmSpec {
            algorithm_name: algorithm.to_owned(),
            algorithm_settings: reply.settings.into_iter().map(Into::into).collect(),
        }),
        early_stopping_rules: Vec::new(),
    }
}
