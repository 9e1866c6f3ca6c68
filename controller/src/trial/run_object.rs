//! The object that runs a trial, made from its `runSpec`. No I/O.

use diwan_api::Trial;
use kube::ResourceExt;
use kube::api::{DynamicObject, TypeMeta};
use serde_json::{Value, json};

use crate::admission::mark::Mark;
use crate::world::owned_by;

/// The type of the object that runs the trial; `None` when `runSpec` does not name one.
pub(super) fn types(trial: &Trial) -> Option<TypeMeta> {
    let run = trial.spec.run_spec.as_ref()?;
    let text = |key| run.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(TypeMeta {
        api_version: text("apiVersion")?,
        kind: text("kind")?,
    })
}

/// Why objects of a type can't run trials, if so. The controller makes roles, volumes and more for
/// services of algorithms; whoever may write an experiment is not to get them made by it.
pub(super) fn refusal(types: &TypeMeta) -> Option<String> {
    let group = types.api_version.rsplit_once('/').map(|(group, _)| group);
    let runs = match group {
        None => types.kind == "Pod",
        Some(group) => group != "rbac.authorization.k8s.io",
    };
    let TypeMeta { api_version, kind } = types;
    (!runs).then(|| {
        format!(
            "{kind} of {api_version} can't run a trial: use a Job or another kind that runs pods"
        )
    })
}

/// The object that runs the trial: owned by it, and each pod template in it marked with the
/// trial's labels, with what is to be collected from the pod, and with the trial's token. The token
/// stands here and is not made by who looks at pods: that one can't tell who asks it.
pub(super) fn run_object(trial: &Trial, token: Option<String>) -> Result<DynamicObject, String> {
    let types = types(trial).ok_or("runSpec has no apiVersion and kind")?;
    let mut run = trial.spec.run_spec.clone().unwrap_or_default();
    run.remove("apiVersion");
    run.remove("kind");
    let mark = Mark::of(trial, token);
    if types.kind == "Pod" && types.api_version == "v1" {
        mark.put_on(&mut run);
    }
    for value in run.values_mut() {
        mark.put_on_templates(value);
    }
    let metadata = run.remove("metadata").unwrap_or_else(|| json!({}));
    let mut object = DynamicObject {
        types: Some(types),
        metadata: serde_json::from_value(metadata)
            .map_err(|error| format!("metadata of runSpec: {error}"))?,
        data: Value::Object(run),
    };
    let owner = owned_by(trial).ok_or("the trial was never created")?;
    object.metadata.name = Some(trial.name_any());
    object.metadata.namespace = trial.namespace();
    object.metadata.owner_references = Some(vec![owner]);
    // By these the runs of trials are watched apart from all others.
    object
        .metadata
        .labels
        .get_or_insert_default()
        .extend(mark.labels);
    Ok(object)
}

#[cfg(test)]
mod tests {
    use diwan_api::metadata::{
        ANNOTATION_METRICS_COLLECTOR, ANNOTATION_TRIAL_TOKEN, LABEL_EXPERIMENT, LABEL_TRIAL,
    };
    use diwan_api::metrics_collector::CollectorPlan;

    use super::*;

    fn trial(run: &Value) -> Trial {
        let mut trial = Trial::default();
        trial.metadata.name = Some("tune-b".to_owned());
        trial.metadata.namespace = Some("team".to_owned());
        trial.metadata.uid = Some("u".to_owned());
        trial.metadata.labels = Some(
            [(LABEL_EXPERIMENT.to_owned(), "tune".to_owned())]
                .into_iter()
                .collect(),
        );
        trial.spec.run_spec = run.as_object().cloned();
        trial.spec.primary_container_name = "main".to_owned();
        trial
    }

    fn template() -> Value {
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "main"}]}})
    }

    #[test]
    fn a_job_is_owned_and_its_template_marked() {
        let run = json!({
            "apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template()}
        });
        let object = run_object(&trial(&run), None).unwrap();
        let owner = &object.owner_references()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.controller),
            ("Trial", Some(true))
        );
        assert_eq!(object.labels()[LABEL_TRIAL], "tune-b");
        let metadata = &object.data["spec"]["template"]["metadata"];
        assert_eq!(metadata["labels"]["a"], "b");
        assert_eq!(metadata["labels"][LABEL_TRIAL], "tune-b");
        assert_eq!(metadata["labels"][LABEL_EXPERIMENT], "tune");
        let plan = metadata["annotations"][ANNOTATION_METRICS_COLLECTOR]
            .as_str()
            .unwrap();
        let plan: CollectorPlan = serde_json::from_str(plan).unwrap();
        assert_eq!(
            (plan.trial.as_str(), plan.namespace.as_str()),
            ("tune-b", "team")
        );
        assert_eq!(plan.primary_container, "main");
    }

    #[test]
    fn every_template_of_a_distributed_kind_is_marked() {
        let run = json!({"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "spec": {
            "pytorchReplicaSpecs": {
                "Master": {"template": template()}, "Worker": {"template": template()}
            }
        }});
        let object = run_object(&trial(&run), Some("secret".to_owned())).unwrap();
        for replica in ["Master", "Worker"] {
            let template = &object.data["spec"]["pytorchReplicaSpecs"][replica]["template"];
            let metadata = &template["metadata"];
            assert_eq!(metadata["labels"][LABEL_TRIAL], "tune-b");
            assert_eq!(metadata["annotations"][ANNOTATION_TRIAL_TOKEN], "secret");
        }
    }

    #[test]
    fn a_bare_pod_is_marked_itself() {
        let run = json!({
            "apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "main"}]}
        });
        let object = run_object(&trial(&run), None).unwrap();
        assert!(
            object
                .annotations()
                .contains_key(ANNOTATION_METRICS_COLLECTOR)
        );
    }

    #[test]
    fn roles_and_volumes_run_no_trials() {
        let types = |api_version: &str, kind: &str| TypeMeta {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        };
        for (api_version, kind, runs) in [
            ("v1", "Pod", true),
            ("batch/v1", "Job", true),
            ("kubeflow.org/v1", "PyTorchJob", true),
            ("v1", "PersistentVolume", false),
            ("v1", "ServiceAccount", false),
            ("rbac.authorization.k8s.io/v1", "RoleBinding", false),
        ] {
            let refusal = refusal(&types(api_version, kind));
            assert_eq!(refusal.is_none(), runs, "{refusal:?}");
        }
    }

    #[test]
    fn a_run_without_a_type_is_refused() {
        assert_eq!(
            run_object(&trial(&json!({})), None).unwrap_err(),
            "runSpec has no apiVersion and kind"
        );
    }
}
