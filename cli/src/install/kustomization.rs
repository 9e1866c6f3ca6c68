//! The part of kustomize that our manifests use. What it does not know, it refuses.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use serde::Deserialize;
use serde_json::{Value, json};

/// The file that makes a folder one that can be applied.
const NAME: &str = "kustomization.yaml";

macro_rules! files {
    ($($path:literal)*) => {
        &[$(($path, include_str!(concat!("../../../manifests/", $path)))),*]
    };
}

/// What lies in `manifests/`.
const FILES: &[(&str, &str)] = files![
    "base/controller.yaml"
    "base/crds.yaml"
    "base/kustomization.yaml"
    "base/namespace.yaml"
    "base/roles.yaml"
    "base/services.yaml"
    "base/ui.yaml"
    "external-db/kustomization.yaml"
    "high-availability/disruption.yaml"
    "high-availability/kustomization.yaml"
    "kubeflow/gateway.yaml"
    "kubeflow/kustomization.yaml"
    "kubeflow/roles.yaml"
    "postgres/kustomization.yaml"
    "postgres/postgres.yaml"
    "standalone/kustomization.yaml"
    "standalone/volume.yaml"
    "with-kubeflow/kustomization.yaml"
];

/// Kinds without a namespace.
const CLUSTER_SCOPED: [&str; 4] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
];

/// What a folder is made of.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Kustomization {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    /// Set on all objects.
    namespace: Option<String>,
    /// Files of objects, and folders.
    resources: Vec<String>,
    /// Folders that change what there is.
    components: Vec<String>,
    patches: Vec<Patch>,
    labels: Vec<Labels>,
}

/// A change of one object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    target: Target,
    /// JSON patch, as YAML; or `$patch: delete`.
    patch: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    kind: String,
    name: String,
}

/// Labels of all objects, but not of what selects.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    pairs: BTreeMap<String, String>,
}

impl Kustomization {
    /// What builds on a folder.
    pub(super) fn overlay(folder: &str, component: Option<&str>) -> Self {
        Self {
            resources: vec![folder.to_owned()],
            components: component.into_iter().map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    /// Adds what it names to the objects, and changes them all. Paths start at the folder.
    pub(super) fn apply(
        &self,
        folder: &str,
        mut objects: Vec<Value>,
    ) -> anyhow::Result<Vec<Value>> {
        for resource in &self.resources {
            let path = join(folder, resource);
            match read(&path) {
                Some(text) => objects.extend(documents(text).context(path)?),
                None => objects.extend(build(&path, Vec::new())?),
            }
        }
        for component in &self.components {
            objects = build(&join(folder, component), objects)?;
        }
        for patch in &self.patches {
            patch
                .apply(&mut objects)
                .with_context(|| folder.to_owned())?;
        }
        if let Some(namespace) = &self.namespace {
            set_namespace(&mut objects, namespace);
        }
        for (name, value) in self.labels.iter().flat_map(|labels| &labels.pairs) {
            for object in &mut objects {
                object["metadata"]["labels"][name] = json!(value);
            }
        }
        Ok(objects)
    }
}

impl Patch {
    fn apply(&self, objects: &mut Vec<Value>) -> anyhow::Result<()> {
        let Target { kind, name } = &self.target;
        let is_target = |object: &Value| {
            object["kind"] == kind.as_str() && object["metadata"]["name"] == name.as_str()
        };
        let at = objects.iter().position(is_target);
        let at = at.with_context(|| format!("a patch is for {kind} {name}, which is not there"))?;
        let patch: Value = serde_saphyr::from_str(&self.patch)?;
        if patch["$patch"] == "delete" {
            objects.remove(at);
            return Ok(());
        }
        let patch: json_patch::Patch = serde_json::from_value(patch)?;
        json_patch::patch(&mut objects[at], &patch)
            .with_context(|| format!("patch of {kind} {name}"))
    }
}

/// Puts all objects into a namespace, and what refers to it.
pub(super) fn set_namespace(objects: &mut [Value], namespace: &str) {
    for object in objects {
        let kind = object["kind"].as_str().unwrap_or_default();
        if kind == "Namespace" {
            object["metadata"]["name"] = json!(namespace);
        } else if !CLUSTER_SCOPED.contains(&kind) {
            object["metadata"]["namespace"] = json!(namespace);
        }
        let subjects = object.get_mut("subjects").and_then(Value::as_array_mut);
        for subject in subjects.into_iter().flatten() {
            if subject["kind"] == "ServiceAccount" {
                subject["namespace"] = json!(namespace);
            }
        }
        let service = "/spec/conversion/webhook/clientConfig/service/namespace";
        if let Some(of_service) = object.pointer_mut(service) {
            *of_service = json!(namespace);
        }
    }
}

fn build(folder: &str, objects: Vec<Value>) -> anyhow::Result<Vec<Value>> {
    let path = join(folder, NAME);
    let text = read(&path).ok_or_else(|| anyhow!("no file {path}"))?;
    let kustomization: Kustomization = serde_saphyr::from_str(text).context(path)?;
    kustomization.apply(folder, objects)
}

fn read(path: &str) -> Option<&'static str> {
    let found = FILES.iter().find(|(name, _)| *name == path);
    found.map(|(_, text)| *text)
}

fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    Ok(documents.into_iter().filter(Value::is_object).collect())
}

/// A path seen from a folder; `..` goes up.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_their_folder() {
        for (folder, path, expected) in [
            ("", "standalone", "standalone"),
            ("standalone", "volume.yaml", "standalone/volume.yaml"),
            ("high-availability", "../external-db", "external-db"),
        ] {
            assert_eq!(join(folder, path), expected);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "namePrefix: x-",
            "patches: [{path: x.yaml}]",
            "patches: [{target: {kind: Deployment}, patch: \"[]\"}]",
            "labels: [{pairs: {a: b}, includeSelectors: true}]",
        ] {
            let read = serde_saphyr::from_str::<Kustomization>(text);
            assert!(read.is_err(), "{text}");
        }
        let of_nothing = Kustomization::overlay("elsewhere", None);
        let error = of_nothing.apply("base", Vec::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no file base/elsewhere/kustomization.yaml"
        );
    }

    #[test]
    fn a_patch_fits_or_is_an_error() {
        let patch = |name: &str, patch: &str| Patch {
            target: Target {
                kind: "Deployment".to_owned(),
                name: name.to_owned(),
            },
            patch: patch.to_owned(),
        };
        let objects = || vec![json!({"kind": "Deployment", "metadata": {"name": "a"}})];
        let add = "[{op: add, path: /spec, value: 1}]";
        let mut changed = objects();
        patch("a", add).apply(&mut changed).unwrap();
        assert_eq!(changed[0]["spec"], 1);
        patch("a", "$patch: delete").apply(&mut changed).unwrap();
        assert_eq!(changed, [json!(null); 0]);
        let error = patch("b", add).apply(&mut objects()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("Deployment b, which is not there")
        );
        for wrong in [
            "[{op: remove, path: /spec/replicas}]",
            "spec: {replicas: 2}",
        ] {
            assert!(patch("a", wrong).apply(&mut objects()).is_err(), "{wrong}");
        }
    }
}
