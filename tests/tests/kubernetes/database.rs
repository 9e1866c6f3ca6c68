//! The observation log in a database that is not Diwan's alone.

use std::thread::sleep;
use std::time::Duration;

use diwan_tests::cluster::{Cluster, SYSTEM, names};
use diwan_tests::experiment::Experiment;
use diwan_tests::forward::Forward;
use diwan_tests::postgres::Postgres;
use diwan_tests::process::run;
use diwan_tests::{python, wait_for};

use crate::Case;
use crate::steps::{create, delete, endures, short, trials};

/// In this order.
pub(crate) const CASES: &[Case] = &[
    ("the database is away for a minute", outlives_the_database),
    ("the database of an installation of Katib", takes_over),
];

/// As Katib's DB manager makes it, with the log of a trial of long ago.
const OF_KATIB: &str = "\
CREATE TABLE observation_logs (trial_name VARCHAR(255) NOT NULL, id serial PRIMARY KEY,
    time TIMESTAMP(6), metric_name VARCHAR(255) NOT NULL, value TEXT NOT NULL);
INSERT INTO observation_logs (trial_name, time, metric_name, value) VALUES
    ('long-ago', '2023-01-02 03:04:05.678901', 'accuracy', '0.5'),
    ('long-ago', '2023-01-02 03:04:06', 'accuracy', '0.75');";

/// Prints a trial's log as a user of the SDK reads it.
const READ: &str = "\
import sys
import kubeflow.katib as katib
for row in katib.KatibClient().get_trial_metrics(sys.argv[1], db_manager_address=sys.argv[2]):
    print(row.time_stamp, row.metric.name, row.metric.value)
";

fn outlives_the_database(cluster: &Cluster) {
    let mut postgres = Postgres::start(&cluster.machine());
    let url = postgres.database("away");
    cluster.set_environment(&format!("DIWAN_DATABASE_URL={url}"));
    endures(cluster, &short("database-away"), || {
        postgres.stop();
        sleep(Duration::from_mins(1));
        postgres.launch();
    });
    let pods = cluster.get(SYSTEM, "pods -l diwan.dev/component=controller");
    let restarts = &pods["items"][0]["status"]["containerStatuses"][0]["restartCount"];
    assert_eq!(*restarts, 0, "{pods:#}");
    cluster.install();
}

fn takes_over(cluster: &Cluster) {
    let postgres = Postgres::start(&cluster.machine());
    postgres.database("katib");
    postgres.query("katib", OF_KATIB);
    // As Katib's DB manager has them.
    cluster.set_environment(&format!(
        "DIWAN_DATABASE_URL- DB_NAME=postgres DB_USER=diwan KATIB_POSTGRESQL_DB_HOST={} \
         DIWAN_ALLOW_ANONYMOUS_READS=true",
        cluster.machine()
    ));
    let experiment = Experiment {
        name: "upgraded",
        max: 2,
        ..Experiment::default()
    };
    create(cluster, &experiment);
    let done = cluster.completed("default", "upgraded");
    assert_eq!(done["status"]["trialsSucceeded"], 2, "{done:#}");
    // What came since stands in the table beside what was there.
    for trial in trials(cluster, "upgraded") {
        let name = trial["metadata"]["name"].as_str().unwrap();
        let rows = postgres.query(
            "katib",
            &format!("SELECT metric_name, value FROM observation_logs WHERE trial_name = '{name}'"),
        );
        let metric = &trial["status"]["observation"]["metrics"][0];
        assert_eq!(
            rows,
            format!("loss|{}\n", metric["latest"].as_str().unwrap())
        );
    }
    let db_manager = Forward::open(cluster, SYSTEM, "service/katib-db-manager", 6789);
    let mut sdk = cluster.command(python());
    let said = run(sdk.args(["-c", READ, "long-ago", &db_manager.address])).ok();
    let expected = "2023-01-02T03:04:05.678901Z accuracy 0.5\n2023-01-02T03:04:06Z accuracy 0.75\n";
    assert_eq!(said, expected);
    delete(cluster, "upgraded");
    wait_for("its trials to go", || {
        names(&cluster.get("default", "trials"))
            .is_empty()
            .then_some(())
    });
    let left = postgres.query("katib", "SELECT DISTINCT trial_name FROM observation_logs");
    assert_eq!(
        left, "long-ago\n",
        "the logs of deleted trials are to go, others to stay"
    );
    cluster.set_environment(
        "DIWAN_DATABASE_URL=sqlite:///data/observations.db DB_NAME- DB_USER- KATIB_POSTGRESQL_DB_HOST- \
         DIWAN_ALLOW_ANONYMOUS_READS-",
    );
    cluster.install();
}
