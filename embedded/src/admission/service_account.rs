//! The account as which a pod asks the API, and the files it finds about it.

use rand::RngExt;
use serde_json::{Value, json};

/// Where a container finds its account.
const PLACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME_PREFIX: &str = "kube-api-access-";
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// How long the token lives, in seconds. Kubernetes knows its own volumes by this number.
const LIFETIME: i64 = 3607;

/// Sets the account of a pod, unless it names one.
pub(super) fn choose(pod: &mut Value) {
    let spec = &mut pod["spec"];
    let named = |field: &str| spec[field].as_str().filter(|name| !name.is_empty());
    let name = named("serviceAccountName").or(named("serviceAccount"));
    let name = json!(name.unwrap_or("default"));
    spec["serviceAccount"] = name.clone();
    spec["serviceAccountName"] = name;
}

/// The account of a pod.
pub(super) fn name(pod: &Value) -> &str {
    pod["spec"]["serviceAccountName"]
        .as_str()
        .unwrap_or_default()
}

/// Mounts the account's token, the certificate of the API and the namespace where each container
/// looks for them, unless the pod or the account says not to.
pub(super) fn mount(pod: &mut Value, account: &Value) {
    if pod["spec"]["imagePullSecrets"]
        .as_array()
        .is_none_or(Vec::is_empty)
        && account["imagePullSecrets"].is_array()
    {
        pod["spec"]["imagePullSecrets"] = account["imagePullSecrets"].clone();
    }
    let automount = &pod["spec"]["automountServiceAccountToken"];
    let automount = automount
        .as_bool()
        .or(account["automountServiceAccountToken"].as_bool());
    if automount == Some(false) {
        return;
    }
    let existing = existing_volume(pod);
    let volume = existing.clone().unwrap_or_else(volume_name);
    let mut used = false;
    for list in ["initContainers", "containers"] {
        let containers = pod["spec"].get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter(|c| c.is_object()) {
            used |= mount_in(container, &volume);
        }
    }
    if !used || existing.is_some() {
        return;
    }
    let volumes = &mut pod["spec"]["volumes"];
    if !volumes.is_array() {
        *volumes = json!([]);
    }
    if let Some(volumes) = volumes.as_array_mut() {
        volumes.push(source(&volume));
    }
}

fn mount_in(container: &mut Value, volume: &str) -> bool {
    let mounts = &mut container["volumeMounts"];
    if mounts.is_null() {
        *mounts = json!([]);
    }
    let Some(mounts) = mounts.as_array_mut() else {
        return false;
    };
    if mounts.iter().any(|mount| mount["mountPath"] == PLACE) {
        return false;
    }
    mounts.push(json!({ "name": volume, "readOnly": true, "mountPath": PLACE }));
    true
}

/// A copy of a stored pod brings its volume along.
fn existing_volume(pod: &Value) -> Option<String> {
    let volumes = pod["spec"]["volumes"].as_array()?;
    let mut names = volumes.iter().filter_map(|volume| volume["name"].as_str());
    names
        .find(|name| name.starts_with(VOLUME_PREFIX))
        .map(str::to_owned)
}

fn volume_name() -> String {
    let mut random = rand::rng();
    let letters = (0..5).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]));
    let suffix: String = letters.collect();
    format!("{VOLUME_PREFIX}{suffix}")
}

fn source(name: &str) -> Value {
    json!({
        "name": name,
        "projected": {
            "sources": [
                { "serviceAccountToken": { "expirationSeconds": LIFETIME, "path": "token" } },
                {
                    "configMap": {
                        "name": crate::api::ROOT_CERTIFICATE,
                        "items": [{ "key": "ca.crt", "path": "ca.crt" }],
                    },
                },
                {
                    "downwardAPI": {
                        "items": [{
                            "path": "namespace",
                            "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" },
                        }],
                    },
                },
            ],
            "defaultMode": 0o644,
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{PLACE, choose, mount};

    fn pod(extra: &Value) -> Value {
        let mut pod = json!({ "spec": { "containers": [{ "name": "a" }, { "name": "b" }] } });
        for (field, value) in extra.as_object().unwrap() {
            pod["spec"][field] = value.clone();
        }
        pod
    }

    #[test]
    fn a_pod_has_one_account_under_both_names() {
        for (extra, name) in [
            (json!({}), "default"),
            (json!({ "serviceAccountName": "a" }), "a"),
            (json!({ "serviceAccount": "b" }), "b"),
        ] {
            let mut pod = pod(&extra);
            choose(&mut pod);
            assert_eq!(pod["spec"]["serviceAccount"], name);
            assert_eq!(pod["spec"]["serviceAccountName"], name);
        }
    }

    #[test]
    fn each_container_finds_its_account_once() {
        let mut pod = pod(&json!({}));
        mount(&mut pod, &json!({}));
        let once = pod.clone();
        mount(&mut pod, &json!({}));
        assert_eq!(pod, once);
        let volume = &pod["spec"]["volumes"][0]["name"];
        for container in pod["spec"]["containers"].as_array().unwrap() {
            let mounts = json!([{ "name": volume, "readOnly": true, "mountPath": PLACE }]);
            assert_eq!(container["volumeMounts"], mounts);
        }
    }

    #[test]
    fn the_pod_has_the_last_word_on_mounting() {
        let no = json!({ "automountServiceAccountToken": false });
        let yes = json!({ "automountServiceAccountToken": true });
        for (of_pod, of_account, mounted) in [
            (&no, &yes, false),
            (&yes, &no, true),
            (&json!({}), &no, false),
        ] {
            let mut pod = pod(of_pod);
            mount(&mut pod, of_account);
            assert_eq!(pod["spec"]["volumes"].is_array(), mounted);
        }
    }
}
