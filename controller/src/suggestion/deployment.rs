//! What runs an algorithm that is an image: its Deployment, the Service that leads to it, and what
//! these need. No I/O.

use diwan_api::metadata::{
    EARLY_STOPPING_PORT, LABEL_DEPLOYMENT, LABEL_EXPERIMENT, LABEL_SUGGESTION, SUGGESTION_PORT,
    service_name,
};
use diwan_api::{Experiment, ResumePolicy, Suggestion};
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use crate::admission::injection::is_negative;
use crate::port::ServiceImage;
use crate::world::owned_by;

/// What services answer for when they are asked for their health; images made for Katib do.
const HEALTH: &str = "manager.v1beta1.Suggestion";
/// Where a volume is mounted unless the configuration says otherwise.
const VOLUME_PATH: &str = "/opt/katib/data";

/// The images that serve one experiment.
#[derive(Clone, Debug, Default)]
pub(super) struct Images {
    pub(super) suggestion: Option<ServiceImage>,
    pub(super) early_stopping: Option<ServiceImage>,
    /// The volume in which trials hand on checkpoints, where no image keeps one.
    pub(super) checkpoints: Option<ServiceImage>,
}

impl Images {
    pub(super) fn is_empty(&self) -> bool {
        self.suggestion.is_none() && self.early_stopping.is_none() && self.checkpoints.is_none()
    }

    /// Whether something runs for the experiment.
    pub(super) fn run(&self) -> bool {
        self.suggestion.is_some() || self.early_stopping.is_some()
    }

    fn account(&self) -> Option<&str> {
        let images = self.suggestion.iter().chain(&self.early_stopping);
        let mut accounts = images.map(|image| image.service_account_name.as_str());
        accounts.find(|name| !name.is_empty())
    }
}

/// The objects, in the order in which they are to be made.
pub(super) fn objects(
    suggestion: &Suggestion,
    experiment: &Experiment,
    images: &Images,
) -> Vec<Value> {
    let names = Names {
        name: service_name(experiment),
        namespace: experiment.namespace().unwrap_or_default(),
        suggestion,
        labels: labels(suggestion, experiment),
    };
    let mut objects = Vec::new();
    let policy = suggestion.spec.resume_policy.as_ref();
    let keeps = images.suggestion.as_ref();
    let keeps = keeps.filter(|_| policy == Some(&ResumePolicy::FromVolume));
    if let Some(kept) = keeps.or(images.checkpoints.as_ref()) {
        objects.extend(names.volume(kept));
        objects.push(names.claim(kept));
    }
    if !images.run() {
        return objects;
    }
    let makes_account = images.early_stopping.is_some() && images.account().is_none();
    if makes_account {
        objects.extend(names.account());
    }
    objects.push(names.service(images));
    let account = if makes_account {
        Some(names.name.as_str())
    } else {
        images.account()
    };
    objects.push(names.deployment(images, account, keeps));
    objects
}

fn labels(suggestion: &Suggestion, experiment: &Experiment) -> Map<String, Value> {
    let own = suggestion.metadata.labels.clone().unwrap_or_default();
    let mut labels: Map<String, Value> = own.into_iter().map(|(k, v)| (k, v.into())).collect();
    let mut set = |key: &str, value: String| labels.insert(key.to_owned(), value.into());
    set(LABEL_DEPLOYMENT, service_name(experiment));
    set(LABEL_EXPERIMENT, experiment.name_any());
    set(LABEL_SUGGESTION, suggestion.name_any());
    // Calls between the controller and a service need no mesh.
    set("sidecar.istio.io/inject", "false".to_owned());
    labels
}

struct Names<'a> {
    name: String,
    namespace: String,
    suggestion: &'a Suggestion,
    labels: Map<String, Value>,
}

