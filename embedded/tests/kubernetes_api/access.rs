//! Who somebody is, and what follows from it: tokens, other names, roles, reviews.

use diwan_embedded::{Bound, DeleteOptions, TokenOrder, resource};
use serde_json::{Value, json};

use crate::{
    door::{Door, door},
    world::{eventually, pod},
};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const AUTHORIZATION: &str = "/apis/authorization.k8s.io/v1";
const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

async fn create(door: &mut Door, path: &str, body: &Value) -> Value {
    let admin = door.admin();
    let reply = door.ask(&admin, "POST", path, body).await;
    assert_eq!(reply.code, 201, "{path} {}", reply.body);
    reply.body
}

fn account(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } })
}

async fn bind(door: &mut Door, kind: &str, role: &str, rules: &Value, subject: &Value) {
    let role_body = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": { "name": role }, "rules": rules,
    });
    create(door, &format!("{RBAC}/clusterroles"), &role_body).await;
    let path = match kind {
        "RoleBinding" => format!("{RBAC}/namespaces/default/rolebindings"),
        _ => format!("{RBAC}/clusterrolebindings"),
    };
    let body = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
        "metadata": { "name": role },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
        "subjects": [subject],
    });
    create(door, &path, &body).await;
}

#[tokio::test]
async fn a_requested_token_is_its_account_until_it_is_gone() {
    let mut door = door().await;
    create(
        &mut door,
        "/api/v1/namespaces/default/serviceaccounts",
        &account("robot"),
    )
    .await;
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": { "expirationSeconds": 600, "audiences": ["https://kubernetes.default.svc", "x"] },
    });
    let path = "/api/v1/namespaces/default/serviceaccounts/robot/token";
    let answer = create(&mut door, path, &request).await;
    assert_eq!(answer["spec"]["expirationSeconds"], 600);
    let token = answer["status"]["token"].as_str().unwrap();
    let who = door.ask(token, "POST", WHO, &json!({})).await.body;
    let user = &who["status"]["userInfo"];
    assert_eq!(user["username"], "system:serviceaccount:default:robot");
    let groups = [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ];
    assert_eq!(user["groups"], json!(groups));

    for (audiences, authenticated) in [
        (json!([]), true),
        (json!(["x"]), true),
        (json!(["y"]), false),
    ] {
        let review = json!({ "spec": { "token": token, "audiences": audiences } });
        let review = create(&mut door, REVIEWS, &review).await;
        assert_eq!(
            review["status"]["authenticated"] == true,
            authenticated,
            "{review}"
        );
    }
    let mut short = request.clone();
    short["spec"]["expirationSeconds"] = json!(60);
    let admin = door.admin();
    let refused = door.ask(&admin, "POST", path, &short).await;
    assert_eq!(
        refused.message(),
        "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: \
         60: may not specify a duration less than 10 minutes"
    );

    let account = "/api/v1/namespaces/default/serviceaccounts/robot";
    assert_eq!(
        door.ask(&admin, "DELETE", account, &Value::Null).await.code,
        200
    );
    assert_eq!(door.ask(token, "POST", WHO, &json!({})).await.code, 401);
    // An account of the same name is another one.
    create(
        &mut door,
        "/api/v1/namespaces/default/serviceaccounts",
        &self::account("robot"),
    )
    .await;
    assert_eq!(door.ask(token, "POST", WHO, &json!({})).await.code, 401);
}

