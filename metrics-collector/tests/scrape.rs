//! An endpoint that is asked over HTTP while its metrics change.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use diwan_api::MetricsCollectorSpec;
use diwan_metrics_collector::{Endpoint, ScrapeSource, scrape};
use support::{Memory, plan};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
};

fn spec(http_get: &str) -> MetricsCollectorSpec {
    let text = format!(
        "{{\"source\": {{\"httpGet\": {http_get}}}, \"collector\": {{\"kind\": \"PrometheusMetric\"}}}}"
    );
    serde_json::from_str(&text).unwrap()
}

/// Serves an answer that changes; returns its port and the requests.
async fn serve(answer: Arc<Mutex<String>>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            seen.lock()
                .unwrap()
                .push(String::from_utf8(request).unwrap());
            let body = answer.lock().unwrap().clone();
            let status = if body.is_empty() {
                "503 Busy"
            } else {
                "200 OK"
            };
            let head = format!("HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\n\r\n");
            let reply = format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            let reply = if body.is_empty() {
                format!("{head}0\r\n\r\n")
            } else {
                reply
            };
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    (port, requests)
}

#[tokio::test]
async fn changes_are_reported_while_the_trial_runs() {
    let answer = Arc::new(Mutex::new(String::new()));
    let (port, requests) = serve(Arc::clone(&answer)).await;
    let spec = spec(
        r#"{"port": "metrics", "path": "/m", "httpHeaders": [{"name": "X-A", "value": "b"}]}"#,
    );
    let named = |name: &str| (name == "metrics").then_some(port);
    let source = ScrapeSource {
        key: "pod".into(),
        endpoint: Endpoint::of(&spec, "127.0.0.1", named).unwrap(),
        interval: Duration::from_millis(10),
        resumed: true,
    };
    let plan = plan("loss", &["acc"], spec);
    let memory = Memory::default();
    let set = |text: &str| *answer.lock().unwrap() = text.to_owned();
    for expected in [4, 5] {
        let (sender, ended) = watch::channel(false);
        let script = async {
            if expected == 4 {
                set("loss 0.5\nacc{a=\"b\"} 1\n");
                memory.until(2).await;
                set("loss 0.25\nacc{a=\"b\"} 1\n");
                memory.until(3).await;
            }
            // The last value is seen by the last look.
            set(&format!("loss 0.{expected}\n"));
            sender.send(true).unwrap();
        };
        let (outcome, ()) = tokio::join!(scrape(&plan, &source, ended, &memory), script);
        assert!(outcome.unwrap().objective_seen);
        assert_eq!(memory.rows().len(), expected);
    }
    assert_eq!(
        memory.rows(),
        ["loss=0.5", "acc=1", "loss=0.25", "loss=0.4", "loss=0.5"]
    );
    let first = requests.lock().unwrap()[0].clone();
    assert!(first.starts_with("GET /m HTTP/1.1\r\n"), "{first}");
    assert!(first.to_lowercase().contains("x-a: b\r\n"), "{first}");
}

#[tokio::test]
async fn the_lack_of_the_metric_says_what_was_there() {
    let answer = Arc::new(Mutex::new("val_loss 1\nlosses 2\n".to_owned()));
    let (port, _) = serve(Arc::clone(&answer)).await;
    let spec = spec(&format!("{{\"port\": {port}}}"));
    let source = ScrapeSource {
        key: "pod".into(),
        endpoint: Endpoint::of(&spec, "127.0.0.1", |_| None).unwrap(),
        interval: Duration::from_secs(1),
        resumed: false,
    };
    let plan = plan("loss", &[], spec);
    let url = format!("http://127.0.0.1:{port}/metrics");
    for expected in [
        "has 1 answer without it, but \"losses\", \"val_loss\"; show it as a line loss 0.5, or choose labels as in loss{a=\"b\"}",
        "gave no answer: status 503 Service Unavailable",
    ] {
        let (_sender, ended) = watch::channel(true);
        let memory = Memory::default();
        let outcome = scrape(&plan, &source, ended, &memory).await.unwrap();
        assert_eq!(memory.rows(), ["loss=unavailable"]);
        let text = outcome.absence.unwrap().to_string();
        assert_eq!(
            text,
            format!("metric \"loss\" is unavailable: {url} {expected}")
        );
        answer.lock().unwrap().clear();
    }
}

#[test]
fn endpoints_that_cannot_be_asked_name_the_field() {
    let of = |get: &str| Endpoint::of(&spec(get), "host", |_| None).map(|found| found.url());
    assert_eq!(of("{\"port\": 8080}").unwrap(), "http://host:8080/metrics");
    let https = of("{\"port\": 1, \"scheme\": \"HTTPS\", \"host\": \"h\", \"path\": \"x\"}");
    assert_eq!(https.unwrap(), "https://h:1/x");
    for (get, field) in [
        ("{\"port\": 0}", "source.httpGet.port"),
        ("{\"port\": \"web\"}", "source.httpGet.port"),
        (
            "{\"port\": 1, \"scheme\": \"FTP\"}",
            "source.httpGet.scheme",
        ),
    ] {
        let error = of(get).unwrap_err().to_string();
        assert!(error.starts_with(field), "{error}");
    }
}