impl Names<'_> {
    fn meta(&self) -> Value {
        json!({
            "name": self.name, "namespace": self.namespace, "labels": self.labels,
            "ownerReferences": owned_by(self.suggestion).into_iter().collect::<Vec<_>>(),
        })
    }

    fn volume(&self, image: &ServiceImage) -> Option<Value> {
        let mut spec = image.volume.clone()?;
        if spec["persistentVolumeReclaimPolicy"].is_null() {
            spec["persistentVolumeReclaimPolicy"] = json!("Delete");
        }
        let mut labels = self.labels.clone();
        labels.extend(image.volume_labels.clone());
        let name = format!("{}-{}", self.name, self.namespace);
        Some(json!({
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": name, "labels": labels}, "spec": spec,
        }))
    }

    fn claim(&self, image: &ServiceImage) -> Value {
        let default = || {
            json!({
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            })
        };
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": self.meta(),
            "spec": image.volume_claim.clone().unwrap_or_else(default),
        })
    }

    /// The account of a service that marks trials as stopped.
    fn account(&self) -> [Value; 3] {
        let group = "rbac.authorization.k8s.io";
        let api_version = format!("{group}/v1");
        [
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": self.meta()}),
            json!({
                "apiVersion": api_version, "kind": "Role", "metadata": self.meta(),
                "rules": [
                    {
                        "apiGroups": ["kubeflow.org"], "resources": ["trials"],
                        "verbs": ["get", "list", "watch", "update", "patch"],
                    },
                    {
                        "apiGroups": ["kubeflow.org"], "resources": ["trials/status"],
                        "verbs": ["get", "update", "patch"],
                    },
                ],
            }),
            json!({
                "apiVersion": api_version, "kind": "RoleBinding", "metadata": self.meta(),
                "roleRef": {"apiGroup": group, "kind": "Role", "name": self.name},
                "subjects": [{
                    "kind": "ServiceAccount", "name": self.name, "namespace": self.namespace,
                }],
            }),
        ]
    }

    fn service(&self, images: &Images) -> Value {
        let port = |name: &str, port: u16| json!({"name": name, "port": port, "protocol": "TCP"});
        let mut ports = Vec::new();
        if images.suggestion.is_some() {
            ports.push(port("suggestion-api", SUGGESTION_PORT));
        }
        if images.early_stopping.is_some() {
            ports.push(port("earlystop-api", EARLY_STOPPING_PORT));
        }
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": self.meta(),
            "spec": {"type": "ClusterIP", "selector": self.labels, "ports": ports},
        })
    }

    fn deployment(
        &self,
        images: &Images,
        account: Option<&str>,
        keeps: Option<&ServiceImage>,
    ) -> Value {
        let mut containers = Vec::new();
        if let Some(image) = &images.suggestion {
            let port = ("suggestion-api", SUGGESTION_PORT);
            let mut container = container(image, "suggestion", port);
            if let Some(kept) = keeps {
                let path = match kept.volume_mount_path.as_str() {
                    "" => VOLUME_PATH,
                    path => path,
                };
                let mount = json!({"name": "suggestion-volume", "mountPath": path});
                pushed(&mut container, "volumeMounts", mount);
            }
            containers.push(container);
        }
        if let Some(image) = &images.early_stopping {
            let port = ("earlystop-api", EARLY_STOPPING_PORT);
            containers.push(container(image, "early-stopping", port));
        }
        let mut pod = json!({"containers": containers});
        if let Some(account) = account {
            pod["serviceAccountName"] = account.into();
        }
        if keeps.is_some() {
            pod["volumes"] = json!([{
                "name": "suggestion-volume", "persistentVolumeClaim": {"claimName": self.name},
            }]);
        }
        // A volume may be in one pod's hands only.
        let strategy = if keeps.is_some() {
            "Recreate"
        } else {
            "RollingUpdate"
        };
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": self.meta(),
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": self.labels},
                "strategy": {"type": strategy},
                "template": {"metadata": {"labels": self.labels}, "spec": pod},
            },
        })
    }
}

