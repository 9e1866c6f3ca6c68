//! Which of the objects that a selector names a controller has, takes over and lets go.

use std::sync::Arc;

use diwan_embedded::resource::Resource;
use diwan_embedded::{Api, Status, Subresource};
use serde_json::{Value, json};

use crate::object::{controller_of, is_controlled, is_deleting, metadata, reference, selects};

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// It is the owner's.
    Keep,
    /// It is nobody's and becomes the owner's.
    Adopt,
    /// It is the owner's and does not fit any more.
    Release,
    /// It is not the owner's.
    Leave,
}

fn claim(owner: &Value, object: &Value) -> Claim {
    let fits = selects(&owner["spec"]["selector"], object);
    let kind = owner["kind"].as_str().unwrap_or_default();
    let holder = controller_of(object, kind);
    let is_ours = holder.is_some_and(|holder| holder["uid"] == owner["metadata"]["uid"]);
    let settled = is_deleting(owner) || is_deleting(object);
    match (is_ours, fits) {
        (true, true) => Claim::Keep,
        (true, false) if settled => Claim::Keep,
        (true, false) => Claim::Release,
        (false, true) if !settled && !is_controlled(object) => Claim::Adopt,
        (false, _) => Claim::Leave,
    }
}

/// The objects of a kind that the owner has; takes over and lets go what it must first.
pub(crate) async fn claimed(
    api: &Api,
    owner: &Value,
    kind: &'static Resource,
) -> Result<Vec<Arc<Value>>, Status> {
    let namespace = metadata(owner, "namespace");
    let (objects, _) = api.list(kind, Some(namespace));
    let mut claimed = Vec::new();
    for object in objects {
        let change = match claim(owner, &object) {
            Claim::Leave => continue,
            Claim::Keep => {
                claimed.push(object);
                continue;
            }
            change => change,
        };
        let name = metadata(&object, "name");
        let written = api.modify(kind, namespace, name, Subresource::None, |object| {
            if claim(owner, object) != change {
                return false;
            }
            change_owner(owner, object, change);
            true
        });
        let object = written.await?;
        claimed.extend(object.filter(|object| claim(owner, object) == Claim::Keep));
    }
    Ok(claimed)
}

fn change_owner(owner: &Value, object: &mut Value, change: Claim) {
    let list = object["metadata"]["ownerReferences"].as_array();
    let mut owners = list.cloned().unwrap_or_default();
    owners.retain(|known| known["uid"] != owner["metadata"]["uid"]);
    if change == Claim::Adopt {
        owners.push(reference(owner));
    }
    object["metadata"]["ownerReferences"] = json!(owners);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_and_is_nobodys_is_taken_over() {
        let owner = |deleting: bool| {
            let mut owner = json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": { "name": "r", "uid": "u" },
                "spec": { "selector": { "matchLabels": { "a": "b" } } },
            });
            if deleting {
                owner["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            }
            owner
        };
        let pod = |label: &str, holder: Option<&str>| {
            let owners =
                holder.map(|uid| json!({ "kind": "ReplicaSet", "controller": true, "uid": uid }));
            json!({ "metadata": {
                "labels": { "a": label }, "ownerReferences": owners.into_iter().collect::<Vec<_>>(),
            }})
        };
        let check = |label, holder, expected| {
            assert_eq!(
                claim(&owner(false), &pod(label, holder)),
                expected,
                "{label} {holder:?}"
            );
        };
        check("b", Some("u"), Claim::Keep);
        check("c", Some("u"), Claim::Release);
        check("b", None, Claim::Adopt);
        check("c", None, Claim::Leave);
        check("b", Some("other"), Claim::Leave);
        assert_eq!(claim(&owner(true), &pod("b", None)), Claim::Leave);
        assert_eq!(claim(&owner(true), &pod("c", Some("u"))), Claim::Keep);
    }

    #[test]
    fn an_owner_is_named_once_and_forgotten() {
        let owner = json!({ "kind": "ReplicaSet", "metadata": { "name": "r", "uid": "u" } });
        let mut pod =
            json!({ "metadata": { "ownerReferences": [{ "uid": "x" }, { "uid": "u" }] } });
        change_owner(&owner, &mut pod, Claim::Adopt);
        assert_eq!(
            pod["metadata"]["ownerReferences"].as_array().unwrap().len(),
            2
        );
        assert_eq!(pod["metadata"]["ownerReferences"][1]["controller"], true);
        change_owner(&owner, &mut pod, Claim::Release);
        assert_eq!(pod["metadata"]["ownerReferences"], json!([{ "uid": "x" }]));
    }
}
