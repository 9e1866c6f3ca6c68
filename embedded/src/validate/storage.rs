//! The rules for volumes, claims and their classes.

use diwan_api::FieldError;
use serde_json::Value;

const ACCESS_MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
/// Fields of a volume's specification that are no source.
const NO_SOURCE: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

/// The rules for a claim.
pub(super) fn claim(spec: &Value, errors: &mut Vec<FieldError>) {
    access_modes(spec, "at least 1 access mode is required", errors);
    let field = "spec.resources[storage]";
    let storage = &spec["resources"]["requests"]["storage"];
    match storage
        .as_str()
        .map(str::to_owned)
        .or_else(|| storage.as_f64().map(|n| n.to_string()))
    {
        None => errors.push(FieldError::required(field, "")),
        Some(text) if !is_positive(&text) => {
            errors.push(FieldError::invalid(
                field,
                text,
                "must be greater than zero",
            ));
        }
        Some(_) => {}
    }
    one_of(
        &spec["volumeMode"],
        "spec.volumeMode",
        &VOLUME_MODES,
        errors,
    );
}

/// The rules for a volume.
pub(super) fn volume(spec: &Value, errors: &mut Vec<FieldError>) {
    access_modes(spec, "", errors);
    let capacity = spec["capacity"].as_object();
    if capacity.is_none_or(serde_json::Map::is_empty) {
        errors.push(FieldError::required("spec.capacity", ""));
    }
    if capacity.is_none_or(|map| map.len() != 1 || !map.contains_key("storage")) {
        errors.push(FieldError::not_supported(
            "spec.capacity",
            &spec["capacity"],
            &["storage"],
        ));
    }
    let policies = ["Delete", "Recycle", "Retain"];
    let policy = &spec["persistentVolumeReclaimPolicy"];
    one_of(
        policy,
        "spec.persistentVolumeReclaimPolicy",
        &policies,
        errors,
    );
    let sources = spec.as_object().into_iter().flatten();
    let mut sources = sources
        .filter(|(name, value)| !NO_SOURCE.contains(&name.as_str()) && value.is_object())
        .map(|(name, _)| name);
    if sources.next().is_none() {
        errors.push(FieldError::required("spec", "must specify a volume type"));
    }
    let path = spec["hostPath"]["path"].as_str();
    if path.is_some_and(|path| path.split('/').any(|part| part == "..")) {
        let detail = "must not contain '..'";
        errors.push(FieldError::invalid(
            "spec.hostPath.path",
            path.unwrap_or_default(),
            detail,
        ));
    }
    for name in sources {
        let detail = "may not specify more than 1 volume type";
        errors.push(FieldError::forbidden(format!("spec.{name}"), detail));
    }
    one_of(
        &spec["volumeMode"],
        "spec.volumeMode",
        &VOLUME_MODES,
        errors,
    );
}

/// The rules for a class.
pub(super) fn class(class: &Value, errors: &mut Vec<FieldError>) {
    if class["provisioner"].as_str().is_none_or(str::is_empty) {
        errors.push(FieldError::required("provisioner", ""));
    }
    one_of(
        &class["reclaimPolicy"],
        "reclaimPolicy",
        &["Delete", "Retain"],
        errors,
    );
    let modes = ["Immediate", "WaitForFirstConsumer"];
    one_of(
        &class["volumeBindingMode"],
        "volumeBindingMode",
        &modes,
        errors,
    );
}

fn access_modes(spec: &Value, missing: &str, errors: &mut Vec<FieldError>) {
    let field = "spec.accessModes";
    let modes = spec["accessModes"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if modes.is_empty() {
        errors.push(FieldError::required(field, missing));
    }
    for mode in modes {
        one_of(mode, field, &ACCESS_MODES, errors);
    }
    if modes.len() > 1 && modes.iter().any(|mode| mode == "ReadWriteOncePod") {
        let detail = "may not use ReadWriteOncePod with other access modes";
        errors.push(FieldError::forbidden(field, detail));
    }
}

fn one_of(value: &Value, field: &str, known: &[&str], errors: &mut Vec<FieldError>) {
    if let Some(text) = value.as_str()
        && !known.contains(&text)
    {
        errors.push(FieldError::not_supported(field, text, known));
    }
}

/// Whether a quantity, which is known to be one, is more than nothing.
fn is_positive(quantity: &str) -> bool {
    !quantity.starts_with('-') && quantity.chars().any(|c| ('1'..='9').contains(&c))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(rule: fn(&Value, &mut Vec<FieldError>), spec: Value, expected: &[&str]) {
        let mut errors = Vec::new();
        rule(&spec, &mut errors);
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_claim_says_how_much_and_for_whom() {
        let mib = json!({ "requests": { "storage": "1Mi" } });
        check(
            claim,
            json!({ "accessModes": ["ReadWriteOnce"], "resources": mib }),
            &[],
        );
        check(
            claim,
            json!({}),
            &[
                "spec.accessModes: Required value: at least 1 access mode is required",
                "spec.resources[storage]: Required value",
            ],
        );
    }

    #[test]
    fn a_volume_has_one_source() {
        let base = json!({ "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "1Gi" } });
        check(
            volume,
            base.clone(),
            &["spec: Required value: must specify a volume type"],
        );
        let mut two = base;
        two["hostPath"] = json!({ "path": "/a/../b" });
        two["nfs"] = json!({});
        check(
            volume,
            two,
            &[
                "spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
                "spec.nfs: Forbidden: may not specify more than 1 volume type",
            ],
        );
    }
}
