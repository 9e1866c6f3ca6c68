//! Sending the rows of a topic.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::LazyLock,
    time::{Duration, Instant},
};

use axum::body::{Body, BodyDataStream};
use futures::{StreamExt, future::join_all};
use http::{HeaderMap, Request, Response, header};
use regex::{Captures, Regex};
use serde_json::{Value, json};

use crate::{
    answer::{Answer, Answers},
    normal::Normal,
    row::{Row, Scenario, Topic},
    server::Server,
};

/// No answer takes longer on any machine.
const PATIENCE: Duration = Duration::from_secs(20);

static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\$([a-z][A-Za-z0-9]*)").unwrap());

/// Sends all rows of a topic.
pub(crate) async fn topic(server: &Server, topic: &Topic) -> Answers {
    let mut answers = BTreeMap::new();
    let runs = topic.scenarios.iter().map(|scenario| async move {
        let run = Run::new(server, topic, scenario).await;
        (scenario, run.rows().await)
    });
    for (scenario, given) in join_all(runs).await {
        let twice = answers.insert(scenario.name.clone(), given);
        assert!(
            twice.is_none(),
            "{}: two scenarios {:?}",
            topic.name,
            scenario.name
        );
    }
    Answers(answers)
}

/// One scenario that runs.
struct Run<'a> {
    server: &'a Server,
    topic: &'a Topic,
    scenario: &'a Scenario,
    words: BTreeMap<String, String>,
    normal: Normal,
    answers: Vec<Answer>,
}

impl<'a> Run<'a> {
    async fn new(server: &'a Server, topic: &'a Topic, scenario: &'a Scenario) -> Self {
        let namespace = format!("c-{:08x}", rand::random::<u32>());
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace },
        });
        let request = Request::post("/api/v1/namespaces")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(object.to_string()))
            .unwrap();
        assert_eq!(server.send(request).await.status(), 201);
        let mut words = topic.words.clone();
        words.extend(scenario.words.clone());
        words.insert("ns".to_owned(), namespace.clone());
        Self {
            server,
            topic,
            scenario,
            words,
            normal: Normal::new(namespace),
            answers: Vec::new(),
        }
    }

    async fn rows(mut self) -> Vec<Answer> {
        for row in &self.scenario.rows {
            self.row(row).await;
        }
        self.answers
    }

    async fn row(&mut self, row: &Row) {
        let mut response = self.send(row).await;
        let since = Instant::now();
        while row.settle && !response.status().is_success() && since.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(50)).await;
            response = self.send(row).await;
        }
        let (parts, body) = response.into_parts();
        let slot = self.answers.len();
        if !row.setup {
            self.answers.push(Answer {
                request: row.request.clone(),
                answer: Value::Null,
            });
        }
        for inner in &row.then {
            Box::pin(self.row(inner)).await;
        }
        let watch = parts.status == 200 && row.is_watch();
        let body = body_of(row, watch, &parts.headers, body.into_data_stream());
        let body = tokio::time::timeout(PATIENCE, body).await;
        let body = body.unwrap_or_else(|_| json!("no end of the answer"));
        self.remember(row, &body);
        if row.setup {
            assert!(parts.status.is_success(), "{}: {body}", row.request);
            return;
        }
        let answer = json!({ "status": parts.status.as_u16(), "body": body });
        let answer = with_headers(answer, &parts.headers);
        self.answers[slot].answer = self.normal.answer(row, answer);
    }

    async fn send(&self, row: &Row) -> Response<Body> {
        let (method, path) = row.request.split_once(' ').unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(encode(&self.fill_in(path)));
        let accept = row.accept.as_deref().unwrap_or("application/json");
        if !accept.is_empty() {
            request = request.header(header::ACCEPT, accept);
        }
        if let Some(user) = &row.user {
            request = request.header("Impersonate-User", self.fill_in(user));
        }
        let body = self.body(row);
        if !body.is_empty() || row.content_type.is_some() {
            let content_type = row.content_type.as_deref().unwrap_or("application/json");
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        self.server
            .send(request.body(Body::from(body)).unwrap())
            .await
    }

    fn body(&self, row: &Row) -> String {
        let mut body = self.named(&row.body).clone();
        let with = self.named(&row.with);
        if !with.is_null() {
            json_patch::merge(&mut body, with);
        }
        let text = match body {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        self.fill_in(&text).replace("$fill", &"x".repeat(row.fill))
    }

    /// The object that a value names, or the value itself.
    fn named<'v>(&'v self, value: &'v Value) -> &'v Value {
        let name = value.as_str().and_then(|text| text.strip_prefix('$'));
        let object = name.and_then(|name| {
            let own = self.scenario.objects.get(name);
            own.or_else(|| self.topic.objects.get(name))
        });
        object.unwrap_or(value)
    }

    /// Puts the words into a text.
    fn fill_in(&self, text: &str) -> String {
        let value = |found: &Captures<'_>| match self.words.get(&found[1]) {
            Some(word) => self.fill_in(word),
            None => found[0].to_owned(),
        };
        WORD.replace_all(text, value).into_owned()
    }

    fn remember(&mut self, row: &Row, body: &Value) {
        for (word, pointer) in &row.save {
            let value = body.pointer(pointer).cloned();
            let text = match value {
                Some(Value::String(text)) => text,
                Some(other) => other.to_string(),
                None => "absent".to_owned(),
            };
            self.words.insert(word.clone(), text);
        }
    }
}

/// Reads the body: events of a watch, an object in JSON or YAML, or text.
async fn body_of(
    row: &Row,
    is_watch: bool,
    headers: &HeaderMap,
    mut stream: BodyDataStream,
) -> Value {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
        if is_watch
            && row
                .events
                .is_some_and(|wanted| events(&bytes).len() >= wanted)
        {
            break;
        }
    }
    if is_watch {
        let mut events = events(&bytes);
        events.truncate(row.events.unwrap_or(usize::MAX));
        return Value::Array(events);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    let parsed = match content_type.unwrap_or_default() {
        yaml if yaml.starts_with("application/yaml") => serde_saphyr::from_str(&text).ok(),
        _ => serde_json::from_str(&text).ok(),
    };
    parsed.unwrap_or(Value::String(text))
}

/// The events in the whole lines of a watch. Bookmarks come when the server likes, but for the
/// one that ends the initial events.
fn events(bytes: &[u8]) -> Vec<Value> {
    let whole = bytes
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |end| end + 1);
    let lines = bytes[..whole]
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty());
    let parse = |line: &[u8]| {
        serde_json::from_slice(line)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(line).into_owned()))
    };
    let is_counted = |event: &Value| {
        event["type"] != "BOOKMARK" || event.to_string().contains("k8s.io/initial-events-end")
    };
    lines.map(parse).filter(is_counted).collect()
}

fn with_headers(mut answer: Value, headers: &HeaderMap) -> Value {
    for name in ["content-type", "warning", "retry-after", "allow"] {
        let values: Vec<&str> = headers
            .get_all(name)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .collect();
        if !values.is_empty() {
            answer[name] = json!(values.join(" | "));
        }
    }
    answer
}

/// Encodes what can't stand in a path as it is.
fn encode(path: &str) -> String {
    let mut encoded = String::new();
    for byte in path.bytes() {
        match byte {
            b' ' | b'"' | b'<' | b'>' | b'{' | b'}' | b'|' | b'\\' | b'^' | b'`' | 128.. => {
                write!(encoded, "%{byte:02X}").unwrap();
            }
            _ => encoded.push(char::from(byte)),
        }
    }
    encoded
}
