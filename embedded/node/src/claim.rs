//! Volumes that are claimed: the folder of the PersistentVolume that a claim is bound to.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::PersistentVolumeClaimVolumeSource;
use serde_json::Value;

use crate::refusal::Refusal;
use crate::source::Lookup;
use crate::volume::Ready;

/// Finds the folder of a claim. At `place`, where volumes of the pod are looked for, there is a
/// link to it.
///
/// # Errors
/// The claim is not there or not bound yet, or its volume is none of this machine.
pub(crate) fn ready(
    from: &PersistentVolumeClaimVolumeSource,
    place: &Path,
    lookup: &dyn Lookup,
) -> Result<Ready, Refusal> {
    let name = &from.claim_name;
    let waiting = |text: String| Err(Refusal::Waiting(text));
    let Some(claim) = lookup.claim(name) else {
        return waiting(format!("persistentvolumeclaim {name:?} not found"));
    };
    if claim["metadata"]["deletionTimestamp"].is_string() {
        return waiting(format!("persistentvolumeclaim {name:?} is being deleted"));
    }
    let bound = claim["spec"]["volumeName"].as_str().unwrap_or_default();
    let volume = match claim["status"]["phase"].as_str() {
        Some("Bound") => lookup.volume(bound),
        Some("Lost") => None,
        _ => {
            return waiting(format!(
                "pod has unbound immediate PersistentVolumeClaims: {name}; see \
                 kubectl describe pvc {name}"
            ));
        }
    };
    let Some(volume) = volume else {
        return waiting(format!(
            "persistentvolume {bound:?} of claim {name:?} not found"
        ));
    };
    let path = folder(&volume["spec"]).map_err(|kind| {
        Refusal::Broken(format!(
            "persistentvolume {bound:?} is of the kind {kind}; on this machine volumes are hostPath \
             or local"
        ))
    })?;
    let is_made = volume["spec"]["hostPath"]["type"] == "DirectoryOrCreate";
    let made = if is_made {
        fs::create_dir_all(&path)
    } else {
        Ok(())
    };
    made.and_then(|()| link(&path, place))
        .map_err(|error| Refusal::Broken(format!("cannot use {}: {error}", path.display())))?;
    if !path.exists() {
        return waiting(format!(
            "path {} of persistentvolume {bound:?} not found",
            path.display()
        ));
    }
    Ok(Ready {
        path,
        read_only: from.read_only == Some(true),
    })
}

/// The folder of a volume; the error is the kind that has none here.
fn folder(spec: &Value) -> Result<PathBuf, String> {
    let path = spec["hostPath"]["path"].as_str();
    let path = path.or_else(|| spec["local"]["path"].as_str());
    path.map(PathBuf::from).ok_or_else(|| {
        let mut fields = spec.as_object().into_iter().flatten();
        let source = fields.find(|(field, value)| value.is_object() && !is_no_source(field));
        source.map_or_else(|| "unknown".to_owned(), |(kind, _)| kind.clone())
    })
}

fn is_no_source(field: &str) -> bool {
    matches!(field, "capacity" | "claimRef" | "nodeAffinity")
}

fn link(path: &Path, place: &Path) -> io::Result<()> {
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    match symlink(path, place) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_volumes_of_this_machine_have_folders() {
        let check = |spec: Value, expected: Result<&str, &str>| {
            let expected = expected.map(PathBuf::from).map_err(str::to_owned);
            assert_eq!(folder(&spec), expected);
        };
        check(json!({ "hostPath": { "path": "/a" } }), Ok("/a"));
        check(
            json!({ "capacity": {}, "local": { "path": "/b" } }),
            Ok("/b"),
        );
        check(
            json!({ "capacity": {}, "nfs": { "path": "/c" } }),
            Err("nfs"),
        );
    }
}
