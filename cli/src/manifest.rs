//! The files that a user gives: YAML or JSON, one or several documents, read into objects that
//! remember where each field stands.

mod older;
mod position;

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use serde_json::Value;

use position::Positions;

/// One object of a file.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// The object, as it was written.
    pub(crate) object: Value,
    /// The file it was read from.
    pub(crate) file: PathBuf,
    positions: Positions,
}

/// Something that is wrong with a file, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The file.
    pub(crate) file: PathBuf,
    /// The line, counted from 1, where it is known.
    pub(crate) line: Option<usize>,
    /// Path of the field; empty when it is about the whole object.
    pub(crate) field: String,
    /// What is wrong and what would be right.
    pub(crate) message: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl Manifest {
    /// The object's kind; empty when it has none.
    pub(crate) fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    /// The object's name; empty when it has none.
    pub(crate) fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The object's namespace; `default` when it names none.
    pub(crate) fn namespace(&self) -> &str {
        self.object["metadata"]["namespace"]
            .as_str()
            .unwrap_or("default")
    }

    /// A problem with the field at `path`, with the line on which that field, or the nearest
    /// enclosing one that was written, stands.
    pub(crate) fn problem(&self, field: &str, message: impl Into<String>) -> Problem {
        Problem {
            file: self.file.clone(),
            line: self.positions.line(field),
            field: field.to_owned(),
            message: message.into(),
        }
    }
}

/// Reads every object of every file, experiments of older versions as ones of today's; all
/// unreadable files are reported at once.
pub(crate) fn read_files(files: &[PathBuf]) -> Result<Vec<Manifest>, Vec<Problem>> {
    let mut manifests = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        match read_file(file) {
            Ok(found) => manifests.extend(found),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        older::converted(manifests)
    } else {
        Err(problems)
    }
}

fn read_file(file: &Path) -> Result<Vec<Manifest>, Vec<Problem>> {
    let whole = |line, message| {
        vec![Problem {
            file: file.to_owned(),
            line,
            field: String::new(),
            message,
        }]
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| whole(None, format!("can't read the file: {error}")))?;
    parse(file, &text)
        .map_err(|(line, message)| whole(line, message))
        .and_then(|manifests| {
            if manifests.is_empty() {
                return Err(whole(None, "the file holds no object".to_owned()));
            }
            check_identity(manifests)
        })
}

fn parse(file: &Path, text: &str) -> Result<Vec<Manifest>, (Option<usize>, String)> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| {
        let line = error
            .location()
            .map(|at| usize::try_from(at.line()).unwrap_or_default());
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        // The position is told apart from the text already.
        let what = first.trim_start_matches("error: ");
        let what = what
            .strip_prefix("line ")
            .and_then(|rest| rest.split_once(": "))
            .map_or(what, |(_, what)| what);
        (line, format!("not valid YAML: {what}"))
    })?;
    let positions = Positions::of_documents(text);
    let found = documents
        .into_iter()
        .zip(positions)
        .filter(|(object, _)| !object.is_null())
        .flat_map(|(object, positions)| items(object, positions))
        .map(|(object, positions)| Manifest {
            object,
            file: file.to_owned(),
            positions,
        })
        .collect();
    Ok(found)
}

/// A `List` stands for its items.
fn items(object: Value, positions: Positions) -> Vec<(Value, Positions)> {
    let is_list = object["kind"].as_str().is_some_and(|kind| kind == "List");
    match object {
        Value::Object(mut list) if is_list => {
            let Some(Value::Array(items)) = list.remove("items") else {
                return Vec::new();
            };
            items
                .into_iter()
                .enumerate()
                .map(|(i, item)| (item, positions.below(&format!("items[{i}]"))))
                .collect()
        }
        other => vec![(other, positions)],
    }
}

/// Every object needs what tells it from others before a server can say more.
fn check_identity(manifests: Vec<Manifest>) -> Result<Vec<Manifest>, Vec<Problem>> {
    let mut problems = Vec::new();
    for manifest in &manifests {
        if !manifest.object.is_object() {
            problems.push(manifest.problem(
                "",
                "not an object: a mapping with apiVersion and kind is expected",
            ));
            continue;
        }
        for field in ["apiVersion", "kind"] {
            if manifest.object[field].as_str().is_none_or(str::is_empty) {
                problems.push(manifest.problem(field, "Required value: must be specified"));
            }
        }
        let metadata = &manifest.object["metadata"];
        if metadata["name"].as_str().is_none_or(str::is_empty)
            && metadata["generateName"].as_str().is_none_or(str::is_empty)
        {
            problems.push(manifest.problem(
                "metadata.name",
                "Required value: name or generateName is required",
            ));
        }
    }
    if problems.is_empty() {
        Ok(manifests)
    } else {
        Err(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "\
# a comment
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
---
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: b, namespace: team}
spec:
  parameters:
    - name: lr
      feasibleSpace:
        min: \"0.1\"
";

    fn manifests(text: &str) -> Vec<Manifest> {
        parse(Path::new("x.yaml"), text).unwrap()
    }

    #[test]
    fn every_document_is_an_object_with_its_own_lines() {
        let found = manifests(TWO);
        let heads: Vec<_> = found
            .iter()
            .map(|m| (m.kind(), m.namespace(), m.name()))
            .collect();
        assert_eq!(
            heads,
            [("ConfigMap", "default", "a"), ("Experiment", "team", "b")]
        );
        let problem = found[1].problem("spec.parameters[0].feasibleSpace.min", "too small");
        assert_eq!(
            problem.to_string(),
            "x.yaml:14: spec.parameters[0].feasibleSpace.min: too small"
        );
    }

    #[test]
    fn a_field_that_is_not_there_is_shown_where_it_would_stand() {
        let found = manifests(TWO);
        assert_eq!(
            found[1]
                .problem("spec.parameters[0].feasibleSpace.max", "")
                .line,
            Some(13)
        );
        assert_eq!(found[1].problem("spec.objective", "").line, Some(10));
    }

    #[test]
    fn a_list_stands_for_its_items() {
        let found = manifests(
            "kind: List\napiVersion: v1\nitems:\n- kind: ConfigMap\n  apiVersion: v1\n  metadata:\n    name: x\n",
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].problem("metadata.name", "").line, Some(7));
    }

    #[test]
    fn broken_yaml_names_its_line() {
        let (line, message) = parse(Path::new("x.yaml"), "a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(line.is_some_and(|line| line >= 2), "{line:?} {message}");
        assert!(message.starts_with("not valid YAML: "), "{message}");
    }

    #[test]
    fn an_object_without_kind_and_name_is_refused_with_both_named() {
        let found = manifests("apiVersion: v1\nmetadata: {}\n");
        let fields: Vec<_> = check_identity(found)
            .unwrap_err()
            .into_iter()
            .map(|p| p.field)
            .collect();
        assert_eq!(fields, ["kind", "metadata.name"]);
    }
}