#[tokio::test]
async fn a_bound_token_ends_with_what_it_is_bound_to() {
    let mut door = door().await;
    let api = door.port.world.api.clone();
    api.create(&resource::PODS, "default", pod("p"))
        .await
        .unwrap();
    let order = |name: &str| TokenOrder {
        bound: Some(Bound {
            kind: "Pod".to_owned(),
            name: name.to_owned(),
            uid: String::new(),
        }),
        ..TokenOrder::default()
    };
    let token = api
        .issue_token("default", "default", &order("p"))
        .unwrap()
        .token;
    let user = door.ask(&token, "POST", WHO, &json!({})).await.body;
    let extra = &user["status"]["userInfo"]["extra"];
    assert_eq!(extra["authentication.kubernetes.io/pod-name"], json!(["p"]));
    assert_eq!(
        api.issue_token("default", "default", &order("q"))
            .unwrap_err()
            .code,
        404
    );
    let options = DeleteOptions {
        grace_period_seconds: Some(0),
        ..DeleteOptions::background()
    };
    api.delete(&resource::PODS, "default", "p", options)
        .await
        .unwrap();
    assert_eq!(door.ask(&token, "POST", WHO, &json!({})).await.code, 401);
}

#[tokio::test]
async fn a_secret_for_a_token_is_filled_and_goes_with_its_account() {
    let mut door = door().await;
    let api = door.port.world.api.clone();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": "s", "annotations": { "kubernetes.io/service-account.name": "robot" },
        },
    });
    create(&mut door, "/api/v1/namespaces/default/secrets", &secret).await;
    create(
        &mut door,
        "/api/v1/namespaces/default/serviceaccounts",
        &account("robot"),
    )
    .await;
    let data = eventually("the token", || async {
        let secret = api.get(&resource::SECRETS, "default", "s").unwrap();
        secret["data"]["token"]
            .is_string()
            .then(|| secret["data"].clone())
    })
    .await;
    use base64::{Engine, engine::general_purpose::STANDARD};
    let token = STANDARD.decode(data["token"].as_str().unwrap()).unwrap();
    let token = String::from_utf8(token).unwrap();
    assert_eq!(
        STANDARD
            .decode(data["namespace"].as_str().unwrap())
            .unwrap(),
        b"default"
    );
    let who = door.ask(&token, "POST", WHO, &json!({})).await.body;
    assert_eq!(
        who["status"]["userInfo"]["username"],
        "system:serviceaccount:default:robot"
    );
    let options = DeleteOptions::background;
    api.delete(&resource::SERVICE_ACCOUNTS, "default", "robot", options())
        .await
        .unwrap();
    assert_eq!(door.ask(&token, "POST", WHO, &json!({})).await.code, 401);
    eventually("the secret to go", || async {
        api.get(&resource::SECRETS, "default", "s")
            .is_none()
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_namespace_keeps_its_account_and_certificate() {
    let door = door().await;
    let api = door.port.world.api.clone();
    let namespace = json!({ "metadata": { "name": "n" } });
    api.create(&resource::NAMESPACES, "", namespace)
        .await
        .unwrap();
    let things = [
        (&resource::SERVICE_ACCOUNTS, "default"),
        (&resource::CONFIG_MAPS, "kube-root-ca.crt"),
    ];
    for (kind, name) in things {
        let first = api.get(kind, "n", name).unwrap();
        api.delete(kind, "n", name, DeleteOptions::background())
            .await
            .unwrap();
        eventually("another one", || async {
            api.get(kind, "n", name)
                .filter(|new| new["metadata"]["uid"] != first["metadata"]["uid"])
        })
        .await;
    }
    // A namespace that ends is not given anything any more.
    api.delete(&resource::NAMESPACES, "", "n", DeleteOptions::background())
        .await
        .unwrap();
    eventually("the namespace to go", || async {
        api.get(&resource::NAMESPACES, "", "n")
            .is_none()
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn others_act_in_a_name_only_if_they_may() {
    let mut door = door().await;
    let admin = door.admin();
    let headers = ["Impersonate-User: ann", "Impersonate-Group: crew"];
    let who = door
        .ask_with(&admin, &headers, "POST", WHO, &json!({}))
        .await
        .body;
    let user = json!({ "username": "ann", "groups": ["crew", "system:authenticated"] });
    assert_eq!(who["status"]["userInfo"], user);
    let pods = "/api/v1/namespaces/default/pods";
    let refused = door
        .ask_with(&admin, &headers, "GET", pods, &Value::Null)
        .await;
    assert_eq!(
        refused.message(),
        "pods is forbidden: User \"ann\" cannot list resource \"pods\" in API group \"\" in the \
         namespace \"default\""
    );
    let group = json!({ "kind": "Group", "name": "crew", "apiGroup": "rbac.authorization.k8s.io" });
    let rules = json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] }]);
    bind(&mut door, "RoleBinding", "list-pods", &rules, &group).await;
    assert_eq!(
        door.ask_with(&admin, &headers, "GET", pods, &Value::Null)
            .await
            .code,
        200
    );

    let token = door
        .port
        .world
        .api
        .issue_token("default", "default", &TokenOrder::default());
    let token = token.unwrap().token;
    let refused = door
        .ask_with(&token, &headers, "GET", pods, &Value::Null)
        .await;
    assert_eq!(refused.code, 403, "{}", refused.body);
    let headers = [
        "Impersonate-User: admin",
        "Impersonate-Group: system:masters",
    ];
    assert_eq!(
        door.ask_with(&token, &headers, "GET", pods, &Value::Null)
            .await
            .code,
        403
    );
    let none = door
        .ask_with(
            &admin,
            &["Impersonate-Group: crew"],
            "GET",
            pods,
            &Value::Null,
        )
        .await;
    assert_eq!(none.code, 400);
}

#[tokio::test]
async fn nobody_gives_away_more_than_they_have() {
    let mut door = door().await;
    let admin = door.admin();
    let ann = ["Impersonate-User: ann"];
    let subject = json!({ "kind": "User", "name": "ann" });
    let rules = json!([{
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
        "verbs": ["get", "create", "update", "patch"],
    }]);
    bind(
        &mut door,
        "ClusterRoleBinding",
        "writes-roles",
        &rules,
        &subject,
    )
    .await;
    let role = |name: &str, rules: Value| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": { "name": name }, "rules": rules,
        })
    };
    let pods = json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"] }]);
    let roles = format!("{RBAC}/namespaces/default/roles");
    let refused = door
        .ask_with(&admin, &ann, "POST", &roles, &role("r", pods.clone()))
        .await;
    assert_eq!(
        refused.message(),
        "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"ann\" \
         (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently \
         held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\" \"list\"]}"
    );
    create(&mut door, &roles, &role("r", pods.clone())).await;
    let patch = json!({ "rules": [{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }] });
    let one = format!("{roles}/r");
    assert_eq!(
        door.ask_with(&admin, &ann, "PATCH", &one, &patch)
            .await
            .code,
        403
    );
    let binding = |role: &str, kind: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": role },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role },
            "subjects": [{ "kind": "User", "name": "ann" }],
        })
    };
    let bindings = format!("{RBAC}/namespaces/default/rolebindings");
    for (role, kind, code) in [
        ("r", "Role", 403),
        ("none", "Role", 404),
        ("cluster-admin", "ClusterRole", 403),
        ("writes-roles", "ClusterRole", 201),
    ] {
        let reply = door
            .ask_with(&admin, &ann, "POST", &bindings, &binding(role, kind))
            .await;
        assert_eq!(reply.code, code, "{}", reply.body);
    }
    // Who holds a right may give it away, and who may bind a role may bind that one.
    bind(&mut door, "ClusterRoleBinding", "pods", &pods, &subject).await;
    let reply = door
        .ask_with(&admin, &ann, "POST", &bindings, &binding("r", "Role"))
        .await;
    assert_eq!(reply.code, 201, "{}", reply.body);
    let bind_view = json!([{
        "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
        "resourceNames": ["view"], "verbs": ["bind"],
    }]);
    bind(
        &mut door,
        "ClusterRoleBinding",
        "binds-view",
        &bind_view,
        &subject,
    )
    .await;
    for (role, code) in [("view", 201), ("edit", 403)] {
        let body = binding(role, "ClusterRole");
        let reply = door.ask_with(&admin, &ann, "POST", &bindings, &body).await;
        assert_eq!(reply.code, code, "{}", reply.body);
    }
}

