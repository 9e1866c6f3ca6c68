//! How long a call of GetSuggestions takes over gRPC, measured by a client in this process that
//! sends a request it has built before: 20 parameters, `n` trials that have ended.
#![allow(missing_docs)] // what criterion's macros make has none

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use diwan_proto::v1beta1 as proto;
use diwan_proto::v1beta1::suggestion_client::SuggestionClient;
use diwan_suggestion::{SuggestionService, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

const PARAMETERS: usize = 20;

fn experiment(algorithm: &str, mixed: bool) -> proto::Experiment {
    let parameter = |i: usize| {
        let (kind, min, max) = match i % 4 {
            2 if mixed => (proto::ParameterType::Int, "0", "100"),
            3 if mixed => (proto::ParameterType::Categorical, "", ""),
            _ => (proto::ParameterType::Double, "0", "1"),
        };
        let is_list = kind == proto::ParameterType::Categorical;
        proto::ParameterSpec {
            name: format!("x{i}"),
            parameter_type: kind.into(),
            feasible_space: Some(proto::FeasibleSpace {
                min: min.into(),
                max: max.into(),
                list: if is_list {
                    (0..4).map(|c| format!("c{c}")).collect()
                } else {
                    Vec::new()
                },
                ..proto::FeasibleSpace::default()
            }),
        }
    };
    proto::Experiment {
        name: format!("{algorithm}-{mixed}"),
        spec: Some(proto::ExperimentSpec {
            parameter_specs: Some(proto::experiment_spec::ParameterSpecs {
                parameters: (0..PARAMETERS).map(parameter).collect(),
            }),
            objective: Some(proto::ObjectiveSpec {
                r#type: proto::ObjectiveType::Minimize.into(),
                objective_metric_name: "loss".into(),
                ..proto::ObjectiveSpec::default()
            }),
            algorithm: Some(proto::AlgorithmSpec {
                algorithm_name: algorithm.into(),
                algorithm_settings: Vec::new(),
            }),
            parallel_trial_count: 1,
            ..proto::ExperimentSpec::default()
        }),
    }
}

/// A number in [0, 1) that depends on two others in no simple way.
fn noise(a: usize, b: usize) -> f64 {
    ((a * 7919 + b * 104_729) as f64 * 0.618_033_988_749_895).fract()
}

fn trial(index: usize, mixed: bool) -> proto::Trial {
    let value = |i: usize| match i % 4 {
        2 if mixed => ((noise(index, i) * 101.0) as u32).to_string(),
        3 if mixed => format!("c{}", (noise(index, i) * 4.0) as u32),
        _ => noise(index, i).to_string(),
    };
    let assignment = |i: usize| proto::ParameterAssignment {
        name: format!("x{i}"),
        value: value(i),
    };
    proto::Trial {
        name: format!("trial-{index:08}"),
        spec: Some(proto::TrialSpec {
            parameter_assignments: Some(proto::trial_spec::ParameterAssignments {
                assignments: (0..PARAMETERS).map(assignment).collect(),
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
    }
}

fn request(algorithm: &str, mixed: bool, trials: usize) -> proto::GetSuggestionsRequest {
    proto::GetSuggestionsRequest {
        experiment: Some(experiment(algorithm, mixed)),
        trials: (0..trials).map(|index| trial(index, mixed)).collect(),
        current_request_number: 1,
        total_request_number: i32::try_from(trials).expect("few trials") + 1,
    }
}

async fn connect() -> SuggestionClient<Channel> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(serve(
        listener,
        SuggestionService::default(),
        std::future::pending(),
    ));
    let channel = Channel::from_shared(format!("http://{address}"))
        .expect("an address")
        .tcp_nodelay(true)
        .connect()
        .await
        .expect("it is served");
    SuggestionClient::new(channel).max_encoding_message_size(usize::MAX)
}

fn get_suggestions(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("threads can be started");
    let client = runtime.block_on(connect());
    let mut group = criterion.benchmark_group("get_suggestions");
    for (algorithm, mixed, trials) in [
        ("random", false, 1_000),
        ("tpe", true, 1_000),
        ("tpe", true, 5_000),
        ("random", false, 10_000),
        ("tpe", true, 10_000),
    ] {
        let request = request(algorithm, mixed, trials);
        group.bench_function(format!("{algorithm}/{trials}"), |bencher| {
            bencher.iter_custom(|rounds| {
                // Making the copy that is sent is the client's affair, and not measured.
                let mut took = std::time::Duration::ZERO;
                for _ in 0..rounds {
                    let (message, mut client) = (request.clone(), client.clone());
                    let begin = std::time::Instant::now();
                    let reply = runtime.block_on(client.get_suggestions(message));
                    took += begin.elapsed();
                    black_box(reply.expect("it is answered"));
                }
                took
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = get_suggestions
}
criterion_main!(benches);
