//! The volume through which trials hand on what they have learned: each has a folder of it, and what
//! a trial continues is copied there by an init container of its own pod. No I/O.
//!
//! The pod is the one place that sees the volume on a cluster and on one machine, and that runs as
//! the user who has to read and write what is copied.

mod spent;

use diwan_api::metadata::{LABEL_PARENT, SETTING_TRIAL_DIR, service_name};
use diwan_api::{Experiment, Suggestion, Trial};
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use crate::admission::pod::{add_named, entries, primary_container};
use crate::world::owned_by;

pub(crate) use spent::Spent;

/// The volume, as Katib calls it.
const VOLUME: &str = "suggestion-volume";
/// The init container.
const CONTAINER: &str = "diwan-checkpoint";
/// Where it finds the folders of all trials.
const FOLDERS: &str = "/run/diwan-checkpoints";
/// So many folders are removed at the end at most: those before were removed by trials.
const MOST_SWEPT: usize = 1_000;
/// What of the trial's own rights the init container gets: to whom files belong, and what a namespace
/// may ask of every container.
const RIGHTS: [&str; 4] = ["runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile"];

/// Where the trials of an experiment find checkpoints, if they hand on any.
pub(crate) fn trial_folder(experiment: &Experiment) -> Option<&str> {
    let algorithm = experiment.spec.algorithm.as_ref()?;
    let mut settings = algorithm.algorithm_settings.iter();
    let setting = settings.find(|setting| setting.name == SETTING_TRIAL_DIR)?;
    Some(setting.value.trim()).filter(|path| !path.is_empty())
}

/// What the pods of one trial need to hand on checkpoints.
pub(crate) struct Handover<'a> {
    experiment: String,
    trial: String,
    claim: String,
    path: &'a str,
    primary: &'a str,
    parent: Option<&'a str>,
}

impl<'a> Handover<'a> {
    /// That of a trial, if its experiment has a volume for it.
    pub(crate) fn of(experiment: &'a Experiment, trial: &'a Trial) -> Option<Self> {
        Some(Self {
            path: trial_folder(experiment)?,
            experiment: experiment.name_any(),
            trial: trial.name_any(),
            claim: service_name(experiment),
            primary: &trial.spec.primary_container_name,
            parent: trial.spec.labels.get(LABEL_PARENT).map(String::as_str),
        })
    }

    /// Mounts the trial's folder in every pod that has its primary container. `copier` fills it
    /// before, and removes the folders of the trials `spent`; none where somebody else does so.
    pub(crate) fn put_on(
        &self,
        run: &mut Value,
        copier: Option<&Map<String, Value>>,
        spent: &[String],
    ) {
        match run {
            Value::Object(object) => {
                if let Some(Value::Object(spec)) = object.get_mut("spec") {
                    self.put_on_pod(spec, copier, spent);
                }
                for value in object.values_mut() {
                    self.put_on(value, copier, spent);
                }
            }
            Value::Array(values) => {
                for value in values {
                    self.put_on(value, copier, spent);
                }
            }
            _ => {}
        }
    }

    fn put_on_pod(
        &self,
        spec: &mut Map<String, Value>,
        copier: Option<&Map<String, Value>>,
        spent: &[String],
    ) {
        let pod_rights = spec.get("securityContext").cloned().unwrap_or_default();
        let Some(container) = primary_container(spec, self.primary) else {
            return;
        };
        let is_there = |mount: &Value| {
            let path = mount["mountPath"].as_str().unwrap_or_default();
            path.trim_end_matches('/') == self.path.trim_end_matches('/')
        };
        // Whoever mounts something there himself hands on himself.
        if entries(container, "volumeMounts").any(is_there) {
            return;
        }
        let own_rights = container
            .get("securityContext")
            .cloned()
            .unwrap_or_default();
        let below = format!("{}/{}", self.experiment, self.trial);
        let mount = json!({"name": VOLUME, "mountPath": self.path, "subPath": below});
        match container.get_mut("volumeMounts") {
            Some(Value::Array(mounts)) => mounts.push(mount),
            _ => drop(container.insert("volumeMounts".to_owned(), json!([mount]))),
        }
        add_named(spec, "volumes", volume(&self.claim));
        if let Some(copier) = copier {
            let container = self.copier(copier, &pod_rights, &own_rights, spent);
            // Those of the user may look at what is copied.
            match spec.get_mut("initContainers") {
                Some(Value::Array(containers)) => containers.insert(0, container),
                _ => drop(spec.insert("initContainers".to_owned(), json!([container]))),
            }
        }
    }

