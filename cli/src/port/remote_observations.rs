//! The observation log as the web page of a cluster sees it: over gRPC, in the name of an account.

use std::path::PathBuf;

use async_trait::async_trait;
use diwan_api::MetricLog;
use diwan_db_manager::TrialRef;
use diwan_db_manager::reader::{Reader, digest};
use diwan_ui::{ObservationError, ObservationReader, TrialMetric};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::observations::trial_metric;

/// How many logs are read at a time.
const AT_A_TIME: usize = 16;

/// Puts the port of the page before a DB manager.
pub(crate) struct RemoteObservations {
    /// The DB manager.
    pub(crate) reader: Reader,
    /// Holds the token that is shown to it; the kubelet renews it. Without the file, none is shown.
    pub(crate) token_file: PathBuf,
}

impl RemoteObservations {
    async fn token(&self) -> Option<String> {
        let text = tokio::fs::read_to_string(&self.token_file).await.ok()?;
        Some(text.trim().to_owned())
    }

    async fn rows(
        &self,
        trial: &TrialRef,
        metric: Option<&str>,
        token: Option<&str>,
    ) -> Result<Vec<MetricLog>, ObservationError> {
        let rows = self.reader.rows(trial, metric, token).await;
        rows.map_err(|error| ObservationError(error.to_string()))
    }
}

#[async_trait]
impl ObservationReader for RemoteObservations {
    async fn series(
        &self,
        namespace: &str,
        trial: &str,
        metrics: &[String],
    ) -> Result<Vec<MetricLog>, ObservationError> {
        let token = self.token().await;
        let trial = TrialRef::new(namespace, trial);
        let mut rows = self.rows(&trial, None, token.as_deref()).await?;
        rows.retain(|row| metrics.is_empty() || metrics.contains(&row.name));
        Ok(rows)
    }

    async fn overview(
        &self,
        namespace: &str,
        trials: &[String],
        metric: &str,
        points: usize,
    ) -> Result<Vec<TrialMetric>, ObservationError> {
        let token = self.token().await;
        let reads: Vec<_> = trials
            .iter()
            .map(|trial| {
                let trial = TrialRef::new(namespace, trial);
                let token = token.as_deref();
                async move {
                    let rows = self.rows(&trial, Some(metric), token).await?;
                    let found = digest(&trial.name, metric, &rows, points);
                    Ok(found.map(|(summary, curve)| trial_metric(summary, &curve.points)))
                }
            })
            .collect();
        let metrics = stream::iter(reads).buffered(AT_A_TIME);
        let found: Vec<Option<TrialMetric>> = metrics.try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use diwan_db_manager::grpc::{self, Access, Context, Credentials, Denied, TrialGuard};
    use diwan_db_manager::{Delivery, ObservationStore, Report, SqliteStore};
    use tokio::net::TcpListener;

    use super::*;

    /// Lets the page's account read.
    struct Account;

    #[async_trait]
    impl TrialGuard for Account {
        async fn check(
            &self,
            _: &TrialRef,
            access: Access,
            credentials: &Credentials,
        ) -> Result<(), Denied> {
            match credentials.bearer.as_deref() {
                Some("page") if access == Access::Read => Ok(()),
                _ => Err(Denied::Unknown("send a token".to_owned())),
            }
        }
    }

    #[tokio::test]
    async fn logs_are_read_in_the_name_of_an_account() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("log.db"))
            .await
            .unwrap();
        let store: Arc<dyn ObservationStore> = Arc::new(store);
        for (trial, value) in [("a", "0.5"), ("b", "0.25")] {
            let row = |name: &str| MetricLog {
                time_stamp: "2026-01-01T00:00:01Z".to_owned(),
                name: name.to_owned(),
                value: value.to_owned(),
            };
            let report = Report {
                trial: TrialRef::new("team", trial),
                rows: vec![row("loss"), row("acc")],
                delivery: Delivery::Plain,
            };
            store.report(report).await.unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let context = Context {
            directory: None,
            guard: Some(Arc::new(Account)),
        };
        tokio::spawn(grpc::serve_with(
            listener,
            store,
            context,
            std::future::pending(),
        ));

        let observations = RemoteObservations {
            reader: Reader::new(&address).unwrap(),
            token_file: folder.path().join("token"),
        };
        let refused = observations.series("team", "a", &[]).await.unwrap_err();
        assert!(refused.to_string().contains("send a token"), "{refused}");

        std::fs::write(&observations.token_file, "page\n").unwrap();
        let rows = observations
            .series("team", "a", &["acc".to_owned()])
            .await
            .unwrap();
        assert_eq!(rows.len(), 1);
        let trials = ["b", "none", "a"].map(str::to_owned);
        let found = observations
            .overview("team", &trials, "loss", 10)
            .await
            .unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|m| (m.trial.as_str(), m.min, &m.points[..]))
            .collect();
        let expected = [
            ("b", Some(0.25), &[(0, 0.25)][..]),
            ("a", Some(0.5), &[(0, 0.5)]),
        ];
        assert_eq!(found, expected);
    }
}
