//! The page's REST interface, where a gateway names the users.

use std::process::Command;
use std::thread::{scope, sleep};
use std::time::Duration;

use diwan_tests::cluster::{Cluster, SYSTEM};
use diwan_tests::experiment::Experiment;
use diwan_tests::forward::Forward;
use diwan_tests::process::run;
use diwan_tests::root;
use serde_json::{Value, json};

use super::Team;
use crate::steps::yaml;

/// Those that are not about one namespace. They are asked apart.
const WITHOUT_A_NAMESPACE: [&str; 3] = ["/events", "/experiments", "/namespaces"];

pub(super) fn guards(cluster: &Cluster, ours: &Team, theirs: &Team) {
    let set = "set env deployment/diwan-ui APP_DISABLE_AUTH=false";
    cluster.kubectl(&format!("-n {SYSTEM} {set}")).ok();
    let wait = "rollout status deployment/diwan-ui --timeout=120s";
    cluster.kubectl(&format!("-n {SYSTEM} {wait}")).ok();
    let forward = Forward::open(cluster, SYSTEM, "service/katib-ui", 80);
    let page = Page {
        base: format!("http://{}/ui/api/v1", forward.address),
        openapi: format!("http://{}/ui/api/openapi.json", forward.address),
    };
    page.every_look(ours, theirs);
    page.lists(ours, theirs);
    page.changes(ours, theirs);
    page.names(ours, theirs);
    page.live(ours, theirs);
    browse(&forward.address, ours, theirs);
}

/// The same in a real browser, to whose requests the gateway adds the user.
fn browse(address: &str, ours: &Team, theirs: &Team) {
    let mut node = Command::new("node");
    node.arg(root().join("tests/browser/team.mjs"));
    node.arg(format!("http://{address}/ui/"));
    node.args([ours.name, theirs.name, &ours.trial]);
    node.args(std::env::var("DIWAN_TEST_SCREENSHOT").ok());
    let said = run(&mut node).ok();
    assert_eq!(said, "all seen\n");
}

struct Page {
    base: String,
    openapi: String,
}

