//! Histories that are large, and callers who don't wait for their answer.

mod support;

use std::time::Duration;

use diwan_proto::v1beta1 as proto;
use diwan_proto::v1beta1::suggestion_client::SuggestionClient;
use diwan_suggestion::SuggestionService;
use serde_json::json;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const PARAMETERS: usize = 20;
/// Long for what is done in a moment, short for what nobody waits for.
const PATIENCE: Duration = Duration::from_secs(100);

async fn channel() -> Channel {
    let address = support::serve_built_in(SuggestionService::default()).await;
    Channel::from_shared(format!("http://{address}"))
        .expect("an address")
        .connect()
        .await
        .expect("it is served")
}

/// Ten real numbers, five whole numbers and five categories.
fn experiment(algorithm: &str) -> proto::Experiment {
    let parameter = |i: usize| {
        let (kind, space) = match i % 4 {
            2 => ("int", json!({"min": "0", "max": "100"})),
            3 => ("categorical", json!({"list": ["a", "b", "c", "d"]})),
            _ => ("double", json!({"min": "0", "max": "1"})),
        };
        json!({"name": format!("x{i}"), "parameterType": kind, "feasibleSpace": space})
    };
    let mut experiment = support::experiment(algorithm, &[("random_state", "1")]);
    let parameters: Vec<_> = (0..PARAMETERS).map(parameter).collect();
    experiment.spec.parameters = serde_json::from_value(parameters.into()).expect("parameters");
    experiment.metadata.name = Some(format!("large-{algorithm}"));
    (&experiment).into()
}

/// A number in [0, 1) that depends on two others in no simple way.
fn noise(a: usize, b: usize) -> f64 {
    ((a * 7919 + b * 104_729) as f64 * 0.618_033_988_749_895).fract()
}

fn trials(count: usize) -> Vec<proto::Trial> {
    let assignment = |index: usize, i: usize| proto::ParameterAssignment {
        name: format!("x{i}"),
        value: match i % 4 {
            2 => ((noise(index, i) * 101.0) as u32).to_string(),
            3 => ["a", "b", "c", "d"][(noise(index, i) * 4.0) as usize].to_owned(),
            _ => noise(index, i).to_string(),
        },
    };
    let trial = |index: usize| proto::Trial {
        name: format!("trial-{index:08}"),
        spec: Some(proto::TrialSpec {
            parameter_assignments: Some(proto::trial_spec::ParameterAssignments {
                assignments: (0..PARAMETERS).map(|i| assignment(index, i)).collect(),
            }),
            ..proto::TrialSpec::default()
        }),
        status: Some(proto::TrialStatus {
            condition: proto::trial_status::TrialConditionType::Succeeded.into(),
            observation: Some(proto::Observation {
                metrics: vec![proto::Metric {
                    name: "loss".into(),
                    value: noise(index, 99).to_string(),
                }],
            }),
            ..proto::TrialStatus::default()
        }),
    };
    (0..count).map(trial).collect()
}

fn ask(algorithm: &str, trials: Vec<proto::Trial>, count: i32) -> proto::GetSuggestionsRequest {
    let total = i32::try_from(trials.len()).expect("few trials") + count;
    proto::GetSuggestionsRequest {
        experiment: Some(experiment(algorithm)),
        trials,
        current_request_number: count,
        total_request_number: total,
    }
}

#[tokio::test]
async fn ten_thousand_trials_of_twenty_parameters_are_learned_from() {
    let mut client = SuggestionClient::new(channel().await);
    let history = trials(10_000);
    let size = prost::Message::encoded_len(&ask("tpe", history.clone(), 2));
    assert!(size > 4 << 20, "the usual limit of a message is not passed");
    for algorithm in ["random", "tpe", "cmaes", "auto"] {
        let reply = client.get_suggestions(ask(algorithm, history.clone(), 2));
        let reply = reply.await.unwrap().into_inner();
        assert_eq!(reply.parameter_assignments.len(), 2, "{algorithm}");
        for assignments in reply.parameter_assignments {
            assert_eq!(assignments.assignments.len(), PARAMETERS, "{algorithm}");
        }
    }
}

/// The service has one thread for its work, and that thread is busy while many callers come, lose
/// their patience and go. Each asks for what takes seconds.
#[test]
fn nobody_waits_behind_calls_that_were_given_up() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let channel = channel().await;
        let (free, busy) = std::sync::mpsc::channel::<()>();
        let other_work = tokio::task::spawn_blocking(move || busy.recv());
        let history = trials(300);
        let calls: Vec<_> = (0..100)
            .map(|_| {
                let mut client = SuggestionClient::new(channel.clone());
                let mut request = Request::new(ask("bayesianoptimization", history.clone(), 400));
                request.set_timeout(Duration::from_millis(50));
                tokio::spawn(async move { client.get_suggestions(request).await })
            })
            .collect();
        for call in calls {
            let status = call.await.unwrap().unwrap_err();
            let given_up = [Code::Cancelled, Code::DeadlineExceeded];
            assert!(given_up.contains(&status.code()), "{status:?}");
        }
        // Whoever leaves without a word is no different: the call is dropped once it has begun.
        let mut client = SuggestionClient::new(channel.clone());
        let request = ask("bayesianoptimization", history.clone(), 400);
        let left = tokio::time::timeout(Duration::from_millis(50), client.get_suggestions(request));
        assert!(left.await.is_err());
        // An answer on the same connection: what was sent before has arrived.
        let service = diwan_proto::SUGGESTION_HEALTH_SERVICE.to_owned();
        let check = HealthCheckRequest { service };
        HealthClient::new(channel.clone())
            .check(check)
            .await
            .unwrap();
        free.send(()).unwrap();
        other_work.await.unwrap().unwrap();
        let mut client = SuggestionClient::new(channel);
        let waiting = client.get_suggestions(ask("tpe", trials(100), 1));
        let reply = tokio::time::timeout(PATIENCE, waiting).await;
        let reply = reply.expect("the calls before are not worked on");
        assert_eq!(reply.unwrap().get_ref().parameter_assignments.len(), 1);
    });
    runtime.shutdown_background();
}
