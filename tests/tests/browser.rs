//! The door of the browser: a real one on the page of `diwan up`.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use diwan_tests::experiment::Experiment;
use diwan_tests::process::run;
use diwan_tests::root;
use diwan_tests::up::Up;

#[test]
fn an_experiment_is_watched_to_its_end_without_a_reload() {
    let up = Up::start();
    let script = "for i in 1 2 3; do echo loss=$i; sleep 0.2; done; echo loss=$0";
    let yaml = Experiment {
        script,
        max: 6,
        parallel: 2,
        ..Experiment::default()
    };
    let mut page = Command::new("node")
        .arg(root().join("tests/browser/live.mjs"))
        .args([&up.ui, "bowl", "6"])
        .args(std::env::var("DIWAN_TEST_SCREENSHOT").ok())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(page.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("open"));
    up.kubectl_with("apply -f -", &yaml.yaml()).ok();
    let last = lines.last();
    assert!(page.wait().unwrap().success());
    assert_eq!(last.as_deref(), Some("all seen"));
}

#[test]
fn the_page_is_closed_to_everyone_without_the_key() {
    let up = Up::start();
    let home = up.ui.split('?').next().unwrap().to_owned();
    let status = |arguments: &[&str]| {
        let format = [
            "--silent",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
        ];
        run(Command::new("curl").args(format).args(arguments)).ok()
    };
    assert_eq!(status(&[&home]), "401");
    assert_eq!(status(&[&format!("{home}api/v1/experiments")]), "401");
    // Somebody else's page must not reach it under a name of theirs, nor act from elsewhere.
    assert_eq!(status(&["--header", "Host: evil.example", &up.ui]), "403");
    assert_eq!(
        status(&["--header", "Origin: http://evil.example", &up.ui]),
        "403"
    );
    let jar = up.folder().join("cookies");
    let jar = jar.to_str().unwrap();
    assert_eq!(
        status(&["--location", "--cookie-jar", jar, "--cookie", jar, &up.ui]),
        "200"
    );
    assert_eq!(
        status(&["--cookie", jar, &format!("{home}api/v1/experiments")]),
        "200"
    );
    // The key in the address works once.
    assert_eq!(status(&[&up.ui]), "401");
    // The Kubernetes API wants its own token; without one, one is nobody, who may see nothing.
    let api = home
        .replace("http://", "https://")
        .replace("/ui/", "/api/v1/namespaces");
    assert_eq!(status(&["--insecure", &api]), "403");
}
