//! The manifests of a cluster installation, as `kubectl` reads them.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail on the spot

use std::fs;
use std::path::{Component, Path};
use std::process::Command;

use diwan_tests::installation::{allows, documents, faults, identity, kustomize};
use diwan_tests::process::run;
use diwan_tests::{diwan, root};
use serde_json::{Value, json};

/// The folders that `kubectl apply -k` takes.
const INSTALLATIONS: [&str; 6] = [
    "manifests/external-db",
    "manifests/high-availability",
    "manifests/postgres",
    "manifests/standalone",
    "manifests/with-kubeflow",
    "tests/kubernetes/install",
];
const VARIANTS: [&str; 4] = ["standalone", "postgres", "external-db", "high-availability"];

#[test]
fn the_kept_definitions_are_those_of_the_program() {
    let kept = fs::read_to_string(root().join("manifests/base/crds.yaml")).unwrap();
    let current = run(Command::new(diwan()).arg("crds")).ok();
    assert!(
        kept == current,
        "renew the file: diwan crds > manifests/base/crds.yaml"
    );
}

#[test]
fn every_installation_is_whole() {
    for folder in INSTALLATIONS {
        let objects = kustomize(&root().join(folder));
        assert_eq!(faults(&objects, "kubeflow"), [""; 0], "{folder}");
        for part in [
            "CustomResourceDefinition experiments.kubeflow.org",
            "Deployment diwan-controller",
            "Deployment diwan-ui",
            "Service katib-db-manager",
            "Service katib-ui",
        ] {
            let is_there = objects.iter().any(|object| identity(object) == part);
            assert!(is_there, "{folder}: {part}");
        }
    }
}

#[test]
fn an_installation_keeps_its_log_where_it_says() {
    for (variant, replicas, database) in [
        (
            "standalone",
            1,
            json!({"value": "sqlite:///data/observations.db"}),
        ),
        (
            "postgres",
            1,
            json!({"value": "postgres://diwan:$(DATABASE_PASSWORD)@diwan-postgres/diwan"}),
        ),
        ("external-db", 1, of_the_secret()),
        ("high-availability", 2, of_the_secret()),
    ] {
        let mut objects = kustomize(&root().join("manifests").join(variant));
        let controller = find(&mut objects, "Deployment diwan-controller");
        assert_eq!(controller["spec"]["replicas"], replicas, "{variant}");
        let env = &controller["spec"]["template"]["spec"]["containers"][0]["env"];
        let url = env.as_array().unwrap().iter();
        let url = url.filter(|entry| entry["name"] == "DIWAN_DATABASE_URL");
        let mut url: Vec<Value> = url.cloned().collect();
        assert_eq!(url.len(), 1, "{variant}");
        url[0].as_object_mut().unwrap().remove("name");
        assert_eq!(url[0], database, "{variant}");
    }
}

/// Where `diwan install` and `kubectl` differ, one of them does not do what it says.
#[test]
fn what_diwan_prints_is_what_kubectl_makes_of_the_folders() {
    for variant in VARIANTS {
        for with_kubeflow in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let manifests = from(folder.path(), &root().join("manifests"));
            let components = if with_kubeflow {
                format!("components: [{manifests}/kubeflow]\n")
            } else {
                String::new()
            };
            let overlay = format!(
                "namespace: tuning\nresources: [{manifests}/{variant}]\nimages:\n\
                 - {{name: diwan, newName: registry.example:5000/diwan, newTag: \"1\"}}\n\
                 {components}"
            );
            fs::write(folder.path().join("kustomization.yaml"), overlay).unwrap();
            let mut install = Command::new(diwan());
            install.args(["install", "--variant", variant, "--namespace", "tuning"]);
            install.args(["--image", "registry.example:5000/diwan:1"]);
            install.args(with_kubeflow.then_some("--with-kubeflow"));
            let (printed, made) = (documents(&run(&mut install).ok()), kustomize(folder.path()));
            let names = |objects: &[Value]| objects.iter().map(identity).collect::<Vec<_>>();
            assert_eq!(names(&printed), names(&made), "{variant}");
            for (ours, theirs) in printed.iter().zip(&made) {
                assert_eq!(ours, theirs, "{variant}: {}", identity(ours));
            }
            assert_eq!(faults(&printed, "tuning"), [""; 0], "{variant}");
        }
    }
}

