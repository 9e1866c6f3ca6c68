//! All algorithms by name: built-in, at an endpoint, from a command.

mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diwan_api::{AlgorithmSetting, ParameterAssignment};
use diwan_proto::v1beta1 as proto;
use diwan_suggestion::config::{ServiceImage, Source};
use diwan_suggestion::{AlgorithmConfig, Suggesters, SuggestionError, SuggestionService};
use proto::suggestion_server::Suggestion;
use support::{experiment, request, serve_built_in, serve_other, trial};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

fn at(name: &str, source: Source) -> Suggesters {
    let algorithm_name = name.to_owned();
    let config = AlgorithmConfig {
        algorithm_name,
        source,
        timeout: Duration::from_secs(20),
    };
    Suggesters::new(vec![config], Path::new("."))
}

fn endpoint(name: &str, address: impl ToString) -> Suggesters {
    at(name, Source::Endpoint(address.to_string()))
}

fn image(name: &str) -> Source {
    let mut image = ServiceImage::default();
    image.container.insert("image".to_owned(), name.into());
    Source::Image(Box::new(image))
}

/// A service that notes what it was asked and answers as it is told.
#[derive(Clone)]
struct Other {
    asked: Arc<Mutex<Vec<proto::GetSuggestionsRequest>>>,
    reply: Result<usize, Status>,
}

impl Other {
    fn new(reply: Result<usize, Status>) -> Self {
        Self {
            asked: Arc::default(),
            reply,
        }
    }
}

#[tonic::async_trait]
impl Suggestion for Other {
    async fn get_suggestions(
        &self,
        request: Request<proto::GetSuggestionsRequest>,
    ) -> Result<Response<proto::GetSuggestionsReply>, Status> {
        self.asked
            .lock()
            .expect("no test panics here")
            .push(request.into_inner());
        let assignments = |i: usize| proto::get_suggestions_reply::ParameterAssignments {
            assignments: vec![proto::ParameterAssignment {
                name: "lr".into(),
                value: "0.2".into(),
            }],
            trial_name: format!("mine-{i}"),
            labels: [("rung".to_owned(), "2".to_owned())].into(),
        };
        Ok(Response::new(proto::GetSuggestionsReply {
            parameter_assignments: (0..self.reply.clone()?).map(assignments).collect(),
            algorithm: Some(proto::AlgorithmSpec {
                algorithm_name: "other".into(),
                algorithm_settings: vec![proto::AlgorithmSetting {
                    name: "state".into(),
                    value: "2".into(),
                }],
            }),
            early_stopping_rules: Vec::new(),
        }))
    }

    async fn validate_algorithm_settings(
        &self,
        _: Request<proto::ValidateAlgorithmSettingsRequest>,
    ) -> Result<Response<proto::ValidateAlgorithmSettingsReply>, Status> {
        self.reply
            .clone()
            .map(|_| Response::new(proto::ValidateAlgorithmSettingsReply {}))
    }
}

#[tokio::test]
async fn a_grid_is_resumed_from_its_trials_and_ends() {
    let suggesters = Suggesters::default();
    let trials = vec![
        trial("t0", ("0.1", "a"), "Succeeded", Some("0.5")),
        trial("t1", ("0.1", "b"), "Failed", None),
        trial("t2", ("0.2", "b"), "Running", None),
    ];
    let reply = suggesters
        .suggest(request(experiment("grid", &[]), trials, 20))
        .await
        .unwrap();
    assert!(reply.exhausted);
    let points: Vec<_> = reply
        .assignments
        .iter()
        .map(|a| [0, 1].map(|i| a.parameter_assignments[i].value.as_str()))
        .collect();
    let left = [
        ["0.2", "a"],
        ["0.3", "a"],
        ["0.3", "b"],
        ["0.4", "a"],
        ["0.4", "b"],
        ["0.5", "a"],
        ["0.5", "b"],
    ];
    assert_eq!(points, left);
}

