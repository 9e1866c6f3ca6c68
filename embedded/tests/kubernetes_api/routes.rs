//! Every route there is, taken from discovery, under every kind of token: nobody gets further than
//! the roles that are bound to them.

use std::collections::BTreeSet;

use diwan_embedded::{Api, TokenOrder, resource};
use serde_json::{Value, json};

use crate::door::{Door, Reply, door};

const OWN: &str = "own";
const OTHER: &str = "other";

/// One request that a client can make.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Route {
    method: &'static str,
    path: String,
    /// The group, the kind with its part, and the verb; none for other paths.
    asks: Option<(String, String, String)>,
    /// Whether it is about one namespace.
    namespaced: bool,
}

/// All requests that can be made, from what the API says of itself.
async fn routes(door: &mut Door, admin: &str) -> Vec<Route> {
    let mut routes = BTreeSet::new();
    let plain = |path: &str| Route {
        method: "GET",
        path: path.to_owned(),
        asks: None,
        namespaced: false,
    };
    let mut versions = vec!["/api/v1".to_owned()];
    for path in [
        "/api",
        "/apis",
        "/version",
        "/healthz",
        "/livez",
        "/readyz",
        "/openapi/v3",
        "/",
        "/metrics",
    ] {
        routes.insert(plain(path));
    }
    let groups = door.ask(admin, "GET", "/apis", &Value::Null).await.body;
    for group in groups["groups"].as_array().unwrap() {
        routes.insert(plain(&format!("/apis/{}", group["name"].as_str().unwrap())));
        for version in group["versions"].as_array().unwrap() {
            versions.push(format!(
                "/apis/{}",
                version["groupVersion"].as_str().unwrap()
            ));
        }
    }
    let documents = door
        .ask(admin, "GET", "/openapi/v3", &Value::Null)
        .await
        .body;
    for path in documents["paths"].as_object().unwrap().keys() {
        routes.insert(plain(&format!("/openapi/v3/{path}")));
    }
    for version in versions {
        routes.insert(plain(&version));
        let list = door.ask(admin, "GET", &version, &Value::Null).await.body;
        let group = version
            .strip_prefix("/apis/")
            .and_then(|v| v.split('/').next());
        for kind in list["resources"].as_array().unwrap() {
            for verb in kind["verbs"].as_array().unwrap() {
                let verb = verb.as_str().unwrap();
                routes.extend(of_verb(&version, group.unwrap_or_default(), kind, verb));
            }
        }
    }
    routes.into_iter().collect()
}

/// The requests of one verb of a kind or of a part of it.
fn of_verb(version: &str, group: &str, kind: &Value, verb: &str) -> Vec<Route> {
    let name = kind["name"].as_str().unwrap();
    let namespaced = kind["namespaced"] == true;
    let (plural, part) = match name.split_once('/') {
        Some((plural, part)) => (plural, format!("/{part}")),
        None => (name, String::new()),
    };
    let place = if namespaced {
        format!("{version}/namespaces/{OWN}")
    } else {
        version.to_owned()
    };
    let collection = format!("{place}/{plural}");
    let object = format!("{collection}/x{part}");
    let everywhere = format!("{version}/{plural}");
    let whole = if part.is_empty() {
        &collection
    } else {
        &object
    };
    let (methods, path): (&[_], _) = match verb {
        "get" => (&["GET", "HEAD"], object),
        "list" => (&["GET", "HEAD"], collection.clone()),
        "watch" => (&["GET"], format!("{collection}?watch=true")),
        "create" => (&["POST"], whole.clone()),
        "update" => (&["PUT"], object),
        "patch" => (&["PATCH"], object),
        "delete" => (&["DELETE"], object),
        "deletecollection" => (&["DELETE"], collection.clone()),
        other => panic!("{name} has a verb that this test does not know: {other}"),
    };
    let route = |method, path: String, namespaced| Route {
        method,
        // Nothing is to come of a request that gets through.
        path: format!(
            "{path}{}dryRun=All",
            if path.contains('?') { '&' } else { '?' }
        ),
        asks: Some((group.to_owned(), name.to_owned(), verb.to_owned())),
        namespaced,
    };
    // The namespace of a Namespace is itself.
    let of_namespace = plural == "namespaces" && path.contains("/x");
    let mut routes: Vec<Route> = methods
        .iter()
        .map(|method| route(method, path.clone(), namespaced && !of_namespace))
        .collect();
    if namespaced && matches!(verb, "list" | "watch") {
        let watch = if verb == "watch" { "?watch=true" } else { "" };
        routes.push(route("GET", format!("{everywhere}{watch}"), false));
    }
    routes
}

/// Whether the roles that are bound to a group in the whole cluster let a route through.
fn is_open(api: &Api, groups: &[&str], route: &Route) -> bool {
    let bound = |binding: &Value| {
        let subjects = binding["subjects"].as_array().unwrap();
        subjects
            .iter()
            .any(|s| groups.iter().any(|group| s["name"] == *group))
    };
    let bindings = api.list(&resource::CLUSTER_ROLE_BINDINGS, None).0;
    let rules: Vec<Value> = bindings
        .iter()
        .filter(|binding| bound(binding))
        .map(|binding| binding["roleRef"]["name"].as_str().unwrap())
        .map(|role| api.get(&resource::CLUSTER_ROLES, "", role).unwrap())
        .flat_map(|role| role["rules"].as_array().unwrap().clone())
        .collect();
    let has = |rule: &Value, field: &str, wanted: &str| {
        let list = rule[field].as_array().into_iter().flatten();
        list.filter_map(Value::as_str)
            .any(|text| match text.strip_suffix('*') {
                Some(prefix) => wanted.starts_with(prefix),
                None => text == wanted,
            })
    };
    rules.iter().any(|rule| match &route.asks {
        Some((group, kind, verb)) => {
            has(rule, "apiGroups", group)
                && has(rule, "resources", kind)
                && has(rule, "verbs", verb)
        }
        None => has(rule, "nonResourceURLs", &route.path) && has(rule, "verbs", "get"),
    })
}

