//! Experiments of `kubeflow.org/v1alpha3` in files: they are converted before anything else.

use diwan_api::v1alpha3::{API_VERSION, STORED_API_VERSION, convert, template_source};

use super::{Manifest, Problem};

/// The objects with every experiment in today's version; templates in ConfigMaps are looked for
/// among the objects.
pub(super) fn converted(mut manifests: Vec<Manifest>) -> Result<Vec<Manifest>, Vec<Problem>> {
    let mut problems = Vec::new();
    for i in 0..manifests.len() {
        let manifest = &manifests[i];
        if manifest.kind() != "Experiment" || manifest.object["apiVersion"] != API_VERSION {
            continue;
        }
        let text = template_text(&manifests, manifest);
        match convert(&manifest.object, STORED_API_VERSION, text.as_deref()) {
            Ok(object) => manifests[i].object = object,
            Err(error) => problems.push(manifest.problem(&error.field, error.message())),
        }
    }
    if problems.is_empty() {
        Ok(manifests)
    } else {
        Err(problems)
    }
}

fn template_text(manifests: &[Manifest], experiment: &Manifest) -> Option<String> {
    let source = template_source(&experiment.object, STORED_API_VERSION)?;
    let namespace = match source.config_map_namespace.as_str() {
        "" => experiment.namespace(),
        namespace => namespace,
    };
    let map = manifests.iter().find(|map| {
        map.kind() == "ConfigMap"
            && map.name() == source.config_map_name
            && map.namespace() == namespace
    })?;
    let text = map.object["data"][&source.template_path].as_str()?;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FILE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: templates}
data:
  job: |
    kind: Job
    args: [{{range .HyperParameters}}{{.Value}}{{end}}]
---
apiVersion: kubeflow.org/v1alpha3
kind: Experiment
metadata: {name: old}
spec:
  parameters:
  - name: --lr
  trialTemplate:
    goTemplate:
      templateSpec:
        configMapName: templates
        templatePath: job
";

    #[test]
    fn a_template_in_a_config_map_of_the_files_is_found() {
        let found = super::super::parse(Path::new("x.yaml"), FILE).unwrap();
        let found = converted(found).unwrap();
        let experiment = &found[1].object;
        assert_eq!(experiment["apiVersion"], STORED_API_VERSION);
        let args = &experiment["spec"]["trialTemplate"]["trialSpec"]["args"];
        assert_eq!(args[0], "${trialParameters.lr}");
    }

    #[test]
    fn what_can_t_be_converted_is_said_with_its_line() {
        let file = FILE.replace("templatePath: job", "templatePath: none");
        let found = super::super::parse(Path::new("x.yaml"), &file).unwrap();
        let problems = converted(found).unwrap_err();
        let text = problems[0].to_string();
        let place = "x.yaml:17: spec.trialTemplate.goTemplate.templateSpec: ";
        assert!(text.starts_with(place), "{text}");
    }
}