#[tokio::test]
async fn points_whose_metrics_never_came_are_not_proposed_again() {
    let suggesters = Suggesters::default();
    for name in ["grid", "random", "sobol", "tpe", "auto"] {
        let mut trials = Vec::new();
        loop {
            let reply = suggesters
                .suggest(request(experiment(name, &[]), trials.clone(), 1))
                .await
                .unwrap();
            for assignment in reply.assignments {
                let value = |i: usize| assignment.parameter_assignments[i].value.clone();
                let label = format!("t{}", trials.len());
                let condition = ["MetricsUnavailable", "EarlyStopped"][trials.len() % 2];
                trials.push(trial(&label, (&value(0), &value(1)), condition, None));
            }
            if reply.exhausted {
                break;
            }
        }
        let mut points: Vec<_> = trials
            .iter()
            .map(|t| format!("{:?}", t.spec.parameter_assignments))
            .collect();
        points.sort();
        points.dedup();
        assert_eq!((points.len(), trials.len()), (10, 10), "{name}");
    }
}

#[tokio::test]
async fn what_is_kept_between_requests_changes_no_answer() {
    let kept = Suggesters::default();
    let value = |i: usize| {
        (
            ["0.1", "0.3", "0.5", "0.2", "0.4"][i % 5],
            ["a", "b"][i / 5 % 2],
        )
    };
    let ended = |i: usize| {
        let loss = format!("0.{}", i * 7 % 10);
        trial(&format!("t{i}"), value(i), "Succeeded", Some(&loss))
    };
    let running = |i: usize| trial(&format!("t{i}"), value(i), "Running", None);
    let first: Vec<_> = (0..8).map(ended).collect();
    // One ends late, in the middle of what had ended already; then they come in another order.
    let mut late: Vec<_> = first.clone();
    late[3] = running(3);
    let mut turned = first.clone();
    turned.reverse();
    for trials in [
        &first[..6],
        &late[..],
        &first[..],
        &turned[..],
        &first[2..],
        &first[..],
    ] {
        // More points of a space without end, so that no answer is forced.
        let mut experiment = experiment("cmaes", &[]);
        experiment.spec.parameters[0].feasible_space.step = String::new();
        let request = || request(experiment.clone(), trials.to_vec(), 3);
        let fresh = Suggesters::default().suggest(request()).await.unwrap();
        assert_eq!(kept.suggest(request()).await.unwrap(), fresh);
        assert_eq!(fresh.assignments.len(), 3);
    }
}

#[tokio::test]
async fn auto_says_what_it_chose_once_and_remembers_it() {
    let suggesters = Suggesters::default();
    let mut asked = request(experiment("auto", &[]), vec![], 1);
    let reply = suggesters.suggest(asked.clone()).await.unwrap();
    let text = "the space has only 10 points";
    assert_eq!(
        reply.note.unwrap(),
        format!("algorithm grid is used: {text}")
    );
    let settings: Vec<_> = reply
        .settings
        .iter()
        .map(|s| (s.name.as_str(), s.value.as_str()))
        .collect();
    assert_eq!(settings, [("auto.choice", "grid"), ("auto.reason", text)]);

    asked.settings = reply.settings;
    let reply = suggesters.suggest(asked).await.unwrap();
    assert_eq!((reply.note, reply.assignments.len()), (None, 1));
}

#[test]
fn what_an_algorithm_lacks_and_what_it_ignores_is_said_before_it_is_asked() {
    let texts = |errors: Vec<diwan_api::FieldError>| {
        let texts = errors.iter().map(ToString::to_string);
        texts.collect::<Vec<_>>()
    };
    let suggesters = Suggesters::default();
    let given = [("n_population", "5"), ("resample_probabilty", "0.5")];
    let lacking = experiment("pbt", &given);
    assert_eq!(
        texts(suggesters.settings_errors(&lacking)),
        [
            "spec.algorithm.algorithmSettings: Required value: suggestion_trial_dir, \
             truncation_threshold"
        ]
    );
    assert_eq!(
        texts(suggesters.ignored_settings(&lacking)),
        [
            "spec.algorithm.algorithmSettings[1].name: Invalid value: \"resample_probabilty\": pbt \
             does not know it, so it has no effect; there are n_population, random_state, \
             resample_probability, suggestion_trial_dir, truncation_threshold"
        ]
    );
    // Those of darts are handed to its trials.
    let handed = experiment("darts", &[("num_epoch", "3")]);
    assert_eq!(texts(suggesters.ignored_settings(&handed)), [""; 0]);
}

