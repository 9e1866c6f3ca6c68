//! What `kubectl` does to pods that run: exec, cp, attach, port-forward, logs of an earlier run.

use std::process::Stdio;

use diwan_embedded::resource::PODS;
use diwan_embedded::{BrowserAuth, Credentials, Hosts, listen, serve, service, write_kubeconfig};
use pretty_assertions::assert_eq;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, shell};

/// A port on which a cluster's API is served while this lives.
struct Port {
    kubeconfig: std::path::PathBuf,
    stop: CancellationToken,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Port {
    /// Serves the API of a cluster; `None` where there is no `kubectl`.
    async fn open(cluster: &Cluster) -> Option<Self> {
        if Command::new("kubectl")
            .arg("version")
            .arg("--client")
            .output()
            .await
            .is_err()
        {
            eprintln!("not tried: kubectl is not installed");
            return None;
        }
        // The API knows the credentials of its own folder.
        let folder = cluster.folder.path();
        let credentials = Credentials::open(folder, &[]).unwrap();
        let listener = listen("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
        let address = listener.local_addr().unwrap();
        let kubeconfig = folder.join("kubeconfig");
        write_kubeconfig(&kubeconfig, &credentials, &format!("https://{address}")).unwrap();
        let auth = BrowserAuth::open(folder, address.port()).unwrap();
        let pages = auth.guard(axum::Router::new());
        let stop = CancellationToken::new();
        let hosts = Hosts::new(address.ip(), &[]);
        let api = service(cluster.api.clone());
        tokio::spawn(serve(
            listener,
            api,
            credentials,
            pages,
            hosts,
            stop.clone(),
        ));
        Some(Self { kubeconfig, stop })
    }

    fn kubectl(&self, words: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(words)
            .kill_on_drop(true);
        command
    }

    /// Runs kubectl with this input; returns its exit status and what it wrote.
    async fn run(&self, words: &[&str], input: &str) -> (i32, String, String) {
        let mut child = self
            .kubectl(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let waiting = child.wait_with_output();
        let waiting = tokio::time::timeout(std::time::Duration::from_mins(1), waiting);
        let output = waiting.await.expect("kubectl should end").unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        (code, text(&output.stdout), text(&output.stderr))
    }
}

/// A cluster with a pod `p` that runs until it is deleted, and its port.
async fn running() -> Option<(Cluster, Port)> {
    let cluster = Cluster::start().await;
    let port = Port::open(&cluster).await?;
    let script = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
    let mut container = shell("main", script);
    container["env"] = json!([{ "name": "A", "value": "b" }]);
    container["volumeMounts"] = json!([{ "name": "v", "mountPath": "/diwan-test" }]);
    let volumes = json!([{ "name": "v", "emptyDir": {} }]);
    let spec = json!({ "containers": [container], "volumes": volumes });
    cluster.pod("p", spec).await;
    let runs = |pod: &serde_json::Value| pod["status"]["phase"] == "Running";
    cluster.until(&PODS, "p", runs).await;
    Some((cluster, port))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_runs_where_the_container_is() {
    let Some((_cluster, port)) = running().await else {
        return;
    };
    let script = "cat; echo $A; pwd; ls -d /diwan-test; echo oops >&2; exit 3";
    let words = ["exec", "-i", "p", "--", "sh", "-c", script];
    let (code, output, error) = port.run(&words, "in\n").await;
    assert_eq!((code, output.as_str()), (3, "in\nb\n/\n/diwan-test\n"));
    assert_eq!(error, "oops\ncommand terminated with exit code 3\n");
    let (code, output, _) = port.run(&["exec", "p", "--", "echo", "x"], "").await;
    assert_eq!((code, output.as_str()), (0, "x\n"));
    let (code, _, error) = port.run(&["exec", "p", "--", "no-such-program"], "").await;
    assert_eq!(code, 126, "{error}");
    assert!(
        error.contains("program not found: no-such-program"),
        "{error}"
    );
    let (code, _, error) = port.run(&["exec", "p", "-c", "x", "--", "true"], "").await;
    assert_eq!(code, 1, "{error}");
    assert!(
        error.contains("container x is not valid for pod p"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_finds_a_terminal() {
    let Some((_cluster, port)) = running().await else {
        return;
    };
    // `script` gives kubectl a terminal.
    let config = port.kubeconfig.display();
    let line = format!(
        "stty rows 33 cols 77; kubectl --kubeconfig {config} exec -it p -- sh -c \
         'test -t 0 && test -t 1 && until test \"$(stty size)\" = \"33 77\"; do sleep 0.01; done; \
         echo yes; exit 4'"
    );
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output.await else {
        eprintln!("not tried: script is not installed");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("yes\r\n"), "{text}");
    assert_eq!(output.status.code(), Some(4), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_copied_into_a_container_and_out_of_it() {
    let Some((cluster, port)) = running().await else {
        return;
    };
    let (from, back) = (cluster.path("from"), cluster.path("back"));
    let content = "0123456789".repeat(100_000);
    std::fs::write(&from, &content).unwrap();
    let (from, back) = (from.to_str().unwrap(), back.to_str().unwrap());
    let (code, _, error) = port.run(&["cp", from, "p:/diwan-test/file"], "").await;
    assert_eq!(code, 0, "{error}");
    let (code, _, error) = port.run(&["cp", "p:/diwan-test/file", back], "").await;
    assert_eq!(code, 0, "{error}");
    assert!(std::fs::read_to_string(back).unwrap() == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_forwarded() {
    let Some((_cluster, port)) = running().await else {
        return;
    };
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = server.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = server.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    for web_sockets in ["true", "false"] {
        let mut child = port
            .kubectl(&["port-forward", "p", &format!(":{target}")])
            .env("KUBECTL_PORT_FORWARD_WEBSOCKETS", web_sockets)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let address = line.strip_prefix("Forwarding from ").unwrap();
        let address = address.split(' ').next().unwrap();
        for _ in 0..3 {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let sent = vec![b'x'; 200_000];
            let (mut reader, mut writer) = stream.split();
            let write = async {
                writer.write_all(&sent).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            let mut received = Vec::new();
            let ((), read) = tokio::join!(write, reader.read_to_end(&mut received));
            read.unwrap();
            assert!(received == sent, "{} bytes came back", received.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_speak_spdy_run_programs_too() {
    let Some((_cluster, port)) = running().await else {
        return;
    };
    let words = [
        "exec",
        "-i",
        "p",
        "--",
        "sh",
        "-c",
        "cat; echo oops >&2; exit 3",
    ];
    let mut child = port
        .kubectl(&words)
        .env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"in\n").await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(
        (text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        ("in\n", "oops\ncommand terminated with exit code 3\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_followed_and_an_earlier_run_s_shown() {
    let cluster = Cluster::start().await;
    let Some(port) = Port::open(&cluster).await else {
        return;
    };
    let marker = cluster.path("marker");
    let go = cluster.path("go");
    let script = format!(
        "test -e {0} || {{ touch {0}; echo first; exit 1; }}; \
         until test -e {1}; do echo tick; sleep 0.05; done",
        marker.display(),
        go.display()
    );
    let spec = json!({ "restartPolicy": "OnFailure", "containers": [shell("main", &script)] });
    cluster.pod("p", spec).await;
    cluster
        .until(&PODS, "p", |pod| {
            pod["status"]["containerStatuses"][0]["restartCount"] == 1
                && pod["status"]["phase"] == "Running"
        })
        .await;
    let (_, output, error) = port.run(&["logs", "--previous", "p"], "").await;
    assert_eq!(output, "first\n", "{error}");
    let mut child = port
        .kubectl(&["attach", "p"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "tick");
    std::fs::write(&go, "").unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pods_and_the_node_use_is_shown() {
    let Some((_cluster, port)) = running().await else {
        return;
    };
    let (code, output, error) = port.run(&["top", "pod", "--containers"], "").await;
    assert_eq!(code, 0, "{error}");
    let row = output.lines().nth(1).unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[..2], ["p", "main"], "{output}");
    assert!(
        words[2].ends_with('m') && words[3].ends_with("Mi"),
        "{output}"
    );
    let (code, output, error) = port.run(&["top", "node"], "").await;
    assert_eq!(code, 0, "{error}");
    assert!(output.contains("\nmachine "), "{output}");
    let (code, _, error) = port.run(&["top", "pod", "none"], "").await;
    assert_eq!(code, 1);
    assert!(error.contains("NotFound"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_can_be_evicted() {
    let Some((cluster, port)) = running().await else {
        return;
    };
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": "p" },
    });
    let path = "/api/v1/namespaces/default/pods/p/eviction";
    let words = ["create", "--raw", path, "-f", "-"];
    let (code, output, error) = port.run(&words, &eviction.to_string()).await;
    assert_eq!(code, 0, "{error}");
    assert!(output.contains("\"status\":\"Success\""), "{output}");
    cluster.gone(&PODS, "p").await;
}
