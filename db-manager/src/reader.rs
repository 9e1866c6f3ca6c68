//! A client of `DBManager` that reads logs for people: the page of a cluster.

use diwan_api::MetricLog;
use diwan_proto::v1beta1::{GetObservationLogRequest, db_manager_client::DbManagerClient};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::client::{ClientError, channel};
use crate::curve::{Curve, CurvePoint, thin};
use crate::grpc::NAMESPACE_KEY;
use crate::store::TrialRef;
use crate::summary::{Summary, Tally, finite};
use crate::time;

/// Reads logs.
#[derive(Clone, Debug)]
pub struct Reader {
    address: String,
    inner: DbManagerClient<Channel>,
}

impl Reader {
    /// Names a server (`host:port` or a URL) without connecting yet.
    ///
    /// # Errors
    /// The address can't be used.
    pub fn new(address: &str) -> Result<Self, ClientError> {
        let client = DbManagerClient::new(channel(address)?);
        Ok(Self {
            address: address.to_owned(),
            inner: client.max_decoding_message_size(usize::MAX),
        })
    }

    /// Reads the rows of a trial in order of time: of one metric, or of all. `bearer` is the token
    /// of the account that reads.
    ///
    /// # Errors
    /// The server refuses, or does not answer.
    pub async fn rows(
        &self,
        trial: &TrialRef,
        metric: Option<&str>,
        bearer: Option<&str>,
    ) -> Result<Vec<MetricLog>, ClientError> {
        let mut request = Request::new(GetObservationLogRequest {
            trial_name: trial.name.clone(),
            metric_name: metric.unwrap_or_default().to_owned(),
            ..GetObservationLogRequest::default()
        });
        let metadata = request.metadata_mut();
        let namespace = trial.namespace.parse().map_err(|_| ClientError::Address {
            address: trial.namespace.clone(),
            reason: "the namespace is not ascii".to_owned(),
        })?;
        metadata.insert(NAMESPACE_KEY, namespace);
        if let Some(bearer) = bearer {
            let value = format!("Bearer {bearer}").parse();
            let mut value: MetadataValue<Ascii> = value.map_err(|_| ClientError::Token)?;
            value.set_sensitive(true);
            metadata.insert("authorization", value);
        }
        let reply = self.inner.clone().get_observation_log(request).await;
        let reply = reply.map_err(|status| ClientError::Call {
            address: self.address.clone(),
            status: Box::new(status),
        })?;
        let log = reply.into_inner().observation_log.unwrap_or_default();
        // What can't be read as a row says nothing to people.
        let rows = log.metric_logs.into_iter();
        Ok(rows
            .filter_map(|row| MetricLog::try_from(row).ok())
            .collect())
    }
}

/// Says what the rows of one metric of a trial, in order of time, amount to, with a curve of at most
/// `points` points; `None` when there are no rows.
pub fn digest(
    trial: &str,
    metric: &str,
    rows: &[MetricLog],
    points: usize,
) -> Option<(Summary, Curve)> {
    let mut tally = Tally::empty();
    let mut curve = Vec::new();
    let rows = rows.iter().filter(|row| row.name == metric);
    for (step, row) in rows.enumerate() {
        let time = time::parse(&row.time_stamp).unwrap_or_default();
        tally.add(time, &row.value);
        let step = step as u64;
        curve.extend(finite(&row.value).map(|value| CurvePoint { step, time, value }));
    }
    let summary = tally.summary(trial, metric);
    let points = match points {
        0 => Vec::new(),
        points => thin(curve, points),
    };
    let trial = trial.to_owned();
    (summary.count > 0).then_some((summary, Curve { trial, points }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(second: u8, name: &str, value: &str) -> MetricLog {
        MetricLog {
            time_stamp: format!("2026-01-01T00:00:{second:02}Z"),
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn rows_are_summed_up_and_drawn() {
        let rows = [
            row(1, "loss", "0.5"),
            row(1, "acc", "9"),
            row(2, "loss", "NaN"),
            row(3, "loss", "0.25"),
        ];
        let (summary, curve) = digest("t", "loss", &rows, 10).unwrap();
        assert_eq!((summary.count, summary.latest.as_str()), (3, "0.25"));
        assert_eq!(summary.min.as_deref(), Some("0.25"));
        assert_eq!(summary.max.as_deref(), Some("0.5"));
        let steps = curve.points.iter().map(|point| (point.step, point.value));
        assert_eq!(steps.collect::<Vec<_>>(), [(0, 0.5), (2, 0.25)]);

        assert!(digest("t", "loss", &rows, 0).unwrap().1.points.is_empty());
        assert!(digest("t", "f1", &rows, 10).is_none());
    }
}