#[tokio::test]
async fn wrong_settings_are_named_by_their_field() {
    let suggesters = Suggesters::default();
    let wrong = experiment(
        "tpe",
        &[("random_state", "1"), ("gamma", "7"), ("colour", "red")],
    );
    let errors: Vec<_> = suggesters
        .settings_errors(&wrong)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        errors,
        [
            "spec.algorithm.algorithmSettings[1].value: Invalid value: 7: gamma should be in the \
             range of (0, 1)",
            "spec.algorithm.algorithmSettings[2].name: Invalid value: \"colour\": unknown setting \
             colour for algorithm tpe",
        ]
    );
    assert_eq!(
        suggesters.validate(&wrong).await,
        Err(SuggestionError::Invalid(
            "gamma should be in the range of (0, 1); unknown setting colour for algorithm tpe"
                .into()
        ))
    );
}

#[tokio::test]
async fn two_experiments_without_a_seed_differ() {
    let suggesters = Suggesters::default();
    let mut other = experiment("random", &[]);
    other.metadata.name = Some("other".into());
    let first = suggesters
        .suggest(request(experiment("random", &[]), vec![], 5))
        .await
        .unwrap();
    let again = suggesters
        .suggest(request(experiment("random", &[]), vec![], 5))
        .await
        .unwrap();
    let second = suggesters.suggest(request(other, vec![], 5)).await.unwrap();
    assert_eq!(first, again);
    assert_ne!(first, second);
}

#[tokio::test]
async fn an_endpoint_is_asked_in_place_of_a_built_in_algorithm_and_answers_the_same() {
    let address = serve_built_in(SuggestionService::default()).await;
    let trials = || vec![trial("t0", ("0.1", "a"), "Succeeded", Some("0.5"))];
    for name in ["random", "sobol", "tpe", "grid"] {
        let remote = endpoint(name, address);
        remote.validate(&experiment(name, &[])).await.unwrap();
        let there = remote
            .suggest(request(experiment(name, &[]), trials(), 3))
            .await
            .unwrap();
        let here = Suggesters::default()
            .suggest(request(experiment(name, &[]), trials(), 3))
            .await;
        assert_eq!(there.assignments, here.unwrap().assignments, "{name}");
        assert_eq!(
            remote
                .validate(&experiment(name, &[("random_state", "x")]))
                .await,
            Err(SuggestionError::Invalid(
                "failed to validate random_state(x): not a whole number".into()
            ))
        );
    }
}

#[tokio::test]
async fn a_service_elsewhere_gets_what_counts_and_may_answer_in_part() {
    let other = Other::new(Ok(2));
    let suggesters = endpoint("other", serve_other(other.clone()).await);
    let mut asked = request(
        experiment("other", &[("state", "1"), ("depth", "3")]),
        vec![
            trial("t0", ("0.1", "a"), "Succeeded", Some("0.5")),
            trial("t1", ("0.1", "b"), "MetricsUnavailable", None),
            trial("t2", ("0.2", "b"), "EarlyStopped", None),
            trial("t3", ("0.3", "b"), "Running", None),
        ],
        5,
    );
    asked.settings = vec![AlgorithmSetting {
        name: "state".into(),
        value: "2".into(),
    }];
    let reply = suggesters.suggest(asked).await.unwrap();

    assert_eq!(reply.assignments.len(), 2);
    assert!(!reply.exhausted);
    assert_eq!(reply.assignments[1].name, "mine-1");
    assert_eq!(reply.assignments[1].labels["rung"], "2");
    let lr = ParameterAssignment {
        name: "lr".into(),
        value: "0.2".into(),
    };
    assert_eq!(reply.assignments[1].parameter_assignments, [lr]);
    assert_eq!(reply.settings[0].value, "2");

    let asked = other.asked.lock().unwrap().remove(0);
    let names: Vec<_> = asked.trials.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["t0", "t3"]);
    let status = asked.trials[0].status.as_ref().unwrap();
    assert_eq!(status.start_time, "2026-01-02T03:04:05Z");
    assert_eq!(status.observation.as_ref().unwrap().metrics[0].value, "0.5");
    assert_eq!(asked.trials[0].spec.as_ref().unwrap().labels["rung"], "1");
    assert_eq!(
        (asked.current_request_number, asked.total_request_number),
        (5, 9)
    );
    let settings = asked
        .experiment
        .unwrap()
        .spec
        .unwrap()
        .algorithm
        .unwrap()
        .algorithm_settings;
    let settings: Vec<_> = settings
        .iter()
        .map(|s| (s.name.as_str(), s.value.as_str()))
        .collect();
    assert_eq!(settings, [("depth", "3"), ("state", "2")]);
}

