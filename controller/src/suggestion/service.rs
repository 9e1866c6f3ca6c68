//! Services of algorithms that are images: made when they are needed, looked after, removed.

use std::collections::HashMap;

use diwan_api::metadata::{LABEL_DEPLOYMENT, service_name};
use diwan_api::{Experiment, Suggestion};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::api::{ApiResource, DeleteParams, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt};
use parking_lot::Mutex;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::deployment::{Images, objects};
use crate::checkpoint;
use crate::key::Key;
use crate::port::ServiceImage;
use crate::trial::diagnosis;
use crate::world::{World, is_conflict, is_not_found, is_outage, text};

/// How the services of experiments stand.
#[derive(Default)]
pub(super) struct Services {
    /// Those that were made or found, by the suggestion; true when they are ready.
    known: Mutex<HashMap<Key, (String, bool)>>,
}

/// How the service of one experiment stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It can be asked, as far as is known.
    Ready,
    /// Not yet, for this reason.
    Coming(String),
    /// It was not ready in the time that its Deployment has.
    Late(String),
}

impl Services {
    /// Makes what serves the experiment, unless it is there, and tells how it stands.
    pub(super) async fn stand(
        &self,
        world: &World,
        key: &Key,
        suggestion: &Suggestion,
        experiment: &Experiment,
    ) -> Result<Standing, kube::Error> {
        let images = images(world, experiment);
        if images.is_empty() {
            return Ok(Standing::Ready);
        }
        let uid = suggestion.uid().unwrap_or_default();
        let known = self.known.lock().get(key).cloned();
        match known.filter(|(of, _)| *of == uid) {
            Some((_, true)) => return Ok(Standing::Ready),
            Some((_, false)) => {}
            None => {
                for object in objects(suggestion, experiment, &images) {
                    if let Err(error) = create(world, key, &object).await {
                        if is_outage(&error) {
                            return Err(error);
                        }
                        let kind = object["kind"].as_str().unwrap_or_default();
                        let name = service_name(experiment);
                        let why = format!("{kind} {name} can't be created: {}", text(&error));
                        return Ok(Standing::Coming(why));
                    }
                }
                let is_all = !images.run();
                self.known.lock().insert(key.clone(), (uid.clone(), is_all));
                if is_all {
                    return Ok(Standing::Ready);
                }
            }
        }
        let name = service_name(experiment);
        let deployments = world.api::<Deployment>(&key.namespace);
        let Some(deployment) = deployments.get_opt(&name).await? else {
            self.doubt(key);
            return Ok(Standing::Coming(format!("Deployment {name} is gone")));
        };
        let standing = judge(&deployment);
        match standing {
            Standing::Ready => {
                self.known.lock().insert(key.clone(), (uid, true));
                Ok(Standing::Ready)
            }
            Standing::Coming(why) => Ok(Standing::Coming(self.why(world, key, &name, why).await)),
            Standing::Late(why) => Ok(Standing::Late(self.why(world, key, &name, why).await)),
        }
    }

    /// What its pods say, or else what the Deployment says.
    async fn why(&self, world: &World, key: &Key, name: &str, otherwise: String) -> String {
        let selector = format!("{LABEL_DEPLOYMENT}={name}");
        let found = diagnosis::obstacle_of(world, &key.namespace, &selector).await;
        found.unwrap_or(otherwise)
    }

    /// Has it looked at anew before it is asked again: it did not answer.
    pub(super) fn doubt(&self, key: &Key) {
        self.known.lock().remove(key);
    }

    /// Removes what answers; volumes stay until the experiment goes.
    pub(super) async fn remove(
        &self,
        world: &World,
        key: &Key,
        experiment: &Experiment,
    ) -> Result<(), kube::Error> {
        self.doubt(key);
        if !images(world, experiment).run() {
            return Ok(());
        }
        let name = service_name(experiment);
        let how = DeleteParams::background();
        let deployments = world.api::<Deployment>(&key.namespace);
        let services = world.api::<Service>(&key.namespace);
        let (deployment, service) = tokio::join!(
            deployments.delete(&name, &how),
            services.delete(&name, &how)
        );
        gone(deployment.map(drop))?;
        gone(service.map(drop))
    }
}

