//! Katib's form of a trial's command: a shell that redirects the output and leaves a mark. For those
//! whose trials rely on it; what it does to a command's words is Katib's doing.

use diwan_api::metrics_collector::CollectorPlan;
use diwan_api::{CollectorKind, ObjectiveType};
use serde_json::{Map, Value, json};

use super::super::pod::entries;
use super::Source;

/// On pods of trials: `shell` asks for this form.
const ANNOTATION_WRAP: &str = "diwan.dev/wrap";

/// Whether a pod asks for this form; Katib has none for endpoints.
pub(super) fn is_wanted(pod: &Value, kind: &CollectorKind) -> bool {
    let annotations = pod.pointer("/metadata/annotations");
    annotations.is_some_and(|annotations| annotations[ANNOTATION_WRAP] == "shell")
        && *kind != CollectorKind::PrometheusMetric
}

/// Lets the trial's command run in a shell.
pub(super) fn wrap(container: &mut Map<String, Value>, plan: &CollectorPlan, source: &Source) {
    let words = entries(container, "command").chain(entries(container, "args"));
    let words: Vec<String> = words.filter_map(Value::as_str).map(str::to_owned).collect();
    let (shell, text) = script(&words, plan, source);
    container.insert("command".to_owned(), json!([shell, "-c"]));
    container.insert("args".to_owned(), json!([text]));
}

/// The shell, and what it runs.
fn script<'a>(words: &'a [String], plan: &CollectorPlan, source: &Source) -> (&'a str, String) {
    let (shell, words) = match words {
        [shell, c, rest @ ..] if matches!(shell.as_str(), "sh" | "bash") && c == "-c" => {
            (shell.as_str(), rest)
        }
        all => ("sh", all),
    };
    let folder = &source.folder;
    let words = words.join(" ");
    let redirected = if source.copied {
        format!(" 1>{} 2>&1", source.path)
    } else {
        String::new()
    };
    let stopped = match plan.stop_rules.as_slice() {
        [] => String::new(),
        _ => format!(
            " || if test -f {folder}/$$$$.pid && [ $(head -n 1 {folder}/$$.pid) = early-stopped ]; \
             then echo Training Container was Early Stopped; \
             else echo Training Container was Failed; exit 1; fi"
        ),
    };
    let mark = format!(" && echo completed > {folder}/$$$$.pid");
    (shell, format!("{words}{redirected}{stopped}{mark}"))
}

/// The collector's command line, as Katib writes it. It gets no rules: the controller looks at what
/// is reported and ends the trial itself.
pub(super) fn collector_args(
    plan: &CollectorPlan,
    source: &Source,
    db_manager: &str,
    wait_all: Option<bool>,
) -> Vec<String> {
    let metrics = std::iter::once(&plan.objective).chain(&plan.additional);
    let metrics: Vec<&str> = metrics.map(String::as_str).collect();
    let metrics = metrics.join(";");
    let objective_type = match &plan.objective_type {
        ObjectiveType::Minimize => "minimize",
        ObjectiveType::Maximize => "maximize",
        ObjectiveType::Other(other) => other,
    };
    let mut args: Vec<String> = [
        "-t",
        &plan.trial,
        "-m",
        &metrics,
        "-o-type",
        objective_type,
        "-s-db",
        db_manager,
        "-path",
        &source.path,
    ]
    .map(str::to_owned)
    .to_vec();
    let mut add = |flag: &str, value: &str| args.extend([flag.to_owned(), value.to_owned()]);
    let filters = plan.spec.filters();
    if !filters.is_empty() {
        add("-f", &filters.join(";"));
    }
    match plan.spec.kind() {
        CollectorKind::StdOut => add("-format", "TEXT"),
        CollectorKind::File => {
            let format = plan.spec.path().map_or("", |path| &path.format);
            add("-format", if format.is_empty() { "TEXT" } else { format });
        }
        _ => {}
    }
    if let Some(wait_all) = wait_all {
        add("-w", &wait_all.to_string());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(spec: Value, rules: Value) -> CollectorPlan {
        let plan = json!({
            "trial": "tune-b", "namespace": "team", "primaryContainer": "main",
            "objective": "loss", "additional": ["accuracy"], "objectiveType": "minimize",
            "spec": spec, "stopRules": rules,
        });
        serde_json::from_value(plan).unwrap()
    }

    #[test]
    fn a_command_becomes_katib_s_line() {
        let stdout = json!({"collector": {"kind": "StdOut"}});
        let file = json!({
            "collector": {"kind": "File"},
            "source": {"fileSystemPath": {"path": "/data/run.log", "kind": "File"}},
        });
        let events = json!({
            "collector": {"kind": "TensorFlowEvent"},
            "source": {"fileSystemPath": {"path": "/train", "kind": "Directory"}},
        });
        let none = json!([]);
        let rule = json!([{"name": "loss", "value": "1", "comparison": "less", "startStep": 4}]);
        for (spec, rules, command, expected) in [
            (
                &stdout,
                &none,
                json!(["python", "main.py", "--lr=0.01"]),
                json!([
                    "sh",
                    "python main.py --lr=0.01 1>/var/log/katib/metrics.log 2>&1 \
                     && echo completed > /var/log/katib/$$$$.pid"
                ]),
            ),
            (
                &file,
                &none,
                json!(["bash", "-c", "python main.py"]),
                json!(["bash", "python main.py && echo completed > /data/$$$$.pid"]),
            ),
            (
                &events,
                &none,
                json!(["/bin/sh", "-c", "x y"]),
                json!(["sh", "/bin/sh -c x y && echo completed > /train/$$$$.pid"]),
            ),
            (
                &file,
                &none,
                json!(["sh"]),
                json!(["sh", "sh && echo completed > /data/$$$$.pid"]),
            ),
            (
                &stdout,
                &rule,
                json!(["run"]),
                json!([
                    "sh",
                    "run 1>/var/log/katib/metrics.log 2>&1 \
                     || if test -f /var/log/katib/$$$$.pid \
                     && [ $(head -n 1 /var/log/katib/$$.pid) = early-stopped ]; \
                     then echo Training Container was Early Stopped; \
                     else echo Training Container was Failed; exit 1; fi \
                     && echo completed > /var/log/katib/$$$$.pid"
                ]),
            ),
        ] {
            let plan = plan(spec.clone(), rules.clone());
            let words: Vec<String> = serde_json::from_value(command).unwrap();
            let (shell, text) = script(&words, &plan, &Source::of(&plan));
            assert_eq!(json!([shell, text]), expected);
        }
    }

    #[test]
    fn the_collector_gets_katib_s_flags() {
        let spec = json!({
            "collector": {"kind": "File"},
            "source": {
                "fileSystemPath": {"path": "/data/run.log", "kind": "File", "format": "JSON"},
                "filter": {"metricsFormat": ["(a)=(b)", "(c)=(d)"]},
            },
        });
        let plan = plan(spec, json!([]));
        let args = collector_args(&plan, &Source::of(&plan), "db:6789", Some(false));
        let expected = "-t tune-b -m loss;accuracy -o-type minimize -s-db db:6789 -path \
                        /data/run.log -f (a)=(b);(c)=(d) -format JSON -w false";
        assert_eq!(args.join(" "), expected);
    }
}
