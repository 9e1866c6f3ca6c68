//! Label and field selectors.

use serde_json::Value;

use crate::{metadata, resource::Resource};

/// What a list or watch selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<LabelRequirement>,
    fields: Vec<FieldRequirement>,
}

/// One requirement on labels.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LabelRequirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

/// One requirement on a field.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldRequirement {
    path: String,
    value: String,
    equal: bool,
}

impl Selector {
    /// Parses selectors as clients write them. The error says what is wrong.
    pub fn parse(
        resource: &Resource,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Result<Self, String> {
        let labels = split_terms(labels.unwrap_or_default())
            .map(parse_label)
            .collect::<Result<_, _>>()?;
        let fields = fields
            .unwrap_or_default()
            .split(',')
            .filter(|term| !term.is_empty())
            .map(|term| parse_field(resource, term))
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Selects objects with this label.
    pub fn label(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            labels: vec![LabelRequirement::In(name.into(), vec![value.into()])],
            fields: vec![],
        }
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        self.labels
            .iter()
            .all(|requirement| requirement.matches(object))
            && self
                .fields
                .iter()
                .all(|requirement| requirement.matches(object))
    }

    /// The labels that selected objects have for certain.
    pub(crate) fn equalities(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels
            .iter()
            .filter_map(|requirement| match requirement {
                LabelRequirement::In(label, values) => match values.as_slice() {
                    [value] => Some((label.as_str(), value.as_str())),
                    _ => None,
                },
                _ => None,
            })
    }

    /// The name that selected objects have for certain.
    pub(crate) fn name(&self) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields
            .find(|f| f.equal && f.path == "metadata.name")
            .map(|f| f.value.as_str())
    }
}

impl LabelRequirement {
    fn matches(&self, object: &Value) -> bool {
        let label = |name: &str| metadata::labels(object)?.get(name)?.as_str();
        match self {
            Self::In(name, values) => label(name).is_some_and(|v| values.iter().any(|w| w == v)),
            Self::NotIn(name, values) => label(name).is_none_or(|v| values.iter().all(|w| w != v)),
            Self::Exists(name) => label(name).is_some(),
            Self::Absent(name) => label(name).is_none(),
            Self::Greater(name, bound) => number(label(name)).is_some_and(|n| n > *bound),
            Self::Less(name, bound) => number(label(name)).is_some_and(|n| n < *bound),
        }
    }
}

fn number(text: Option<&str>) -> Option<i64> {
    text?.parse().ok()
}

impl FieldRequirement {
    fn matches(&self, object: &Value) -> bool {
        let mut value = object;
        for part in self.path.split('.') {
            value = &value[part];
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        (text == self.value) == self.equal
    }
}

/// The terms between commas that are not in parentheses.
fn split_terms(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|term| !term.is_empty())
}

fn parse_label(term: &str) -> Result<LabelRequirement, String> {
    if let Some((key, rest)) = set_based(term) {
        let (negated, list) = rest;
        let inner = list.strip_prefix('(').and_then(|l| l.strip_suffix(')'));
        let Some(inner) = inner else {
            return Err(format!("found {list:?}, expected: '('"));
        };
        let values: Vec<String> = inner.split(',').map(|v| v.trim().to_owned()).collect();
        let key = label_key(key)?;
        for value in &values {
            label_value(value)?;
        }
        return Ok(if negated {
            LabelRequirement::NotIn(key, values)
        } else {
            LabelRequirement::In(key, values)
        });
    }
    if let Some(key) = term.strip_prefix('!').filter(|key| !key.contains('=')) {
        return Ok(LabelRequirement::Absent(label_key(key)?));
    }
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = term.split_once(operator) {
            let (key, values) = (label_key(key)?, vec![label_value(value)?]);
            return Ok(if equal {
                LabelRequirement::In(key, values)
            } else {
                LabelRequirement::NotIn(key, values)
            });
        }
    }
    for (operator, greater) in [('>', true), ('<', false)] {
        if let Some((key, bound)) = term.split_once(operator) {
            let bound = bound.trim();
            let number: i64 = bound.parse().map_err(|_| {
                format!("for 'Gt', 'Lt' operators, the value must be an integer: {bound:?}")
            })?;
            let key = label_key(key)?;
            return Ok(if greater {
                LabelRequirement::Greater(key, number)
            } else {
                LabelRequirement::Less(key, number)
            });
        }
    }
    Ok(LabelRequirement::Exists(label_key(term)?))
}

