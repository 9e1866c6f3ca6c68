//! Rows: the requests, as the files tell them.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

/// The requests of one file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Topic {
    /// The name of the file.
    #[serde(skip)]
    pub(crate) name: String,
    /// Text that rows name by `$name`, such as paths.
    #[serde(default)]
    pub(crate) words: BTreeMap<String, String>,
    /// Objects that bodies name by `$name`.
    #[serde(default)]
    pub(crate) objects: BTreeMap<String, Value>,
    /// The kinds that scenarios with `each` are sent for.
    #[serde(default)]
    kinds: BTreeMap<String, Kind>,
    /// The scenarios; each has a namespace of its own.
    pub(crate) scenarios: Vec<Scenario>,
}

/// A kind that the same requests are sent for as for others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    /// `$path`: its collection.
    path: String,
    /// `$object`: one of them.
    object: Value,
    /// `$change`: a merge patch on it that is allowed.
    change: Value,
}

/// Requests that follow one another.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it is about.
    pub(crate) name: String,
    /// Whether it is sent once for each of the topic's kinds.
    #[serde(default)]
    each: bool,
    /// Like the topic's, of this scenario only.
    #[serde(default)]
    pub(crate) words: BTreeMap<String, String>,
    /// Like the topic's, of this scenario only.
    #[serde(default)]
    pub(crate) objects: BTreeMap<String, Value>,
    /// The requests.
    pub(crate) rows: Vec<Row>,
}

/// One request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// Method and path with parameters. `$ns` is the namespace, other words are the topic's or
    /// were saved by rows before.
    pub(crate) request: String,
    /// The `Accept` header; JSON unless it says otherwise.
    pub(crate) accept: Option<String>,
    /// The `Content-Type` header of the body; JSON unless it says otherwise.
    #[serde(rename = "type")]
    pub(crate) content_type: Option<String>,
    /// Whom the administrator acts for.
    #[serde(rename = "as")]
    pub(crate) user: Option<String>,
    /// The body: an object, the name of one, or text.
    #[serde(default)]
    pub(crate) body: Value,
    /// A merge patch on the body.
    #[serde(default)]
    pub(crate) with: Value,
    /// `$fill` in the body stands for so many letters.
    #[serde(default)]
    pub(crate) fill: usize,
    /// What later rows name: a word, and the place of its value in the answer.
    #[serde(default)]
    pub(crate) save: BTreeMap<String, String>,
    /// The request must succeed, and that is all: it is not compared.
    #[serde(default)]
    pub(crate) setup: bool,
    /// It is sent until it succeeds, because the server needs a moment for what was asked before.
    #[serde(default)]
    pub(crate) settle: bool,
    /// The parts of the answer that are compared; all without it.
    pub(crate) show: Option<Vec<String>>,
    /// Whether managed fields are compared too.
    #[serde(default)]
    pub(crate) managed: bool,
    /// How many events of a watch are read, which ends then; without it, all until it ends.
    pub(crate) events: Option<usize>,
    /// Requests that are sent once the watch stands.
    #[serde(default)]
    pub(crate) then: Vec<Row>,
    /// Why this API answers otherwise, on purpose.
    pub(crate) differs: Option<String>,
    /// How it answers: a merge patch on the answer of Kubernetes.
    #[serde(default = "no_difference")]
    pub(crate) ours: Value,
}

fn no_difference() -> Value {
    Value::Object(Map::new())
}

/// The folder of these tests.
pub(crate) fn folder(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/contract", name]
        .iter()
        .collect()
}

impl Topic {
    /// All topics; CONTRACT picks some by a part of their names.
    pub(crate) fn all() -> Vec<Self> {
        let picked = std::env::var("CONTRACT").unwrap_or_default();
        let mut files: Vec<PathBuf> = fs::read_dir(folder("rows"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
            .filter(|path| {
                path.file_stem()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .contains(&picked)
            })
            .collect();
        files.sort();
        files.into_iter().map(Self::load).collect()
    }

    fn load(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let mut topic: Self = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path.file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .clone_into(&mut topic.name);
        let given = std::mem::take(&mut topic.scenarios);
        for scenario in given {
            if scenario.each {
                let kinds = topic.kinds.iter();
                topic
                    .scenarios
                    .extend(kinds.map(|(name, kind)| kind.scenario(name, &scenario)));
            } else {
                topic.scenarios.push(scenario);
            }
        }
        topic
    }
}

impl Kind {
    /// A scenario as it is sent for this kind.
    fn scenario(&self, name: &str, scenario: &Scenario) -> Scenario {
        let mut scenario = scenario.clone();
        scenario.name = format!("{} of {name}", scenario.name);
        scenario.words.insert("path".to_owned(), self.path.clone());
        for (word, object) in [("object", &self.object), ("change", &self.change)] {
            scenario.objects.insert(word.to_owned(), object.clone());
        }
        scenario
    }
}

impl Row {
    /// Whether the answer is a stream of changes, if it is a good one.
    pub(crate) fn is_watch(&self) -> bool {
        self.request.contains("/watch/") || self.request.contains("?watch=") && self.is_list()
    }

    /// A watch of one object is no watch.
    fn is_list(&self) -> bool {
        !self.request.contains("/a?") && !self.request.contains("/b?")
    }
}

impl Scenario {
    /// The rows whose answers are compared, in the order in which they are sent.
    pub(crate) fn compared(&self) -> Vec<&Row> {
        let mut rows = Vec::new();
        for row in &self.rows {
            rows.push(row);
            rows.extend(&row.then);
        }
        rows.retain(|row| !row.setup);
        rows
    }
}
