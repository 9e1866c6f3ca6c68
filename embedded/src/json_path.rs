//! The part of JSONPath that printer columns use: `.a.b[-1:].c`, `[0]`, `[*]`,
//! `[?(@.type=="Ready")]`, and names with escaped dots.

use serde_json::Value;

/// The first value at a path, if there is any.
pub(crate) fn first<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut found = vec![value];
    let mut rest = path.trim().trim_start_matches('{').trim_end_matches('}');
    while !rest.is_empty() {
        let (step, after) = next_step(rest)?;
        rest = after;
        found = found
            .into_iter()
            .flat_map(|value| step.follow(value))
            .collect();
    }
    found.into_iter().find(|value| !value.is_null())
}

enum Step {
    Field(String),
    All,
    Index(i64),
    Slice(Option<i64>, Option<i64>),
    Filter(Vec<String>, String),
}

fn next_step(path: &str) -> Option<(Step, &str)> {
    if let Some(rest) = path.strip_prefix('[') {
        // A filter may hold brackets only in its text, which printer columns do not have.
        let (inside, after) = rest.split_once(']')?;
        return Some((bracket(inside)?, after));
    }
    let rest = path.strip_prefix('.').unwrap_or(path);
    let mut name = String::new();
    let mut characters = rest.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => name.extend(characters.next().map(|(_, c)| c)),
            '.' | '[' => return Some((Step::Field(name), &rest[at..])),
            _ => name.push(c),
        }
    }
    Some((Step::Field(name), ""))
}

fn bracket(inside: &str) -> Option<Step> {
    if inside == "*" {
        return Some(Step::All);
    }
    if let Some(filter) = inside.strip_prefix("?(").and_then(|f| f.strip_suffix(')')) {
        let (path, wanted) = filter.split_once("==")?;
        let fields = path
            .trim()
            .strip_prefix("@.")?
            .split('.')
            .map(str::to_owned)
            .collect();
        let wanted = wanted.trim().trim_matches(['"', '\'']).to_owned();
        return Some(Step::Filter(fields, wanted));
    }
    if let Some(quoted) = inside.strip_prefix(['\'', '"']) {
        return Some(Step::Field(quoted.trim_end_matches(['\'', '"']).to_owned()));
    }
    let number = |text: &str| text.trim().parse::<i64>().ok();
    if let Some((start, end)) = inside.split_once(':') {
        return Some(Step::Slice(number(start), number(end)));
    }
    number(inside).map(Step::Index)
}

impl Step {
    fn follow<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let items = || value.as_array().map_or(&[][..], Vec::as_slice);
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::All => items().iter().collect(),
            Self::Index(index) => items()
                .get(absolute(*index, items().len()))
                .into_iter()
                .collect(),
            Self::Slice(start, end) => {
                let length = items().len();
                let start = start.map_or(0, |start| absolute(start, length)).min(length);
                let end = end.map_or(length, |end| absolute(end, length)).min(length);
                items().get(start..end).unwrap_or_default().iter().collect()
            }
            Self::Filter(fields, wanted) => {
                let at = |item: &'a Value| fields.iter().fold(item, |value, field| &value[field]);
                items()
                    .iter()
                    .filter(|item| at(item) == wanted.as_str())
                    .collect()
            }
        }
    }
}

fn absolute(index: i64, length: usize) -> usize {
    let length = length as i64;
    usize::try_from(if index < 0 { length + index } else { index }).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::first;

    #[test]
    fn paths_of_printer_columns_are_followed() {
        let object = json!({
            "metadata": { "annotations": { "a.b/c": "x" } },
            "status": { "conditions": [{ "type": "A", "status": "1" }, { "type": "B", "status": "2" }],
                        "n": [7, 8] },
        });
        for (path, expected) in [
            (".status.conditions[-1:].type", json!("B")),
            (".status.conditions[0].type", json!("A")),
            (".status.conditions[?(@.type==\"B\")].status", json!("2")),
            (".status.conditions[*].type", json!("A")),
            (r".metadata.annotations.a\.b/c", json!("x")),
            (".status.n[1:]", json!(8)),
            (".status.n[-1]", json!(8)),
        ] {
            assert_eq!(first(&object, path), Some(&expected), "{path}");
        }
        for path in [
            ".status.nothing",
            ".status.conditions[5].type",
            ".status[",
            ".a[x]",
        ] {
            assert_eq!(first(&object, path), None, "{path}");
        }
        assert_eq!(first(&json!({}), ".status.conditions[-1:].type"), None);
    }
}
