//! The CronJob controller: makes Jobs when it is time.

mod plan;

use diwan_embedded::event::{Event, Recorder};
use diwan_embedded::resource::{CRON_JOBS, JOBS, Resource};
use diwan_embedded::{Api, Status};
use jiff::Timestamp;
use serde_json::{Value, json};

use self::plan::{Situation, active};
use crate::driver::{Again, Controller, Key};
use crate::object::{controller_of, metadata};
use crate::write::{delete, write_status};

/// The name under which the controller writes events.
const COMPONENT: &str = "cronjob-controller";

/// The CronJob controller.
pub(crate) struct CronJobs {
    api: Api,
    events: Recorder,
}

impl CronJobs {
    pub(crate) fn new(api: Api) -> Self {
        Self {
            events: Recorder::new(api.clone(), COMPONENT),
            api,
        }
    }

    /// Makes a Job, unless it is there already.
    async fn create(&self, cron: &Value, job: Value) -> Result<Option<Value>, Status> {
        let name = metadata(&job, "name").to_owned();
        match self
            .api
            .create(&JOBS, metadata(cron, "namespace"), job)
            .await
        {
            Ok(job) => {
                let text = format!("Created job {name}");
                self.events
                    .record(cron, Event::normal("SuccessfulCreate", text));
                Ok(Some(active(&job)))
            }
            Err(status) if status.reason == "AlreadyExists" => Ok(None),
            Err(status) => {
                let text = format!("Error creating job: {status}");
                self.events
                    .record(cron, Event::warning("FailedCreate", text));
                Err(status)
            }
        }
    }
}

impl Controller for CronJobs {
    fn watched(&self) -> Vec<&'static Resource> {
        vec![&JOBS, &CRON_JOBS]
    }

    fn concerned(&self, resource: &'static Resource, object: &Value) -> Vec<Key> {
        if resource == &CRON_JOBS {
            return vec![Key::of(object)];
        }
        Key::of_controller(object, "CronJob").into_iter().collect()
    }

    async fn reconcile(&mut self, key: &Key) -> Result<Again, Status> {
        let Some(cron) = self.api.get(&CRON_JOBS, &key.namespace, &key.name) else {
            return Ok(None);
        };
        let (jobs, _) = self.api.list(&JOBS, Some(&key.namespace));
        let uid = &cron["metadata"]["uid"];
        let is_ours =
            |job: &&Value| controller_of(job, "CronJob").is_some_and(|o| o["uid"] == *uid);
        let jobs: Vec<&Value> = jobs.iter().map(|job| &**job).filter(is_ours).collect();
        let plan = plan::plan(&Situation {
            cron: &cron,
            jobs: &jobs,
            now: Timestamp::now(),
        });
        for name in &plan.delete {
            delete(&self.api, &JOBS, &key.namespace, name).await?;
        }
        let mut status = plan.status;
        if let Some(job) = plan.create
            && let Some(reference) = self.create(&cron, job).await?
        {
            match status["active"].as_array_mut() {
                Some(list) => list.push(reference),
                None => status["active"] = json!([reference]),
            }
        }
        for event in plan.events {
            self.events.record(&cron, event);
        }
        write_status(&self.api, &CRON_JOBS, &cron, status).await?;
        Ok(plan.again)
    }
}
