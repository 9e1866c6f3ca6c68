//! Requests as they go over the wire: statuses, forms of answers, discovery, our kinds.

use crate::world::{config_map, pod, world};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const EXPERIMENTS: &str = "/apis/kubeflow.org/v1beta1/namespaces/default/experiments";

fn experiment() -> Value {
    json!({
        "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": { "name": "e" },
        "spec": {
            "objective": { "type": "minimize", "objectiveMetricName": "loss" },
            "algorithm": { "algorithmName": "random" },
            "trialTemplate": { "trialSpec": { "free": ["form"] } },
        },
    })
}

#[tokio::test]
async fn what_is_not_there_gets_the_status_that_kubernetes_sends() {
    let world = world();
    for (method, path, body, code, reason) in [
        ("GET", "/api/v1/nonsense", Value::Null, 404, "NotFound"),
        ("GET", "/apis/batch/v9", Value::Null, 404, "NotFound"),
        ("PUT", MAPS, config_map("a"), 405, "MethodNotAllowed"),
        ("POST", "/version", Value::Null, 405, "MethodNotAllowed"),
        (
            "DELETE",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trials.kubeflow.org",
            Value::Null,
            403,
            "Forbidden",
        ),
        ("POST", MAPS, json!([1]), 400, "BadRequest"),
        ("POST", MAPS, json!({ "apiVersion": "v1" }), 422, "Invalid"),
        ("POST", MAPS, pod("p"), 400, "BadRequest"),
        (
            "DELETE",
            "/api/v1/namespaces/default/configmaps/none",
            Value::Null,
            404,
            "NotFound",
        ),
        (
            "GET",
            "/api/v1/pods?labelSelector=a+in+b",
            Value::Null,
            400,
            "BadRequest",
        ),
        (
            "GET",
            "/api/v1/pods?fieldSelector=spec.unknown%3D1",
            Value::Null,
            400,
            "BadRequest",
        ),
        (
            "GET",
            "/api/v1/pods?resourceVersion=999999",
            Value::Null,
            504,
            "Timeout",
        ),
        (
            "GET",
            "/api/v1/namespaces/default/pods/none/log",
            Value::Null,
            404,
            "NotFound",
        ),
    ] {
        let answer = world.ask(method, path, body).await;
        assert_eq!(
            (answer.code, &answer.body["reason"]),
            (code, &json!(reason)),
            "{method} {path}"
        );
        assert_eq!(
            (&answer.body["kind"], &answer.body["code"]),
            (&json!("Status"), &json!(code))
        );
    }
    let html = world
        .ask_as("GET", MAPS, "", "text/html", Value::Null)
        .await;
    assert_eq!(html.code, 406);
    let cbor = "application/cbor";
    let answer = world.ask_as("POST", MAPS, cbor, "", json!({})).await;
    assert_eq!(answer.code, 415);
    let large = json!({ "data": { "a": "x".repeat(4 << 20) } });
    assert_eq!(world.ask("POST", MAPS, large).await.code, 413);
}

#[tokio::test]
async fn strategic_merges_are_refused_on_custom_kinds() {
    let world = world();
    assert_eq!(world.ask("POST", EXPERIMENTS, experiment()).await.code, 201);
    let path = format!("{EXPERIMENTS}/e");
    let strategic = "application/strategic-merge-patch+json";
    let answer = world.ask_as("PATCH", &path, strategic, "", json!({})).await;
    assert_eq!(
        (answer.code, &answer.body["reason"]),
        (415, &json!("UnsupportedMediaType"))
    );
    // The media type is looked at before the body, which here is no JSON.
    let plain = "text/plain";
    let answer = world.ask_as("PATCH", &path, plain, "", Value::Null).await;
    assert_eq!(
        (answer.code, &answer.body["reason"]),
        (415, &json!("UnsupportedMediaType"))
    );
    let merge = "application/merge-patch+json";
    let patch = json!({ "spec": { "maxTrialCount": 4 }, "status": { "trials": 3 } });
    let answer = world.ask_as("PATCH", &path, merge, "", patch).await;
    assert_eq!(
        (answer.code, &answer.body["metadata"]["generation"]),
        (200, &json!(2))
    );
    assert_eq!(answer.body["status"], Value::Null);
    let status = json!({ "status": { "trials": 3 } });
    let answer = world
        .ask_as("PATCH", &format!("{path}/status"), merge, "", status)
        .await;
    assert_eq!(
        (
            &answer.body["status"]["trials"],
            &answer.body["metadata"]["generation"]
        ),
        (&json!(3), &json!(2))
    );
}