#[test]
fn what_is_printed_without_more_is_the_folder_itself() {
    for variant in VARIANTS {
        let printed = run(Command::new(diwan()).args(["install", "--variant", variant]));
        let made = kustomize(&root().join("manifests").join(variant));
        assert!(documents(&printed.ok()) == made, "{variant}");
    }
    let printed = run(Command::new(diwan()).args(["install", "--with-kubeflow"]));
    let made = kustomize(&root().join("manifests/with-kubeflow"));
    assert!(documents(&printed.ok()) == made);
}

#[test]
fn accounts_may_do_what_they_need_and_no_more() {
    let objects = kustomize(&root().join("manifests/standalone"));
    for (account, verb, resource, expected) in [
        (
            "diwan-controller",
            "watch",
            "kubeflow.org/experiments",
            true,
        ),
        (
            "diwan-controller",
            "update",
            "kubeflow.org/trials/status",
            true,
        ),
        ("diwan-controller", "create", "batch/jobs", true),
        (
            "diwan-controller",
            "create",
            "kubeflow.org/pytorchjobs",
            true,
        ),
        (
            "diwan-controller",
            "create",
            "authentication.k8s.io/tokenreviews",
            true,
        ),
        (
            "diwan-controller",
            "create",
            "authorization.k8s.io/subjectaccessreviews",
            true,
        ),
        ("diwan-controller", "delete", "apps/deployments", true),
        ("diwan-controller", "list", "/persistentvolumeclaims", true),
        (
            "diwan-controller",
            "create",
            "rbac.authorization.k8s.io/rolebindings",
            true,
        ),
        ("diwan-controller", "get", "/configmaps", true),
        ("diwan-controller", "get", "/secrets", false),
        ("diwan-controller", "create", "/pods", false),
        (
            "diwan-controller",
            "create",
            "rbac.authorization.k8s.io/clusterrolebindings",
            false,
        ),
        ("diwan-ui", "list", "/namespaces", true),
        ("diwan-ui", "delete", "kubeflow.org/experiments", true),
        ("diwan-ui", "get", "/pods/log", true),
        ("diwan-ui", "list", "/events", true),
        (
            "diwan-ui",
            "create",
            "authorization.k8s.io/subjectaccessreviews",
            true,
        ),
        ("diwan-ui", "get", "/secrets", false),
        ("diwan-ui", "create", "batch/jobs", false),
    ] {
        let may = allows(&objects, account, verb, resource);
        assert_eq!(may, expected, "{account} {verb} {resource}");
    }
}

