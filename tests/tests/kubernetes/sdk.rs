//! The unmodified Katib SDK against the cluster: from outside, and in its trials.

use diwan_tests::cluster::{Cluster, SYSTEM};
use diwan_tests::forward::Forward;
use diwan_tests::process::run;
use diwan_tests::{python, root};

use crate::Case;

/// In this order.
pub(crate) const CASES: &[Case] = &[("everything that a user of the Katib SDK does", serves)];

fn serves(cluster: &Cluster) {
    // By the name that the trials of the script ask for.
    cluster.load("docker.io/library/python:3.11", "python.sh", &[]);
    // It sends nothing that says who asks.
    cluster.set_environment("DIWAN_ALLOW_ANONYMOUS_READS=true");
    let db_manager = Forward::open(cluster, SYSTEM, "service/katib-db-manager", 6789);
    let script = root().join("tests/sdk/katib_sdk.py");
    let mut sdk = cluster.command(python());
    let said = run(sdk.arg(script).arg(&db_manager.address)).ok();
    assert!(said.ends_with("all checks passed\n"), "{said}");
    cluster.set_environment("DIWAN_ALLOW_ANONYMOUS_READS-");
}