/// Splits `key in (…)` and `key notin (…)` into the key, whether it is negated, and the list.
fn set_based(term: &str) -> Option<(&str, (bool, &str))> {
    let (key, rest) = term.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    let negated = rest.strip_prefix("notin").map(|list| (true, list.trim()));
    let plain = rest.strip_prefix("in").map(|list| (false, list.trim()));
    Some((key, negated.or(plain)?))
}

fn label_key(key: &str) -> Result<String, String> {
    let key = key.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if key.is_empty() || !key.chars().all(allowed) {
        return Err(format!(
            "unable to parse requirement: invalid label key {key:?}"
        ));
    }
    Ok(key.to_owned())
}

fn label_value(value: &str) -> Result<String, String> {
    let value = value.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if value.len() > 63 || !value.chars().all(allowed) {
        return Err(format!(
            "unable to parse requirement: invalid label value {value:?}"
        ));
    }
    Ok(value.to_owned())
}

fn parse_field(resource: &Resource, term: &str) -> Result<FieldRequirement, String> {
    let found = [("!=", false), ("==", true), ("=", true)]
        .into_iter()
        .find_map(|(operator, equal)| Some((term.split_once(operator)?, equal)));
    let Some(((path, value), equal)) = found else {
        return Err(format!(
            "invalid selector: '{term}'; can't understand '{term}'"
        ));
    };
    let known = ["metadata.name", "metadata.namespace"];
    if !known.contains(&path) && !fields_of(resource).contains(&path) {
        return Err(format!("field label not supported: {path}"));
    }
    // The reason of an events.k8s.io/v1 event is the same field; its object has another name.
    let path = match path.strip_prefix("regarding") {
        Some(rest) => format!("involvedObject{rest}"),
        None if path == "source" => "source.component".to_owned(),
        None => path.to_owned(),
    };
    Ok(FieldRequirement {
        path,
        value: value.to_owned(),
        equal,
    })
}

/// The fields, beside name and namespace, by which objects of a kind can be selected.
fn fields_of(resource: &Resource) -> &'static [&'static str] {
    if resource.custom {
        return resource.selectable;
    }
    match resource.kind {
        "Pod" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "Event" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "Job" => &["status.successful"],
        "Namespace" => &["status.phase"],
        "Node" => &["spec.unschedulable"],
        "Secret" => &["type"],
        "Service" => &["spec.clusterIP", "spec.type"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Selector;
    use crate::resource::{EVENTS, PODS};

    #[track_caller]
    fn check(labels: &str, expected: bool) {
        let object = json!({ "metadata": { "labels": { "a": "1", "x.y/b": "two" } } });
        let selector = Selector::parse(&PODS, Some(labels), None).unwrap();
        assert_eq!(selector.matches(&object), expected, "{labels}");
    }

    #[test]
    fn labels_select_by_equality_sets_and_existence() {
        check("", true);
        check("a=1", true);
        check("a==2", false);
        check("a!=2", true);
        check("c!=2", true);
        check("a", true);
        check("!a", false);
        check("!c", true);
        check("x.y/b in (one, two)", true);
        check("x.y/b in (one)", false);
        check("a notin (2,3),x.y/b=two", true);
        check("c in (a)", false);
        check("c notin (a)", true);
        check("a > 0", true);
        check("a<1", false);
    }

    #[test]
    fn fields_select_by_path() {
        let pod = json!({
            "metadata": { "name": "p", "namespace": "n" }, "status": { "phase": "Running" },
        });
        for (fields, expected) in [
            ("metadata.name=p,status.phase!=Failed", true),
            ("spec.nodeName=", true),
            ("metadata.namespace==m", false),
        ] {
            let selector = Selector::parse(&PODS, None, Some(fields)).unwrap();
            assert_eq!(selector.matches(&pod), expected, "{fields}");
        }
        let event = json!({ "involvedObject": { "name": "x" } });
        for fields in ["involvedObject.name=x", "regarding.name=x"] {
            assert!(
                Selector::parse(&EVENTS, None, Some(fields))
                    .unwrap()
                    .matches(&event)
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for labels in ["a in 1", "a=b c", "a,=b", "a > x", "a=\u{e4}"] {
            assert!(
                Selector::parse(&PODS, Some(labels), None).is_err(),
                "{labels}"
            );
        }
        for fields in ["spec.foo=1", "metadata.name"] {
            assert!(
                Selector::parse(&PODS, None, Some(fields)).is_err(),
                "{fields}"
            );
        }
    }
}
