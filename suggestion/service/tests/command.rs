//! A service from a command. The command is this test program itself, which serves the built-in
//! algorithms when it finds a port in its environment.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diwan_suggestion::config::{CommandLine, Source};
use diwan_suggestion::{AlgorithmConfig, Suggesters, SuggestionError, SuggestionService, serve};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{experiment, request};
use tokio::net::TcpListener;

/// Not a test of its own: serves where `command()` starts it, and does nothing elsewhere.
#[tokio::test]
async fn serves_when_it_is_told_a_port() {
    let (Ok(port), Ok(file)) = (std::env::var("PORT"), std::env::var("PID_FILE")) else {
        return;
    };
    std::fs::write(file, std::process::id().to_string()).unwrap();
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))
        .await
        .unwrap();
    serve(
        listener,
        SuggestionService::default(),
        std::future::pending(),
    )
    .await
    .unwrap();
}

/// Starts helpers in the background, one of which notes the end of the input, then becomes the
/// service.
fn command(folder: &Path) -> Suggesters {
    let this = std::env::current_exe().expect("a path");
    let script = format!(
        "exec 3<&0; {{ cat <&3; : > input.ended; }} & \
         sleep 1000 & echo $! > helper.pid; exec {} --exact serves_when_it_is_told_a_port",
        this.display()
    );
    suggesters(
        CommandLine {
            command: ["sh", "-c", &script].map(String::from).to_vec(),
            env: vec![(
                "PID_FILE".into(),
                folder.join("service.pid").display().to_string(),
            )],
            working_dir: String::new(),
        },
        folder,
    )
}

fn suggesters(line: CommandLine, folder: &Path) -> Suggesters {
    let config = AlgorithmConfig {
        algorithm_name: "random".into(),
        source: Source::Command(line),
        timeout: Duration::from_secs(20),
    };
    Suggesters::new(vec![config], folder)
}

fn read_pid(file: PathBuf) -> Pid {
    let text = std::fs::read_to_string(file).expect("the file was written");
    Pid::from_raw(text.trim().parse().expect("a number"))
}

/// Waits for a process to be gone, or to be left for its parent to reap.
async fn gone(pid: Pid) {
    let deadline = Instant::now() + Duration::from_mins(1);
    let lives = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    };
    while lives() {
        assert!(Instant::now() < deadline, "process {pid} still runs");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_command_is_started_restarted_and_ended_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let suggesters = command(folder.path());
    let ask = || suggesters.suggest(request(experiment("random", &[]), vec![], 2));
    assert_eq!(ask().await.unwrap().assignments.len(), 2);

    assert!(!folder.path().join("input.ended").exists());

    let first = read_pid(folder.path().join("service.pid"));
    let first_helper = read_pid(folder.path().join("helper.pid"));
    kill(first, Signal::SIGKILL).unwrap();
    gone(first_helper).await;
    assert_eq!(ask().await.unwrap().assignments.len(), 2);

    let second = read_pid(folder.path().join("service.pid"));
    let second_helper = read_pid(folder.path().join("helper.pid"));
    assert_ne!(first, second);
    drop(suggesters);
    gone(second).await;
    gone(second_helper).await;
}

#[tokio::test]
async fn a_command_that_can_not_serve_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (command, text) in [
        (
            vec!["/no/such/program"],
            "failed to start: No such file or directory",
        ),
        (vec!["sh", "-c", "exit 3"], "exit status: 3"),
    ] {
        let command = command.into_iter().map(String::from).collect();
        let suggesters = suggesters(
            CommandLine {
                command,
                ..CommandLine::default()
            },
            folder.path(),
        );
        let error = suggesters
            .validate(&experiment("random", &[]))
            .await
            .unwrap_err();
        assert!(matches!(error, SuggestionError::Retry(_)), "{error:?}");
        assert!(error.to_string().contains(text), "{error}");
    }
}
