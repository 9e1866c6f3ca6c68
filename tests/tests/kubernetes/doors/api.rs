//! The API server: roles alone decide there.

use diwan_tests::cluster::{Cluster, names};
use diwan_tests::experiment::Experiment;

use super::Team;
use crate::steps::yaml;

pub(super) fn guards(cluster: &Cluster, ours: &Team, theirs: &Team) {
    for (user, place) in [(ours, theirs), (theirs, ours)] {
        let ask = |team: &Team, what: &str| {
            let (user, namespace) = (user.name, team.name);
            cluster.kubectl(&format!("--as={user} -n {namespace} {what}"))
        };
        let looks = |team: &Team| {
            let Team {
                trial, pod, name, ..
            } = team;
            [
                "get experiments".to_owned(),
                "get suggestions".to_owned(),
                "get trials".to_owned(),
                "get events".to_owned(),
                "get experiments.v1alpha3.kubeflow.org".to_owned(),
                format!("get experiment {name}"),
                format!("get suggestion {name}"),
                format!("get trial {trial}"),
                format!("get pod {pod}"),
                format!("logs {pod} -c main"),
                format!("annotate experiment {name} looked=yes --overwrite"),
            ]
        };
        for look in looks(user) {
            ask(user, &look).ok();
        }
        for look in looks(place) {
            let refusal = ask(place, &look).err();
            assert!(refusal.contains("Forbidden"), "{look}: {refusal}");
        }
        no_roles_are_made(cluster, user);
        let all = ask(user, "get trials --all-namespaces").err();
        assert!(all.contains("Forbidden"), "{all}");
    }
}

/// The controller may make roles; an experiment is not to be a way to have them made.
fn no_roles_are_made(cluster: &Cluster, team: &Team) {
    let text = yaml(&Experiment {
        name: "grasping",
        namespace: team.name,
        max: 1,
        parallel: 1,
        ..Experiment::default()
    });
    let (head, _) = text.split_once("    trialSpec:").unwrap();
    let file = format!(
        "{head}    trialSpec: {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: \
         {{labels: {{x: '${{trialParameters.x}}'}}}}, roleRef: {{apiGroup: \
         rbac.authorization.k8s.io, kind: ClusterRole, name: diwan-controller}}, subjects: [{{kind: \
         User, name: {}}}]}}\n    successCondition: a\n    failureCondition: b\n",
        team.name
    );
    let create = format!("--as={} create -f -", team.name);
    cluster.kubectl_with(&create, &file).ok();
    let done = cluster.completed(team.name, "grasping");
    assert_eq!(done["status"]["trialsFailed"], 1, "{done:#}");
    let trials = cluster.get(team.name, "trials").to_string();
    assert!(trials.contains("can't run a trial"), "{trials}");
    let bindings = names(&cluster.get(team.name, "rolebindings"));
    assert_eq!(bindings, ["owner", "reader"]);
    let delete = "delete experiment grasping --timeout=60s";
    cluster.kubectl(&format!("-n {} {delete}", team.name)).ok();
}
