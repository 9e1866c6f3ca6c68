//! Comparing answers with those that are written down.

use std::fmt::{self, Display, Formatter, Write};

use serde_json::{Map, Value};

use crate::{
    answer::{Answer, Answers},
    row::{Row, Topic},
};

/// What came of comparing.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    rows: usize,
    deliberate: Vec<String>,
    wrong: Vec<String>,
}

impl Verdict {
    /// Whether every answer is as expected.
    pub(crate) fn is_good(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Compares what we answer with what Kubernetes answers, but where a row says otherwise.
    pub(crate) fn judge(&mut self, topic: &Topic, recorded: &Answers, given: &Answers) {
        self.each(
            topic,
            recorded,
            given,
            |verdict, place, row, recorded, given| {
                let mut expected = recorded.answer.clone();
                json_patch::merge(&mut expected, &row.ours);
                match &row.differs {
                    Some(_) if recorded.answer == given.answer => verdict.wrong.push(format!(
                        "{place}\n    differs no longer: take `differs` and `ours` away"
                    )),
                    Some(why) => {
                        verdict.deliberate.push(format!("{place}: {why}"));
                        if expected != given.answer {
                            let patch = patch(&recorded.answer, &given.answer);
                            verdict.wrong.push(format!(
                            "{place}\n    differs otherwise than it says; `ours` would be {patch}"
                        ));
                        }
                    }
                    None if recorded.answer != given.answer => {
                        verdict
                            .wrong
                            .push(shown(place, &recorded.answer, &given.answer));
                    }
                    None => {}
                }
            },
        );
    }

    /// Compares what Kubernetes answers with what it did.
    pub(crate) fn judge_recorded(&mut self, topic: &Topic, recorded: &Answers, given: &Answers) {
        self.each(
            topic,
            recorded,
            given,
            |verdict, place, _, recorded, given| {
                if recorded.answer != given.answer {
                    verdict
                        .wrong
                        .push(shown(place, &recorded.answer, &given.answer));
                }
            },
        );
    }

    fn each(
        &mut self,
        topic: &Topic,
        recorded: &Answers,
        given: &Answers,
        judge: impl Fn(&mut Self, &str, &Row, &Answer, &Answer),
    ) {
        for scenario in &topic.scenarios {
            let recorded = recorded
                .0
                .get(&scenario.name)
                .map_or(&[][..], Vec::as_slice);
            let rows = scenario.compared();
            for (i, (row, given)) in rows.iter().zip(&given.0[&scenario.name]).enumerate() {
                let place = format!(
                    "{} / {} / {}. {}",
                    topic.name,
                    scenario.name,
                    i + 1,
                    row.request
                );
                self.rows += 1;
                match recorded.get(i).filter(|recorded| recorded.request == row.request) {
                    Some(recorded) => judge(self, &place, row, recorded, given),
                    None => self.wrong.push(format!(
                        "{place}\n    no answer of Kubernetes is recorded: RECORD=1 make test-contract"
                    )),
                }
            }
            if recorded.len() > rows.len() {
                let place = format!("{} / {}", topic.name, scenario.name);
                self.wrong.push(format!(
                    "{place}\n    answers to rows that are gone: record again"
                ));
            }
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for wrong in &self.wrong {
            writeln!(f, "{wrong}")?;
        }
        writeln!(f, "{} deliberate differences:", self.deliberate.len())?;
        for difference in &self.deliberate {
            writeln!(f, "  {difference}")?;
        }
        write!(f, "{} rows, {} wrong", self.rows, self.wrong.len())
    }
}

fn shown(place: &str, recorded: &Value, given: &Value) -> String {
    let mut text = place.to_owned();
    differences("", recorded, given, &mut text);
    write!(text, "\n    on purpose? ours: {}", patch(recorded, given)).unwrap();
    text
}

/// The places where two values differ, one per line.
fn differences(path: &str, recorded: &Value, given: &Value, text: &mut String) {
    match (recorded, given) {
        (Value::Object(a), Value::Object(b)) => {
            let new = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(new) {
                differences(&format!("{path}.{key}"), &recorded[key], &given[key], text);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{i}]"), a, b, text);
            }
        }
        _ if recorded != given => {
            write!(
                text,
                "\n    {path}\n      Kubernetes {recorded}\n      here       {given}"
            )
            .unwrap();
        }
        _ => {}
    }
}

/// The merge patch that makes one value of another.
fn patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(a), Value::Object(b)) = (from, to) else {
        return to.clone();
    };
    let mut fields = Map::new();
    for (key, value) in b {
        match a.get(key) {
            Some(old) if old == value => {}
            Some(old) => {
                fields.insert(key.clone(), patch(old, value));
            }
            None => {
                fields.insert(key.clone(), value.clone());
            }
        }
    }
    for key in a.keys().filter(|key| !b.contains_key(*key)) {
        fields.insert(key.clone(), Value::Null);
    }
    Value::Object(fields)
}
