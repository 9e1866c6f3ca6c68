//! Puts the objects of files to an API server, and turns what it answers into problems that
//! name the file and the line.

use anyhow::Context as _;
use kube::Client;
use kube::api::{DynamicObject, GroupVersionKind};
use kube::core::ApiResource;
use kube::core::response::StatusSummary;
use serde_json::{Value, json};

use crate::manifest::{Manifest, Problem};
use crate::port::rules::built_in_warnings;

/// Why objects were not applied.
#[derive(Debug)]
pub(crate) enum ApplyError {
    /// The objects are wrong.
    Invalid(Vec<Problem>),
    /// The server could not be asked.
    Other(anyhow::Error),
}

/// Whether objects are stored, or only checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are stored.
    Store,
    /// They are checked as if they were stored.
    DryRun,
}

/// Creates the namespaces that the objects name, if they are missing.
pub(crate) async fn create_namespaces(
    client: &Client,
    manifests: &[Manifest],
) -> anyhow::Result<()> {
    let mut names: Vec<&str> = manifests.iter().map(Manifest::namespace).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        match post(client, "/api/v1/namespaces", Mode::Store, &body).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error).context(format!("can't create namespace {name}")),
        }
    }
    Ok(())
}

/// Applies the objects: first what surrounds the experiments (ConfigMaps and the like, always
/// stored: templates may stand in them), then the experiments. Within each group nothing is
/// stored unless all of it is valid. Returns the experiments as the server has them.
pub(crate) async fn apply(
    client: &Client,
    manifests: &[Manifest],
    mode: Mode,
) -> Result<Vec<Value>, ApplyError> {
    let (experiments, surroundings): (Vec<_>, Vec<_>) = manifests
        .iter()
        .partition(|manifest| manifest.kind() == "Experiment");
    let mut problems = Vec::new();
    let mut stored = Vec::new();
    for (group, mode) in [(&surroundings, Mode::Store), (&experiments, mode)] {
        match apply_group(client, group, mode).await {
            Ok(objects) => stored = objects,
            Err(ApplyError::Invalid(found)) => problems.extend(found),
            Err(error) => return Err(error),
        }
    }
    if !problems.is_empty() {
        return Err(ApplyError::Invalid(problems));
    }
    for (manifest, experiment) in experiments.iter().zip(&stored) {
        for warning in built_in_warnings(experiment) {
            eprintln!("warning: {}: {warning}", manifest.name());
        }
    }
    Ok(stored)
}

async fn apply_group(
    client: &Client,
    group: &[&Manifest],
    mode: Mode,
) -> Result<Vec<Value>, ApplyError> {
    let tried = try_all(client, group, Mode::DryRun).await?;
    if mode == Mode::DryRun {
        return Ok(tried);
    }
    try_all(client, group, Mode::Store).await
}

async fn try_all(
    client: &Client,
    group: &[&Manifest],
    mode: Mode,
) -> Result<Vec<Value>, ApplyError> {
    let mut stored = Vec::new();
    let mut problems = Vec::new();
    for manifest in group {
        match apply_one(client, manifest, mode).await {
            Ok(object) => stored.push(object),
            Err(kube::Error::Api(status)) => problems.extend(explain(manifest, &status)),
            Err(error) => {
                let what = format!("can't apply {} {}", manifest.kind(), manifest.name());
                return Err(ApplyError::Other(anyhow::Error::new(error).context(what)));
            }
        }
    }
    if problems.is_empty() {
        Ok(stored)
    } else {
        Err(ApplyError::Invalid(problems))
    }
}

async fn apply_one(client: &Client, manifest: &Manifest, mode: Mode) -> kube::Result<Value> {
    let created = post(client, &collection_path(manifest), mode, &manifest.object).await;
    match created {
        // What surrounds an experiment (ConfigMaps and the like) may be there from an earlier
        // run; an experiment of the same name is another experiment.
        Err(kube::Error::Api(status))
            if status.reason == "AlreadyExists" && manifest.kind() != "Experiment" =>
        {
            merge(client, manifest, mode).await
        }
        other => other,
    }
}

fn resource(manifest: &Manifest) -> ApiResource {
    let version = manifest.object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, manifest.kind()))
}

fn collection_path(manifest: &Manifest) -> String {
    let cluster_wide = ["Namespace", "Node", "CustomResourceDefinition"];
    let namespace =
        (!cluster_wide.contains(&manifest.kind())).then(|| manifest.namespace().to_owned());
    <DynamicObject as kube::Resource>::url_path(&resource(manifest), namespace.as_deref())
}

async fn post(client: &Client, path: &str, mode: Mode, body: &Value) -> kube::Result<Value> {
    let request = http::Request::post(format!("{path}?{}", parameters(mode)))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(serde_json::to_vec(body).map_err(kube::Error::SerdeError)?)
        .map_err(kube::Error::HttpError)?;
    client.request(request).await
}

async fn merge(client: &Client, manifest: &Manifest, mode: Mode) -> kube::Result<Value> {
    let path = format!(
        "{}/{}?{}",
        collection_path(manifest),
        manifest.name(),
        parameters(mode)
    );
    let request = http::Request::patch(path)
        .header(http::header::CONTENT_TYPE, "application/merge-patch+json")
        .body(serde_json::to_vec(&manifest.object).map_err(kube::Error::SerdeError)?)
        .map_err(kube::Error::HttpError)?;
    client.request(request).await
}

fn parameters(mode: Mode) -> &'static str {
    match mode {
        Mode::Store => "fieldManager=diwan&fieldValidation=Strict",
        Mode::DryRun => "fieldManager=diwan&fieldValidation=Strict&dryRun=All",
    }
}

/// One problem for each cause that the server names, or one for the whole answer.
fn explain(manifest: &Manifest, status: &kube::core::Status) -> Vec<Problem> {
    if status.reason == "AlreadyExists" {
        let advice = format!(
            "{}; delete it, choose another name, or let `diwan up` go on with it",
            status.message
        );
        return vec![manifest.problem("metadata.name", advice)];
    }
    if status.code == 404
        && status
            .details
            .as_ref()
            .is_none_or(|details| details.name.is_empty())
    {
        let version = manifest.object["apiVersion"].as_str().unwrap_or_default();
        let what = format!("{} of {version} is not served here", manifest.kind());
        return vec![manifest.problem("kind", what)];
    }
    debug_assert_ne!(status.status, Some(StatusSummary::Success));
    let causes = status
        .details
        .as_ref()
        .map_or(&[][..], |details| &details.causes);
    let named: Vec<Problem> = causes
        .iter()
        .filter(|cause| !cause.field.is_empty())
        .map(|cause| manifest.problem(&cause.field, cause.message.clone()))
        .collect();
    if named.is_empty() {
        unknown_fields(manifest, &status.message)
    } else {
        named
    }
}

/// The strict decoding error lists unknown fields in its message only.
fn unknown_fields(manifest: &Manifest, message: &str) -> Vec<Problem> {
    let found: Vec<Problem> = message
        .split("unknown field \"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(field, _)| manifest.problem(field, "unknown field"))
        .collect();
    if found.is_empty() {
        vec![manifest.problem("", message.to_owned())]
    } else {
        found
    }
}
