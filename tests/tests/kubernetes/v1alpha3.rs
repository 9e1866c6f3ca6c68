//! Files of v1alpha3.

use diwan_tests::cluster::{BUSYBOX, Cluster};
use serde_json::Value;

use crate::Case;

/// In this order.
pub(crate) const CASES: &[Case] = &[(
    "a file of v1alpha3 runs, and reads as it was written",
    reads,
)];

fn reads(cluster: &Cluster) {
    let file = format!(
        r#"
apiVersion: kubeflow.org/v1alpha3
kind: Experiment
metadata: {{name: older}}
spec:
  parallelTrialCount: 2
  maxTrialCount: 2
  objective: {{type: minimize, objectiveMetricName: loss}}
  algorithm: {{algorithmName: random}}
  parameters:
  - name: --x
    parameterType: double
    feasibleSpace: {{min: "0", max: "1"}}
  trialTemplate:
    goTemplate:
      rawTemplate: |-
        apiVersion: batch/v1
        kind: Job
        metadata:
          name: {{{{.Trial}}}}
          namespace: {{{{.NameSpace}}}}
        spec:
          template:
            spec:
              restartPolicy: Never
              containers:
              - name: {{{{.Trial}}}}
                image: {BUSYBOX}
                command: [sh, -c, "echo loss=$0", {{{{range .HyperParameters}}}}"{{{{.Value}}}}"{{{{end}}}}]
"#
    );
    cluster.kubectl_with("apply -f -", &file).ok();
    let done = cluster.completed("default", "older");
    assert_eq!(done["apiVersion"], "kubeflow.org/v1beta1");
    assert_eq!(done["status"]["trialsSucceeded"], 2, "{done:#}");
    let best = &done["status"]["currentOptimalTrial"]["observation"]["metrics"][0];
    let older = cluster.get("default", "experiments.v1alpha3.kubeflow.org/older");
    // kubectl keeps what it applied.
    let given =
        &older["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    let given: Value = serde_json::from_str(given.as_str().unwrap()).unwrap();
    assert_eq!(older["spec"], given["spec"]);
    let metric = &older["status"]["currentOptimalTrial"]["observation"]["metrics"][0];
    let value = metric["value"].as_f64().unwrap();
    assert_eq!(best["min"].as_str().unwrap().parse(), Ok(value));
    // Applied again it is no change, and what can't be converted is refused with its field.
    cluster.kubectl_with("apply -f -", &file).ok();
    let looks = file.replace("{{.Value}}", "{{if eq .Value \"1\"}}1{{end}}");
    let looks = looks.replace("name: older", "name: looks");
    let refusal = cluster.kubectl_with("create -f -", &looks).err();
    let field = "spec.trialTemplate.goTemplate.rawTemplate";
    assert!(
        refusal.contains(field) && refusal.contains("--x"),
        "{refusal}"
    );
    cluster
        .kubectl("delete experiments.v1alpha3.kubeflow.org older --timeout=60s")
        .ok();
}
