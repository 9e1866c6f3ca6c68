//! The built-in algorithms over gRPC, asked by a plain client.

mod support;

use diwan_proto::v1beta1 as proto;
use diwan_proto::v1beta1::suggestion_client::SuggestionClient;
use diwan_suggestion::SuggestionService;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

async fn channel(service: SuggestionService) -> Channel {
    let address = support::serve_built_in(service).await;
    Channel::from_shared(format!("http://{address}"))
        .expect("an address")
        .connect()
        .await
        .expect("it is served")
}

fn experiment(algorithm: &str, settings: &[(&str, &str)]) -> proto::Experiment {
    let space = |min: &str, max: &str, distribution: proto::Distribution| proto::FeasibleSpace {
        min: min.into(),
        max: max.into(),
        distribution: distribution.into(),
        ..proto::FeasibleSpace::default()
    };
    let parameter = |name: &str, type_: proto::ParameterType, space| proto::ParameterSpec {
        name: name.into(),
        parameter_type: type_.into(),
        feasible_space: Some(space),
    };
    let setting = |(name, value): &(&str, &str)| proto::AlgorithmSetting {
        name: (*name).into(),
        value: (*value).into(),
    };
    proto::Experiment {
        name: "example".into(),
        spec: Some(proto::ExperimentSpec {
            parameter_specs: Some(proto::experiment_spec::ParameterSpecs {
                parameters: vec![
                    parameter(
                        "lr",
                        proto::ParameterType::Double,
                        space("1e-4", "1", proto::Distribution::LogUniform),
                    ),
                    parameter(
                        "layers",
                        proto::ParameterType::Int,
                        space("1", "9", proto::Distribution::Unspecified),
                    ),
                ],
            }),
            objective: Some(proto::ObjectiveSpec {
                r#type: proto::ObjectiveType::Maximize.into(),
                objective_metric_name: "accuracy".into(),
                ..proto::ObjectiveSpec::default()
            }),
            algorithm: Some(proto::AlgorithmSpec {
                algorithm_name: algorithm.into(),
                algorithm_settings: settings.iter().map(setting).collect(),
            }),
            parallel_trial_count: 2,
            ..proto::ExperimentSpec::default()
        }),
    }
}

/// A trial whose accuracy grows with the learning rate.
fn trial(index: usize, reply: &proto::get_suggestions_reply::ParameterAssignments) -> proto::Trial {
    let lr: f64 = reply.assignments[0].value.parse().expect("a number");
    proto::Trial {
        name: format!("trial-{index}"),
        spec: Some(proto::TrialSpec {
            parameter_assignments: Some(proto::trial_spec::ParameterAssignments {
                assignments: reply.assignments.clone(),
            }),
            ..proto::TrialSpec::default()
        }),
        status: Some(proto::TrialStatus {
            condition: proto::trial_status::TrialConditionType::Succeeded.into(),
            observation: Some(proto::Observation {
                metrics: vec![proto::Metric {
                    name: "accuracy".into(),
                    value: lr.to_string(),
                }],
            }),
            ..proto::TrialStatus::default()
        }),
    }
}

fn ask(
    experiment: &proto::Experiment,
    trials: &[proto::Trial],
    count: i32,
) -> proto::GetSuggestionsRequest {
    proto::GetSuggestionsRequest {
        experiment: Some(experiment.clone()),
        trials: trials.to_vec(),
        current_request_number: count,
        total_request_number: i32::try_from(trials.len()).expect("few trials") + count,
    }
}

#[tokio::test]
async fn an_experiment_of_thirty_trials_learns() {
    let mut client = SuggestionClient::new(channel(SuggestionService::default()).await);
    let experiment = experiment("tpe", &[("random_state", "1")]);
    let mut trials: Vec<proto::Trial> = Vec::new();
    while trials.len() < 30 {
        let reply = client
            .get_suggestions(ask(&experiment, &trials, 2))
            .await
            .unwrap();
        for assignments in &reply.get_ref().parameter_assignments {
            assert_eq!(assignments.assignments[0].name, "lr");
            assert_eq!(assignments.assignments[1].name, "layers");
            trials.push(trial(trials.len(), assignments));
        }
    }
    let value = |t: &proto::Trial| -> f64 {
        let assignments = &t
            .spec
            .as_ref()
            .unwrap()
            .parameter_assignments
            .as_ref()
            .unwrap();
        assignments.assignments[0].value.parse().unwrap()
    };
    // Drawn from the logarithmic range, a fourth would lie above 0.1: 5 of the last 20, and 11
    // or more once in 250 times.
    let high = trials[10..].iter().filter(|t| value(t) > 0.1).count();
    assert!(high >= 11, "{high} of 20");
}

#[tokio::test]
async fn wrong_settings_are_an_invalid_argument_in_the_words_of_katib() {
    let mut client = SuggestionClient::new(channel(SuggestionService::default()).await);
    for (algorithm, setting, text) in [
        (
            "tpe",
            ("gamma", "2"),
            "gamma should be in the range of (0, 1)",
        ),
        (
            "random",
            ("gamma", "2"),
            "unknown setting gamma for algorithm random",
        ),
        ("oracle", ("gamma", "2"), "unknown algorithm name oracle"),
        (
            "grid",
            ("random_state", "1"),
            "failed to validate parameters(lr, layers): Param lr step is nil; For discrete search \
             space, all parameters must include step",
        ),
    ] {
        let experiment = Some(experiment(algorithm, &[setting]));
        let status = client
            .validate_algorithm_settings(proto::ValidateAlgorithmSettingsRequest { experiment })
            .await
            .unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, text)
        );
    }
    let experiment = Some(experiment("sobol", &[("whatever", "1")]));
    let request = proto::ValidateAlgorithmSettingsRequest { experiment };
    client.validate_algorithm_settings(request).await.unwrap();
}

