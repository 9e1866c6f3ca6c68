//! `DBManager`, health and reflection, as clients see them through a socket.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use diwan_api::MetricLog;
use diwan_db_manager::{
    ObservationStore, TrialRef,
    client::Client,
    grpc::{
        self, Access, BATCH_KEY, Context, Credentials, Denied, LookupError, NAMESPACE_KEY,
        TOKEN_KEY, TrialDirectory, TrialGuard,
    },
    retention::{self, Age},
    store,
    url::DatabaseUrl,
};
use diwan_proto::v1beta1::{
    DeleteObservationLogRequest, GetObservationLogRequest, Metric, MetricLog as WireLog,
    ObservationLog, ReportObservationLogRequest, db_manager_client::DbManagerClient,
};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::{Code, Request, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

struct Server {
    address: SocketAddr,
    store: Arc<dyn ObservationStore>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start(directory: Option<Arc<dyn TrialDirectory>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(listener, directory).await
    }

    async fn start_on(listener: TcpListener, directory: Option<Arc<dyn TrialDirectory>>) -> Self {
        let guard = None;
        Self::start_with(listener, Context { directory, guard }).await
    }

    async fn start_with(listener: TcpListener, context: Context) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("log.db"));
        let store = store::open(&url).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        let task = tokio::spawn(grpc::serve_with(
            listener,
            Arc::clone(&store),
            context,
            shutdown,
        ));
        Self {
            address,
            store,
            stop,
            task,
            _folder: folder,
        }
    }

    async fn channel(&self) -> Channel {
        let url = format!("http://{}", self.address);
        Channel::from_shared(url).unwrap().connect().await.unwrap()
    }

    async fn client(&self) -> DbManagerClient<Channel> {
        DbManagerClient::new(self.channel().await)
    }
}

fn entry(time: &str, name: &str, value: &str) -> WireLog {
    let metric = Some(Metric {
        name: name.into(),
        value: value.into(),
    });
    WireLog {
        time_stamp: time.into(),
        metric,
    }
}

fn report(trial: &str, metric_logs: Vec<WireLog>) -> ReportObservationLogRequest {
    let observation_log = Some(ObservationLog { metric_logs });
    ReportObservationLogRequest {
        trial_name: trial.into(),
        observation_log,
    }
}

fn get(trial: &str) -> GetObservationLogRequest {
    GetObservationLogRequest {
        trial_name: trial.into(),
        ..Default::default()
    }
}

fn with<T>(message: T, metadata: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    for (key, value) in metadata {
        request.metadata_mut().insert(*key, value.parse().unwrap());
    }
    request
}

async fn values(
    client: &mut DbManagerClient<Channel>,
    request: Request<GetObservationLogRequest>,
) -> Vec<String> {
    let reply = client
        .get_observation_log(request)
        .await
        .unwrap()
        .into_inner();
    let logs = reply.observation_log.unwrap().metric_logs;
    logs.into_iter()
        .map(|log| log.metric.unwrap().value)
        .collect()
}

#[tokio::test]
async fn a_log_is_reported_read_and_deleted() {
    let server = Server::start(None).await;
    let mut client = server.client().await;
    let logs = vec![
        entry("2026-01-01T00:00:02Z", "loss", "0.2"),
        entry("2026-01-01T01:00:01.50+01:00", "loss", "0.3"),
        entry("0001-01-01T00:00:00Z", "acc", "unavailable"),
        entry("", "acc", "0.5"),
    ];
    client
        .report_observation_log(report("t", logs))
        .await
        .unwrap();

    let reply = client
        .get_observation_log(get("t"))
        .await
        .unwrap()
        .into_inner();
    let expected = vec![
        entry("0001-01-01T00:00:00Z", "acc", "unavailable"),
        entry("2026-01-01T00:00:01.5Z", "loss", "0.3"),
        entry("2026-01-01T00:00:02Z", "loss", "0.2"),
    ];
    assert_eq!(reply.observation_log.unwrap().metric_logs, expected);

    let bounded = GetObservationLogRequest {
        metric_name: "loss".into(),
        start_time: "2026-01-01T00:00:02Z".into(),
        ..get("t")
    };
    assert_eq!(values(&mut client, Request::new(bounded)).await, ["0.2"]);

    let delete = DeleteObservationLogRequest {
        trial_name: "t".into(),
    };
    client.delete_observation_log(delete).await.unwrap();
    assert_eq!(values(&mut client, Request::new(get("t"))).await, [""; 0]);
}

