//! Plays the scripts of `tests/clients/kubectl` on a Kubernetes, and writes what it answers into them:
//!
//!   transcript KUBECONFIG [SCRIPT...]

#![allow(clippy::print_stdout)] // a person wants to see how far it is

use std::process::ExitCode;

use diwan_tests::clients;
use diwan_tests::kubectl::Kubectl;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kubeconfig, wanted @ ..] = arguments.as_slice() else {
        println!("transcript KUBECONFIG [SCRIPT...]");
        return ExitCode::from(2);
    };
    let client = Kubectl::new(kubeconfig, std::env::temp_dir());
    for script in clients::scripts() {
        if wanted.is_empty() || wanted.contains(&script) {
            println!("{script}");
            clients::record(&script, &client);
        }
    }
    ExitCode::SUCCESS
}
