//! Defaults of what makes pods: Deployments, ReplicaSets, StatefulSets and CronJobs.

use serde_json::{Map, Value, json};

use super::{child, each, pod, set, storage};

/// Sets what a Deployment leaves out.
pub(super) fn deployment(object: &mut Value) {
    let Some(spec) = spec(object) else { return };
    set(spec, "replicas", json!(1));
    set(spec, "revisionHistoryLimit", json!(10));
    set(spec, "progressDeadlineSeconds", json!(600));
    if let Some(strategy) = child(spec, "strategy") {
        set(strategy, "type", json!("RollingUpdate"));
        if strategy["type"] == "RollingUpdate"
            && let Some(rolling) = child(strategy, "rollingUpdate")
        {
            set(rolling, "maxSurge", json!("25%"));
            set(rolling, "maxUnavailable", json!("25%"));
        }
    }
    template(spec);
    status(object);
}

/// Sets what a ReplicaSet leaves out.
pub(super) fn replica_set(object: &mut Value) {
    if let Some(spec) = spec(object) {
        set(spec, "replicas", json!(1));
        template(spec);
    }
    if let Some(status) = object
        .as_object_mut()
        .and_then(|fields| child(fields, "status"))
    {
        set(status, "replicas", json!(0));
    }
}

/// Sets what a StatefulSet leaves out.
pub(super) fn stateful_set(object: &mut Value) {
    if let Some(spec) = spec(object) {
        set(spec, "replicas", json!(1));
        set(spec, "revisionHistoryLimit", json!(10));
        set(spec, "podManagementPolicy", json!("OrderedReady"));
        set(spec, "serviceName", json!(""));
        if let Some(strategy) = child(spec, "updateStrategy") {
            set(strategy, "type", json!("RollingUpdate"));
            if strategy["type"] == "RollingUpdate"
                && let Some(rolling) = child(strategy, "rollingUpdate")
            {
                set(rolling, "partition", json!(0));
            }
        }
        if let Some(policy) = child(spec, "persistentVolumeClaimRetentionPolicy") {
            set(policy, "whenDeleted", json!("Retain"));
            set(policy, "whenScaled", json!("Retain"));
        }
        for claim in each(spec, "volumeClaimTemplates") {
            set(claim, "apiVersion", json!("v1"));
            set(claim, "kind", json!("PersistentVolumeClaim"));
            storage::claim_fields(claim);
        }
        template(spec);
    }
    if let Some(status) = object
        .as_object_mut()
        .and_then(|fields| child(fields, "status"))
    {
        set(status, "replicas", json!(0));
        set(status, "availableReplicas", json!(0));
    }
}

/// Sets what a CronJob leaves out.
pub(super) fn cron_job(object: &mut Value) {
    let Some(spec) = spec(object) else { return };
    set(spec, "concurrencyPolicy", json!("Allow"));
    set(spec, "suspend", json!(false));
    set(spec, "successfulJobsHistoryLimit", json!(3));
    set(spec, "failedJobsHistoryLimit", json!(1));
    let job = child(spec, "jobTemplate");
    let pods = job.and_then(|job| {
        child(job, "metadata");
        child(job, "spec")
    });
    if let Some(pods) = pods {
        template(pods);
    }
    status(object);
}

fn spec(object: &mut Value) -> Option<&mut Map<String, Value>> {
    child(object.as_object_mut()?, "spec")
}

/// An empty status is there from the start.
fn status(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        child(fields, "status");
    }
}

fn template(spec: &mut Map<String, Value>) {
    if let Some(template) = child(spec, "template") {
        child(template, "metadata");
        if let Some(spec) = child(template, "spec") {
            pod::specification(spec);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_set_once_and_leave_what_is_said() {
        let mut object = json!({ "spec": {
            "replicas": 3, "strategy": { "rollingUpdate": { "maxSurge": 0 } },
            "template": { "spec": { "containers": [{ "name": "c", "image": "i" }] } },
        }});
        deployment(&mut object);
        let rolling = json!({ "maxSurge": 0, "maxUnavailable": "25%" });
        assert_eq!(object["spec"]["strategy"]["rollingUpdate"], rolling);
        assert_eq!(object["spec"]["replicas"], 3);
        assert_eq!(
            object["spec"]["template"]["spec"]["restartPolicy"],
            "Always"
        );
        let once = object.clone();
        deployment(&mut object);
        assert_eq!(object, once);
    }

    #[test]
    fn recreation_has_no_bounds() {
        let mut object = json!({ "spec": { "strategy": { "type": "Recreate" } } });
        deployment(&mut object);
        assert_eq!(object["spec"]["strategy"], json!({ "type": "Recreate" }));
    }
}
