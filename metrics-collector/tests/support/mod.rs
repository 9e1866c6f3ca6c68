//! A sink that keeps rows in memory, and plans.

use std::sync::Mutex;

use async_trait::async_trait;
use diwan_api::{MetricLog, MetricsCollectorSpec, ObjectiveType, metrics_collector::CollectorPlan};
use diwan_metrics_collector::{Batch, Resume, Sink, SinkError};

/// Rows by the contract of [`Batch`]: a stretch that was stored is not stored again.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) batches: Mutex<Vec<Batch>>,
}

#[async_trait]
impl Sink for Memory {
    async fn resume(
        &self,
        _: &str,
        _: &str,
        source: &str,
        name: &str,
    ) -> Result<Resume, SinkError> {
        let batches = self.batches.lock().unwrap();
        let of_source = batches.iter().rfind(|batch| batch.source == source);
        Ok(Resume {
            position: of_source.map_or(0, |batch| batch.to),
            objective_seen: batches
                .iter()
                .flat_map(|b| &b.rows)
                .any(|row| row.name == name),
        })
    }

    async fn report(&self, batch: &Batch) -> Result<(), SinkError> {
        let mut batches = self.batches.lock().unwrap();
        let before = batches.iter().rfind(|before| before.source == batch.source);
        assert_eq!(before.map_or(0, |batch| batch.to), batch.from, "{batch:?}");
        batches.push(batch.clone());
        Ok(())
    }
}

impl Memory {
    pub(crate) fn rows(&self) -> Vec<String> {
        let batches = self.batches.lock().unwrap();
        batches
            .iter()
            .flat_map(|batch| &batch.rows)
            .map(show)
            .collect()
    }

    pub(crate) async fn until(&self, rows: usize) {
        for _ in 0..3_000 {
            if self.rows().len() >= rows {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{:?} are fewer than {rows}", self.rows());
    }
}

pub(crate) fn show(row: &MetricLog) -> String {
    format!("{}={}", row.name, row.value)
}

pub(crate) fn plan(
    objective: &str,
    additional: &[&str],
    spec: MetricsCollectorSpec,
) -> CollectorPlan {
    CollectorPlan {
        trial: "trial".into(),
        namespace: "default".into(),
        primary_container: "main".into(),
        objective: objective.into(),
        additional: additional.iter().map(ToString::to_string).collect(),
        objective_type: ObjectiveType::Minimize,
        spec,
        stop_rules: vec![],
    }
}
