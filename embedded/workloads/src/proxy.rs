//! Services: a stable address for their pods, in this process.

mod listener;
mod plan;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use diwan_embedded::event::{Event, Recorder};
use diwan_embedded::resource::{ENDPOINT_SLICES, Resource, SERVICES};
use diwan_embedded::{Api, Selector, Status};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::driver::{Again, Controller, Key};
use crate::endpoints::plan::SERVICE_NAME;
use crate::object::metadata;

/// The name under which the proxy writes events.
const COMPONENT: &str = "service-proxy";

/// Passes connections to services on to pods.
pub(crate) struct Proxy {
    api: Api,
    events: Recorder,
    services: HashMap<Key, HashMap<SocketAddr, Port>>,
}

/// A port of a service that is served. Dropping it ends it.
struct Port {
    targets: watch::Sender<Vec<SocketAddr>>,
    task: JoinHandle<()>,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub(crate) fn new(api: Api) -> Self {
        Self {
            events: Recorder::new(api.clone(), COMPONENT),
            api,
            services: HashMap::new(),
        }
    }

    fn open(&self, service: &Value, address: SocketAddr, to: Vec<SocketAddr>) -> Port {
        let (targets, receiver) = watch::channel(to);
        let (events, service) = (self.events.clone(), service.clone());
        let said = Mutex::new(false);
        let refused = move |error: &std::io::Error| {
            let is_news = said
                .lock()
                .is_ok_and(|mut said| !std::mem::replace(&mut *said, true));
            if is_news {
                let text = format!("cannot listen on {address}: {error}{}", advice(error));
                events.record(&service, Event::warning("PortNotAvailable", text));
            }
        };
        let task = tokio::spawn(listener::serve(address, receiver, refused));
        Port { targets, task }
    }
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need root, so choose a larger port or run diwan as root"
        }
        std::io::ErrorKind::AddrInUse => {
            "; a program on this machine listens on that port on all addresses"
        }
        _ => "",
    }
}

impl Controller for Proxy {
    fn watched(&self) -> Vec<&'static Resource> {
        vec![&SERVICES, &ENDPOINT_SLICES]
    }

    fn concerned(&self, resource: &'static Resource, object: &Value) -> Vec<Key> {
        if resource == &SERVICES {
            return vec![Key::of(object)];
        }
        let name = object["metadata"]["labels"][SERVICE_NAME].as_str();
        let namespace = metadata(object, "namespace");
        name.map(|name| Key::new(namespace, name))
            .into_iter()
            .collect()
    }

    async fn reconcile(&mut self, key: &Key) -> Result<Again, Status> {
        let Some(service) = self.api.get(&SERVICES, &key.namespace, &key.name) else {
            self.services.remove(key);
            return Ok(None);
        };
        let selector = Selector::label(SERVICE_NAME, key.name.as_str());
        let (slices, _) = self
            .api
            .select(&ENDPOINT_SLICES, Some(&key.namespace), &selector);
        let slices: Vec<&Value> = slices.iter().map(|slice| &**slice).collect();
        let routes = plan::routes(&service, &slices);
        if !self.services.contains_key(key)
            && let Some(text) = plan::unserved(&service)
        {
            self.events
                .record(&service, Event::warning("ProtocolNotSupported", text));
        }
        let mut open = self.services.remove(key).unwrap_or_default();
        open.retain(|address, _| routes.contains_key(address));
        for (address, to) in routes {
            match open.get(&address) {
                Some(port) => {
                    port.targets.send_if_modified(|known| {
                        let is_new = *known != to;
                        *known = to;
                        is_new
                    });
                }
                None => {
                    open.insert(address, self.open(&service, address, to));
                }
            }
        }
        self.services.insert(key.clone(), open);
        Ok(None)
    }
}
