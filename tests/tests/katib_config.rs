//! Katib's ConfigMap `katib-config`, read as it is.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use diwan_tests::kubectl::has_condition;
use diwan_tests::process::run;
use diwan_tests::up::Up;
use diwan_tests::{diwan, python, root, wait_for};
use serde_json::Value;

/// The algorithm of `examples/custom-algorithm`, started by the test.
struct Service {
    process: Child,
    port: u16,
}

impl Service {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let process = Command::new(python())
            .arg(root().join("examples/custom-algorithm/service.py"))
            .env("PORT", port.to_string())
            // It ends with its input.
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let service = Self { process, port };
        wait_for("the service", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        service
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// The ConfigMap as Katib's installations have it, with an algorithm of somebody's own.
fn config_map(algorithm: &str) -> String {
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata: {{name: katib-config, namespace: kubeflow}}
data:
  katib-config.yaml: |-
    ---
    apiVersion: config.kubeflow.org/v1beta1
    kind: KatibConfig
    init:
      controller:
        webhookPort: 8443
        trialResources:
          - Job.v1.batch
          - TFJob.v1.kubeflow.org
    runtime:
      metricsCollectors:
        - kind: StdOut
          image: ghcr.io/kubeflow/katib/file-metrics-collector:latest
      suggestions:
        - algorithmName: random
          image: ghcr.io/kubeflow/katib/suggestion-hyperopt:latest
        - algorithmName: annealing
          {algorithm}
      earlyStoppings:
        - algorithmName: medianstop
          image: ghcr.io/kubeflow/katib/earlystopping-medianstop:latest
"
    )
}

#[test]
fn a_config_map_and_an_experiment_that_needs_it_can_be_applied_together() {
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("katib-config.yaml");
    let endpoint = format!("endpoint: 127.0.0.1:{}", service.port);
    fs::write(&map, config_map(&endpoint)).unwrap();
    let experiment = root().join("examples/custom-algorithm/experiment.yaml");
    let applied = run(diwan_run().arg(&map).arg(&experiment));
    let warning = applied
        .stderr
        .lines()
        .find(|line| line.contains("no meaning"));
    let warning = warning.unwrap_or_else(|| panic!("no warning in {}", applied.stderr));
    for field in [
        "init.controller.webhookPort",
        "init.controller.trialResources",
        "runtime.metricsCollectors[StdOut]",
        "runtime.suggestions[random].image",
        "runtime.earlyStoppings[medianstop].image",
    ] {
        assert!(warning.contains(field), "{field} is not in {warning}");
    }
    assert_eq!(applied.stderr.matches("no meaning").count(), 1);
    let document: Value = serde_json::from_str(&applied.ok()).unwrap();
    assert!(has_condition(&document["experiment"], "Succeeded"));
    // The same as a file of the configuration.
    let configured = run(diwan_run().arg("--config").arg(&map).arg(&experiment));
    let document: Value = serde_json::from_str(&configured.ok()).unwrap();
    assert!(has_condition(&document["experiment"], "Succeeded"));
}

#[test]
fn a_config_map_that_changes_counts_at_once() {
    let mut up = Up::start();
    let file = root().join("examples/custom-algorithm/experiment.yaml");
    let create = format!("create -f {}", file.display());
    assert!(up.kubectl(&create).err().contains("annealing"));
    // Who may write ConfigMaps may not for that reason start programs.
    up.kubectl_with("apply -f -", &config_map("command: [touch, /nowhere]"))
        .ok();
    assert!(up.kubectl(&create).err().contains("annealing"));
    wait_for("the refusal in the log", || {
        up.log()
            .contains("algorithm annealing is a command")
            .then_some(())
    });
    let service = Service::start();
    let endpoint = format!("endpoint: 127.0.0.1:{}", service.port);
    up.kubectl_with("apply -f -", &config_map(&endpoint)).ok();
    up.kubectl(&create).ok();
    up.completed("default", "custom-algorithm");
    // What can't be read leaves what was there before.
    up.kubectl_with("apply -f -", &config_map("imge: mistyped"))
        .ok();
    wait_for("the error in the log", || {
        up.log()
            .contains("runtime.suggestions[1] (annealing)")
            .then_some(())
    });
    up.kubectl("delete configmap katib-config -n kubeflow").ok();
    let refused = wait_for("the algorithm to go", || {
        let said = up.kubectl(&format!("{create} --dry-run=server"));
        (said.code != Some(0)).then_some(said)
    });
    assert!(refused.err().contains("annealing"));
    assert_eq!(up.stop(), Some(0));
}

fn diwan_run() -> Command {
    let mut command = Command::new(diwan());
    command.args(["run", "--output", "json"]);
    command
}