fn images(world: &World, experiment: &Experiment) -> Images {
    let suggester = &world.ports.suggester;
    let suggestion = suggester.image(experiment);
    let hands_on = suggestion.is_none() && checkpoint::trial_folder(experiment).is_some();
    let volume = || suggester.volume(experiment).unwrap_or_default();
    Images {
        suggestion,
        early_stopping: world.ports.early_stopper.image(experiment),
        checkpoints: hands_on.then(|| checkpoint_volume(volume())),
    }
}

/// The volume of checkpoints, for trials on several nodes unless the configuration says otherwise.
fn checkpoint_volume(mut volume: ServiceImage) -> ServiceImage {
    volume.volume_claim.get_or_insert_with(|| {
        json!({
            "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "5Gi"}},
        })
    });
    volume
}

pub(super) async fn create(world: &World, key: &Key, object: &Value) -> Result<(), kube::Error> {
    let object = DynamicObject::deserialize(object).map_err(kube::Error::SerdeError)?;
    let types = object.types.clone().unwrap_or_default();
    let kind = GroupVersionKind::try_from(&types)
        .map_err(|error| kube::Error::Service(error.to_string().into()))?;
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = if object.metadata.namespace.is_some() {
        Api::namespaced_with(world.client.clone(), &key.namespace, &resource)
    } else {
        Api::all_with(world.client.clone(), &resource)
    };
    match api.create(&PostParams::default(), &object).await {
        Err(error) if !is_conflict(&error) => Err(error),
        _ => Ok(()),
    }
}

fn gone(deleted: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match deleted {
        Err(error) if !is_not_found(&error) => Err(error),
        _ => Ok(()),
    }
}

/// How a Deployment stands, in its own words.
fn judge(deployment: &Deployment) -> Standing {
    let name = deployment.name_any();
    let conditions = deployment.status.as_ref();
    let conditions = conditions.and_then(|status| status.conditions.as_deref());
    let find = |type_: &str| {
        let mut conditions = conditions.unwrap_or_default().iter();
        conditions.find(|condition| condition.type_ == type_)
    };
    let available = find("Available");
    if available.is_some_and(|condition| condition.status == "True") {
        return Standing::Ready;
    }
    let said = |condition: &k8s_openapi::api::apps::v1::DeploymentCondition| {
        let message = condition.message.clone().unwrap_or_default();
        format!("Deployment {name} is not ready: {message}")
    };
    let progressing = find("Progressing").filter(|condition| condition.status == "False");
    if let Some(late) = progressing {
        return Standing::Late(said(late));
    }
    let why = available.map_or_else(|| format!("Deployment {name} is not ready"), said);
    Standing::Coming(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_tells_how_it_stands() {
        let judged = |conditions: Value| {
            let deployment = json!({
                "metadata": {"name": "e-mine"}, "status": {"conditions": conditions}
            });
            judge(&serde_json::from_value(deployment).unwrap())
        };
        let condition = |type_: &str, status: &str, message: &str| json!({"type": type_, "status": status, "message": message});
        let available = condition("Available", "True", "");
        assert_eq!(judged(json!([available])), Standing::Ready);
        let not_yet = condition("Available", "False", "no pods");
        let why = "Deployment e-mine is not ready: no pods".to_owned();
        assert_eq!(judged(json!([not_yet])), Standing::Coming(why));
        let late = condition("Progressing", "False", "timed out");
        let why = "Deployment e-mine is not ready: timed out".to_owned();
        assert_eq!(judged(json!([not_yet, late])), Standing::Late(why));
        let why = "Deployment e-mine is not ready".to_owned();
        assert_eq!(judged(json!([])), Standing::Coming(why));
    }
}
