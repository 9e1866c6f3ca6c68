//! Plays what clients are told in `tests/clients/kubectl` on an API server:
//!
//!   transcript record KUBECONFIG [NAME...]   writes what a Kubernetes answers into the files
//!   transcript check KUBECONFIG [NAME...]    prints what is answered otherwise than they say

#![allow(clippy::print_stdout)] // what a person asked for

use std::process::ExitCode;

use diwan_tests::clients;
use diwan_tests::kubectl::Kubectl;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [action, kubeconfig, names @ ..] = arguments.as_slice() else {
        println!("transcript record|check KUBECONFIG [NAME...]");
        return ExitCode::from(2);
    };
    let client = Kubectl::new(kubeconfig, "/");
    let all = clients::transcripts();
    let wanted = all.iter().filter(|name| names.is_empty() || names.contains(name));
    let mut faults = Vec::new();
    for name in wanted {
        println!("{name}");
        if action == "record" {
            clients::record(name, &client);
        } else {
            faults.extend(clients::faults_on_kubernetes(name, &client));
        }
    }
    println!("{}", faults.join("\n"));
    ExitCode::from(u8::from(!faults.is_empty()))
}
