//! Who may see what, at every door: two teams that have a namespace each, and know the names of
//! everything in the other's. Beside each refusal stands what is answered, so that a door which is
//! shut for everybody is no success.

mod api;
mod grpc;
mod page;
mod webhooks;

use diwan_tests::cluster::{Cluster, names};
use diwan_tests::experiment::Experiment;

use crate::Case;
use crate::steps::{retained, yaml};

/// In this order.
pub(crate) const CASES: &[Case] = &[("who may see what, at every door", guards)];

/// What members of a team may do in its namespace: `reader` and `owner`.
const ROLES: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: doors-reader}
rules:
- {apiGroups: [kubeflow.org], resources: ['*'], verbs: [get, list, watch]}
- {apiGroups: ['', events.k8s.io], resources: [pods, pods/log, events], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: doors-owner}
rules:
- {apiGroups: [kubeflow.org], resources: ['*'], verbs: ['*']}
";

/// A team, and what it has: the names of its namespace, its user and its experiment are the same.
struct Team {
    name: &'static str,
    /// A trial that has ended.
    trial: String,
    /// With which its pod reported.
    trial_token: String,
    /// Its pod.
    pod: String,
    /// The tokens of accounts that may read, and do everything, in the namespace.
    reader: String,
    owner: String,
}

fn guards(cluster: &Cluster) {
    cluster.kubectl_with("apply -f -", ROLES).ok();
    for team in ["team-a", "team-b"] {
        settle(cluster, team);
    }
    let ours = Team::of(cluster, "team-a");
    let theirs = Team::of(cluster, "team-b");
    api::guards(cluster, &ours, &theirs);
    page::guards(cluster, &ours, &theirs);
    webhooks::guards(cluster, &ours, &theirs);
    // Logs are deleted here, so at last.
    grpc::guards(cluster, &ours, &theirs);
    for team in ["team-a", "team-b"] {
        cluster
            .kubectl(&format!("-n {team} delete experiments --all"))
            .ok();
        cluster.kubectl(&format!("delete namespace {team}")).ok();
    }
    cluster
        .kubectl("delete clusterrole doors-reader doors-owner")
        .ok();
    cluster.install();
}

/// Makes a team: its namespace, who may do what there, and an experiment.
fn settle(cluster: &Cluster, team: &'static str) {
    cluster.kubectl(&format!("create namespace {team}")).ok();
    for role in ["reader", "owner"] {
        cluster
            .kubectl(&format!("-n {team} create serviceaccount {role}"))
            .ok();
        cluster
            .kubectl(&format!(
                "-n {team} create rolebinding {role} --clusterrole=doors-{role} --user={team} \
                 --serviceaccount={team}:{role}"
            ))
            .ok();
    }
    let experiment = Experiment {
        name: team,
        namespace: team,
        script: "echo said by $KATIB_TRIAL_NAME\necho loss=$0",
        max: 1,
        parallel: 1,
        ..Experiment::default()
    };
    let file = retained(&yaml(&experiment));
    cluster.kubectl_with("create -f -", &file).ok();
}

impl Team {
    fn of(cluster: &Cluster, name: &'static str) -> Self {
        let done = cluster.completed(name, name);
        assert_eq!(done["status"]["trialsSucceeded"], 1, "{done:#}");
        let [trial] = &names(&cluster.get(name, "trials"))[..] else {
            panic!("{done:#}");
        };
        let [pod] = &names(&cluster.get(name, "pods"))[..] else {
            panic!("{done:#}");
        };
        let job = cluster.get(name, &format!("job/{trial}"));
        let annotations = &job["spec"]["template"]["metadata"]["annotations"];
        let token = |account: &str| {
            let made = cluster.kubectl(&format!("-n {name} create token {account}"));
            made.ok().trim().to_owned()
        };
        Self {
            name,
            trial: trial.clone(),
            trial_token: annotations["diwan.dev/trial-token"]
                .as_str()
                .unwrap()
                .to_owned(),
            pod: pod.clone(),
            reader: token("reader"),
            owner: token("owner"),
        }
    }
}