/// The checks above are worth what they find: object | field | what it becomes | what is said.
const FAULTS: &str = r#"
Namespace kubeflow | /metadata/name | "x" | its name
Service katib-ui | /metadata/namespace | "x" | its namespace
Service katib-ui | /metadata/labels | {} | not labelled
Service katib-ui | /spec/selector | {"a": "b"} | means 0 workloads
Service katib-ui | /spec/ports/0/targetPort | "x" | has the port "x"
Service katib-ui | /spec/ports/0/port | 81 | VirtualService katib-ui: no Service
Service katib-db-manager | /metadata/name | "x" | no Service katib-db-manager:6789
Service diwan-postgres | /metadata/name | "x" | no Service "diwan-postgres"
NetworkPolicy diwan-ui | /spec/podSelector | {} | does not mean one workload
AuthorizationPolicy diwan-ui | /spec/selector | {} | does not mean one workload
ClusterRoleBinding diwan-ui | /roleRef/name | "x" | no ClusterRole "x"
RoleBinding diwan-controller | /roleRef/name | "x" | no Role "x"
ClusterRoleBinding diwan-ui | /subjects/0/namespace | "x" | no subject
ClusterRoleBinding diwan-ui | /subjects | [] | ServiceAccount diwan-ui: no role
ServiceAccount diwan-ui | /metadata/name | "x" | no ServiceAccount "diwan-ui"
ClusterRole diwan-trial-kinds-defaults | /metadata/labels | {} | no ClusterRole has the labels
PersistentVolumeClaim diwan-observations | /metadata/name | "x" | no PersistentVolumeClaim
Deployment diwan-ui | POD/metadata/labels | {} | its pods have not
Deployment diwan-ui | POD/spec/securityContext/runAsNonRoot | false | may run as root
Deployment diwan-ui | POD/spec/securityContext/runAsUser | 0 | no number
Deployment diwan-ui | POD/spec/securityContext/seccompProfile | {} | no seccomp profile
Deployment diwan-ui | CONTAINER/ports | [] | a probe asks the port "ui"
Deployment diwan-ui | CONTAINER/env/0/value | "$(X)" | uses a variable that comes later
StatefulSet diwan-postgres | POD/spec/automountServiceAccountToken | true | no ServiceAccount null
StatefulSet diwan-postgres | CONTAINER/securityContext/readOnlyRootFilesystem | false | can be written
StatefulSet diwan-postgres | CONTAINER/securityContext/allowPrivilegeEscalation | true | may gain rights
StatefulSet diwan-postgres | CONTAINER/securityContext/capabilities | {} | keeps capabilities
StatefulSet diwan-postgres | CONTAINER/resources/requests | {} | what it needs
StatefulSet diwan-postgres | CONTAINER/resources/limits | {} | no limit
StatefulSet diwan-postgres | CONTAINER/readinessProbe | null | whether it is ready
StatefulSet diwan-postgres | CONTAINER/env/2/valueFrom/secretKeyRef/name | "x" | no Secret "x"
StatefulSet diwan-postgres | /spec/volumeClaimTemplates | [] | no volume "data"
"#;

#[test]
fn each_fault_is_found() {
    let mut whole = kustomize(&root().join("manifests/with-kubeflow"));
    let known: Vec<String> = whole.iter().map(identity).collect();
    let others = kustomize(&root().join("manifests/postgres")).into_iter();
    whole.extend(others.filter(|object| !known.contains(&identity(object))));
    assert_eq!(faults(&whole, "kubeflow"), [""; 0]);
    for line in FAULTS.trim().lines() {
        let [object, field, value, fault] = line.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let field = field.replace("CONTAINER", "POD/spec/containers/0");
        let field = field.replace("POD", "/spec/template");
        let mut broken = whole.clone();
        let place = find(&mut broken, object).pointer_mut(&field);
        *place.unwrap_or_else(|| panic!("{line}")) = serde_json::from_str(value).unwrap();
        let found = faults(&broken, "kubeflow");
        let is_told = found.iter().any(|told| told.contains(fault));
        assert!(is_told, "{line}: among {found:#?}");
    }
}

fn of_the_secret() -> Value {
    json!({"valueFrom": {"secretKeyRef": {"name": "diwan-database", "key": "url"}}})
}

#[track_caller]
fn find<'a>(objects: &'a mut [Value], wanted: &str) -> &'a mut Value {
    let found = objects.iter_mut().find(|object| identity(object) == wanted);
    found.unwrap_or_else(|| panic!("no {wanted}"))
}

/// A path seen from a folder, as kustomize wants it.
fn from(folder: &Path, path: &Path) -> String {
    let folder = folder.canonicalize().unwrap();
    let is_name = |part: &Component<'_>| matches!(part, Component::Normal(_));
    let up = "../".repeat(folder.components().filter(is_name).count());
    format!("{up}{}", path.display().to_string().trim_start_matches('/'))
}
