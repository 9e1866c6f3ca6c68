//! Sets of fields, in the form in which Kubernetes writes them (`fieldsV1`).
//!
//! Each key is a step (see [`super::element`]), each value the same again; a step whose value is
//! empty, or holds `.`, is a member itself. Sets are kept in that form: they are read from and
//! written to objects without being converted.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

const MEMBER: &str = ".";

/// A set of fields. A step without any member below it is never in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FieldSet(Map<String, Value>);

impl FieldSet {
    /// The set in a `fieldsV1`.
    pub(crate) fn from_json(json: Map<String, Value>) -> Self {
        Self(json)
    }

    /// The set as a `fieldsV1`.
    pub(crate) fn into_json(self) -> Value {
        Value::Object(self.0)
    }

    /// A set that a client has sent, in the form in which sets are compared. `None` when a step
    /// makes no sense.
    pub(crate) fn normal(self) -> Option<Self> {
        normal(self.0).map(Self)
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The part below the steps that `keep` wants.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|step, _| keep(step));
    }

    /// Makes a field a member. The whole object, which has no steps, never is one.
    pub(crate) fn insert<S: AsRef<str>>(&mut self, path: &[S]) {
        let mut at = &mut self.0;
        for (i, step) in path.iter().enumerate() {
            let last = i + 1 == path.len();
            let new = !at.contains_key(step.as_ref());
            let node = at
                .entry(step.as_ref())
                .or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(node) = node else { return };
            // An empty node is a member; it stays one when it gets children.
            if !new && node.is_empty() && !last {
                node.insert(MEMBER.to_owned(), Value::Object(Map::new()));
            }
            if last && !node.is_empty() {
                node.insert(MEMBER.to_owned(), Value::Object(Map::new()));
            }
            at = node;
        }
    }

    /// What is below a step.
    pub(crate) fn below(&self, step: &str) -> Option<Below<'_>> {
        self.0.get(step).map(Below)
    }

    /// Adds the members of another set.
    pub(crate) fn add(&mut self, other: &Self) {
        add(&mut self.0, &other.0);
    }

    /// Removes the members of another set; what is below them stays.
    pub(crate) fn remove(&mut self, other: &Self) {
        remove(&mut self.0, &other.0);
    }

    /// The members that are in both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        Self(intersection(&self.0, &other.0))
    }

    /// The members, as lists of steps; those of one level before those below.
    pub(crate) fn paths(&self) -> Vec<Vec<&str>> {
        let mut paths = Vec::new();
        collect(&self.0, &mut Vec::new(), &mut paths);
        paths
    }

    /// The steps of the first level, for building a set level by level.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&str, Below<'_>)> {
        self.0
            .iter()
            .map(|(step, node)| (step.as_str(), Below(node)))
    }

    /// Puts a step with what is below it.
    pub(crate) fn put(&mut self, step: &str, member: bool, below: Self) {
        if let Some(node) = node(member, below.0) {
            self.0.insert(step.to_owned(), node);
        }
    }
}

/// A step of a set: whether it is a member, and what is below it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Below<'a>(&'a Value);

impl<'a> Below<'a> {
    /// Whether the step itself is a member.
    pub(crate) fn is_member(self) -> bool {
        is_member(self.0)
    }

    /// What is below a further step.
    pub(crate) fn below(self, step: &str) -> Option<Self> {
        self.0.get(step).map(Self)
    }

    /// Whether anything is below it.
    pub(crate) fn is_leaf(self) -> bool {
        self.nodes().next().is_none()
    }

    /// The steps below.
    pub(crate) fn nodes(self) -> impl Iterator<Item = (&'a str, Self)> {
        let steps = self.0.as_object().into_iter().flatten();
        steps
            .filter(|(step, _)| *step != MEMBER)
            .map(|(step, node)| (step.as_str(), Self(node)))
    }
}

fn is_member(node: &Value) -> bool {
    node.as_object()
        .is_some_and(|node| node.is_empty() || node.contains_key(MEMBER))
}

/// A step; `None` when nothing of it is in the set.
fn node(member: bool, mut children: Map<String, Value>) -> Option<Value> {
    children.remove(MEMBER);
    if children.is_empty() && !member {
        return None;
    }
    if member && !children.is_empty() {
        children.insert(MEMBER.to_owned(), Value::Object(Map::new()));
    }
    Some(Value::Object(children))
}

fn add(mine: &mut Map<String, Value>, theirs: &Map<String, Value>) {
    for (step, their) in theirs.iter().filter(|(step, _)| *step != MEMBER) {
        match mine.get_mut(step) {
            None => {
                mine.insert(step.clone(), their.clone());
            }
            Some(my) => {
                let member = is_member(my) || is_member(their);
                let mut children = take(my);
                if let Value::Object(their) = their {
                    add(&mut children, their);
                }
                *my = node(member, children).unwrap_or_default();
            }
        }
    }
}

