//! What controllers of Kubernetes keep about accounts and roles: the account and the certificate
//! that every namespace has, tokens in secrets, roles that are made of others.

use std::sync::Weak;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{StreamExt, stream::select_all};
use serde_json::{Value, json};
use tracing::warn;

use super::{aggregation, token::secret_claims};
use crate::{
    api::{Api, DeleteOptions, Inner, ROOT_CERTIFICATE, Subresource},
    metadata,
    resource::{CLUSTER_ROLES, CONFIG_MAPS, NAMESPACES, Resource, SECRETS, SERVICE_ACCOUNTS},
    status::Status,
    watch::WatchEvent,
};

const TOKEN_SECRET: &str = "kubernetes.io/service-account-token";
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
/// The kinds that are looked at.
static WATCHED: [&Resource; 4] = [&SERVICE_ACCOUNTS, &CONFIG_MAPS, &SECRETS, &CLUSTER_ROLES];

/// Keeps until the store is closed.
pub(crate) async fn keep(inner: Weak<Inner>) {
    loop {
        let Some(api) = inner.upgrade().map(Api::from_inner) else {
            return;
        };
        let version = api.store().read(crate::store::State::version);
        let streams = WATCHED.map(|resource| {
            let events = api.watch(resource, None, version);
            events.map(move |event| (resource, event)).boxed()
        });
        let mut events = select_all(streams);
        everything(&api).await;
        drop(api);
        loop {
            let Some((resource, event)) = events.next().await else {
                return;
            };
            let Some(api) = inner.upgrade().map(Api::from_inner) else {
                return;
            };
            if event == WatchEvent::Expired {
                break;
            }
            tell(follow(&api, resource, event).await);
        }
    }
}

fn tell(result: Result<(), Status>) {
    match result {
        Ok(()) => {}
        Err(status) if matches!(status.reason.as_str(), "NotFound" | "Conflict") => {}
        Err(status) => warn!(%status, "could not keep accounts and roles in order"),
    }
}

async fn everything(api: &Api) {
    for namespace in api.list(&NAMESPACES, None).0 {
        api.furnish(metadata::name(&namespace)).await;
    }
    for secret in api.list(&SECRETS, None).0 {
        tell(fill(api, &secret).await);
    }
    tell(aggregate(api).await);
}

async fn follow(api: &Api, resource: &'static Resource, event: WatchEvent) -> Result<(), Status> {
    let (object, gone) = match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, false),
        WatchEvent::Deleted(object) => (object, true),
        WatchEvent::Expired => return Ok(()),
    };
    let namespace = metadata::namespace(&object);
    match resource.kind {
        "ClusterRole" => aggregate(api).await,
        "Secret" if !gone => fill(api, &object).await,
        "ServiceAccount" => {
            if gone {
                api.furnish(namespace).await;
            }
            for secret in api.list(&SECRETS, Some(namespace)).0 {
                if is_token_of(&secret, metadata::name(&object)) {
                    account_changed(api, &secret, metadata::uid(&object), gone).await?;
                }
            }
            Ok(())
        }
        "ConfigMap" if metadata::name(&object) == ROOT_CERTIFICATE => {
            api.furnish(namespace).await;
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn account_changed(api: &Api, secret: &Value, uid: &str, gone: bool) -> Result<(), Status> {
    if !gone {
        return fill(api, secret).await;
    }
    if annotation(secret, ACCOUNT_UID) != uid {
        return Ok(());
    }
    let (namespace, name) = (metadata::namespace(secret), metadata::name(secret));
    let options = DeleteOptions {
        uid: Some(metadata::uid(secret).to_owned()),
        ..DeleteOptions::background()
    };
    api.delete(&SECRETS, namespace, name, options).await?;
    Ok(())
}

fn annotation<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"]["annotations"][key]
        .as_str()
        .unwrap_or_default()
}

fn is_token_of(secret: &Value, account: &str) -> bool {
    secret["type"] == TOKEN_SECRET && annotation(secret, ACCOUNT_NAME) == account
}

/// Puts a token into a secret that is for one and has none.
async fn fill(api: &Api, secret: &Value) -> Result<(), Status> {
    let account = annotation(secret, ACCOUNT_NAME);
    if secret["type"] != TOKEN_SECRET || account.is_empty() || secret["data"]["token"].is_string() {
        return Ok(());
    }
    let (namespace, name) = (metadata::namespace(secret), metadata::name(secret));
    let Some(found) = api.get(&SERVICE_ACCOUNTS, namespace, account) else {
        return Ok(());
    };
    let uid = metadata::uid(&found);
    let claims = secret_claims(namespace, account, uid, name);
    let token = api.keys().signer.sign(&claims).map_err(Status::internal)?;
    let encode = |text: &str| json!(STANDARD.encode(text));
    api.modify(&SECRETS, namespace, name, Subresource::None, |secret| {
        secret["metadata"]["annotations"][ACCOUNT_UID] = json!(uid);
        secret["data"]["token"] = encode(&token);
        secret["data"]["ca.crt"] = encode(&api.keys().ca);
        secret["data"]["namespace"] = encode(namespace);
        true
    })
    .await?;
    Ok(())
}

/// Brings the roles up to date that are made of others.
async fn aggregate(api: &Api) -> Result<(), Status> {
    let roles = api.list(&CLUSTER_ROLES, None).0;
    let mut roles: Vec<Value> = roles.iter().map(|role| role.as_ref().clone()).collect();
    for name in aggregation::refresh(&mut roles) {
        let Some(new) = roles.iter().find(|role| metadata::name(role) == name) else {
            continue;
        };
        let change = |role: &mut Value| {
            let changed = role["rules"] != new["rules"];
            role["rules"] = new["rules"].clone();
            changed
        };
        api.modify(&CLUSTER_ROLES, "", &name, Subresource::None, change)
            .await?;
    }
    Ok(())
}
