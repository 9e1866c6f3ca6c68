//! Claims and volumes: a claim gets a volume that fits, or a folder that is made for it.

mod fit;
mod plan;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use diwan_embedded::event::{Event, Recorder};
use diwan_embedded::resource::{
    PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, Resource, STORAGE_CLASSES,
};
use diwan_embedded::{Api, Status, Subresource};
use jiff::Timestamp;
use serde_json::{Value, json};

use self::fit::{BOUND_BY_US, COMPLETED, class, is_for};
use self::plan::{CLAIM_IN_USE, ClaimSeen, ClaimStep, VOLUME_IN_USE, VolumeStep};
use crate::driver::{Again, Controller, Key};
use crate::object::{metadata, time};
use crate::write::{delete, write_status};

/// The name under which the controller writes events.
const COMPONENT: &str = "persistentvolume-controller";

/// Finds or makes volumes for claims.
pub(crate) struct Claims {
    api: Api,
    events: Recorder,
    folders: PathBuf,
    /// What was last said of a claim that waits, by its unique identifier.
    said: HashMap<String, Event>,
}

impl Claims {
    /// Folders of volumes are made in `folders`.
    pub(crate) fn new(api: Api, folders: PathBuf) -> Self {
        Self {
            events: Recorder::new(api.clone(), COMPONENT),
            api,
            folders,
            said: HashMap::new(),
        }
    }

    /// Whether a pod that has not ended names a claim.
    fn is_used(&self, claim: &Value) -> bool {
        let (pods, _) = self.api.list(&PODS, Some(metadata(claim, "namespace")));
        let name = metadata(claim, "name");
        pods.iter().any(|pod| {
            let over = matches!(
                pod["status"]["phase"].as_str(),
                Some("Succeeded" | "Failed")
            );
            !over && claims_of(pod).any(|used| used == name)
        })
    }

    async fn carry_out(&mut self, claim: &Value, step: ClaimStep) -> Result<(), Status> {
        match step {
            ClaimStep::Rest => Ok(()),
            ClaimStep::Release => {
                release(&self.api, &PERSISTENT_VOLUME_CLAIMS, claim, CLAIM_IN_USE).await
            }
            ClaimStep::Bind(volume) => self.bind(claim, &volume).await,
            ClaimStep::Bound(status) => {
                write_status(&self.api, &PERSISTENT_VOLUME_CLAIMS, claim, status).await
            }
            ClaimStep::Lost => {
                self.say(
                    claim,
                    Event::warning(
                        "ClaimLost",
                        "Bound claim has lost its PersistentVolume. Data on the volume is lost!",
                    ),
                );
                let status = json!({ "phase": "Lost" });
                write_status(&self.api, &PERSISTENT_VOLUME_CLAIMS, claim, status).await
            }
            ClaimStep::Provision => self.provision(claim).await,
            ClaimStep::Wait(event) => {
                self.say(claim, event);
                Ok(())
            }
        }
    }

    /// Says why a claim waits, unless that was said.
    fn say(&mut self, claim: &Value, event: Event) {
        let uid = metadata(claim, "uid").to_owned();
        if self.said.get(&uid) != Some(&event) {
            self.events.record(claim, event.clone());
            self.said.insert(uid, event);
        }
    }

    /// Binds a volume to a claim, then the claim to the volume. Killed in between, the volume is
    /// found again as the one that is kept for the claim.
    async fn bind(&self, claim: &Value, volume: &str) -> Result<(), Status> {
        let kind = &PERSISTENT_VOLUMES;
        let written = self
            .api
            .modify(kind, "", volume, Subresource::None, |volume| {
                let reference = &volume["spec"]["claimRef"];
                if !reference.is_null() && !is_for(volume, claim) {
                    return false;
                }
                if reference.is_null() {
                    volume["metadata"]["annotations"][BOUND_BY_US] = json!("yes");
                } else if !reference["uid"].is_null() {
                    return false;
                }
                volume["spec"]["claimRef"] = plan::reference(claim);
                true
            });
        let is_ours = written.await?.is_some_and(|volume| is_for(&volume, claim));
        if !is_ours {
            // Somebody was faster; what is there now is looked at again.
            return Err(Status::conflict(kind, volume));
        }
        let kind = &PERSISTENT_VOLUME_CLAIMS;
        let (namespace, name) = (metadata(claim, "namespace"), metadata(claim, "name"));
        let written = self
            .api
            .modify(kind, namespace, name, Subresource::None, |object| {
                if object["spec"]["volumeName"]
                    .as_str()
                    .is_none_or(str::is_empty)
                {
                    object["metadata"]["annotations"][BOUND_BY_US] = json!("yes");
                }
                object["metadata"]["annotations"][COMPLETED] = json!("yes");
                object["spec"]["volumeName"] = json!(volume);
                metadata(object, "uid") == metadata(claim, "uid")
            });
        written.await.map(drop)
    }

