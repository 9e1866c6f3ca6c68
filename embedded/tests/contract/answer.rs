//! Answers as they are written down.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::row::{Topic, folder};

/// The answers to a topic: by scenario, in the order of its rows.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answers(pub(crate) BTreeMap<String, Vec<Answer>>);

/// The answer to one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The request, as the row has it.
    pub(crate) request: String,
    /// The rest, in one value, so that differences are patches on it.
    #[serde(flatten)]
    pub(crate) answer: Value,
}

impl Answers {
    /// What is written down; nothing when there is no file.
    pub(crate) fn load(topic: &Topic) -> Self {
        let path = file(topic);
        let Ok(text) = fs::read_to_string(&path) else {
            return Self::default();
        };
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Writes them down.
    pub(crate) fn save(&self, topic: &Topic) {
        let text = serde_json::to_string_pretty(self).unwrap();
        fs::write(file(topic), text + "\n").unwrap();
    }
}

fn file(topic: &Topic) -> PathBuf {
    folder("answers").join(format!("{}.json", topic.name))
}