#[tokio::test]
async fn a_broken_object_of_ours_is_refused_with_every_cause() {
    let world = world();
    let mut broken = experiment();
    broken["spec"]["objective"]["type"] = json!("sideways");
    broken["spec"]["maxTrialCount"] = json!("many");
    let answer = world.ask("POST", EXPERIMENTS, broken).await;
    assert_eq!(
        (answer.code, &answer.body["reason"]),
        (422, &json!("Invalid"))
    );
    let causes = answer.body["details"]["causes"].as_array().unwrap();
    let fields: Vec<&str> = causes
        .iter()
        .map(|c| c["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["spec.maxTrialCount", "spec.objective.type"]);
    assert_eq!(
        world.ask("GET", EXPERIMENTS, Value::Null).await.body["items"],
        json!([])
    );
}

#[tokio::test]
async fn unknown_fields_are_refused_reported_or_dropped() {
    let world = world();
    for (path, make) in [
        (EXPERIMENTS, experiment as fn() -> Value),
        ("/api/v1/namespaces/default/pods", || pod("p")),
    ] {
        let mut object = make();
        object["spec"]["surplus"] = json!(1);
        let strict = world
            .ask(
                "POST",
                &format!("{path}?fieldValidation=Strict"),
                object.clone(),
            )
            .await;
        assert_eq!(strict.code, 400);
        let message = strict.body["message"].as_str().unwrap();
        assert!(
            message.ends_with("strict decoding error: unknown field \"spec.surplus\""),
            "{message}"
        );
        let warned = world
            .ask("POST", &format!("{path}?dryRun=All"), object.clone())
            .await;
        assert_eq!(warned.code, 201);
        assert_eq!(
            warned.warnings,
            [r#"299 - "unknown field \"spec.surplus\"""#]
        );
        let ignored = world
            .ask("POST", &format!("{path}?fieldValidation=Ignore"), object)
            .await;
        assert_eq!((ignored.code, ignored.warnings.len()), (201, 0));
        assert_eq!(ignored.body["spec"]["surplus"], Value::Null);
    }
    let mut typed = pod("q");
    typed["spec"]["terminationGracePeriodSeconds"] = json!("soon");
    let answer = world
        .ask("POST", "/api/v1/namespaces/default/pods", typed)
        .await;
    assert_eq!(answer.code, 400, "{}", answer.body);
}

#[tokio::test]
async fn a_dry_run_answers_and_stores_nothing() {
    let world = world();
    let answer = world
        .ask("POST", &format!("{MAPS}?dryRun=All"), config_map("a"))
        .await;
    assert_eq!(
        (answer.code, &answer.body["metadata"]["name"]),
        (201, &json!("a"))
    );
    assert_eq!(
        world
            .ask("GET", &format!("{MAPS}/a"), Value::Null)
            .await
            .code,
        404
    );
    world.ask("POST", MAPS, config_map("a")).await;
    let merge = "application/merge-patch+json";
    let patch = json!({ "data": { "b": "2" } });
    let answer = world
        .ask_as("PATCH", &format!("{MAPS}/a?dryRun=All"), merge, "", patch)
        .await;
    assert_eq!(answer.body["data"]["b"], "2");
    world
        .ask("DELETE", &format!("{MAPS}/a?dryRun=All"), Value::Null)
        .await;
    let stored = world
        .ask("GET", &format!("{MAPS}/a"), Value::Null)
        .await
        .body;
    assert_eq!(stored["data"], json!({ "a": "1" }));
}

#[tokio::test]
async fn tables_show_the_printer_columns() {
    let world = world();
    world.ask("POST", EXPERIMENTS, experiment()).await;
    let status = json!({ "status": { "conditions": [
        { "type": "Created", "status": "True" }, { "type": "Running", "status": "True" },
    ] } });
    let merge = "application/merge-patch+json";
    world
        .ask_as(
            "PATCH",
            &format!("{EXPERIMENTS}/e/status"),
            merge,
            "",
            status,
        )
        .await;
    let table = world
        .ask_as("GET", EXPERIMENTS, "", TABLE, Value::Null)
        .await
        .body;
    let columns = table["columnDefinitions"].as_array().unwrap();
    let names: Vec<&str> = columns
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Name", "Type", "Status", "Age"]);
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..3], [json!("e"), json!("Running"), json!("True")]);
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
}

#[tokio::test]
async fn an_event_is_one_object_in_two_forms() {
    let world = world();
    let core = "/api/v1/namespaces/default/events";
    let new = "/apis/events.k8s.io/v1/namespaces/default/events";
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": "e.1" },
        "eventTime": "2026-01-01T00:00:00.000000Z", "reason": "R", "action": "A", "type": "Normal",
        "reportingController": "c", "reportingInstance": "i", "note": "text",
        "regarding": { "kind": "Pod", "name": "p", "namespace": "default" },
    });
    let made = world.ask("POST", new, event).await;
    assert_eq!((made.code, &made.body["note"]), (201, &json!("text")));
    let path = format!("{core}?fieldSelector=involvedObject.name%3Dp");
    let listed = world.ask("GET", &path, Value::Null).await.body;
    assert_eq!(listed["items"][0]["message"], "text");
    assert_eq!(listed["items"][0]["involvedObject"]["name"], "p");
    let one = world
        .ask("GET", &format!("{new}/e.1"), Value::Null)
        .await
        .body;
    assert_eq!(
        (&one["note"], &one["apiVersion"]),
        (&json!("text"), &json!("events.k8s.io/v1"))
    );
}