/// Whether the sender was refused, not what they want: nobody may delete the first namespaces.
fn is_refused(reply: &Reply) -> bool {
    let message = reply.body["message"].as_str();
    reply.code == 401 || reply.code == 403 && message.is_none_or(|text| text.contains("cannot"))
}

async fn account(api: &Api, namespace: &str, seconds: i64) -> String {
    if api.get(&resource::NAMESPACES, "", namespace).is_none() {
        let object = json!({ "metadata": { "name": namespace } });
        api.create(&resource::NAMESPACES, "", object).await.unwrap();
    }
    let order = TokenOrder {
        seconds: Some(seconds),
        ..TokenOrder::default()
    };
    api.issue_token(namespace, "default", &order).unwrap().token
}

#[tokio::test]
async fn no_route_opens_without_a_right_to_it() {
    let mut door = door().await;
    let (admin, api) = (door.admin(), door.port.world.api.clone());
    let expired = account(&api, OWN, -1).await;
    let stranger = account(&api, OTHER, 3600).await;
    let routes = routes(&mut door, &admin).await;
    let all = ["system:authenticated", "system:serviceaccounts"];
    let (mut refused, mut open) = (0, 0);
    for route in &routes {
        for (token, anybody) in [
            ("", &["system:unauthenticated"][..]),
            ("wrong", &[]),
            (&expired, &[]),
            (&stranger, &all),
        ] {
            let passes = is_open(&api, anybody, route);
            let reply = door.ask(token, route.method, &route.path, &json!({})).await;
            let code = reply.code;
            let expected = match (passes, anybody.is_empty()) {
                (true, _) => None,
                (false, true) => Some(401),
                (false, false) => Some(403),
            };
            if let Some(expected) = expected {
                assert_eq!(code, expected, "{route:?} {token}");
                refused += 1;
            } else {
                assert!(!is_refused(&reply), "{route:?} {token} {code}");
                open += 1;
            }
        }
        let reply = door
            .ask(&admin, route.method, &route.path, &json!({}))
            .await;
        assert!(!is_refused(&reply), "{route:?} {}", reply.body);
    }
    println!(
        "{} routes, {refused} requests refused, {open} for everybody",
        routes.len()
    );
    assert!(routes.len() > 300, "{}", routes.len());
}

#[tokio::test]
async fn a_role_opens_what_it_names_and_nothing_else() {
    let mut door = door().await;
    let (admin, api) = (door.admin(), door.port.world.api.clone());
    let token = account(&api, OWN, 3600).await;
    let routes = routes(&mut door, &admin).await;
    let rbac = "rbac.authorization.k8s.io";
    let role = json!({ "metadata": { "name": "r" }, "rules": [] });
    api.create(&resource::ROLES, OWN, role).await.unwrap();
    let binding = json!({
        "metadata": { "name": "b" },
        "roleRef": { "apiGroup": rbac, "kind": "Role", "name": "r" },
        "subjects": [{ "kind": "ServiceAccount", "name": "default", "namespace": OWN }],
    });
    api.create(&resource::ROLE_BINDINGS, OWN, binding)
        .await
        .unwrap();
    let asked: BTreeSet<_> = routes
        .iter()
        .filter_map(|route| route.asks.clone())
        .collect();
    let all = ["system:authenticated", "system:serviceaccounts"];
    let mut opened = 0;
    for (group, kind, verb) in &asked {
        let rule = json!({ "apiGroups": [group], "resources": [kind], "verbs": [verb] });
        let change = |role: &mut Value| {
            role["rules"] = json!([rule]);
            true
        };
        let whole = diwan_embedded::Subresource::None;
        api.modify(&resource::ROLES, OWN, "r", whole, change)
            .await
            .unwrap();
        let plural = kind.split('/').next().unwrap();
        let near = |route: &&Route| {
            let asks = route.asks.as_ref();
            asks.is_some_and(|(g, k, _)| g == group && k.split('/').next() == Some(plural))
        };
        for route in routes.iter().filter(near) {
            let named = route.asks == Some((group.clone(), kind.clone(), verb.clone()));
            let passes = named && route.namespaced || is_open(&api, &all, route);
            for (path, passes) in [
                (route.path.clone(), passes),
                // The same in another namespace.
                (
                    route.path.replace("/namespaces/own/", "/namespaces/other/"),
                    passes && (!route.namespaced || is_open(&api, &all, route)),
                ),
            ] {
                let reply = door.ask(&token, route.method, &path, &json!({})).await;
                let refused = is_refused(&reply);
                assert_eq!(!refused, passes, "{rule} {route:?} {path} {}", reply.code);
                opened += usize::from(passes);
            }
        }
    }
    println!("{} rules, {opened} requests let through", asked.len());
    assert!(opened >= asked.len() / 2);
}
