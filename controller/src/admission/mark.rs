//! What the pods of a trial carry: by it they are known as the trial's, and what is to be collected
//! from them.

use diwan_api::metadata::{
    ANNOTATION_METRICS_COLLECTOR, ANNOTATION_TRIAL_TOKEN, LABEL_EXPERIMENT, LABEL_TRIAL,
};
use diwan_api::metrics_collector::CollectorPlan;
use diwan_api::{ObjectiveType, Trial};
use kube::ResourceExt;
use serde_json::{Map, Value};

use super::pod::ANNOTATION_PRIMARY_POD_LABELS;

/// Whether a pod says what is to be collected from it.
pub fn is_marked(pod: &Value) -> bool {
    let annotations = pod.pointer("/metadata/annotations");
    annotations.is_some_and(|found| found.get(ANNOTATION_METRICS_COLLECTOR).is_some())
}

/// Marks a pod as this trial's.
pub fn mark_pod(pod: &mut Value, trial: &Trial, token: Option<String>) {
    if let Some(pod) = pod.as_object_mut() {
        Mark::of(trial, token).put_on(pod);
    }
}

/// What every pod of a trial carries.
pub(crate) struct Mark {
    pub(crate) labels: Vec<(String, String)>,
    annotations: Vec<(String, String)>,
}

impl Mark {
    pub(crate) fn of(trial: &Trial, token: Option<String>) -> Self {
        let mut labels = vec![(LABEL_TRIAL.to_owned(), trial.name_any())];
        if let Some(experiment) = trial.labels().get(LABEL_EXPERIMENT) {
            labels.push((LABEL_EXPERIMENT.to_owned(), experiment.clone()));
        }
        let plan = serde_json::to_string(&collector_plan(trial)).unwrap_or_default();
        let mut annotations = vec![(ANNOTATION_METRICS_COLLECTOR.to_owned(), plan)];
        annotations.extend(token.map(|token| (ANNOTATION_TRIAL_TOKEN.to_owned(), token)));
        if !trial.spec.primary_pod_labels.is_empty() {
            let primary = serde_json::to_string(&trial.spec.primary_pod_labels);
            let primary = primary.unwrap_or_default();
            annotations.push((ANNOTATION_PRIMARY_POD_LABELS.to_owned(), primary));
        }
        Self {
            labels,
            annotations,
        }
    }

    pub(crate) fn put_on_templates(&self, value: &mut Value) {
        match value {
            Value::Object(object) => {
                let is_template = object
                    .get("spec")
                    .and_then(|spec| spec.get("containers"))
                    .is_some_and(Value::is_array);
                if is_template {
                    self.put_on(object);
                }
                for value in object.values_mut() {
                    self.put_on_templates(value);
                }
            }
            Value::Array(values) => {
                for value in values {
                    self.put_on_templates(value);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn put_on(&self, template: &mut Map<String, Value>) {
        let metadata = object_at(template, "metadata");
        for (field, entries) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            let map = object_at(metadata, field);
            for (key, value) in entries {
                map.insert(key.clone(), Value::String(value.clone()));
            }
        }
    }
}

/// The object in this field, put there when something else or nothing is.
fn object_at<'a>(parent: &'a mut Map<String, Value>, field: &str) -> &'a mut Map<String, Value> {
    let value = parent.entry(field).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was made an object above")
}

fn collector_plan(trial: &Trial) -> CollectorPlan {
    let objective = trial.spec.objective.clone().unwrap_or_default();
    CollectorPlan {
        trial: trial.name_any(),
        namespace: trial.namespace().unwrap_or_default(),
        primary_container: trial.spec.primary_container_name.clone(),
        objective: objective.objective_metric_name,
        additional: objective.additional_metric_names,
        objective_type: objective.type_.unwrap_or(ObjectiveType::Minimize),
        spec: trial.spec.metrics_collector.clone().unwrap_or_default(),
        stop_rules: trial.spec.early_stopping_rules.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_of_another_s_making_gets_the_trial_s_mark_and_keeps_its_own() {
        let mut trial = Trial::default();
        trial.metadata.name = Some("tune-b".to_owned());
        trial.metadata.namespace = Some("team".to_owned());
        trial.metadata.labels = Some([(LABEL_EXPERIMENT.to_owned(), "tune".to_owned())].into());
        trial.spec.primary_pod_labels = [("role".to_owned(), "master".to_owned())].into();
        let mut pod = json!({
            "metadata": {
                "generateName": "w-",
                "labels": {"a": "b", LABEL_TRIAL: "other", "sidecar.istio.io/inject": "false"},
            },
            "spec": {"containers": []},
        });
        assert!(!is_marked(&pod));
        mark_pod(&mut pod, &trial, None);
        assert!(is_marked(&pod));
        let labels = json!({
            "a": "b", LABEL_TRIAL: "tune-b", LABEL_EXPERIMENT: "tune",
            "sidecar.istio.io/inject": "false",
        });
        assert_eq!(pod["metadata"]["labels"], labels);
        let primary = &pod["metadata"]["annotations"][ANNOTATION_PRIMARY_POD_LABELS];
        assert_eq!(primary, r#"{"role":"master"}"#);
        let plan = super::super::pod::plan(&pod).unwrap();
        assert_eq!((&*plan.trial, &*plan.namespace), ("tune-b", "team"));
    }
}
