//! The program of a trial's container whose template names none: that of its image. Whoever reads
//! images gives it here; from then on the container is as if the template had named it.

use serde_json::{Map, Value, json};

use super::injection::{ANNOTATION_NOT_COLLECTED, annotate, collector_name};
use super::pod::{entries, is_primary, plan, primary_container, token};

/// What an image runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageProgram {
    /// The program, with arguments that always stand.
    pub entrypoint: Vec<String>,
    /// Arguments that those of a container take the place of.
    pub cmd: Vec<String>,
}

/// The image to ask for its program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The trial that the pod names.
    pub trial: String,
    /// The trial's token, as the pod shows it; empty when it shows none.
    pub token: String,
    /// The image, as the container names it.
    pub image: String,
    /// The Secrets with which it is pulled. Those of the pod's service account are among them: the
    /// API server puts them there before it asks webhooks.
    pub pull_secrets: Vec<String>,
}

/// The image whose program must be known before the collector can be put into this pod.
pub fn wanted(pod: &Value, namespace: &str) -> Option<Wanted> {
    let plan = plan(pod).filter(|plan| plan.namespace == namespace && is_primary(pod))?;
    collector_name(plan.spec.kind())?;
    let spec = pod.get("spec")?.as_object()?;
    let container = entries(spec, "containers").find(|c| c["name"] == *plan.primary_container)?;
    if entries(container.as_object()?, "command").next().is_some() {
        return None;
    }
    let names = entries(spec, "imagePullSecrets").filter_map(|secret| secret["name"].as_str());
    Some(Wanted {
        trial: plan.trial,
        token: token(pod).unwrap_or_default().to_owned(),
        image: container["image"].as_str()?.to_owned(),
        pull_secrets: names.map(str::to_owned).collect(),
    })
}

/// Gives the primary container the program of its image.
pub fn give(pod: &mut Value, program: &ImageProgram) {
    let Some(container) = container(pod) else {
        return;
    };
    let mut command = words(&program.entrypoint);
    let mut args: Vec<Value> = entries(container, "args").cloned().collect();
    if args.is_empty() {
        args = words(&program.cmd);
    }
    if command.is_empty() {
        // The arguments are the program.
        command = std::mem::take(&mut args);
    }
    if command.is_empty() {
        return refuse(pod, "the image has neither ENTRYPOINT nor CMD");
    }
    container.insert("command".to_owned(), Value::Array(command));
    container.insert("args".to_owned(), Value::Array(args));
}

/// Says that the program can't be learned, and why.
pub fn refuse(pod: &mut Value, why: &str) {
    let Some(plan) = plan(pod) else { return };
    let text = format!(
        "container {} has no command, and that of its image is not known: {why}; write the command \
         into the trial template",
        plan.primary_container
    );
    annotate(pod, ANNOTATION_NOT_COLLECTED, &text);
}

fn container(pod: &mut Value) -> Option<&mut Map<String, Value>> {
    let name = plan(pod)?.primary_container;
    primary_container(pod.get_mut("spec")?.as_object_mut()?, &name)
}

/// Words of an image as a container's: there, but not in an image, `$(A)` is a variable.
fn words(words: &[String]) -> Vec<Value> {
    let escaped = words.iter().map(|word| json!(word.replace('$', "$$")));
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use diwan_api::metadata::{ANNOTATION_METRICS_COLLECTOR, ANNOTATION_TRIAL_TOKEN};

    use super::*;

    fn pod(kind: &str, container: &Value) -> Value {
        let plan = json!({
            "trial": "tune-b", "namespace": "team", "primaryContainer": "main",
            "objective": "loss", "objectiveType": "minimize",
            "spec": {"collector": {"kind": kind}},
        });
        let mut main = json!({"name": "main", "image": "train:1"});
        main.as_object_mut()
            .unwrap()
            .extend(container.as_object().unwrap().clone());
        json!({
            "metadata": {"annotations": {
                ANNOTATION_METRICS_COLLECTOR: plan.to_string(), ANNOTATION_TRIAL_TOKEN: "secret",
            }},
            "spec": {
                "containers": [{"name": "side", "image": "other"}, main],
                "imagePullSecrets": [{"name": "a"}, {"name": "b"}],
            }
        })
    }

    #[test]
    fn only_a_container_that_names_no_program_is_asked_about() {
        let asked = wanted(&pod("StdOut", &json!({"args": ["x"]})), "team");
        let expected = Wanted {
            trial: "tune-b".to_owned(),
            token: "secret".to_owned(),
            image: "train:1".to_owned(),
            pull_secrets: vec!["a".to_owned(), "b".to_owned()],
        };
        assert_eq!(asked, Some(expected));
        let empty = json!({"command": []});
        assert!(wanted(&pod("PrometheusMetric", &empty), "team").is_some());
        let given = json!({"command": ["run"]});
        assert_eq!(wanted(&pod("StdOut", &given), "team"), None);
        assert_eq!(wanted(&pod("Push", &json!({})), "team"), None);
        assert_eq!(wanted(&pod("StdOut", &json!({})), "other"), None);
        assert_eq!(wanted(&json!({"spec": {"containers": []}}), "team"), None);
    }

    #[test]
    fn arguments_and_the_image_s_words_meet_as_the_kubelet_joins_them() {
        let program = |entrypoint: &[&str], cmd: &[&str]| ImageProgram {
            entrypoint: entrypoint.iter().map(|&word| word.to_owned()).collect(),
            cmd: cmd.iter().map(|&word| word.to_owned()).collect(),
        };
        for (program, args, expected) in [
            (program(&["e"], &["c"]), json!([]), json!([["e"], ["c"]])),
            (program(&["e"], &["c"]), json!(["a"]), json!([["e"], ["a"]])),
            (program(&["e"], &[]), json!([]), json!([["e"], []])),
            (
                program(&[], &["c", "d"]),
                json!([]),
                json!([["c", "d"], []]),
            ),
            (program(&[], &["c"]), json!(["a"]), json!([["a"], []])),
            (
                program(&["e", "$(X) $HOME"], &["$"]),
                json!(["$(Y)"]),
                json!([["e", "$$(X) $$HOME"], ["$(Y)"]]),
            ),
        ] {
            let mut pod = pod("StdOut", &json!({"args": args}));
            give(&mut pod, &program);
            let main = &pod["spec"]["containers"][1];
            assert_eq!(json!([main["command"], main["args"]]), expected);
            assert_eq!(pod["spec"]["containers"][0].get("command"), None);
        }
    }

    #[test]
    fn what_is_not_known_is_told() {
        let mut pod = pod("StdOut", &json!({}));
        give(&mut pod, &ImageProgram::default());
        let why = &pod["metadata"]["annotations"][ANNOTATION_NOT_COLLECTED];
        assert_eq!(
            why,
            "container main has no command, and that of its image is not known: the image has \
             neither ENTRYPOINT nor CMD; write the command into the trial template"
        );
        assert_eq!(pod["spec"]["containers"][1].get("command"), None);
    }
}
