//! The form in which a client wants the answer.

/// The media types of one object.
pub(super) const WHOLE: &str = "application/json, application/yaml";
/// The media types of lists and their changes.
pub(super) const STREAMED: &str =
    "application/json, application/yaml, application/json;stream=watch";

/// How objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Json,
    /// As they are, in YAML.
    Yaml,
    /// As rows of a table, for people.
    Table,
    /// Only their metadata.
    Metadata,
}

impl Form {
    /// The first form of an `Accept` header that can be written.
    pub(super) fn negotiate(accept: &str) -> Option<Self> {
        if accept.trim().is_empty() {
            return Some(Self::Json);
        }
        accept.split(',').find_map(form)
    }
}

fn form(range: &str) -> Option<Form> {
    let mut parts = range.split(';').map(str::trim);
    let media_type = parts.next()?;
    let parameters: Vec<(&str, &str)> = parts.filter_map(|p| p.split_once('=')).collect();
    let parameter = |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|p| p.1);
    let meta = parameter("g") == Some("meta.k8s.io") && parameter("v") == Some("v1");
    match (media_type, parameter("as")) {
        ("application/json", Some("Table")) if meta => Some(Form::Table),
        ("application/json", Some("PartialObjectMetadata" | "PartialObjectMetadataList"))
            if meta =>
        {
            Some(Form::Metadata)
        }
        ("application/json" | "application/*" | "*/*", None) => Some(Form::Json),
        ("application/yaml", None) => Some(Form::Yaml),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn the_first_known_form_is_taken() {
        for (accept, form) in [
            ("", Form::Json),
            ("*/*", Form::Json),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
                Form::Table,
            ),
            (
                "application/json;as=Table;v=v1beta1;g=meta.k8s.io, application/json",
                Form::Json,
            ),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Form::Json,
            ),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                Form::Metadata,
            ),
            ("application/yaml", Form::Yaml),
            ("application/json;stream=watch", Form::Json),
        ] {
            assert_eq!(Form::negotiate(accept), Some(form), "{accept}");
        }
        assert_eq!(Form::negotiate("text/html"), None);
    }
}