#[tokio::test]
async fn empty_and_missing_logs_are_accepted_and_bad_ones_named() {
    let server = Server::start(None).await;
    let mut client = server.client().await;
    client
        .report_observation_log(report("t", vec![]))
        .await
        .unwrap();
    let missing = ReportObservationLogRequest {
        trial_name: "t".into(),
        observation_log: None,
    };
    client.report_observation_log(missing).await.unwrap();

    let logs = vec![
        entry("2026-01-01T00:00:02Z", "loss", "1"),
        entry("noon", "acc", "1"),
    ];
    let status = client
        .report_observation_log(report("t", logs))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status
            .message()
            .starts_with("entry 1 (metric \"acc\"): time stamp \"noon\""),
        "{status}"
    );
    let nameless = WireLog {
        time_stamp: "2026-01-01T00:00:02Z".into(),
        metric: None,
    };
    let status = client
        .report_observation_log(report("t", vec![nameless]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("entry 0: "), "{status}");
    let status = client.get_observation_log(get("")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn namespaces_sent_as_metadata_keep_equal_names_apart() {
    let server = Server::start(None).await;
    let mut client = server.client().await;
    for namespace in ["a", "b"] {
        let logs = vec![entry("2026-01-01T00:00:02Z", "loss", namespace)];
        let request = with(report("t", logs), &[(NAMESPACE_KEY, namespace)]);
        client.report_observation_log(request).await.unwrap();
    }
    assert_eq!(
        values(&mut client, with(get("t"), &[(NAMESPACE_KEY, "a")])).await,
        ["a"]
    );
    assert_eq!(
        values(&mut client, with(get("t"), &[(NAMESPACE_KEY, "b")])).await,
        ["b"]
    );
    let status = client.get_observation_log(get("t")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("a, b"), "{status}");
    assert!(status.message().ends_with("diwan-namespace"), "{status}");
}

struct Fixed(&'static [(&'static str, &'static str)]);

#[tonic::async_trait]
impl TrialDirectory for Fixed {
    async fn namespaces(&self, trial: &str) -> Result<Vec<String>, LookupError> {
        if trial == "lost" {
            return Err(LookupError("the API is away".into()));
        }
        let of_trial = self.0.iter().filter(|(_, name)| *name == trial);
        Ok(of_trial
            .map(|(namespace, _)| (*namespace).to_owned())
            .collect())
    }
}

#[tokio::test]
async fn a_directory_finds_the_namespace_of_a_first_report() {
    let directory = Fixed(&[("a", "only"), ("a", "twice"), ("b", "twice")]);
    let server = Server::start(Some(Arc::new(directory))).await;
    let mut client = server.client().await;
    let logs = || vec![entry("2026-01-01T00:00:02Z", "loss", "1")];
    client
        .report_observation_log(report("only", logs()))
        .await
        .unwrap();
    assert_eq!(
        values(&mut client, with(get("only"), &[(NAMESPACE_KEY, "a")])).await,
        ["1"]
    );
    assert_eq!(
        values(&mut client, with(get("only"), &[(NAMESPACE_KEY, "b")])).await,
        [""; 0]
    );
    let status = client
        .report_observation_log(report("twice", logs()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let status = client
        .report_observation_log(report("lost", logs()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("the API is away"), "{status}");
}

/// Lets everybody read, the trial `n/t` do all with its token, and the account `admin` all in `m`.
struct Guard;

#[tonic::async_trait]
impl TrialGuard for Guard {
    async fn check(
        &self,
        trial: &TrialRef,
        access: Access,
        credentials: &Credentials,
    ) -> Result<(), Denied> {
        let sent = (
            credentials.trial_token.as_deref(),
            credentials.bearer.as_deref(),
        );
        match sent {
            _ if access == Access::Read => Ok(()),
            (Some("secret"), _) if *trial == TrialRef::new("n", "t") => Ok(()),
            (None, Some("admin")) if trial.namespace == "m" => Ok(()),
            (None, Some("unlucky")) => Err(Denied::Undecided("the API is away".into())),
            (None, None) => Err(Denied::Unknown("send a token".into())),
            _ => Err(Denied::Forbidden("not yours".into())),
        }
    }
}

#[tokio::test]
async fn a_guard_checks_the_token_of_a_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let context = Context {
        guard: Some(Arc::new(Guard)),
        ..Context::default()
    };
    let server = Server::start_with(listener, context).await;
    let mut client = server.client().await;
    let logs = || report("t", vec![entry("2026-01-01T00:00:02Z", "loss", "1")]);
    let (ours, theirs) = ((NAMESPACE_KEY, "n"), (NAMESPACE_KEY, "m"));
    for (metadata, expected) in [
        (vec![ours], Code::Unauthenticated),
        (vec![ours, (TOKEN_KEY, "guess")], Code::PermissionDenied),
        (vec![theirs, (TOKEN_KEY, "secret")], Code::PermissionDenied),
        (vec![ours, (TOKEN_KEY, "secret")], Code::Ok),
        (
            vec![ours, ("authorization", "Bearer admin")],
            Code::PermissionDenied,
        ),
        (
            vec![ours, ("authorization", "Basic admin")],
            Code::Unauthenticated,
        ),
        (
            vec![ours, ("authorization", "Bearer unlucky")],
            Code::Unavailable,
        ),
        (vec![theirs, ("authorization", "Bearer admin")], Code::Ok),
    ] {
        let done = client.report_observation_log(with(logs(), &metadata)).await;
        assert_eq!(
            done.map_or_else(|status| status.code(), |_| Code::Ok),
            expected
        );
    }
    let delete = DeleteObservationLogRequest {
        trial_name: "t".into(),
    };
    let refused = client.delete_observation_log(with(delete, &[ours])).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(refused.message(), "trial \"t\": send a token");
    assert_eq!(values(&mut client, with(get("t"), &[ours])).await, ["1"]);

    let address = server.address.to_string();
    let sender = Client::new(&address, Some("n"), Duration::ZERO).unwrap();
    let sender = sender.with_token("secret").unwrap();
    let row = || {
        vec![MetricLog {
            time_stamp: "2026-01-01T00:00:03Z".into(),
            name: "loss".into(),
            value: "2".into(),
        }]
    };
    for _ in 0..2 {
        sender.report_as("t", "mine", row()).await.unwrap();
    }
    assert_eq!(
        values(&mut client, with(get("t"), &[ours])).await,
        ["1", "2"]
    );
}

#[tokio::test]
async fn old_logs_go_in_the_background_when_an_age_is_set() {
    let server = Server::start(None).await;
    let mut client = server.client().await;
    let logs = vec![entry("2026-01-01T00:00:02Z", "loss", "1")];
    client
        .report_observation_log(report("t", logs))
        .await
        .unwrap();
    let now = 4_000_000_000_000_000;
    let swept = retention::sweep(&*server.store, None, now).await.unwrap();
    assert_eq!(swept.trials, 0);

    let (stop, stopped) = oneshot::channel::<()>();
    let age = Some(Age(Duration::ZERO));
    let task = retention::run(Arc::clone(&server.store), age, async {
        drop(stopped.await);
    });
    let task = tokio::spawn(task);
    while !values(&mut client, Request::new(get("t"))).await.is_empty() {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    task.await.unwrap();
}

#[tokio::test]
async fn a_report_with_an_id_is_stored_once() {
    let server = Server::start(None).await;
    let mut client = server.client().await;
    for _ in 0..2 {
        let logs = vec![entry("2026-01-01T00:00:02Z", "loss", "1")];
        let request = with(report("t", logs), &[(BATCH_KEY, "batch-1")]);
        client.report_observation_log(request).await.unwrap();
    }
    assert_eq!(values(&mut client, Request::new(get("t"))).await, ["1"]);
}

#[tokio::test]
async fn messages_beyond_four_megabytes_pass_both_ways() {
    let server = Server::start(None).await;
    let mut client = server.client().await.max_decoding_message_size(usize::MAX);
    let value = "x".repeat(6 << 20);
    let logs = vec![entry("2026-01-01T00:00:02Z", "loss", &value)];
    client
        .report_observation_log(report("t", logs))
        .await
        .unwrap();
    assert_eq!(values(&mut client, Request::new(get("t"))).await, [value]);
}

#[tokio::test]
async fn health_is_the_health_of_the_database() {
    let server = Server::start(None).await;
    let mut health = HealthClient::new(server.channel().await);
    let check = |service: &str| HealthCheckRequest {
        service: service.into(),
    };
    for service in ["", "grpc.health.v1.Health"] {
        let reply = health.check(check(service)).await.unwrap().into_inner();
        assert_eq!(reply.status(), ServingStatus::Serving, "{service}");
    }
    let status = health.check(check("other")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);

    server.store.close().await.unwrap();
    let reply = health.check(check("")).await.unwrap().into_inner();
    assert_eq!(reply.status(), ServingStatus::NotServing);
    let status = server
        .client()
        .await
        .get_observation_log(get("t"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn reflection_lists_the_services_in_both_versions() {
    use tonic_reflection::pb::{v1, v1alpha};
    let server = Server::start(None).await;
    let channel = server.channel().await;

    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest {
        message_request: Some(list),
        ..Default::default()
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let requests = tokio_stream::once(request);
    let mut replies = client
        .server_reflection_info(requests)
        .await
        .unwrap()
        .into_inner();
    let reply = replies
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(services) = reply
    else {
        panic!("an unexpected reply: {reply:?}");
    };
    let names: Vec<_> = services
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    assert!(
        names.iter().any(|name| name == "api.v1.beta1.DBManager"),
        "{names:?}"
    );
    assert!(
        names.iter().any(|name| name == "grpc.health.v1.Health"),
        "{names:?}"
    );

    let list = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1alpha::ServerReflectionRequest {
        message_request: Some(list),
        ..Default::default()
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let requests = tokio_stream::once(request);
    let mut replies = client
        .server_reflection_info(requests)
        .await
        .unwrap()
        .into_inner();
    assert!(
        replies
            .message()
            .await
            .unwrap()
            .unwrap()
            .message_response
            .is_some()
    );
}

#[tokio::test]
async fn the_client_waits_for_a_server_that_is_away() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::new(&address.to_string(), Some("n"), Duration::from_mins(1)).unwrap();
    let rows: Vec<_> = (0..25_000)
        .map(|i| MetricLog {
            time_stamp: "2026-01-01T00:00:00Z".into(),
            name: "loss".into(),
            value: i.to_string(),
        })
        .collect();
    let reporting = tokio::spawn(async move { client.report("t", rows).await });
    tokio::task::yield_now().await;

    let listener = TcpListener::bind(address).await.unwrap();
    let server = Server::start_on(listener, None).await;
    reporting.await.unwrap().unwrap();
    let mut reader = server.client().await.max_decoding_message_size(usize::MAX);
    let stored = values(&mut reader, with(get("t"), &[(NAMESPACE_KEY, "n")])).await;
    assert!(
        stored
            .iter()
            .map(|value| value.parse::<u32>().unwrap())
            .eq(0..25_000)
    );
}

#[tokio::test]
async fn the_client_does_not_repeat_what_was_refused() {
    let server = Server::start(None).await;
    let address = server.address.to_string();
    let client = Client::new(&address, None, Duration::from_hours(1)).unwrap();
    let row = MetricLog {
        time_stamp: "noon".into(),
        name: "loss".into(),
        value: "1".into(),
    };
    let error = client.report("t", vec![row]).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("DB manager at {address}: entry 0")),
        "{error}"
    );
    assert!(Client::new("not an address", None, Duration::ZERO).is_err());
}

#[tokio::test]
async fn serving_ends_when_it_is_told_to() {
    let server = Server::start(None).await;
    server.stop.send(()).unwrap();
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn of_several_trials_that_is_meant_for_which_the_caller_may_act() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let context = Context {
        guard: Some(Arc::new(Guard)),
        directory: Some(Arc::new(Fixed(&[("n", "t"), ("m", "t")]))),
    };
    let server = Server::start_with(listener, context).await;
    let mut client = server.client().await;
    for (metadata, namespace) in [
        ((TOKEN_KEY, "secret"), "n"),
        (("authorization", "Bearer admin"), "m"),
    ] {
        let row = entry("2026-01-01T00:00:02Z", "loss", namespace);
        let request = with(report("t", vec![row]), &[metadata]);
        client.report_observation_log(request).await.unwrap();
        let read = with(get("t"), &[(NAMESPACE_KEY, namespace)]);
        assert_eq!(values(&mut client, read).await, [namespace]);
    }
    // Who is refused is not told where the trials are.
    let refused = client.report_observation_log(report("t", Vec::new())).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(refused.message(), "trial \"t\": send a token");
    let status = client.get_observation_log(get("t")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
}
