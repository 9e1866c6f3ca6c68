//! Experiments that the benchmarks run.

/// The file of an experiment whose trials do nothing but say their parameter.
pub fn no_op(trials: u32, parallel: u32, algorithm: &str) -> String {
    format!(
        "\
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {{name: no-op}}
spec:
  objective: {{type: minimize, objectiveMetricName: loss}}
  algorithm: {{algorithmName: {algorithm}}}
  parallelTrialCount: {parallel}
  maxTrialCount: {trials}
  parameters:
  - name: x
    parameterType: double
    feasibleSpace: {{min: \"0\", max: \"1\"}}
  trialTemplate:
    primaryContainerName: main
    trialParameters: [{{name: x, reference: x}}]
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        template:
          spec:
            restartPolicy: Never
            containers:
            - name: main
              image: none
              command: [/bin/echo, \"loss=${{trialParameters.x}}\"]
"
    )
}
