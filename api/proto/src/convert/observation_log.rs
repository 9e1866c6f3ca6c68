//! What trials reported.

use diwan_api::MetricLog;

use super::ConvertError;
use crate::v1beta1 as message;

impl From<MetricLog> for message::MetricLog {
    fn from(log: MetricLog) -> Self {
        let metric = message::Metric {
            name: log.name,
            value: log.value,
        };
        Self {
            time_stamp: log.time_stamp,
            metric: Some(metric),
        }
    }
}

impl TryFrom<message::MetricLog> for MetricLog {
    type Error = ConvertError;

    fn try_from(log: message::MetricLog) -> Result<Self, ConvertError> {
        match log.metric {
            Some(message::Metric { name, value }) => Ok(Self {
                time_stamp: log.time_stamp,
                name,
                value,
            }),
            None => Err(ConvertError::NoMetric {
                time_stamp: log.time_stamp,
            }),
        }
    }
}

impl From<Vec<MetricLog>> for message::ObservationLog {
    fn from(logs: Vec<MetricLog>) -> Self {
        Self {
            metric_logs: logs.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<message::ObservationLog> for Vec<MetricLog> {
    type Error = ConvertError;

    fn try_from(log: message::ObservationLog) -> Result<Self, ConvertError> {
        log.metric_logs.into_iter().map(TryInto::try_into).collect()
    }
}