impl Page {
    /// Asks with further arguments of curl; the status, and what was said.
    fn ask(&self, users: &[&str], path: &str, arguments: &[&str]) -> (u16, String) {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--path-as-is", "--write-out", "\n%{http_code}"]);
        for user in users {
            // A header without a value, as curl wants it written.
            let header = match *user {
                "" => "kubeflow-userid;".to_owned(),
                user => format!("kubeflow-userid: {user}"),
            };
            curl.args(["--header", &header]);
        }
        let said = run(curl.arg(format!("{}{path}", self.base)).args(arguments)).ok();
        let (body, status) = said.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    fn status(&self, user: &Team, path: &str, arguments: &[&str]) -> u16 {
        self.ask(&[user.name], path, arguments).0
    }

    /// Every GET of the interface's own description.
    fn every_look(&self, ours: &Team, theirs: &Team) {
        let text = run(Command::new("curl").arg("--silent").arg(&self.openapi)).ok();
        let description: Value = serde_json::from_str(&text).unwrap();
        let paths = description["paths"].as_object().unwrap();
        let paths = paths.iter().filter(|(_, path)| !path["get"].is_null());
        let paths = paths.map(|(path, _)| path.strip_prefix("/ui/api/v1").unwrap_or(path));
        let (about_one, others): (Vec<&str>, Vec<&str>) =
            paths.partition(|path| path.contains("{namespace}"));
        assert_eq!(others, WITHOUT_A_NAMESPACE);
        assert!(about_one.len() >= 9, "{about_one:?}");
        for path in about_one {
            let of = |team: &Team, name: Option<&str>| {
                let known = if path.contains("/trials/{name}") {
                    &team.trial
                } else {
                    team.name
                };
                path.replace("{namespace}", team.name)
                    .replace("{name}", name.unwrap_or(known))
            };
            assert_eq!(self.status(ours, &of(ours, None), &[]), 200, "{path}");
            let refused = self.ask(&[ours.name], &of(theirs, None), &[]);
            assert_eq!(refused.0, 403, "{path}: {}", refused.1);
            // What is not there is refused alike.
            let nothing = self.ask(&[ours.name], &of(theirs, Some("nothing")), &[]);
            assert_eq!(nothing, refused, "{path}");
            for users in [&[][..], &[""], &[ours.name, theirs.name]] {
                let (status, said) = self.ask(users, &of(ours, None), &[]);
                assert_eq!(status, 401, "{path} {users:?}: {said}");
            }
        }
    }

    fn lists(&self, ours: &Team, theirs: &Team) {
        for path in WITHOUT_A_NAMESPACE {
            assert_eq!(self.ask(&[], path, &[]).0, 401, "{path}");
        }
        for (user, other) in [(ours, theirs), (theirs, ours)] {
            let (_, namespaces) = self.ask(&[user.name], "/namespaces", &[]);
            let namespaces: Value = serde_json::from_str(&namespaces).unwrap();
            assert_eq!(namespaces, json!({"items": [user.name]}));
            let (status, all) = self.ask(&[user.name], "/experiments", &[]);
            assert_eq!(status, 200);
            assert!(
                all.contains(user.name) && !all.contains(other.name),
                "{all}"
            );
            for path in ["/experiments", "/events"] {
                let path = format!("{path}?namespace={}", other.name);
                assert_eq!(self.status(user, &path, &[]), 403, "{path}");
            }
        }
        let (status, nobody) = self.ask(&["somebody"], "/namespaces", &[]);
        assert_eq!((status, nobody.as_str()), (200, r#"{"items":[]}"#));
    }

    fn changes(&self, ours: &Team, theirs: &Team) {
        let file = |namespace| {
            yaml(&Experiment {
                name: "made",
                namespace,
                ..Experiment::default()
            })
        };
        let kind = "content-type: application/yaml";
        let make = |path: &str, text: &str| {
            self.status(ours, path, &["--header", kind, "--data-binary", text])
        };
        let (of_ours, of_theirs) = (file(ours.name), file(theirs.name));
        assert_eq!(make("/experiments?dryRun=true", &of_ours), 200);
        assert_eq!(make("/experiments?dryRun=true", &of_theirs), 403);
        assert_eq!(make("/experiments", &of_theirs), 403);
        // The address says one namespace, the object another, or none.
        let tricked = format!("/experiments?namespace={}", ours.name);
        assert_ne!(make(&tricked, &of_theirs), 201);
        let none = of_theirs.replace(&format!("  namespace: {}\n", theirs.name), "");
        let into = format!("/experiments?namespace={}", theirs.name);
        assert_eq!(make(&into, &none), 403);
        let at =
            |team: &Team, rest: &str| format!("/namespaces/{0}/experiments/{0}{rest}", team.name);
        let budget = |team: &Team| {
            let edit = [
                "--request",
                "PATCH",
                "--header",
                "content-type: application/json",
                "--data",
                r#"{"maxTrials": 1}"#,
            ];
            self.status(ours, &at(team, "/budget"), &edit)
        };
        assert_eq!((budget(ours), budget(theirs)), (200, 403));
        let delete = ["--request", "DELETE"];
        assert_eq!(self.status(ours, &at(theirs, ""), &delete), 403);
        assert_eq!(self.status(theirs, &at(theirs, ""), &[]), 200);
    }

    /// Names that lead elsewhere once they stand in an address.
    fn names(&self, ours: &Team, theirs: &Team) {
        for name in ["..%2f..", "%2e%2e", "x%2f..%2f..%2f", "?x=", "%00"] {
            let path = format!(
                "/namespaces/{}/experiments/{name}%2fnamespaces%2f{1}%2fexperiments%2f{1}",
                ours.name, theirs.name
            );
            let (status, said) = self.ask(&[ours.name], &path, &[]);
            assert!([400, 403, 404].contains(&status), "{path}: {status} {said}");
        }
    }

    /// The stream of changes, while both teams make an experiment.
    fn live(&self, ours: &Team, theirs: &Team) {
        let listen = |team: &Team| {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--no-buffer", "--max-time", "8", "--header"]);
            curl.arg(format!("kubeflow-userid: {}", team.name));
            run(curl.arg(format!("{}/events", self.base))).stdout
        };
        let (heard_by_us, heard_by_them) = scope(|scope| {
            let us = scope.spawn(|| listen(ours));
            let them = scope.spawn(|| listen(theirs));
            sleep(Duration::from_secs(2));
            for team in [theirs, ours] {
                let file = yaml(&Experiment {
                    name: "late",
                    namespace: team.name,
                    max: 1,
                    parallel: 1,
                    ..Experiment::default()
                });
                let kind = "content-type: application/yaml";
                let made = ["--header", kind, "--data-binary", &file];
                assert_eq!(self.status(team, "/experiments", &made), 201);
            }
            (us.join().unwrap(), them.join().unwrap())
        });
        for (heard, user, other) in [(heard_by_us, ours, theirs), (heard_by_them, theirs, ours)] {
            assert!(
                heard.contains("late") && heard.contains(user.name),
                "{heard}"
            );
            assert!(!heard.contains(other.name), "{heard}");
        }
    }
}
