//! Label and field selectors.

mod field;
mod label;

use memchr::memmem;
use serde_json::Value;

use crate::{metadata, resource::Resource, store::Object};

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
        let labels = label::parse(labels.unwrap_or_default())?;
        let fields = field::parse(resource, fields.unwrap_or_default())?;
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

    /// Whether a stored object is selected. Most that are not are told by their JSON alone.
    pub(crate) fn selects(&self, object: &Object) -> bool {
        self.is_empty() || self.may_match(&object.json) && self.matches(&object.value())
    }

    /// Whether each text that an object must have is somewhere in its JSON. Texts that JSON
    /// escapes are not looked for.
    fn may_match(&self, json: &[u8]) -> bool {
        let is_plain = |text: &&str| !text.contains(|c: char| c.is_control() || "\"\\".contains(c));
        let labels = self.equalities().map(|(_, value)| value);
        let fields = self.fields.iter().filter(|field| field.equal);
        let mut texts = labels
            .chain(fields.map(|f| f.value.as_str()))
            .filter(is_plain);
        texts.all(|text| memmem::find(json, text.as_bytes()).is_some())
    }

    /// Whether everything with a label is selected.
    pub(crate) fn is_only(&self, label: &str, value: &str) -> bool {
        self.fields.is_empty()
            && self.labels.len() == 1
            && self.equalities().any(|only| only == (label, value))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Selector;
    use crate::resource::{EVENTS, EVENTS_V1, PODS};

    #[track_caller]
    fn check(labels: &str, expected: bool) {
        let object = json!({ "metadata": { "labels": { "a": "1", "x.y/b": "two" } } });
        let selector = Selector::parse(&PODS, Some(labels), None).unwrap();
        assert_eq!(selector.matches(&object), expected, "{labels}");
    }

    #[test]
    fn json_alone_tells_what_can_t_be_selected() {
        let object = json!({ "metadata": { "labels": { "a": "1" }, "name": "n\"" } });
        let json = object.to_string();
        let cases = [
            ("", "", true),
            ("a=1", "", true),
            ("a=2", "", false),
            ("a!=2", "", true),
        ];
        let names = [
            ("", "metadata.name=n", true),
            ("a=1", "metadata.name=zz", false),
        ];
        for (labels, fields, expected) in cases.into_iter().chain(names) {
            let selector = Selector::parse(&PODS, Some(labels), Some(fields)).unwrap();
            assert_eq!(
                selector.may_match(json.as_bytes()),
                expected,
                "{labels} {fields}"
            );
        }
        assert!(Selector::label("a", "1").is_only("a", "1"));
        assert!(!Selector::label("a", "1").is_only("b", "1"));
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
        for (resource, fields) in [
            (&EVENTS, "involvedObject.name=x"),
            (&EVENTS_V1, "regarding.name=x"),
        ] {
            assert!(
                Selector::parse(resource, None, Some(fields))
                    .unwrap()
                    .matches(&event)
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for labels in [
            "a in 1", "a in (1", "a=b c", "a,=b", "a > x", "a=\u{e4}", ",", "-a", "a b", "!",
        ] {
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
