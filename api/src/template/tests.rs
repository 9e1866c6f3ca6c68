use pretty_assertions::assert_eq;
use proptest::prelude::{prop_assert_eq, proptest};
use serde_json::{Map, Value, json};

use super::{Template, TemplateError, TemplateSource, TrialMeta};
use crate::{ParameterAssignment, TrialParameter};

const TRIAL: TrialMeta<'static> = TrialMeta {
    name: "e-1",
    namespace: "ns",
};

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else {
        panic!("{value} is not an object")
    };
    object
}

fn parameters(pairs: &[(&str, &str)]) -> Vec<TrialParameter> {
    let parameter = |&(name, reference): &(&str, &str)| TrialParameter {
        name: name.into(),
        reference: reference.into(),
        ..TrialParameter::default()
    };
    pairs.iter().map(parameter).collect()
}

fn assignments(pairs: &[(&str, &str)]) -> Vec<ParameterAssignment> {
    let assignment = |&(name, value): &(&str, &str)| ParameterAssignment {
        name: name.into(),
        value: value.into(),
    };
    pairs.iter().map(assignment).collect()
}

fn render(
    source: TemplateSource<'_>,
    names: &[(&str, &str)],
    values: &[(&str, &str)],
) -> Result<Value, TemplateError> {
    let template = Template::parse(source)?;
    template
        .render(&parameters(names), &assignments(values), TRIAL)
        .map(Value::Object)
}

fn render_object(
    template: Value,
    names: &[(&str, &str)],
    values: &[(&str, &str)],
) -> Result<Value, TemplateError> {
    render(TemplateSource::Object(&object(template)), names, values)
}

fn render_text(text: &str, values: &[(&str, &str)]) -> Value {
    let names: Vec<_> = values.iter().map(|&(name, _)| (name, name)).collect();
    render(TemplateSource::Text(text), &names, values).unwrap()
}

#[test]
fn fills_strings_and_keys_and_sets_name_and_namespace() {
    let template = json!({
        "kind": "Job",
        "metadata": {"labels": {"${trialParameters.lr}": "x"}},
        "spec": {"args": ["--lr=${trialParameters.lr}", "${trialParameters.lr}${trialParameters.m}", 3, null]},
    });
    assert_eq!(
        render_object(
            template,
            &[("lr", "learning-rate"), ("m", "momentum")],
            &[("learning-rate", "0.1"), ("momentum", "0.9"),]
        )
        .unwrap(),
        json!({
            "kind": "Job",
            "metadata": {"labels": {"0.1": "x"}, "name": "e-1", "namespace": "ns"},
            "spec": {"args": ["--lr=0.1", "0.10.9", 3, null]},
        })
    );
}

#[test]
fn meta_keys_are_facts_of_trial_and_template() {
    let template = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"annotations": {"a.b/c": "note"}, "labels": {"k": "label"}},
        "args": ["${trialParameters.name} ${trialParameters.ns} ${trialParameters.kind} \
                  ${trialParameters.version} ${trialParameters.note} ${trialParameters.label}"],
    });
    let names = [
        ("name", "${trialSpec.Name}"),
        ("ns", "${trialSpec.Namespace}"),
        ("kind", "${trialSpec.Kind}"),
        ("version", "${trialSpec.APIVersion}"),
        ("note", "${trialSpec.Annotations[a.b/c]}"),
        ("label", "${trialSpec.Labels[k]}"),
    ];
    let rendered = render_object(template, &names, &[]).unwrap();
    assert_eq!(rendered["args"][0], "e-1 ns Job batch/v1 note label");
}

#[test]
fn a_text_beside_the_template_is_rendered_with_it() {
    let template = object(json!({"args": ["${trialParameters.name}"]}));
    let template = Template::parse(TemplateSource::Object(&template)).unwrap();
    let names = parameters(&[("name", "${trialSpec.Name}")]);
    let render = |text| template.render_text(text, &names, &[], TRIAL);
    assert_eq!(render("main"), Ok("main".to_owned()));
    assert_eq!(
        render("${trialParameters.name}-main"),
        Ok("e-1-main".to_owned())
    );
    let unlisted = TemplateError::Unlisted("other".to_owned());
    assert_eq!(render("${trialParameters.other}"), Err(unlisted));
}

