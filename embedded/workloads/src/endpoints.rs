//! Endpoints and EndpointSlices: which pods answer for a service.

pub(crate) mod plan;

use diwan_embedded::resource::{ENDPOINT_SLICES, ENDPOINTS, PODS, Resource, SERVICES};
use diwan_embedded::{Api, Status, Subresource};
use serde_json::{Value, json};

use self::plan::{MANAGED_BY, SERVICE_NAME, US};
use crate::driver::{Again, Controller, Key};
use crate::object::{metadata, selects};
use crate::write::delete;

/// Keeps the endpoints of services.
pub(crate) struct EndpointsOfServices {
    api: Api,
}

impl EndpointsOfServices {
    pub(crate) fn new(api: Api) -> Self {
        Self { api }
    }

    /// Writes an object as it is to be, unless it is.
    async fn put(&self, kind: &'static Resource, wanted: Value) -> Result<(), Status> {
        let (namespace, name) = (metadata(&wanted, "namespace"), metadata(&wanted, "name"));
        if self.api.get(kind, namespace, name).is_none() {
            let made = self.api.create(kind, namespace, wanted.clone()).await;
            return made.map(drop);
        }
        let written = self
            .api
            .modify(kind, namespace, name, Subresource::None, |object| {
                let before = object.clone();
                for field in ["labels", "ownerReferences"] {
                    if !wanted["metadata"][field].is_null() {
                        object["metadata"][field] = wanted["metadata"][field].clone();
                    }
                }
                for field in ["subsets", "endpoints", "ports"] {
                    match (wanted.get(field), object.as_object_mut()) {
                        (Some(value), Some(fields)) => {
                            fields.insert(field.to_owned(), value.clone())
                        }
                        (None, Some(fields)) => fields.remove(field),
                        _ => None,
                    };
                }
                *object != before
            });
        written.await.map(drop)
    }

    /// Removes what was kept of a service that is gone or keeps its endpoints itself.
    async fn remove(&self, key: &Key) -> Result<(), Status> {
        let (slices, _) = self.api.list(&ENDPOINT_SLICES, Some(&key.namespace));
        let mut ours = false;
        for slice in slices {
            let labels = &slice["metadata"]["labels"];
            if labels[SERVICE_NAME] == *key.name && labels[MANAGED_BY] == US {
                ours = true;
                let name = metadata(&slice, "name");
                delete(&self.api, &ENDPOINT_SLICES, &key.namespace, name).await?;
            }
        }
        if ours || self.api.get(&SERVICES, &key.namespace, &key.name).is_none() {
            delete(&self.api, &ENDPOINTS, &key.namespace, &key.name).await?;
        }
        Ok(())
    }
}

impl Controller for EndpointsOfServices {
    fn watched(&self) -> Vec<&'static Resource> {
        vec![&PODS, &SERVICES]
    }

    fn concerned(&self, resource: &'static Resource, object: &Value) -> Vec<Key> {
        if resource == &SERVICES {
            return vec![Key::of(object)];
        }
        let (services, _) = self
            .api
            .list(&SERVICES, Some(metadata(object, "namespace")));
        // A pod that has lost its labels concerns those that name it still.
        let named = |service: &Value| {
            let (namespace, name) = (metadata(service, "namespace"), metadata(service, "name"));
            let known = self.api.get(&ENDPOINTS, namespace, name);
            known.is_some_and(|known| names(&known, metadata(object, "uid")))
        };
        let fitting = services
            .iter()
            .filter(|service| is_selected(service, object) || named(service));
        fitting.map(|service| Key::of(service)).collect()
    }

    async fn reconcile(&mut self, key: &Key) -> Result<Again, Status> {
        let service = self.api.get(&SERVICES, &key.namespace, &key.name);
        let has_selector = |service: &Value| {
            let selector = service["spec"]["selector"].as_object();
            selector.is_some_and(|map| !map.is_empty()) && service["spec"]["type"] != "ExternalName"
        };
        let Some(service) = service.filter(|service| has_selector(service)) else {
            return self.remove(key).await.map(|()| None);
        };
        let (pods, _) = self.api.list(&PODS, Some(&key.namespace));
        let pods: Vec<&Value> = pods
            .iter()
            .map(|pod| &**pod)
            .filter(|pod| is_selected(&service, pod))
            .collect();
        let (endpoints, slice) = plan::plan(&service, &pods);
        self.put(&ENDPOINTS, endpoints).await?;
        self.put(&ENDPOINT_SLICES, slice).await?;
        Ok(None)
    }
}

fn is_selected(service: &Value, pod: &Value) -> bool {
    selects(&json!({ "matchLabels": service["spec"]["selector"] }), pod)
}

/// Whether Endpoints name a pod.
fn names(endpoints: &Value, uid: &str) -> bool {
    let subsets = endpoints["subsets"].as_array().into_iter().flatten();
    let mut addresses = subsets.flat_map(|subset| {
        let lists = ["addresses", "notReadyAddresses"].into_iter();
        lists.flat_map(|list| subset[list].as_array().into_iter().flatten())
    });
    addresses.any(|address| address["targetRef"]["uid"] == *uid)
}