#[tokio::test]
async fn requests_without_an_experiment_are_refused() {
    let mut client = SuggestionClient::new(channel(SuggestionService::default()).await);
    let status = client
        .get_suggestions(proto::GetSuggestionsRequest::default())
        .await;
    assert_eq!(status.unwrap_err().message(), "experiment is missing");
}

#[tokio::test]
async fn a_service_of_one_algorithm_knows_no_other() {
    let service = SuggestionService::new(Some("random".into()));
    let mut client = SuggestionClient::new(channel(service).await);
    let random = experiment("random", &[]);
    assert!(client.get_suggestions(ask(&random, &[], 1)).await.is_ok());
    let sobol = experiment("sobol", &[]);
    let status = client
        .get_suggestions(ask(&sobol, &[], 1))
        .await
        .unwrap_err();
    assert_eq!(status.message(), "unknown algorithm name sobol");
}

#[tokio::test]
async fn health_is_known_under_one_name_only() {
    let mut client = HealthClient::new(channel(SuggestionService::default()).await);
    let mut check = async |service: &str| {
        client
            .check(HealthCheckRequest {
                service: service.into(),
            })
            .await
            .map(|r| r.get_ref().status)
    };
    assert_eq!(check("manager.v1beta1.Suggestion").await.unwrap(), 1);
    for other in ["", "api.v1.beta1.Suggestion"] {
        assert_eq!(
            check(other).await.unwrap_err().code(),
            Code::NotFound,
            "{other:?}"
        );
    }
}

#[tokio::test]
async fn a_history_larger_than_the_default_limit_of_a_message_is_taken() {
    let channel = channel(SuggestionService::default()).await;
    let mut client = SuggestionClient::new(channel);
    let experiment = experiment("random", &[]);
    let reply = client
        .get_suggestions(ask(&experiment, &[], 1))
        .await
        .unwrap()
        .into_inner();
    let trials: Vec<_> = (0..50_000)
        .map(|i| trial(i, &reply.parameter_assignments[0]))
        .collect();
    let reply = client
        .get_suggestions(ask(&experiment, &trials, 3))
        .await
        .unwrap();
    assert_eq!(reply.get_ref().parameter_assignments.len(), 3);
}

#[tokio::test]
async fn what_is_kept_of_an_experiment_changes_no_answer() {
    let experiment = experiment("tpe", &[("n_startup_trials", "3")]);
    let mut kept = SuggestionClient::new(channel(SuggestionService::default()).await);
    let start = kept
        .get_suggestions(ask(&experiment, &[], 12))
        .await
        .unwrap();
    let assignments = start.get_ref().parameter_assignments.iter().enumerate();
    let trials: Vec<_> = assignments.map(|(i, reply)| trial(i, reply)).collect();
    // The same names with other values, as after the experiment was made anew.
    let mut others = trials.clone();
    for (i, trial) in others.iter_mut().enumerate() {
        let metrics = &mut trial
            .status
            .as_mut()
            .unwrap()
            .observation
            .as_mut()
            .unwrap()
            .metrics;
        metrics[0].value = ((i * 5) % 12).to_string();
    }
    others.reverse();
    for history in [&trials[..5], &trials[..], &others[2..], &trials[3..], &[]] {
        let mut fresh = SuggestionClient::new(channel(SuggestionService::default()).await);
        let answer = kept
            .get_suggestions(ask(&experiment, history, 3))
            .await
            .unwrap();
        let expected = fresh
            .get_suggestions(ask(&experiment, history, 3))
            .await
            .unwrap();
        assert_eq!(answer.get_ref(), expected.get_ref());
    }
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_ends_and_the_next_one_is_served() {
    let mut client = SuggestionClient::new(channel(SuggestionService::default()).await);
    let experiment = experiment("tpe", &[]);
    let start = client
        .get_suggestions(ask(&experiment, &[], 1))
        .await
        .unwrap();
    let trials: Vec<_> = (0..3000)
        .map(|i| trial(i, &start.get_ref().parameter_assignments[0]))
        .collect();
    let mut hurried = tonic::Request::new(ask(&experiment, &trials, 500));
    hurried.set_timeout(std::time::Duration::from_millis(1));
    let status = client.get_suggestions(hurried).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded),
        "{status:?}"
    );
    let reply = client
        .get_suggestions(ask(&experiment, &trials, 1))
        .await
        .unwrap();
    assert_eq!(reply.get_ref().parameter_assignments.len(), 1);
}

#[tokio::test]
async fn a_trial_that_can_not_be_decoded_is_named_as_the_cause() {
    use tonic::codegen::http::uri::PathAndQuery;
    #[derive(Clone, PartialEq, prost::Message)]
    struct Raw {
        #[prost(message, optional, tag = "1")]
        experiment: Option<proto::Experiment>,
        #[prost(bytes = "vec", repeated, tag = "2")]
        trials: Vec<Vec<u8>>,
        #[prost(int32, tag = "4")]
        count: i32,
    }
    let channel = channel(SuggestionService::default()).await;
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let raw = Raw {
        experiment: Some(experiment("tpe", &[])),
        trials: vec![vec![0xff; 3]],
        count: 1,
    };
    let codec = tonic_prost::ProstCodec::<Raw, proto::GetSuggestionsReply>::default();
    let path = PathAndQuery::from_static("/api.v1.beta1.Suggestion/GetSuggestions");
    let status = grpc
        .unary(tonic::Request::new(raw), path, codec)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().starts_with("failed to decode a trial: "),
        "{status:?}"
    );
}
