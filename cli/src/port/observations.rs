//! The observation log as the controllers, the web page and the collectors see it: the store of
//! `diwan-db-manager`, in process.

use std::collections::HashMap;
use std::sync::Arc;

use super::absences::Absences;
use async_trait::async_trait;
use diwan_api::{MetricLog, ObjectiveSpec};
use diwan_controller::port::{self, ObservationsError};
use diwan_db_manager::{
    CurvePoint, Delivery, LogQuery, ObservationStore, Report, StoreError, Summary, TrialRef,
};
use diwan_ui::{ObservationError, ObservationReader, TrialMetric};

/// Puts the ports of others before a store.
#[derive(Clone)]
pub(crate) struct Observations {
    /// The store.
    pub(crate) store: Arc<dyn ObservationStore>,
    /// What collectors found out about metrics that are missing.
    pub(crate) absences: Arc<Absences>,
}

impl Observations {
    async fn rows(
        &self,
        namespace: &str,
        trial: &str,
        metric: Option<String>,
    ) -> Result<Vec<MetricLog>, StoreError> {
        let trial = TrialRef::new(namespace, trial);
        self.store
            .get(LogQuery {
                trial,
                metric,
                ..LogQuery::default()
            })
            .await
    }
}

#[async_trait]
impl port::Observations for Observations {
    async fn get(
        &self,
        namespace: &str,
        trial: &str,
        objective: &ObjectiveSpec,
    ) -> Result<Vec<MetricLog>, ObservationsError> {
        let mut rows = self.rows(namespace, trial, None).await.map_err(into_port)?;
        rows.retain(|row| objective.metric_names().any(|name| name == row.name));
        Ok(rows)
    }

    async fn report(
        &self,
        namespace: &str,
        trial: &str,
        rows: Vec<MetricLog>,
    ) -> Result<(), ObservationsError> {
        let trial = TrialRef::new(namespace, trial);
        self.store
            .report(Report {
                trial,
                rows,
                delivery: Delivery::Plain,
            })
            .await
            .map_err(into_port)
    }

    async fn absence(&self, namespace: &str, trial: &str) -> Option<String> {
        self.absences.of(namespace, trial)
    }

    async fn delete(&self, namespace: &str, trial: &str) -> Result<(), ObservationsError> {
        self.absences.forget(namespace, trial);
        self.store
            .delete(&TrialRef::new(namespace, trial))
            .await
            .map_err(into_port)
    }
}

fn into_port(error: StoreError) -> ObservationsError {
    ObservationsError(error.to_string())
}

#[async_trait]
impl ObservationReader for Observations {
    async fn series(
        &self,
        namespace: &str,
        trial: &str,
        metrics: &[String],
    ) -> Result<Vec<MetricLog>, ObservationError> {
        let metric = match metrics {
            [one] => Some(one.clone()),
            _ => None,
        };
        let mut rows = self
            .rows(namespace, trial, metric)
            .await
            .map_err(|error| ObservationError(error.to_string()))?;
        if !metrics.is_empty() {
            rows.retain(|row| metrics.contains(&row.name));
        }
        Ok(rows)
    }

    async fn overview(
        &self,
        namespace: &str,
        trials: &[String],
        metric: &str,
        points: usize,
    ) -> Result<Vec<TrialMetric>, ObservationError> {
        let unreadable = |error: StoreError| ObservationError(error.to_string());
        let curves = if points == 0 {
            Vec::new()
        } else {
            let curves = self.store.curves(namespace, trials, metric, points).await;
            curves.map_err(unreadable)?
        };
        let mut points: HashMap<String, Vec<CurvePoint>> = curves
            .into_iter()
            .map(|curve| (curve.trial, curve.points))
            .collect();
        let summaries = self.store.summaries(namespace, trials).await;
        Ok(summaries
            .map_err(unreadable)?
            .into_iter()
            .filter(|summary| summary.metric == metric)
            .map(|summary| {
                let points = points.remove(&summary.trial).unwrap_or_default();
                trial_metric(summary, &points)
            })
            .collect())
    }
}

/// What the page shows of one metric of a trial.
pub(super) fn trial_metric(summary: Summary, points: &[CurvePoint]) -> TrialMetric {
    let number = |text: Option<String>| text?.trim().parse().ok();
    let points = points.iter().map(|point| (point.step, point.value));
    TrialMetric {
        points: points.collect(),
        reported: summary.count,
        min: number(summary.min),
        max: number(summary.max),
        latest: summary.latest,
        trial: summary.trial,
    }
}
