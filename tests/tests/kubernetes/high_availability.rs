//! Two replicas: the one that does not lead takes over when the other is lost.

use std::time::Instant;

use diwan_tests::cluster::{Cluster, SYSTEM};
use diwan_tests::postgres::Postgres;
use diwan_tests::wait_for;
use serde_json::Value;

use crate::Case;
use crate::steps::{endures, short};

/// In this order.
pub(crate) const CASES: &[Case] = &[("of two replicas the leader is lost", hands_over)];

/// After this many seconds the other has to lead.
const PATIENCE: f64 = 15.0;

fn hands_over(cluster: &Cluster) {
    let postgres = Postgres::start(&cluster.machine());
    let url = postgres.database("replicas");
    let secret = format!("create secret generic diwan-database --from-literal=url={url}");
    cluster.kubectl(&format!("-n {SYSTEM} {secret}")).ok();
    // A Deployment of one form can't be made the other by applying that.
    let controller = "deployment diwan-controller";
    cluster
        .kubectl(&format!("-n {SYSTEM} delete {controller}"))
        .ok();
    cluster.install_from("install-high-availability");
    wait_for("two replicas", || {
        (cluster.controllers().len() == 2).then_some(())
    });
    endures(cluster, &short("leader-removed"), || {
        let leader = leader(cluster);
        let remove = format!("delete pod {leader} --grace-period=0 --force");
        cluster.kubectl(&format!("-n {SYSTEM} {remove}")).ok();
        await_successor(cluster, &leader);
    });
    cluster.await_controller();
    endures(cluster, &short("leader-stopped"), || {
        let leader = leader(cluster);
        cluster.signal(&leader, "SIGSTOP");
        await_successor(cluster, &leader);
        // It believes to lead until it looks at the clock.
        cluster.signal(&leader, "SIGCONT");
    });
    cluster.await_controller();
    endures(cluster, &short("leader-killed"), || {
        cluster.signal(&leader(cluster), "SIGKILL");
    });
    for what in [
        "deployment diwan-controller",
        "pdb diwan-controller",
        "secret diwan-database",
    ] {
        cluster.kubectl(&format!("-n {SYSTEM} delete {what}")).ok();
    }
    cluster.install();
}

fn lease(cluster: &Cluster) -> Value {
    cluster.get(SYSTEM, "lease/diwan-controller")["spec"].take()
}

/// The pod that leads.
fn leader(cluster: &Cluster) -> String {
    wait_for("a leader", || {
        let holder = lease(cluster)["holderIdentity"].as_str()?.to_owned();
        (cluster.controllers().contains(&holder)).then_some(holder)
    })
}

fn await_successor(cluster: &Cluster, leader: &str) {
    let begin = Instant::now();
    let successor = wait_for("another to lead", || {
        let holder = lease(cluster)["holderIdentity"].as_str()?.to_owned();
        (!holder.is_empty() && holder != leader).then_some(holder)
    });
    let took = begin.elapsed().as_secs_f64();
    println!("{successor} took over from {leader} in {took:.1} s");
    assert!(took < PATIENCE, "it took {took:.1} s");
}