#[tokio::test]
async fn an_empty_answer_from_elsewhere_ends_the_search() {
    let suggesters = endpoint("other", serve_other(Other::new(Ok(0))).await);
    let reply = suggesters
        .suggest(request(experiment("other", &[]), vec![], 1))
        .await
        .unwrap();
    assert!(reply.exhausted && reply.assignments.is_empty());
}

#[tokio::test]
async fn answers_beyond_what_was_asked_for_are_dropped() {
    let suggesters = endpoint("other", serve_other(Other::new(Ok(4))).await);
    let reply = suggesters
        .suggest(request(experiment("other", &[]), vec![], 3))
        .await
        .unwrap();
    assert_eq!(reply.assignments.len(), 3);
}

#[tokio::test]
async fn result_codes_say_what_can_be_done() {
    let text = |error: &SuggestionError| match error {
        SuggestionError::Invalid(_) => "invalid",
        SuggestionError::Retry(_) => "retry",
        SuggestionError::Fatal(_) => "fatal",
    };
    for (status, validate, suggest) in [
        (Status::invalid_argument("x"), "invalid", "invalid"),
        (Status::unknown("x"), "invalid", "retry"),
        (Status::unimplemented("x"), "ok", "fatal"),
        (Status::internal("x"), "retry", "retry"),
        (Status::deadline_exceeded("x"), "retry", "retry"),
    ] {
        let code = status.code();
        let suggesters = endpoint("other", serve_other(Other::new(Err(status))).await);
        let validated = suggesters.validate(&experiment("other", &[])).await;
        assert_eq!(
            validated.as_ref().err().map_or("ok", text),
            validate,
            "{code:?}"
        );
        let suggested = suggesters
            .suggest(request(experiment("other", &[]), vec![], 1))
            .await;
        assert_eq!(
            suggested.as_ref().err().map_or("ok", text),
            suggest,
            "{code:?}"
        );
    }
}

#[tokio::test]
async fn validation_waits_for_a_service_that_is_not_there_yet() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let suggesters = endpoint("random", address);
    let error = suggesters
        .suggest(request(experiment("random", &[]), vec![], 1))
        .await;
    assert!(matches!(error, Err(SuggestionError::Retry(_))), "{error:?}");
    let experiment = experiment("random", &[]);
    let (validated, ()) = tokio::join!(suggesters.validate(&experiment), async {
        tokio::task::yield_now().await;
        let listener = TcpListener::bind(address).await.unwrap();
        let service = SuggestionService::default();
        tokio::spawn(diwan_suggestion::serve(
            listener,
            service,
            std::future::pending(),
        ));
    });
    validated.unwrap();
}

#[tokio::test]
async fn an_image_counts_for_built_in_algorithms_only() {
    let built_in = at("random", image("katib/hyperopt"));
    assert!(built_in.validate(&experiment("random", &[])).await.is_ok());
    let custom = at("custom", image("me/custom"));
    assert_eq!(
        custom
            .validate(&experiment("custom", &[]))
            .await
            .unwrap_err()
            .to_string(),
        "algorithm custom is the image me/custom, which runs in a cluster only; give it an \
         endpoint or a command in the configuration"
    );
    let built_in: Vec<_> = diwan_algorithms::ALGORITHMS
        .iter()
        .map(|a| a.name)
        .collect();
    assert_eq!(custom.names(), built_in);
    assert!(
        endpoint("custom", "x:1")
            .names()
            .contains(&"custom".to_owned())
    );
}