#[tokio::test]
async fn reviews_tell_what_a_request_would_meet() {
    let mut door = door().await;
    let admin = door.admin();
    let group = json!({ "kind": "Group", "name": "crew" });
    let rules = json!([{ "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] }]);
    bind(&mut door, "RoleBinding", "list-pods", &rules, &group).await;
    let asked = |namespace: &str, verb: &str| {
        json!({
            "user": "ann", "groups": ["crew"],
            "resourceAttributes": { "namespace": namespace, "verb": verb, "resource": "pods" },
        })
    };
    for (namespace, verb, allowed) in [
        ("default", "list", true),
        ("default", "get", false),
        ("kubeflow", "list", false),
    ] {
        let review = json!({ "spec": asked(namespace, verb) });
        let review = create(
            &mut door,
            &format!("{AUTHORIZATION}/subjectaccessreviews"),
            &review,
        )
        .await;
        assert_eq!(review["status"]["allowed"], allowed, "{review}");
        let local = format!("{AUTHORIZATION}/namespaces/{namespace}/localsubjectaccessreviews");
        let review = create(
            &mut door,
            &local,
            &json!({ "spec": asked(namespace, verb) }),
        )
        .await;
        assert_eq!(review["status"]["allowed"], allowed, "{review}");
    }
    let review = json!({ "spec": asked("default", "list") });
    let review = create(
        &mut door,
        &format!("{AUTHORIZATION}/subjectaccessreviews"),
        &review,
    )
    .await;
    assert_eq!(
        review["status"]["reason"],
        "RBAC: allowed by RoleBinding \"list-pods/default\" of ClusterRole \"list-pods\" to Group \
         \"crew\""
    );
    let crew = ["Impersonate-User: ann", "Impersonate-Group: crew"];
    let path = format!("{AUTHORIZATION}/selfsubjectrulesreviews");
    let body = json!({ "spec": { "namespace": "default" } });
    let rules = door
        .ask_with(&admin, &crew, "POST", &path, &body)
        .await
        .body;
    let list = rules["status"]["resourceRules"].as_array().unwrap();
    assert!(
        list.iter().any(|rule| rule["resources"] == json!(["pods"])),
        "{rules}"
    );
    let path = format!("{AUTHORIZATION}/selfsubjectaccessreviews");
    let refused = door
        .ask(&admin, "POST", &path, &json!({ "spec": {} }))
        .await;
    assert_eq!(
        refused.message(),
        ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes: Invalid value: null: \
         exactly one of nonResourceAttributes or resourceAttributes must be specified"
    );
}

#[tokio::test]
async fn roles_made_of_others_follow_them() {
    let mut door = door().await;
    let api = door.port.world.api.clone();
    let rules = json!([{ "apiGroups": ["x.io"], "resources": ["toys"], "verbs": ["get"] }]);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {
            "name": "toys", "labels": { "rbac.authorization.k8s.io/aggregate-to-view": "true" },
        },
        "rules": rules,
    });
    create(&mut door, &format!("{RBAC}/clusterroles"), &role).await;
    for name in ["view", "edit", "admin"] {
        eventually("the rule", || async {
            let role = api.get(&resource::CLUSTER_ROLES, "", name).unwrap();
            role["rules"]
                .as_array()
                .unwrap()
                .contains(&rules[0])
                .then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_certificate_of_the_authority_names_its_holder() {
    use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
    let mut door = door().await;
    let read =
        |name: &str| std::fs::read_to_string(door.port.world.directory.path().join(name)).unwrap();
    let authority = KeyPair::from_pem(&read("ca.key")).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "diwan");
    let issuer = Issuer::new(params, authority);
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "ann");
    params
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    door.show(&certificate, &key.serialize_pem());
    let who = door.ask("", "POST", WHO, &json!({})).await.body;
    assert_eq!(who["status"]["userInfo"]["username"], "ann");
    assert_eq!(
        door.ask("", "GET", "/api/v1/secrets", &Value::Null)
            .await
            .code,
        200
    );
}
