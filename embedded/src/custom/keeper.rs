//! Keeps the status of definitions: a new one is served once its names are found to be free.

use std::sync::Weak;

use jiff::Timestamp;
use serde_json::Value;
use tracing::warn;

use super::status;
use crate::{
    api::{Api, Inner, Subresource},
    metadata,
    resource::CUSTOM_RESOURCE_DEFINITIONS,
    status::Status,
};

/// Keeps until the store is closed.
pub(crate) async fn keep(inner: Weak<Inner>) {
    loop {
        let Some(api) = inner.upgrade().map(Api::from_inner) else {
            return;
        };
        let (_, version) = api.list(&CUSTOM_RESOURCE_DEFINITIONS, None);
        let storage = CUSTOM_RESOURCE_DEFINITIONS.storage;
        let mut watcher = api.store().watch(storage, version);
        if let Err(status) = keep_all(&api).await {
            warn!(%status, "could not keep the status of a custom resource definition");
        }
        // Whoever waits must not keep the store open.
        drop(api);
        // What has been missed does not matter: all of them are looked at.
        if let Ok(None) = watcher.next().await {
            return;
        }
    }
}

async fn keep_all(api: &Api) -> Result<(), Status> {
    let (definitions, _) = api.list(&CUSTOM_RESOURCE_DEFINITIONS, None);
    for definition in &definitions {
        let name = metadata::name(definition);
        let change = |current: &mut Value| {
            // Asked again at each try: another may have got the name meanwhile.
            let (all, _) = api.list(&CUSTOM_RESOURCE_DEFINITIONS, None);
            let all: Vec<&Value> = all.iter().map(AsRef::as_ref).collect();
            let wanted = status::of(current, &all, Timestamp::now());
            let changes = current["status"] != wanted;
            current["status"] = wanted;
            changes
        };
        api.modify(
            &CUSTOM_RESOURCE_DEFINITIONS,
            "",
            name,
            Subresource::Status,
            change,
        )
        .await?;
    }
    Ok(())
}
