//! What a namespace may hold, and what its pods get.

use diwan_embedded::{DeleteOptions, resource};
use serde_json::{Value, json};

use crate::world::{World, config_map, eventually, pod, world};

const PODS: &str = "/api/v1/namespaces/default/pods";

fn quota(hard: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "z" },
        "spec": { "hard": hard },
    })
}

fn used(world: &World, name: &str) -> Value {
    let quota = world
        .api
        .get(&resource::RESOURCE_QUOTAS, "default", "z")
        .unwrap();
    quota["status"]["used"][name].clone()
}

#[tokio::test]
async fn no_more_gets_in_than_a_quota_allows_however_many_try() {
    let world = world();
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    let made = world
        .ask(
            "POST",
            quotas,
            quota(&json!({ "pods": "3", "configmaps": "2" })),
        )
        .await;
    assert_eq!(
        made.body["status"]["used"],
        json!({ "pods": "0", "configmaps": "1" })
    );
    let names: Vec<String> = (0..10).map(|i| format!("p-{i}")).collect();
    let asked = names.iter().map(|name| world.ask("POST", PODS, pod(name)));
    let answers = futures::future::join_all(asked).await;
    let made: Vec<&str> = answers
        .iter()
        .filter(|answer| answer.code == 201)
        .map(|answer| answer.body["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(made.len(), 3);
    let refused = answers.iter().find(|answer| answer.code != 201).unwrap();
    assert_eq!(refused.code, 403);
    let text = refused.body["message"].as_str().unwrap();
    let end = "is forbidden: exceeded quota: z, requested: pods=1, used: pods=3, limited: pods=3";
    assert!(text.ends_with(end), "{text}");
    assert_eq!(used(&world, "pods"), "3");

    // A pod that has ended makes room, and so does one that is gone.
    let status = diwan_embedded::Subresource::Status;
    let end = |pod: &mut Value| {
        pod["status"]["phase"] = json!("Succeeded");
        true
    };
    world
        .api
        .modify(&resource::PODS, "default", made[0], status, end)
        .await
        .unwrap();
    let options = DeleteOptions {
        grace_period_seconds: Some(0),
        ..DeleteOptions::background()
    };
    world
        .api
        .delete(&resource::PODS, "default", made[1], options)
        .await
        .unwrap();
    eventually("the status of the quota", || async {
        (used(&world, "pods") == "1").then_some(())
    })
    .await;
    assert_eq!(world.ask("POST", PODS, pod("again")).await.code, 201);
    assert_eq!(used(&world, "pods"), "2");

    let maps = "/api/v1/namespaces/default/configmaps";
    let dry = format!("{maps}?dryRun=All");
    assert_eq!(world.ask("POST", &dry, config_map("a")).await.code, 201);
    assert_eq!(world.ask("POST", maps, config_map("a")).await.code, 201);
    assert_eq!(world.ask("POST", &dry, config_map("b")).await.code, 403);
    // Other namespaces are not concerned.
    let other = "/api/v1/namespaces/kubeflow/configmaps";
    assert_eq!(world.ask("POST", other, config_map("b")).await.code, 201);
}

#[tokio::test]
async fn what_is_there_grows_no_further_than_a_quota_allows() {
    let world = world();
    let services = "/api/v1/namespaces/default/services";
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    let hard = json!({ "services": "1", "services.nodeports": "1", "services.loadbalancers": "0" });
    world.ask("POST", quotas, quota(&hard)).await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "s" },
        "spec": { "selector": { "a": "b" }, "ports": [{ "port": 80 }] },
    });
    assert_eq!(world.ask("POST", services, service).await.code, 201);
    let path = format!("{services}/s");
    let become_ = async |type_: &str| {
        let patch = json!({ "spec": { "type": type_ } });
        let merge = "application/merge-patch+json";
        world.ask_as("PATCH", &path, merge, "", patch).await
    };
    let refused = become_("LoadBalancer").await;
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.body["message"],
        "services \"s\" is forbidden: exceeded quota: z, requested: services.loadbalancers=1, \
         used: services.loadbalancers=0, limited: services.loadbalancers=0"
    );
    // The service itself is counted already.
    assert_eq!(become_("NodePort").await.code, 200);
    eventually("the status of the quota", || async {
        (used(&world, "services.nodeports") == "1").then_some(())
    })
    .await;
    assert_eq!(become_("ClusterIP").await.code, 200);
}

#[tokio::test]
async fn a_pod_gets_its_account_its_priority_and_its_limits() {
    let world = world();
    let made = world.ask("POST", PODS, pod("a")).await.body;
    let spec = &made["spec"];
    assert_eq!(
        (&spec["serviceAccountName"], &spec["serviceAccount"]),
        (&json!("default"), &json!("default"))
    );
    assert_eq!(
        (&spec["priority"], &spec["preemptionPolicy"]),
        (&json!(0), &json!("PreemptLowerPriority"))
    );
    let mount = &spec["containers"][0]["volumeMounts"][0];
    assert_eq!(
        mount["mountPath"],
        "/var/run/secrets/kubernetes.io/serviceaccount"
    );
    assert_eq!(mount["name"], spec["volumes"][0]["name"]);
    assert_eq!(made["status"]["qosClass"], "BestEffort");
    for (field, why) in [
        (
            json!({ "serviceAccountName": "nope" }),
            "pods \"b\" is forbidden: error looking up service account default/nope: \
             serviceaccount \"nope\" not found",
        ),
        (
            json!({ "priorityClassName": "none" }),
            "pods \"b\" is forbidden: no PriorityClass with name none was found",
        ),
        (
            json!({ "priority": 7 }),
            "pods \"b\" is forbidden: the integer value of priority (7) must not be provided in pod \
             spec; priority admission controller computed 0 from the given PriorityClass name",
        ),
    ] {
        let mut body = pod("b");
        for (name, value) in field.as_object().unwrap() {
            body["spec"][name] = value.clone();
        }
        let refused = world.ask("POST", PODS, body).await;
        assert_eq!((refused.code, &refused.body["message"]), (403, &json!(why)));
    }
    let mut critical = pod("c");
    critical["spec"]["priorityClassName"] = json!("system-node-critical");
    let critical = world.ask("POST", PODS, critical).await.body;
    assert_eq!(critical["spec"]["priority"], 2_000_001_000);

    let range = json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": { "name": "l" },
        "spec": { "limits": [{ "type": "Container", "default": { "cpu": "1", "memory": "1Gi" } }] },
    });
    world
        .ask("POST", "/api/v1/namespaces/default/limitranges", range)
        .await;
    let limited = world.ask("POST", PODS, pod("d")).await.body;
    let resources = json!({
        "requests": { "cpu": "1", "memory": "1Gi" }, "limits": { "cpu": "1", "memory": "1Gi" },
    });
    assert_eq!(limited["spec"]["containers"][0]["resources"], resources);
    assert_eq!(limited["status"]["qosClass"], "Guaranteed");
}
