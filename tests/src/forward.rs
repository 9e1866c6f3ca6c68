//! `kubectl port-forward`, as people reach a Service of a cluster from their machine.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use crate::kubectl::Kubectl;

/// A port of this machine that leads into the cluster. It closes when the value goes.
pub struct Forward {
    child: Child,
    /// It ends when it can't say any more what it does.
    _said: BufReader<ChildStdout>,
    /// Host and port.
    pub address: String,
}

impl Forward {
    /// Opens a way to a port of something, such as `service/NAME`.
    pub fn open(client: &Kubectl, namespace: &str, target: &str, port: u16) -> Self {
        let remote = format!(":{port}");
        let mut child = client
            .command("kubectl")
            .args(["-n", namespace, "port-forward", target, &remote])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.strip_prefix("Forwarding from ");
        let address = address.and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
        Self {
            child,
            _said: said,
            address,
        }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