    /// Makes a folder, and a volume that is kept for the claim.
    async fn provision(&mut self, claim: &Value) -> Result<(), Status> {
        let Some(class) = self.api.get(&STORAGE_CLASSES, "", class(claim)) else {
            return Ok(());
        };
        let folder = plan::folder(&self.folders, claim);
        let made = fs::create_dir_all(&folder)
            .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)));
        if let Err(error) = made {
            let text = format!("cannot make the folder {}: {error}", folder.display());
            self.say(claim, Event::warning("ProvisioningFailed", text.clone()));
            return Err(Status::internal(text));
        }
        let volume = plan::provisioned(claim, &class, &folder);
        let name = metadata(&volume, "name").to_owned();
        match self.api.create(&PERSISTENT_VOLUMES, "", volume).await {
            Err(status) if status.reason != "AlreadyExists" => return Err(status),
            _ => {}
        }
        let text = format!("Successfully provisioned volume {name}");
        self.say(claim, Event::normal("ProvisioningSucceeded", text));
        self.bind(claim, &name).await
    }
}

/// The names of the claims that a pod uses.
fn claims_of(pod: &Value) -> impl Iterator<Item = &str> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
}

impl Controller for Claims {
    fn watched(&self) -> Vec<&'static Resource> {
        vec![
            &STORAGE_CLASSES,
            &PERSISTENT_VOLUMES,
            &PERSISTENT_VOLUME_CLAIMS,
            &PODS,
        ]
    }

    fn concerned(&self, resource: &'static Resource, object: &Value) -> Vec<Key> {
        if resource == &PERSISTENT_VOLUME_CLAIMS {
            return vec![Key::of(object)];
        }
        if resource == &PODS {
            let namespace = metadata(object, "namespace");
            return claims_of(object)
                .map(|name| Key::new(namespace, name))
                .collect();
        }
        let reference = &object["spec"]["claimRef"];
        if let (Some(namespace), Some(name)) =
            (reference["namespace"].as_str(), reference["name"].as_str())
        {
            return vec![Key::new(namespace, name)];
        }
        // A class, or a volume that is free: any claim that waits may want it.
        let (claims, _) = self.api.list(&PERSISTENT_VOLUME_CLAIMS, None);
        let waiting = claims
            .iter()
            .filter(|claim| claim["status"]["phase"] != "Bound");
        waiting.map(|claim| Key::of(claim)).collect()
    }

    async fn reconcile(&mut self, key: &Key) -> Result<Again, Status> {
        let found = self
            .api
            .get(&PERSISTENT_VOLUME_CLAIMS, &key.namespace, &key.name);
        let Some(claim) = found else {
            return Ok(None);
        };
        let (volumes, _) = self.api.list(&PERSISTENT_VOLUMES, None);
        let volumes: Vec<&Value> = volumes.iter().map(|volume| &**volume).collect();
        let class = self.api.get(&STORAGE_CLASSES, "", class(&claim));
        let seen = ClaimSeen {
            claim: &claim,
            volumes: &volumes,
            class: class.as_deref(),
            used: self.is_used(&claim),
        };
        let step = plan::claim(&seen);
        self.carry_out(&claim, step).await?;
        Ok(None)
    }
}

/// Follows volumes, and removes the folders of those whose claims are gone.
pub(crate) struct Volumes {
    api: Api,
    events: Recorder,
    folders: PathBuf,
}

