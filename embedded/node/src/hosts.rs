//! The files that containers see as `/etc/hosts`: one for each namespace, with the names of
//! services as they are now.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use diwan_embedded::resource::{ENDPOINT_SLICES, SERVICES};
use diwan_embedded::{Api, Selector};
use futures::StreamExt as _;
use parking_lot::Mutex;

use crate::pod::metadata;
use crate::service;

/// On slices: the service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The files, by namespace. They are changed in place, because containers see the file itself.
pub(crate) struct Hosts {
    api: Api,
    folder: PathBuf,
    /// What stands in each after the names of services.
    rest: String,
    written: Mutex<HashMap<String, String>>,
}

impl Hosts {
    /// Files in `folder` that end with `rest`.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(crate) fn new(api: Api, folder: PathBuf, rest: String) -> io::Result<Self> {
        // Earlier versions had one file of that name.
        if folder.is_file() {
            fs::remove_file(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(Self {
            api,
            folder,
            rest,
            written: Mutex::default(),
        })
    }

    /// The file of a namespace.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn file(&self, namespace: &str) -> io::Result<PathBuf> {
        let mut written = self.written.lock();
        if !written.contains_key(namespace) {
            let text = self.text(namespace);
            self.write(namespace, &text)?;
            written.insert(namespace.to_owned(), text);
        }
        Ok(self.folder.join(namespace))
    }

    /// Keeps the files as the services are.
    pub(crate) async fn follow(self: Arc<Self>) {
        loop {
            let mut events = [&SERVICES, &ENDPOINT_SLICES].map(|kind| {
                let (_, version) = self.api.list(kind, None);
                self.api.watch(kind, None, version).boxed()
            });
            self.refresh();
            let [services, slices] = &mut events;
            loop {
                let event = tokio::select! {
                    event = services.next() => event,
                    event = slices.next() => event,
                };
                match event {
                    Some(diwan_embedded::WatchEvent::Expired) => break,
                    Some(_) => self.refresh(),
                    None => return,
                }
            }
        }
    }

    fn refresh(&self) {
        for (namespace, known) in self.written.lock().iter_mut() {
            let text = self.text(namespace);
            if text == *known {
                continue;
            }
            match self.write(namespace, &text) {
                Ok(()) => *known = text,
                Err(error) => {
                    tracing::warn!(namespace, %error, "cannot write the names of services");
                }
            }
        }
    }

    fn text(&self, namespace: &str) -> String {
        let (services, _) = self.api.list(&SERVICES, None);
        let mut lines = Vec::new();
        for service in services {
            let selector = Selector::label(SERVICE_NAME, metadata(&service, "name"));
            let own = Some(metadata(&service, "namespace"));
            let (slices, _) = self.api.select(&ENDPOINT_SLICES, own, &selector);
            let slices: Vec<_> = slices.iter().map(|slice| &**slice).collect();
            lines.extend(service::names(&service, &slices, namespace));
        }
        lines.push(self.rest.clone());
        lines.join("\n")
    }

    /// Writes before it cuts, so that no reader finds an empty file.
    fn write(&self, namespace: &str, text: &str) -> io::Result<()> {
        let path = self.folder.join(namespace);
        let mut file = fs::File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)
    }
}
