//! Errors that name the field they are about, in the words of Kubernetes.

use std::fmt::{self, Display, Formatter};

/// One thing that is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// What kind of error it is.
    pub kind: FieldErrorKind,
    /// Path of the field, such as `spec.parameters[0].feasibleSpace.min`.
    pub field: String,
    /// The value that was given, where it helps.
    pub value: Option<String>,
    /// What would be right.
    pub detail: String,
}

/// The kinds of field error, named as Kubernetes names them in `Status.details.causes[].reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// A value is missing.
    Required,
    /// A value is not acceptable.
    Invalid,
    /// A value stands twice.
    Duplicate,
    /// A value is not one of the known ones.
    NotSupported,
    /// A field may not be given here.
    Forbidden,
    /// A value names what is not there.
    NotFound,
}

impl FieldErrorKind {
    /// The reason in `Status.details.causes`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::NotFound => "FieldValueNotFound",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid => "Invalid value",
            Self::Duplicate => "Duplicate value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not found",
        }
    }
}

impl FieldError {
    /// A missing value.
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Required, field, None, detail)
    }
    /// A value that is not acceptable.
    pub fn invalid(
        field: impl Into<String>,
        value: impl Display,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(
            FieldErrorKind::Invalid,
            field,
            Some(value.to_string()),
            detail,
        )
    }
    /// A value that stands twice.
    pub fn duplicate(field: impl Into<String>, value: impl Display) -> Self {
        Self::new(
            FieldErrorKind::Duplicate,
            field,
            Some(value.to_string()),
            "",
        )
    }
    /// A field that may not be given here.
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Forbidden, field, None, detail)
    }
    /// A value that names what is not there.
    pub fn not_found(field: impl Into<String>, value: impl Display) -> Self {
        Self::new(FieldErrorKind::NotFound, field, Some(value.to_string()), "")
    }
    /// A value that is not one of `supported`.
    pub fn not_supported(
        field: impl Into<String>,
        value: impl Display,
        supported: &[&str],
    ) -> Self {
        let list = supported
            .iter()
            .map(|s| format!("{s:?}"))
            .collect::<Vec<_>>()
            .join(", ");
        let detail = format!("supported values: {list}");
        Self::new(
            FieldErrorKind::NotSupported,
            field,
            Some(value.to_string()),
            detail,
        )
    }

    fn new(
        kind: FieldErrorKind,
        field: impl Into<String>,
        value: Option<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            field: field.into(),
            value,
            detail: detail.into(),
        }
    }

    /// The text without the field, as in `Status.details.causes[].message`.
    pub fn message(&self) -> String {
        let value = self.value.as_ref().map(|value| match value.parse::<f64>() {
            Ok(_) => value.clone(),
            // Objects and lists stand as they are.
            Err(_) if value.starts_with(['{', '[']) || value == "null" => value.clone(),
            Err(_) => format!("{value:?}"),
        });
        let detail = Some(self.detail.clone()).filter(|detail| !detail.is_empty());
        let parts = [Some(self.kind.title().to_owned()), value, detail];
        parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
    }
}

impl Display for FieldError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message())
    }
}

/// Everything that is wrong with an object, in the order in which it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(pub Vec<FieldError>);

impl FieldErrors {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Adds one error.
    pub fn push(&mut self, error: FieldError) {
        self.0.push(error);
    }
    /// Adds errors.
    pub fn extend(&mut self, errors: impl IntoIterator<Item = FieldError>) {
        self.0.extend(errors);
    }
    /// `Ok` when nothing is wrong.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl Display for FieldErrors {
    /// One error as it is, several in brackets, as Kubernetes aggregates them.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let [one] = self.0.as_slice() {
            return write!(f, "{one}");
        }
        let list = self
            .0
            .iter()
            .map(FieldError::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        write!(f, "[{list}]")
    }
}

impl std::error::Error for FieldErrors {}

#[cfg(test)]
mod tests {
    use super::{FieldError, FieldErrors};

    #[test]
    fn errors_read_as_those_of_kubernetes() {
        let cases = [
            (
                FieldError::required("a", "must be given"),
                "a: Required value: must be given",
            ),
            (
                FieldError::invalid("a", "x", "no"),
                r#"a: Invalid value: "x": no"#,
            ),
            (FieldError::invalid("a", 3, "no"), "a: Invalid value: 3: no"),
            (
                FieldError::duplicate("a", "x"),
                r#"a: Duplicate value: "x""#,
            ),
            (FieldError::forbidden("a", "no"), "a: Forbidden: no"),
            (
                FieldError::not_supported("a", "x", &["y", "z"]),
                r#"a: Unsupported value: "x": supported values: "y", "z""#,
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn several_errors_stand_in_brackets() {
        let mut errors = FieldErrors::default();
        assert_eq!(errors.clone().into_result(), Ok(()));
        errors.push(FieldError::required("a", ""));
        assert_eq!(errors.to_string(), "a: Required value");
        errors.extend([FieldError::forbidden("b", "no")]);
        assert_eq!(errors.to_string(), "[a: Required value, b: Forbidden: no]");
    }
}