fn remove(mine: &mut Map<String, Value>, theirs: &Map<String, Value>) {
    for (step, their) in theirs.iter().filter(|(step, _)| *step != MEMBER) {
        let Some(my) = mine.get_mut(step) else {
            continue;
        };
        let member = is_member(my) && !is_member(their);
        let mut children = take(my);
        if let Value::Object(their) = their {
            remove(&mut children, their);
        }
        match node(member, children) {
            Some(rest) => *my = rest,
            None => {
                mine.remove(step);
            }
        }
    }
}

fn intersection(mine: &Map<String, Value>, theirs: &Map<String, Value>) -> Map<String, Value> {
    let mut both = Map::new();
    for (step, their) in theirs.iter().filter(|(step, _)| *step != MEMBER) {
        let (Some(my), Value::Object(below)) = (mine.get(step), their) else {
            continue;
        };
        let children = my
            .as_object()
            .map(|my| intersection(my, below))
            .unwrap_or_default();
        if let Some(node) = node(is_member(my) && is_member(their), children) {
            both.insert(step.clone(), node);
        }
    }
    both
}

fn collect<'a>(
    set: &'a Map<String, Value>,
    path: &mut Vec<&'a str>,
    paths: &mut Vec<Vec<&'a str>>,
) {
    let steps = || set.iter().filter(|(step, _)| *step != MEMBER);
    for (step, _) in steps().filter(|(_, node)| is_member(node)) {
        path.push(step);
        paths.push(path.clone());
        path.pop();
    }
    for (step, node) in steps() {
        if let Value::Object(node) = node {
            path.push(step);
            collect(node, path, paths);
            path.pop();
        }
    }
}

fn normal(set: Map<String, Value>) -> Option<Map<String, Value>> {
    let mut out = Map::new();
    for (step, below) in set.into_iter().filter(|(step, _)| step != MEMBER) {
        let Value::Object(below) = below else {
            return None;
        };
        let member = below.is_empty() || below.contains_key(MEMBER);
        let step = match step.split_once(':')? {
            ("f", _) => step,
            ("i", index) => format!("i:{}", index.parse::<u64>().ok()?),
            ("v", value) => format!("v:{}", serde_json::from_str::<Value>(value).ok()?),
            ("k", keys) => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(keys).ok()?;
                format!("k:{}", serde_json::to_string(&keys).ok()?)
            }
            _ => return None,
        };
        if let Some(node) = node(member, normal(below)?) {
            out.insert(step, node);
        }
    }
    Some(out)
}

fn take(node: &mut Value) -> Map<String, Value> {
    match node.take() {
        Value::Object(mut children) => {
            children.remove(MEMBER);
            children
        }
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::FieldSet;

    fn set(paths: &[Vec<String>]) -> FieldSet {
        let mut set = FieldSet::default();
        for path in paths {
            set.insert(path);
        }
        set
    }

    fn paths() -> impl Strategy<Value = Vec<Vec<String>>> {
        let step = prop::sample::select(vec!["f:a", "f:b", "k:{\"n\":1}", "v:2"]);
        prop::collection::vec(
            prop::collection::vec(step.prop_map(str::to_owned), 1..4),
            0..8,
        )
    }

    #[test]
    fn members_with_children_are_marked() {
        let paths = [
            vec!["f:a".to_owned()],
            vec!["f:a".to_owned(), "f:b".to_owned()],
        ];
        assert_eq!(
            set(&paths).into_json(),
            json!({ "f:a": { ".": {}, "f:b": {} } })
        );
        assert_eq!(
            set(&paths[1..]).into_json(),
            json!({ "f:a": { "f:b": {} } })
        );
    }

    proptest! {
        #[test]
        fn sets_behave_as_sets(a in paths(), b in paths()) {
            let sorted = |set: &FieldSet| {
                let mut paths: Vec<Vec<String>> = set
                    .paths()
                    .into_iter()
                    .map(|path| path.into_iter().map(str::to_owned).collect())
                    .collect();
                paths.sort();
                paths
            };
            let expected = |keep: &dyn Fn(&Vec<String>) -> bool| {
                let mut all: Vec<Vec<String>> =
                    a.iter().chain(&b).filter(|path| keep(path)).cloned().collect();
                all.sort();
                all.dedup();
                all
            };
            let (left, right) = (set(&a), set(&b));
            let mut union = left.clone();
            union.add(&right);
            prop_assert_eq!(sorted(&union), expected(&|_| true));
            let mut difference = left.clone();
            difference.remove(&right);
            prop_assert_eq!(sorted(&difference), expected(&|p| a.contains(p) && !b.contains(p)));
            let both = left.intersection(&right);
            prop_assert_eq!(sorted(&both), expected(&|p| a.contains(p) && b.contains(p)));
            prop_assert_eq!(&both, &right.intersection(&left));
            let mut again = difference.clone();
            again.add(&both);
            prop_assert_eq!(again, left);
        }
    }
}