#[tokio::test]
async fn a_streaming_list_ends_with_a_bookmark() {
    use futures::StreamExt;
    use tower::ServiceExt;
    let world = world();
    world.ask("POST", MAPS, config_map("a")).await;
    let uri = format!(
        "{MAPS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
         &allowWatchBookmarks=true&timeoutSeconds=60"
    );
    let request = http::Request::get(uri)
        .body(axum::body::Body::empty())
        .unwrap();
    let response = diwan_embedded::service(world.api.clone())
        .oneshot(request)
        .await
        .unwrap();
    let first = response
        .into_body()
        .into_data_stream()
        .next()
        .await
        .unwrap()
        .unwrap();
    let lines: Vec<Value> = std::str::from_utf8(&first)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["object"]["metadata"]["name"], "a");
    assert_eq!(lines[1]["object"]["metadata"]["name"], "kube-root-ca.crt");
    assert_eq!(lines[2]["type"], "BOOKMARK");
    let annotations = &lines[2]["object"]["metadata"]["annotations"];
    assert_eq!(annotations["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn a_watch_from_a_forgotten_version_says_so() {
    let world = world();
    world.ask("POST", MAPS, config_map("a")).await;
    let merge = "application/merge-patch+json";
    for i in 0..300 {
        let patch = json!({ "data": { "a": format!("{i}{}", "x".repeat(10_000)) } });
        assert_eq!(
            world
                .ask_as("PATCH", &format!("{MAPS}/a"), merge, "", patch)
                .await
                .code,
            200
        );
    }
    let path = format!("{MAPS}?watch=true&resourceVersion=1&timeoutSeconds=60");
    let answer = world.ask("GET", &path, Value::Null).await;
    assert_eq!((answer.code, &answer.body["type"]), (200, &json!("ERROR")));
    assert_eq!(answer.body["object"]["code"], 410);
    assert_eq!(answer.body["object"]["reason"], "Expired");
}

#[tokio::test]
async fn discovery_lists_the_kinds_in_both_forms() {
    let world = world();
    let groups = world.ask("GET", "/apis", Value::Null).await.body;
    let names: Vec<&Value> = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| &g["name"])
        .collect();
    assert!(names.contains(&&json!("kubeflow.org")) && names.contains(&&json!("batch")));
    let kinds = world
        .ask("GET", "/apis/kubeflow.org/v1beta1", Value::Null)
        .await
        .body;
    assert_eq!(
        kinds["resources"][0]["categories"],
        json!(["all", "kubeflow", "katib"])
    );
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let all = world
        .ask_as("GET", "/api", "", accept, Value::Null)
        .await
        .body;
    assert_eq!(all["kind"], "APIGroupDiscoveryList");
    assert_eq!(
        world.ask("GET", "/version", Value::Null).await.body["major"],
        "1"
    );
}

#[tokio::test]
async fn every_reference_in_the_openapi_documents_leads_somewhere() {
    let world = world();
    let index = world.ask("GET", "/openapi/v3", Value::Null).await.body;
    for (path, entry) in index["paths"].as_object().unwrap() {
        let url = entry["serverRelativeURL"].as_str().unwrap();
        let document = world.ask("GET", url, Value::Null).await.body;
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(!references.is_empty(), "{path}");
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{path} {reference}");
        }
    }
}

fn collect<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|child| collect(child, references));
        }
        Value::Array(items) => items.iter().for_each(|child| collect(child, references)),
        _ => {}
    }
}
