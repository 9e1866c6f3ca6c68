//! Small experiments as YAML.

use std::fmt::Write as _;

/// What a test wants to say of an experiment; the rest is the same for all.
pub struct Experiment<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    /// A `sh` script; `$0` and `${trialParameters.x}` are the parameter `x` in [0, 1].
    pub script: &'a str,
    pub max: u32,
    pub parallel: u32,
    /// Further lines of `spec`, without indentation.
    pub extra: &'a str,
    /// How often a trial's Job tries again.
    pub retries: u32,
}

impl Default for Experiment<'_> {
    fn default() -> Self {
        Self {
            name: "bowl",
            namespace: "default",
            script: "echo loss=$0",
            max: 6,
            parallel: 2,
            extra: "",
            retries: 0,
        }
    }
}

impl Experiment<'_> {
    /// The file.
    pub fn yaml(&self) -> String {
        let mut script = String::new();
        for line in self.script.lines() {
            let _ = writeln!(script, "                  {line}");
        }
        let mut extra = String::new();
        for line in self.extra.lines() {
            let _ = writeln!(extra, "  {line}");
        }
        let Self {
            name,
            namespace,
            max,
            parallel,
            retries,
            ..
        } = self;
        format!(
            "\
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata:
  name: {name}
  namespace: {namespace}
spec:
  objective:
    type: minimize
    objectiveMetricName: loss
  algorithm:
    algorithmName: random
  parallelTrialCount: {parallel}
  maxTrialCount: {max}
  parameters:
    - name: x
      parameterType: double
      feasibleSpace: {{min: \"0\", max: \"1\"}}
{extra}  trialTemplate:
    primaryContainerName: main
    trialParameters:
      - name: x
        reference: x
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        backoffLimit: {retries}
        template:
          spec:
            restartPolicy: Never
            containers:
              - name: main
                image: none
                command: [sh, -c]
                args:
                - |
{script}                - ${{trialParameters.x}}
"
        )
    }
}
