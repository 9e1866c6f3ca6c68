//! Early stopping over gRPC, beside a DB manager that asks who reads.

use std::net::SocketAddr;
use std::sync::Arc;

use diwan_proto::metadata::Credentials;
use diwan_proto::v1beta1 as proto;
use diwan_proto::v1beta1::db_manager_server::{DbManager, DbManagerServer};
use diwan_proto::v1beta1::early_stopping_client::EarlyStoppingClient;
use diwan_suggestion::{
    EarlyStoppingService, Services, StopError, SuggestionService, TrialStopper, serve,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

/// Lets the account `reader` read that a trial reported 1, 2 and 3.
struct Log;

#[tonic::async_trait]
impl DbManager for Log {
    async fn report_observation_log(
        &self,
        _: Request<proto::ReportObservationLogRequest>,
    ) -> Result<Response<proto::ReportObservationLogReply>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_observation_log(
        &self,
        request: Request<proto::GetObservationLogRequest>,
    ) -> Result<Response<proto::GetObservationLogReply>, Status> {
        match Credentials::of(request.metadata())?.bearer.as_deref() {
            Some("reader") => {}
            Some(_) => return Err(Status::permission_denied("not yours")),
            None => return Err(Status::unauthenticated("send a token")),
        }
        let row = |value: i32| proto::MetricLog {
            time_stamp: format!("2026-01-01T00:00:0{value}Z"),
            metric: Some(proto::Metric {
                name: "loss".to_owned(),
                value: value.to_string(),
            }),
        };
        let metric_logs = (1..4).map(row).collect();
        Ok(Response::new(proto::GetObservationLogReply {
            observation_log: Some(proto::ObservationLog { metric_logs }),
        }))
    }

    async fn delete_observation_log(
        &self,
        _: Request<proto::DeleteObservationLogRequest>,
    ) -> Result<Response<proto::DeleteObservationLogReply>, Status> {
        Err(Status::unimplemented(""))
    }
}

/// Lets the account `owner` stop trials.
struct Trials;

#[tonic::async_trait]
impl TrialStopper for Trials {
    async fn stop(
        &self,
        _: Option<&str>,
        _: &str,
        credentials: &Credentials,
    ) -> Result<(), StopError> {
        match credentials.bearer.as_deref() {
            Some("owner") => Ok(()),
            Some(_) => Err(StopError::Denied("not yours".to_owned())),
            None => Err(StopError::Unknown("send a token".to_owned())),
        }
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// A service that reads from one DB manager alone.
async fn client() -> EarlyStoppingClient<tonic::transport::Channel> {
    let (listener, log) = listen().await;
    let serving = Server::builder().add_service(DbManagerServer::new(Log));
    tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
    let early_stopping = EarlyStoppingService::new(Arc::new(Trials));
    let services = Services {
        suggestion: SuggestionService::default(),
        early_stopping: early_stopping.reading_from(log.to_string()),
    };
    let (listener, address) = listen().await;
    tokio::spawn(serve(listener, services, std::future::pending()));
    EarlyStoppingClient::connect(format!("http://{address}"))
        .await
        .expect("it is served")
}

fn with<T>(message: T, bearer: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(bearer) = bearer {
        let value = format!("Bearer {bearer}").parse().expect("ascii");
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// A question about an experiment with one trial that has succeeded; it names a DB manager that is
/// not there.
fn question() -> proto::GetEarlyStoppingRulesRequest {
    let setting = |name: &str| proto::EarlyStoppingSetting {
        name: name.to_owned(),
        value: "1".to_owned(),
    };
    let condition = proto::trial_status::TrialConditionType::Succeeded;
    proto::GetEarlyStoppingRulesRequest {
        experiment: Some(proto::Experiment {
            name: "tune".to_owned(),
            spec: Some(proto::ExperimentSpec {
                objective: Some(proto::ObjectiveSpec {
                    r#type: proto::ObjectiveType::Minimize.into(),
                    objective_metric_name: "loss".to_owned(),
                    ..proto::ObjectiveSpec::default()
                }),
                early_stopping: Some(proto::EarlyStoppingSpec {
                    algorithm_name: "medianstop".to_owned(),
                    algorithm_settings: ["min_trials_required", "start_step"].map(setting).into(),
                }),
                ..proto::ExperimentSpec::default()
            }),
        }),
        trials: vec![proto::Trial {
            name: "tune-a".to_owned(),
            status: Some(proto::TrialStatus {
                condition: condition.into(),
                ..proto::TrialStatus::default()
            }),
            ..proto::Trial::default()
        }],
        db_manager_address: "127.0.0.1:1".to_owned(),
    }
}

#[tokio::test]
async fn logs_are_read_in_the_callers_name_from_the_own_db_manager() {
    let mut client = client().await;
    for (bearer, expected) in [
        (None, Code::Unauthenticated),
        (Some("mallory"), Code::PermissionDenied),
    ] {
        let asked = client.get_early_stopping_rules(with(question(), bearer));
        let refused = asked.await.expect_err("it is refused");
        assert_eq!(refused.code(), expected, "{refused}");
    }
    let asked = client.get_early_stopping_rules(with(question(), Some("reader")));
    let rules = asked.await.expect("rules").into_inner();
    assert_eq!(rules.early_stopping_rules.len(), 1, "{rules:?}");
}

#[tokio::test]
async fn a_trial_is_stopped_by_who_may() {
    let mut client = client().await;
    for (bearer, expected) in [
        (None, Code::Unauthenticated),
        (Some("mallory"), Code::PermissionDenied),
        (Some("owner"), Code::Ok),
    ] {
        let trial_name = "tune-a".to_owned();
        let message = proto::SetTrialStatusRequest { trial_name };
        let done = client.set_trial_status(with(message, bearer)).await;
        let code = done.map_or_else(|status| status.code(), |_| Code::Ok);
        assert_eq!(code, expected, "{bearer:?}");
    }
}
