//! Go templates.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{refusal, up, with_template};

/// A job whose container has these arguments.
fn job(args: &str) -> Value {
    with_template(&format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {{{{.Trial}}}}\nspec:\n  template:\n    \
         spec:\n      restartPolicy: Never\n      containers:\n      - name: main\n        image: x\n        \
         args: [{args}]\n"
    ))
}

#[test]
fn a_template_that_looks_at_a_value_is_refused_by_name() {
    let field = "spec.trialTemplate.goTemplate.rawTemplate";
    let all = "{{range .HyperParameters}}\"{{.Name}}={{.Value}}\", {{end}}";
    for args in [
        "{{with index .HyperParameters 1}}{{if eq .Value \"0.5\"}}a{{else}}b{{end}}, {{end}}",
        "{{len (index .HyperParameters 1).Value}},",
        "{{slice (index .HyperParameters 1).Value 2}},",
        "{{if lt (index .HyperParameters 1).Value \"0.5\"}}a,{{end}}",
    ] {
        let error = refusal(&job(&format!("{args} {all}")));
        assert_eq!(error.field, field);
        let text = error.to_string();
        let named = "looks at the value of parameter \"--dropout_rate\"";
        assert!(text.contains(named), "{args}: {text}");
    }
    // Names are known, and so may be looked at; that a value is there may be, too.
    let args = "{{range .HyperParameters}}{{if eq .Name \"--dropout_rate\"}}\"drop={{.Value}}\",\
                {{else if .Value}}{{printf \"%q\" .Value}}, \
                {{printf \"lr=%s\" .Value}}, {{end}}{{end}}";
    let new = up(&job(args));
    let container =
        &new["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["args"],
        json!([
            "${trialParameters.learning_rate}",
            "lr=${trialParameters.learning_rate}",
            "drop=${trialParameters.dropout_rate}"
        ])
    );
}

#[test]
fn what_is_wrong_with_a_template_is_said() {
    let all = "{{range .HyperParameters}}\"{{.Value}}\", {{end}}";
    for (old, expected) in [
        (with_template("{{.Trial"), "not a Go template: "),
        (
            with_template("{{with .HyperParameters}}{{/* {{ */}}{{- range .}}{{\"}}\"}}{{end}}"),
            "not a Go template: {{with}} has no {{end}}",
        ),
        (
            with_template("{{if true}}{{else}}{{- end -}}{{end}}"),
            "not a Go template: unexpected {{end}}",
        ),
        (job("{{.Job}}"), "the template can't be executed: "),
        (
            job("{{template \"none\"}}"),
            "the template can't be executed: ",
        ),
        (
            job(""),
            "the template does not use parameter \"--learning_rate\"",
        ),
        (
            job(&format!("{{{{slice .Trial 1}}}}, {all}")),
            "looks at the name or the namespace of the trial",
        ),
        (with_template("a: ["), "template is neither YAML nor JSON"),
        (with_template("- a"), "template is not an object but a list"),
        (
            with_template(""),
            "rawTemplate or templateSpec must be specified",
        ),
    ] {
        let text = refusal(&old).to_string();
        assert!(text.starts_with("spec.trialTemplate.goTemplate"), "{text}");
        assert!(text.contains(expected), "{text}");
    }
    let endless = job("{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}");
    assert!(refusal(&endless).to_string().contains("can't be executed"));
}

#[test]
fn names_of_trial_parameters_are_plain_and_unique() {
    let mut old = job("{{range .HyperParameters}}\"{{.Value}}\", {{end}}\"{{.NameSpace}}\"");
    let names = ["--lr", "-lr", "a b{c}", "trialName", "--", "lr-2"];
    let parameter = |name: &&str| json!({"name": name, "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}});
    old["spec"]["parameters"] = names.iter().map(parameter).collect();
    let new = up(&old);
    let parameters = new["spec"]["trialTemplate"]["trialParameters"].as_array();
    let found: Vec<_> = parameters
        .unwrap()
        .iter()
        .map(|p| {
            (
                p["name"].as_str().unwrap(),
                p["reference"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("lr", "--lr"),
            ("lr-2", "-lr"),
            ("a_b_c_", "a b{c}"),
            ("trialName", "trialName"),
            ("parameter", "--"),
            ("lr-2-2", "lr-2"),
            ("trialNamespace", "${trialSpec.Namespace}"),
        ]
    );
}

#[test]
fn the_primary_container_is_the_first_or_the_one_of_the_operator() {
    let values = "{{range .HyperParameters}}{{.Value}} {{end}}";
    for (kind, replicas, names, primary) in [
        (
            "TFJob",
            "tfReplicaSpecs",
            ["side", "tensorflow"],
            "tensorflow",
        ),
        (
            "PyTorchJob",
            "pytorchReplicaSpecs",
            ["side", "pytorch"],
            "pytorch",
        ),
        ("TFJob", "tfReplicaSpecs", ["one", "two"], "one"),
        ("MPIJob", "mpiReplicaSpecs", ["one", "pytorch"], "one"),
    ] {
        let [first, second] = names;
        let raw = format!(
            "{{apiVersion: kubeflow.org/v1, kind: {kind}, metadata: {{name: \"{{{{.Trial}}}}\"}}, spec: \
             {{{replicas}: {{Worker: {{template: {{spec: {{containers: [{{name: {first}, args: \
             [\"{values}\"]}}, {{name: {second}}}]}}}}}}}}}}}}"
        );
        let new = up(&with_template(&raw));
        let template = &new["spec"]["trialTemplate"];
        assert_eq!(template["primaryContainerName"], primary, "{kind}");
        let labels = &template["primaryPodLabels"];
        assert_eq!(labels["training.kubeflow.org/job-role"], "master");
    }
}

#[test]
fn an_architecture_search_has_the_parameters_of_its_algorithm() {
    let mut old = job("{{range .HyperParameters}}\"--{{.Name}}={{.Value}}\", {{end}}");
    let spec = old["spec"].as_object_mut().unwrap();
    spec.remove("parameters");
    spec.insert(
        "nasConfig".to_owned(),
        json!({"graphConfig": {"numLayers": 2}}),
    );
    spec["algorithm"] = json!({"algorithmName": "enas"});
    let new = up(&old);
    let parameters = &new["spec"]["trialTemplate"]["trialParameters"];
    assert_eq!(
        parameters[1],
        json!({"name": "nn_config", "reference": "nn_config"})
    );
}