    /// The init container. A user that the trial names is its user, too.
    fn copier(
        &self,
        base: &Map<String, Value>,
        pod_rights: &Value,
        own_rights: &Value,
        spent: &[String],
    ) -> Value {
        let mut container = container(base, &self.experiment, &self.args(spent));
        let names_user =
            |rights: &Value| !rights["runAsUser"].is_null() || rights["runAsNonRoot"] == true;
        if (names_user(pod_rights) || names_user(own_rights))
            && let Some(rights) = container["securityContext"].as_object_mut()
        {
            rights.remove("runAsUser");
            // These are for root.
            if let Some(Value::Object(capabilities)) = rights.get_mut("capabilities") {
                capabilities.remove("add");
            }
        }
        for right in RIGHTS {
            if !own_rights[right].is_null() {
                container["securityContext"][right] = own_rights[right].clone();
            }
        }
        container
    }

    fn args(&self, spent: &[String]) -> Vec<String> {
        let mut args = vec![flag("trial", &self.trial)];
        args.extend(self.parent.map(|parent| flag("from", parent)));
        // What it continues is never spent; who says so errs.
        let spent = spent.iter().map(String::as_str);
        let spent = spent.filter(|name| self.parent != Some(name));
        args.extend(spent.map(|name| flag("remove", name)));
        args
    }
}

fn flag(name: &str, value: &str) -> String {
    format!("--{name}={value}")
}

/// The container that sees the folders of all trials.
fn container(base: &Map<String, Value>, experiment: &str, args: &[String]) -> Value {
    let mut container = Value::Object(base.clone());
    let args = [&["--folder".to_owned(), FOLDERS.to_owned()], args].concat();
    let mount = json!({"name": VOLUME, "mountPath": FOLDERS, "subPath": experiment});
    container["name"] = CONTAINER.into();
    container["args"] = json!(args);
    container["volumeMounts"] = json!([mount]);
    container
}

fn volume(claim: &str) -> Value {
    json!({"name": VOLUME, "persistentVolumeClaim": {"claimName": claim}})
}

/// The Job that removes the checkpoints of the last trials which nobody continues: no trial comes
/// after them to do so.
pub(crate) fn sweep(
    experiment: &Experiment,
    suggestion: &Suggestion,
    base: &Map<String, Value>,
    spent: &[String],
) -> Value {
    let (claim, spent) = (service_name(experiment), last(spent));
    let args: Vec<String> = spent.iter().map(|name| flag("remove", name)).collect();
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": format!("{claim}-sweep"),
            "namespace": experiment.namespace().unwrap_or_default(),
            "ownerReferences": owned_by(suggestion).into_iter().collect::<Vec<_>>(),
        },
        "spec": {
            "backoffLimit": 2, "activeDeadlineSeconds": 600, "ttlSecondsAfterFinished": 0,
            "template": {"spec": {
                "restartPolicy": "Never",
                "containers": [container(base, &experiment.name_any(), &args)],
                "volumes": [volume(&claim)],
            }},
        },
    })
}