impl Volumes {
    /// Folders of volumes are in `folders`.
    pub(crate) fn new(api: Api, folders: PathBuf) -> Self {
        Self {
            events: Recorder::new(api.clone(), COMPONENT),
            api,
            folders,
        }
    }

    async fn phase(&self, volume: &Value, phase: &str, why: Option<&str>) -> Result<(), Status> {
        if volume["status"]["phase"] == phase {
            return Ok(());
        }
        let mut status = json!({
            "phase": phase, "lastPhaseTransitionTime": time(Timestamp::now()),
        });
        if let Some(why) = why {
            status["message"] = json!(why);
            self.events
                .record(volume, Event::warning("VolumeFailedDelete", why));
        }
        write_status(&self.api, &PERSISTENT_VOLUMES, volume, status).await
    }
}

impl Controller for Volumes {
    fn watched(&self) -> Vec<&'static Resource> {
        vec![&PERSISTENT_VOLUME_CLAIMS, &PERSISTENT_VOLUMES]
    }

    fn concerned(&self, resource: &'static Resource, object: &Value) -> Vec<Key> {
        if resource == &PERSISTENT_VOLUMES {
            return vec![Key::of(object)];
        }
        let (volumes, _) = self.api.list(&PERSISTENT_VOLUMES, None);
        let (name, namespace) = (metadata(object, "name"), metadata(object, "namespace"));
        let named = volumes.iter().filter(|volume| {
            let reference = &volume["spec"]["claimRef"];
            reference["name"] == *name && reference["namespace"] == *namespace
        });
        named.map(|volume| Key::of(volume)).collect()
    }

    async fn reconcile(&mut self, key: &Key) -> Result<Again, Status> {
        let Some(volume) = self.api.get(&PERSISTENT_VOLUMES, "", &key.name) else {
            return Ok(None);
        };
        let reference = &volume["spec"]["claimRef"];
        let text = |field: &str| reference[field].as_str().unwrap_or_default();
        let claim = self
            .api
            .get(&PERSISTENT_VOLUME_CLAIMS, text("namespace"), text("name"));
        match plan::volume(&volume, claim.as_deref(), &self.folders) {
            VolumeStep::Rest => {}
            VolumeStep::Phase(phase) => self.phase(&volume, phase, None).await?,
            VolumeStep::Release => {
                release(&self.api, &PERSISTENT_VOLUMES, &volume, VOLUME_IN_USE).await?;
            }
            VolumeStep::Delete(folder) => {
                if let Err(error) = fs::remove_dir_all(&folder)
                    && error.kind() != std::io::ErrorKind::NotFound
                {
                    let text = format!("cannot remove {}: {error}", folder.display());
                    self.phase(&volume, "Failed", Some(&text)).await?;
                    return Err(Status::internal(text));
                }
                self.phase(&volume, "Released", None).await?;
                delete(&self.api, &PERSISTENT_VOLUMES, "", &key.name).await?;
            }
            VolumeStep::Fail(why) => self.phase(&volume, "Failed", Some(&why)).await?,
            VolumeStep::Unbind => {
                let kind = &PERSISTENT_VOLUMES;
                let written = self
                    .api
                    .modify(kind, "", &key.name, Subresource::None, |object| {
                        if object["spec"]["claimRef"]["uid"] != volume["spec"]["claimRef"]["uid"] {
                            return false;
                        }
                        object["spec"]["claimRef"] = Value::Null;
                        true
                    });
                written.await?;
            }
        }
        Ok(None)
    }
}

/// Takes away what keeps an object.
async fn release(
    api: &Api,
    resource: &'static Resource,
    object: &Value,
    finalizer: &str,
) -> Result<(), Status> {
    let (namespace, name) = (metadata(object, "namespace"), metadata(object, "name"));
    let written = api.modify(resource, namespace, name, Subresource::None, |object| {
        let Some(list) = object["metadata"]["finalizers"].as_array_mut() else {
            return false;
        };
        let before = list.len();
        list.retain(|known| known != finalizer);
        list.len() != before
    });
    written.await.map(drop)
}
