//! The manifests of a cluster installation, composed from the files of `manifests/`. They travel inside
//! the program, and what kustomize would make of them is made here. No I/O.

mod kustomization;

use anyhow::Context as _;
use serde_json::{Value, json};

use kustomization::Kustomization;

/// Where the observation log is kept, and by how many replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Variant {
    /// One replica, the observation log in SQLite on a volume
    Standalone,
    /// One replica, and a PostgreSQL beside it
    Postgres,
    /// One replica, a database of yours
    ExternalDb,
    /// Two replicas, a database of yours
    HighAvailability,
}

/// The component that makes an installation a part of Kubeflow.
const KUBEFLOW: &str = "kubeflow";
/// The Secret with the URL of the database, as the manifests name it.
const DATABASE_SECRET: &str = "diwan-database";
/// The image, as the manifests name it.
const IMAGE: &str = "diwan";

impl Variant {
    /// Its folder.
    fn folder(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Postgres => "postgres",
            Self::ExternalDb => "external-db",
            Self::HighAvailability => "high-availability",
        }
    }

    /// Whether the database is the user's.
    pub(crate) fn takes_a_database(self) -> bool {
        matches!(self, Self::ExternalDb | Self::HighAvailability)
    }

    /// The Secret that the user has to make, and how.
    pub(crate) fn secret(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Standalone => None,
            Self::Postgres => Some((
                "diwan-postgres",
                "--from-literal=password=\"$(openssl rand -hex 16)\"",
            )),
            Self::ExternalDb | Self::HighAvailability => Some((
                DATABASE_SECRET,
                "--from-literal=url='postgres://USER:PASSWORD@HOST/DATABASE'",
            )),
        }
    }
}

/// What is to be installed.
pub(crate) struct Installation<'a> {
    /// The variant.
    pub(crate) variant: Variant,
    /// As a part of Kubeflow.
    pub(crate) with_kubeflow: bool,
    /// The namespace.
    pub(crate) namespace: &'a str,
    /// The image of `diwan`.
    pub(crate) image: &'a str,
    /// The URL of the user's database.
    pub(crate) database_url: Option<&'a str>,
}

impl Installation<'_> {
    /// The objects, in the order in which they can be applied.
    pub(crate) fn objects(&self) -> anyhow::Result<Vec<Value>> {
        let component = self.with_kubeflow.then_some(KUBEFLOW);
        let overlay = Kustomization::overlay(self.variant.folder(), component);
        let mut objects = overlay
            .apply("", Vec::new())
            .context("the manifests that this program carries can't be composed")?;
        if let Some(url) = self.database_url {
            objects.push(json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": DATABASE_SECRET},
                "stringData": {"url": url},
            }));
        }
        kustomization::set_namespace(&mut objects, self.namespace);
        for object in &mut objects {
            set_image(object, self.image);
        }
        Ok(objects)
    }
}

/// Names the image in the containers of a workload.
fn set_image(object: &mut Value, image: &str) {
    let containers = object.pointer_mut("/spec/template/spec/containers");
    for container in containers
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if container["image"] == IMAGE {
            container["image"] = json!(image);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    fn installation(variant: Variant) -> Installation<'static> {
        Installation {
            variant,
            with_kubeflow: true,
            namespace: "tuning",
            image: "registry.example:5000/diwan@sha256:0a",
            database_url: variant.takes_a_database().then_some("postgres://u:p@h/d"),
        }
    }

    fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> Option<&'a Value> {
        let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        objects.iter().find(is_it)
    }

    #[test]
    fn every_variant_is_made_for_the_namespace_and_the_image() {
        for variant in Variant::value_variants() {
            let installation = installation(*variant);
            let objects = installation.objects().unwrap();
            // It is Kubeflow's.
            assert!(find(&objects, "Namespace", "tuning").is_none());
            for name in ["diwan-controller", "diwan-ui"] {
                let deployment = find(&objects, "Deployment", name).unwrap();
                assert_eq!(deployment["metadata"]["namespace"], "tuning");
                let containers = &deployment["spec"]["template"]["spec"]["containers"];
                assert_eq!(containers[0]["image"], installation.image);
            }
            let text = serde_json::to_string(&objects).unwrap();
            assert!(!text.contains("\"namespace\":\"kubeflow\""), "{variant:?}");
        }
    }

    #[test]
    fn a_given_database_stands_in_the_secret_that_the_controller_reads() {
        let objects = installation(Variant::HighAvailability).objects().unwrap();
        let secret = find(&objects, "Secret", DATABASE_SECRET).unwrap();
        assert_eq!(secret["metadata"]["namespace"], "tuning");
        assert_eq!(secret["stringData"]["url"], "postgres://u:p@h/d");
        let controller = find(&objects, "Deployment", "diwan-controller").unwrap();
        let env = &controller["spec"]["template"]["spec"]["containers"][0]["env"];
        let is_url = |entry: &&Value| entry["name"] == "DIWAN_DATABASE_URL";
        let url = env.as_array().unwrap().iter().find(is_url).unwrap();
        let reference = &url["valueFrom"]["secretKeyRef"];
        assert_eq!(*reference, json!({"name": DATABASE_SECRET, "key": "url"}));
    }

    #[test]
    fn definitions_and_the_namespace_come_before_what_needs_them() {
        let alone = Installation {
            with_kubeflow: false,
            ..installation(Variant::Standalone)
        };
        let objects = alone.objects().unwrap();
        assert!(find(&objects, "Namespace", "tuning").is_some());
        let first = |kind: &str| objects.iter().position(|object| object["kind"] == kind);
        assert!(first("CustomResourceDefinition") < first("Deployment"));
        assert!(first("Namespace") < first("ServiceAccount"));
    }
}