/// A container of the configuration, with what it is reached and watched by.
fn container(image: &ServiceImage, name: &str, (port_name, port): (&str, u16)) -> Value {
    let mut container = Value::Object(image.container.clone());
    container["name"] = name.into();
    let listed = container["ports"].as_array().into_iter().flatten();
    let is_listed = listed
        .into_iter()
        .any(|listed| listed["containerPort"] == port || listed["name"] == port_name);
    if !is_listed {
        let port = json!({"name": port_name, "containerPort": port, "protocol": "TCP"});
        pushed(&mut container, "ports", port);
    }
    if container["imagePullPolicy"].is_null() {
        container["imagePullPolicy"] = "IfNotPresent".into();
    }
    limited(&mut container);
    if port == SUGGESTION_PORT {
        let probe = |period: u32, failures: u32| {
            json!({
                "grpc": {"port": port, "service": HEALTH},
                "periodSeconds": period, "failureThreshold": failures, "timeoutSeconds": 5,
            })
        };
        // Ready at once; and one that thinks for long is not killed for it.
        for (name, probe) in [
            ("readinessProbe", probe(1, 10)),
            ("livenessProbe", probe(120, 12)),
        ] {
            if container[name].is_null() {
                container[name] = probe;
            }
        }
    }
    container
}

/// In Katib's configuration a negative amount takes a default limit away. There is none here, so
/// it says nothing.
fn limited(container: &mut Value) {
    let Some(resources) = container["resources"].as_object_mut() else {
        container.as_object_mut().map(|c| c.remove("resources"));
        return;
    };
    for amounts in resources.values_mut().filter_map(Value::as_object_mut) {
        amounts.retain(|_, amount| !is_negative(amount));
    }
}

