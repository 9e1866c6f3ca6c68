//! Programs that know nothing of Diwan, told to do in `tests/clients` what their users do. All of them pass
//! on a Kubernetes too (`tests/clients/kubernetes.sh`).

#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail on the spot

mod kube_rs;

use diwan_tests::clients::{Server, folder, go_program};
use diwan_tests::python;

#[track_caller]
fn kubectl(script: &str) {
    let faults = Server::start().faults(script);
    assert!(
        faults.is_empty(),
        "{} answers differ:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn kubectl_handles_simple_objects() {
    kubectl("objects");
}

#[test]
fn kubectl_applies() {
    kubectl("apply");
}

#[test]
fn kubectl_runs_pods() {
    kubectl("pods");
}

#[test]
fn kubectl_rolls_workloads_out() {
    kubectl("workloads");
}

#[test]
fn kubectl_runs_jobs() {
    kubectl("jobs");
}

#[test]
fn kubectl_exposes_services_and_claims_disks() {
    kubectl("services");
}

#[test]
fn kubectl_asks_who_may_do_what() {
    kubectl("access");
}

#[test]
fn kubectl_handles_kinds_of_the_users_own() {
    kubectl("custom");
}

#[test]
fn kubectl_finds_out_what_there_is() {
    kubectl("discovery");
}

#[track_caller]
fn python_program(name: &str) {
    let program = folder("python").join(name);
    Server::start().passes(python(), &[program.to_str().unwrap()]);
}

#[test]
fn the_official_python_client_works() {
    python_program("official.py");
}

#[test]
fn kr8s_works() {
    python_program("kr8s_client.py");
}

#[test]
fn lightkube_works() {
    python_program("lightkube_client.py");
}

#[track_caller]
fn go(program: &str) {
    if let Some(clients) = go_program("clients") {
        Server::start().passes(clients, &[program]);
    }
}

#[test]
fn informers_of_client_go_list_by_streams_and_follow() {
    go("informers");
}

#[test]
fn candidates_of_client_go_elect_a_leader() {
    go("election");
}

#[test]
fn a_manager_of_controller_runtime_reconciles() {
    go("manager");
}

#[test]
fn helm_installs_upgrades_rolls_back_and_removes() {
    if go_program("helm").is_some() {
        Server::start().passes(folder("helm").join("releases.sh"), &[]);
    }
}
