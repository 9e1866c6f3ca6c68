//! The objects of a cluster installation, and what is wrong with them: everything that an object
//! refers to has to be among them, and no container gets more than it needs.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::process::run;

mod permission;
mod pod;

pub use permission::allows;

/// Secrets that the documentation tells users to make.
const SECRETS_OF_USERS: [&str; 2] = ["diwan-database", "diwan-postgres"];

/// The objects of a folder, as `kubectl` reads them.
#[track_caller]
pub fn kustomize(folder: &Path) -> Vec<Value> {
    documents(&run(Command::new("kubectl").arg("kustomize").arg(folder)).ok())
}

/// The objects of a YAML file, in the order of their names.
#[track_caller]
pub fn documents(text: &str) -> Vec<Value> {
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    objects.sort_by_key(identity);
    objects
}

/// By what an object is told from others.
pub fn identity(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or_default();
    format!("{kind} {}", name(object))
}

/// What is wrong, each with the object; nothing when the installation is whole.
pub fn faults(objects: &[Value], namespace: &str) -> Vec<String> {
    let set = Set { objects, namespace };
    let mut faults = Vec::new();
    for object in objects {
        let found = [
            set.place(object),
            set.references(object),
            pod::faults(&set, object),
        ];
        let told = found.into_iter().flatten();
        faults.extend(told.map(|fault| format!("{}: {fault}", identity(object))));
    }
    faults
}

/// All objects, and where they are to be.
struct Set<'a> {
    objects: &'a [Value],
    namespace: &'a str,
}

impl Set<'_> {
    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects
            .iter()
            .filter(move |object| object["kind"] == kind)
    }

    fn has(&self, kind: &str, wanted: &Value) -> bool {
        self.of_kind(kind)
            .any(|object| object["metadata"]["name"] == *wanted)
    }

    /// The pod templates that a selector means.
    fn selected(&self, labels: &Value) -> Vec<&Value> {
        let templates = self
            .objects
            .iter()
            .filter_map(|object| object.pointer("/spec/template"));
        templates
            .filter(|template| is_subset(labels, &template["metadata"]["labels"]))
            .collect()
    }

    fn place(&self, object: &Value) -> Vec<String> {
        let kind = object["kind"].as_str().unwrap_or_default();
        let place = &object["metadata"]["namespace"];
        let (is_right, what) = match kind {
            "Namespace" => (object["metadata"]["name"] == self.namespace, "its name"),
            "CustomResourceDefinition" | "ClusterRole" | "ClusterRoleBinding" => {
                (place.is_null(), "a namespace")
            }
            _ => (place == self.namespace, "its namespace"),
        };
        let is_labelled = object["metadata"]["labels"]["app.kubernetes.io/name"] == "diwan";
        complain([
            (is_right, format!("{what} is {place}")),
            (is_labelled, "it is not labelled as Diwan's".to_owned()),
        ])
    }

    /// What is wrong with that to which an object refers.
    fn references(&self, object: &Value) -> Vec<String> {
        let spec = &object["spec"];
        match object["kind"].as_str().unwrap_or_default() {
            "Service" => self.service(spec),
            "PodDisruptionBudget" | "AuthorizationPolicy" => self.selector(&spec["selector"]),
            "NetworkPolicy" => self.selector(&spec["podSelector"]),
            "RoleBinding" | "ClusterRoleBinding" => self.binding(object),
            "ClusterRole" => self.aggregation(object),
            "ServiceAccount" => self.account(object),
            "VirtualService" => self.routes(spec),
            _ => Vec::new(),
        }
    }

    fn service(&self, spec: &Value) -> Vec<String> {
        let pods = self.selected(&spec["selector"]);
        let [pod] = pods[..] else {
            return vec![format!("its selector means {} workloads", pods.len())];
        };
        let open: Vec<&Value> = each(&pod["spec"]["containers"])
            .flat_map(|container| each(&container["ports"]))
            .map(|port| &port["name"])
            .collect();
        let ports = each(&spec["ports"]).map(|port| {
            let target = &port["targetPort"];
            (
                open.contains(&target),
                format!("no container has the port {target}"),
            )
        });
        complain(ports)
    }

    fn selector(&self, selector: &Value) -> Vec<String> {
        let labels = &selector["matchLabels"];
        complain([(
            self.selected(labels).len() == 1,
            format!("{labels} does not mean one workload"),
        )])
    }

    fn binding(&self, binding: &Value) -> Vec<String> {
        let role = &binding["roleRef"];
        let kind = role["kind"].as_str().unwrap_or_default();
        let is_there = self.has(kind, &role["name"]);
        let subjects = each(&binding["subjects"]).map(|subject| {
            let is_ours = subject["kind"] == "ServiceAccount"
                && subject["namespace"] == self.namespace
                && self.has("ServiceAccount", &subject["name"]);
            (is_ours, format!("no subject {subject}"))
        });
        let role = (is_there, format!("no {kind} {}", role["name"]));
        complain(subjects.chain([role]))
    }

    fn aggregation(&self, role: &Value) -> Vec<String> {
        let selectors = each(&role["aggregationRule"]["clusterRoleSelectors"]);
        complain(selectors.map(|selector| {
            let labels = &selector["matchLabels"];
            let is_met = self
                .of_kind("ClusterRole")
                .any(|other| is_subset(labels, &other["metadata"]["labels"]));
            (is_met, format!("no ClusterRole has the labels {labels}"))
        }))
    }

    fn account(&self, account: &Value) -> Vec<String> {
        let wanted = &account["metadata"]["name"];
        let is_bound = self
            .objects
            .iter()
            .flat_map(|object| each(&object["subjects"]))
            .any(|subject| subject["name"] == *wanted);
        complain([(is_bound, "no role is bound to it".to_owned())])
    }

    fn routes(&self, spec: &Value) -> Vec<String> {
        let routes = each(&spec["http"]).flat_map(|http| each(&http["route"]));
        complain(routes.map(|route| {
            let (host, port) = (&route["destination"]["host"], &route["destination"]["port"]);
            let is_there = self.serves(host.as_str().unwrap_or_default(), &port["number"]);
            (
                is_there,
                format!("no Service {host} with the port {}", port["number"]),
            )
        }))
    }

    /// Whether a Service of this name has the port.
    fn serves(&self, host: &str, port: &Value) -> bool {
        self.of_kind("Service")
            .filter(|service| name(service) == host)
            .flat_map(|service| each(&service["spec"]["ports"]))
            .any(|open| open["port"] == *port)
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The entries of a list; none where there is no list.
fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Whether all of some labels, of which there must be one, are among others.
fn is_subset(labels: &Value, others: &Value) -> bool {
    let labels = labels.as_object();
    labels.is_some_and(|labels| {
        !labels.is_empty() && labels.iter().all(|(name, value)| others[name] == *value)
    })
}

/// What is said of the things that are not as they should be.
fn complain(found: impl IntoIterator<Item = (bool, String)>) -> Vec<String> {
    let wrong = found.into_iter().filter(|(is_right, _)| !is_right);
    wrong.map(|(_, fault)| fault).collect()
}