fn pushed(container: &mut Value, list: &str, item: Value) {
    match container[list].as_array_mut() {
        Some(items) => items.push(item),
        None => container[list] = json!([item]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(container: Value) -> ServiceImage {
        ServiceImage {
            container: container.as_object().unwrap().clone(),
            ..ServiceImage::default()
        }
    }

    fn made(policy: &str, images: &Images) -> Vec<Value> {
        let experiment = serde_json::from_value(json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
            "metadata": {"name": "e", "namespace": "n"},
            "spec": {"algorithm": {"algorithmName": "mine"}},
        }));
        let suggestion = serde_json::from_value(json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Suggestion",
            "metadata": {"name": "e", "namespace": "n", "uid": "u", "labels": {"team": "a"}},
            "spec": {"resumePolicy": policy},
        }));
        objects(&suggestion.unwrap(), &experiment.unwrap(), images)
    }

    fn kinds(objects: &[Value]) -> Vec<&str> {
        objects
            .iter()
            .map(|o| o["kind"].as_str().unwrap())
            .collect()
    }

    #[test]
    fn a_service_has_katibs_names() {
        let images = Images {
            suggestion: Some(image(json!({"image": "me/mine", "args": ["-v"]}))),
            ..Images::default()
        };
        let objects = made("Never", &images);
        assert_eq!(kinds(&objects), ["Service", "Deployment"]);
        for object in &objects {
            assert_eq!(object["metadata"]["name"], "e-mine");
            assert_eq!(
                object["metadata"]["ownerReferences"][0]["kind"],
                "Suggestion"
            );
        }
        let pod = &objects[1]["spec"]["template"];
        assert_eq!(pod["metadata"]["labels"], objects[0]["spec"]["selector"]);
        assert_eq!(pod["metadata"]["labels"]["team"], "a");
        let container = &pod["spec"]["containers"][0];
        assert_eq!(container["name"], "suggestion");
        assert_eq!(container["args"], json!(["-v"]));
        assert_eq!(container["ports"][0]["containerPort"], 6789);
        assert_eq!(container["readinessProbe"]["grpc"]["port"], 6789);
        assert_eq!(pod["spec"]["volumes"], Value::Null);
    }

    #[test]
    fn what_the_configuration_says_is_kept() {
        let given = json!({
            "image": "me/mine", "imagePullPolicy": "Never",
            "ports": [{"containerPort": 6789, "name": "grpc"}],
            "livenessProbe": {"tcpSocket": {"port": 6789}},
            "resources": {"limits": {"memory": "1Gi", "cpu": "-1"}},
        });
        let images = Images {
            suggestion: Some(image(given)),
            ..Images::default()
        };
        let objects = made("Never", &images);
        let container = &objects[1]["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["imagePullPolicy"], "Never");
        assert_eq!(container["ports"].as_array().unwrap().len(), 1);
        assert_eq!(container["livenessProbe"]["tcpSocket"]["port"], 6789);
        assert_eq!(container["resources"]["limits"], json!({"memory": "1Gi"}));
    }

    #[test]
    fn a_volume_outlives_the_service() {
        let mut kept = image(json!({"image": "me/mine"}));
        let alone = Images {
            suggestion: Some(kept.clone()),
            ..Images::default()
        };
        let objects = made("FromVolume", &alone);
        let expected = ["PersistentVolumeClaim", "Service", "Deployment"];
        assert_eq!(kinds(&objects), expected);
        let pod = &objects[2]["spec"]["template"]["spec"];
        assert_eq!(
            pod["volumes"][0]["persistentVolumeClaim"]["claimName"],
            "e-mine"
        );
        let mount = &pod["containers"][0]["volumeMounts"][0];
        assert_eq!(mount["mountPath"], "/opt/katib/data");
        kept.volume = Some(json!({"hostPath": {"path": "/tmp/x"}}));
        kept.volume_mount_path = "/data".to_owned();
        let images = Images {
            suggestion: Some(kept),
            ..Images::default()
        };
        let objects = made("FromVolume", &images);
        assert_eq!(objects[0]["metadata"]["name"], "e-mine-n");
        assert_eq!(objects[0]["metadata"]["ownerReferences"], Value::Null);
        let pod = &objects[3]["spec"]["template"]["spec"];
        let mount = &pod["containers"][0]["volumeMounts"][0];
        assert_eq!(mount["mountPath"], "/data");
    }

    #[test]
    fn checkpoints_need_a_volume_and_no_service() {
        let volume = ServiceImage {
            volume_claim: Some(json!({"accessModes": ["ReadWriteMany"]})),
            ..ServiceImage::default()
        };
        let images = Images {
            checkpoints: Some(volume),
            ..Images::default()
        };
        let objects = made("Never", &images);
        assert_eq!(kinds(&objects), ["PersistentVolumeClaim"]);
        assert_eq!(objects[0]["metadata"]["name"], "e-mine");
        assert_eq!(objects[0]["spec"]["accessModes"][0], "ReadWriteMany");
    }

    #[test]
    fn early_stopping_stands_beside_with_an_account_of_its_own() {
        let mut images = Images {
            early_stopping: Some(image(json!({"image": "me/stop"}))),
            ..Images::default()
        };
        let objects = made("Never", &images);
        let expected = [
            "ServiceAccount",
            "Role",
            "RoleBinding",
            "Service",
            "Deployment",
        ];
        assert_eq!(kinds(&objects), expected);
        assert_eq!(objects[3]["spec"]["ports"][0]["port"], 6788);
        let pod = &objects[4]["spec"]["template"]["spec"];
        assert_eq!(pod["serviceAccountName"], "e-mine");
        assert_eq!(pod["containers"][0]["name"], "early-stopping");
        assert_eq!(pod["containers"][0]["readinessProbe"], Value::Null);
        let mut suggestion = image(json!({"image": "me/mine"}));
        suggestion.service_account_name = "mine".to_owned();
        images.suggestion = Some(suggestion);
        let objects = made("Never", &images);
        assert_eq!(kinds(&objects), ["Service", "Deployment"]);
        let pod = &objects[1]["spec"]["template"]["spec"];
        assert_eq!(pod["serviceAccountName"], "mine");
        assert_eq!(pod["containers"].as_array().unwrap().len(), 2);
    }
}