/// As many of the last as fit into an object and a command line.
fn last(names: &[String]) -> &[String] {
    &names[names.len().saturating_sub(MOST_SWEPT)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(settings: &Value) -> Experiment {
        let experiment = json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
            "metadata": {"name": "tune", "namespace": "team"},
            "spec": {"algorithm": {"algorithmName": "pbt", "algorithmSettings": settings}},
        });
        serde_json::from_value(experiment).unwrap()
    }

    fn pbt() -> Experiment {
        experiment(&json!([{"name": "suggestion_trial_dir", "value": "/data/"}]))
    }

    fn trial(parent: Option<&str>) -> Trial {
        let mut trial = Trial::default();
        trial.metadata.name = Some("tune-b".to_owned());
        trial.spec.primary_container_name = "main".to_owned();
        if let Some(parent) = parent {
            let labels = &mut trial.spec.labels;
            labels.insert(LABEL_PARENT.to_owned(), parent.to_owned());
        }
        trial
    }

    fn copier() -> Map<String, Value> {
        let container = json!({
            "image": "diwan", "command": ["/diwan", "checkpoint"],
            "securityContext": {"runAsUser": 0, "allowPrivilegeEscalation": false},
        });
        container.as_object().cloned().unwrap()
    }

    fn job(container: &Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": [{"name": "side"}, container]}}}})
    }

    /// The pod of a Job with this container, handed over to by `tune-a`, while `tune-0` is spent.
    fn handed(container: &Value) -> Value {
        let (experiment, trial) = (pbt(), trial(Some("tune-a")));
        let handover = Handover::of(&experiment, &trial).unwrap();
        let mut run = job(container);
        handover.put_on(&mut run, Some(&copier()), &["tune-0".to_owned()]);
        run["spec"]["template"]["spec"].clone()
    }

    #[test]
    fn only_experiments_that_name_a_folder_hand_on_checkpoints() {
        for settings in [
            json!([]),
            json!([{"name": "suggestion_trial_dir", "value": " "}]),
        ] {
            assert!(Handover::of(&experiment(&settings), &trial(None)).is_none());
        }
    }

    #[test]
    fn the_trial_finds_its_folder_where_katib_puts_it() {
        let pod =
            handed(&json!({"name": "main", "volumeMounts": [{"name": "x", "mountPath": "/x"}]}));
        let mounts = json!([
            {"name": "x", "mountPath": "/x"},
            {"name": "suggestion-volume", "mountPath": "/data/", "subPath": "tune/tune-b"},
        ]);
        assert_eq!(pod["containers"][1]["volumeMounts"], mounts);
        assert_eq!(pod["containers"][0], json!({"name": "side"}));
        let claim = json!([{
            "name": "suggestion-volume", "persistentVolumeClaim": {"claimName": "tune-pbt"},
        }]);
        assert_eq!(pod["volumes"], claim);
    }

    #[test]
    fn the_copy_is_made_before_the_trial_starts() {
        let pod = handed(&json!({"name": "main"}));
        let container = &pod["initContainers"][0];
        assert_eq!(container["command"], json!(["/diwan", "checkpoint"]));
        let args = json!([
            "--folder",
            FOLDERS,
            "--trial=tune-b",
            "--from=tune-a",
            "--remove=tune-0",
        ]);
        assert_eq!(container["args"], args);
        let mount = json!([{"name": "suggestion-volume", "mountPath": FOLDERS, "subPath": "tune"}]);
        assert_eq!(container["volumeMounts"], mount);
        assert_eq!(container["securityContext"]["runAsUser"], 0);
    }

    #[test]
    fn what_is_continued_is_not_removed() {
        let (experiment, trial) = (pbt(), trial(Some("tune-a")));
        let handover = Handover::of(&experiment, &trial).unwrap();
        let args = handover.args(&["tune-a".to_owned()]);
        assert!(
            !args.iter().any(|arg| arg.starts_with("--remove")),
            "{args:?}"
        );
    }

    #[test]
    fn the_copy_belongs_to_the_user_of_the_trial() {
        let own = json!({"name": "main", "securityContext": {"runAsUser": 7, "privileged": true}});
        let rights = &handed(&own)["initContainers"][0]["securityContext"];
        let expected = json!({"runAsUser": 7, "allowPrivilegeEscalation": false});
        assert_eq!(*rights, expected);
        let bound = json!({"name": "main", "securityContext": {"runAsNonRoot": true}});
        let rights = &handed(&bound)["initContainers"][0]["securityContext"];
        let expected = json!({"runAsNonRoot": true, "allowPrivilegeEscalation": false});
        assert_eq!(*rights, expected);
    }

    #[test]
    fn where_somebody_else_copies_only_the_folder_is_mounted() {
        let (experiment, trial) = (pbt(), trial(None));
        let mut run = job(&json!({"name": "main"}));
        let handover = Handover::of(&experiment, &trial).unwrap();
        handover.put_on(&mut run, None, &[]);
        let pod = &run["spec"]["template"]["spec"];
        assert_eq!(pod.get("initContainers"), None);
        assert_eq!(pod["containers"][1]["volumeMounts"][0]["name"], VOLUME);
    }

    #[test]
    fn the_last_ones_are_removed_by_a_job() {
        let base = copier();
        let names: Vec<String> = (0..=MOST_SWEPT).map(|n| format!("tune-{n}")).collect();
        let job = sweep(&pbt(), &Suggestion::default(), &base, &names);
        assert_eq!(job["metadata"]["name"], "tune-pbt-sweep");
        let pod = &job["spec"]["template"]["spec"];
        let args = pod["containers"][0]["args"].as_array().unwrap();
        assert_eq!(args.len(), 2 + MOST_SWEPT);
        assert_eq!(args[2], "--remove=tune-1");
        let claim = &pod["volumes"][0]["persistentVolumeClaim"]["claimName"];
        assert_eq!(claim, "tune-pbt");
    }

    #[test]
    fn a_mount_of_the_user_s_own_stays_alone() {
        let container =
            json!({"name": "main", "volumeMounts": [{"name": "x", "mountPath": "/data"}]});
        let pod = handed(&container);
        assert_eq!(json!({"containers": pod["containers"]}), pod);
    }
}