#[test]
fn errors_name_the_parameter() {
    let template = json!({"args": ["${trialParameters.x}"]});
    let check = |names: &[_], values: &[_], expected: &str| {
        let error = render_object(template.clone(), names, values).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(
        &[("x", "a")],
        &[("b", "1")],
        r#"trial parameter "x" refers to "a", for which there is no assignment"#,
    );
    check(
        &[("x", "a")],
        &[("a", "1"), ("b", "1")],
        r#"parameter "b" is referred to by no trial parameter; add one to trialParameters"#,
    );
    check(
        &[("x", "a"), ("y", "a")],
        &[("a", "1")],
        r#"parameter "a" is referred to by more than one trial parameter"#,
    );
    check(
        &[],
        &[],
        "template uses ${trialParameters.x}, which trialParameters does not list",
    );
    check(
        &[("x", "a"), ("y", "b")],
        &[("a", "1"), ("b", "1")],
        r#"trial parameter "y" does not occur in the template as ${trialParameters.y}"#,
    );
    check(
        &[("x", "${trialSpec.Labels[k]}")],
        &[],
        r#"reference "${trialSpec.Labels[k]}" names something that the template does not have"#,
    );
    let error = render_object(template.clone(), &[("x", "${trialSpec.Uid}")], &[]).unwrap_err();
    assert_eq!(
        error,
        TemplateError::UnknownMetaKey("${trialSpec.Uid}".into())
    );
    let error = render_object(json!({"metadata": []}), &[], &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "metadata of the template is not an object but a list"
    );
}

#[test]
fn a_value_is_never_filled_again() {
    let template = json!({"args": ["${trialParameters.a} ${trialParameters.b}"]});
    let rendered = render_object(
        template,
        &[("a", "a"), ("b", "b")],
        &[("a", "${trialParameters.b}"), ("b", "${trialParameters.a}")],
    )
    .unwrap();
    assert_eq!(
        rendered["args"][0],
        "${trialParameters.b} ${trialParameters.a}"
    );
}

#[test]
fn text_without_quotes_keeps_numbers() {
    let text = r#"
kind: Other
spec:
  parallelism: ${trialParameters.n}
  quoted: "${trialParameters.n}"
  flow: [${trialParameters.n}, '${trialParameters.x}']
  joined: 1${trialParameters.n}
  word: v${trialParameters.n}
  flag: ${trialParameters.flag}
  code: ${trialParameters.code}
  ${trialParameters.x}: # ${trialParameters.n}
    ${trialParameters.n}
  script: |
    run ${trialParameters.x}
"#;
    let values = [
        ("n", "2"),
        ("x", "1e-05"),
        ("flag", "true"),
        ("code", "007"),
    ];
    assert_eq!(
        render_text(text, &values)["spec"],
        json!({
            "parallelism": 2, "quoted": "2", "flow": [2, "1e-05"], "joined": 12, "word": "v2",
            "flag": true, "code": "007", "1e-05": 2, "script": "run 1e-05\n",
        })
    );
}

#[test]
fn json_text_is_accepted() {
    let text = r#"{"kind": "X", "n": ${trialParameters.n}, "s": "${trialParameters.n}"}"#;
    let rendered = render_text(text, &[("n", "1.5")]);
    assert_eq!(
        (&rendered["n"], &rendered["s"]),
        (&json!(1.5), &json!("1.5"))
    );
}

#[test]
fn in_a_job_a_number_stays_text_where_the_field_is_text() {
    let text = "
apiVersion: batch/v1
kind: Job
spec:
  parallelism: ${trialParameters.n}
  template:
    spec:
      containers:
        - name: main
          args: [--lr, ${trialParameters.lr}]
          env: [{name: COUNT, value: ${trialParameters.n}}]
";
    let rendered = render_text(text, &[("n", "2"), ("lr", "0.1")]);
    assert_eq!(rendered["spec"]["parallelism"], 2);
    let container = &rendered["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], json!(["--lr", "0.1"]));
    assert_eq!(container["env"][0]["value"], "2");
    let template = Template::parse(TemplateSource::Text(text)).unwrap();
    let tried = Value::Object(template.render_for_validation());
    assert_eq!(tried["spec"]["parallelism"], 1);
    let container = &tried["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], json!(["--lr", "test-value"]));
}

#[test]
fn in_a_job_a_text_becomes_a_number_where_the_field_is_a_number() {
    let template = json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {
        "parallelism": "${trialParameters.n}",
        "completions": "1${trialParameters.n}",
        "suspend": "${trialParameters.n}",
        "template": {"spec": {"containers": [{"name": "${trialParameters.n}"}]}},
    }});
    let rendered = render_object(template, &[("n", "n")], &[("n", "2")]).unwrap();
    let spec = &rendered["spec"];
    assert_eq!(
        (&spec["parallelism"], &spec["completions"]),
        (&json!(2), &json!(12))
    );
    assert_eq!(spec["template"]["spec"]["containers"][0]["name"], "2");
}

#[test]
fn what_is_no_object_is_refused() {
    let error = |text| {
        Template::parse(TemplateSource::Text(text))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(error("- a"), "template is not an object but a list");
    assert_eq!(
        error("${trialParameters.x}"),
        "template is not an object but a text"
    );
    assert!(error("a: [").starts_with("template is neither YAML nor JSON: "));
}

#[test]
fn placeholders_are_listed_once() {
    let template =
        json!({"a": "${trialParameters.y}", "b": ["${trialParameters.x}${trialParameters.y}"]});
    let template = Template::parse(TemplateSource::Object(&object(template))).unwrap();
    assert_eq!(template.placeholders(), ["y", "x"]);
}

proptest! {
    #[test]
    fn no_value_breaks_the_document(value in "\\PC*|[-\"':{}\\[\\]#&*!|>%@`,\\n\\t\\\\$]*") {
        let values = [("v", value.as_str())];
        let text = "kind: X\na: \"q ${trialParameters.v}\"\nb: p-${trialParameters.v}\nc: {d: 'x${trialParameters.v}'}\ne: >-\n  f${trialParameters.v}\n";
        let rendered = render_text(text, &values);
        prop_assert_eq!(&rendered, &json!({
            "kind": "X", "a": format!("q {value}"), "b": format!("p-{value}"),
            "c": {"d": format!("x{value}")}, "e": format!("f{value}"),
            "metadata": {"name": "e-1", "namespace": "ns"},
        }));
        let template = json!({"kind": "X", "a": ["${trialParameters.v}"]});
        let rendered = render_object(template, &[("v", "v")], &values).unwrap();
        prop_assert_eq!(&rendered["a"][0], &Value::String(value.clone()));
    }
}
