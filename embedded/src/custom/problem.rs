//! What is wrong with a field, in the words of Kubernetes.

use serde_json::Value;

use crate::status::Cause;

/// A value is missing.
pub(crate) fn required(field: impl Into<String>, detail: &str) -> Cause {
    make("FieldValueRequired", "Required value", field, None, detail)
}

/// A value is not acceptable.
pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Cause {
    let shown = Some(show(value));
    make("FieldValueInvalid", "Invalid value", field, shown, detail)
}

/// A value has a wrong type.
pub(crate) fn mistyped(field: impl Into<String>, shown: &str, detail: &str) -> Cause {
    let shown = Some(format!("{shown:?}"));
    make(
        "FieldValueTypeInvalid",
        "Invalid value",
        field,
        shown,
        detail,
    )
}

/// A field may not be given here.
pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Cause {
    make("FieldValueForbidden", "Forbidden", field, None, detail)
}

/// A value stands twice.
pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Cause {
    let shown = Some(show(value));
    make("FieldValueDuplicate", "Duplicate value", field, shown, "")
}

/// A value is not one of the known ones.
pub(crate) fn unsupported(field: impl Into<String>, value: &Value, known: &[&str]) -> Cause {
    let list: Vec<String> = known.iter().map(|known| format!("{known:?}")).collect();
    let detail = format!("supported values: {}", list.join(", "));
    let shown = Some(show(value));
    make(
        "FieldValueNotSupported",
        "Unsupported value",
        field,
        shown,
        &detail,
    )
}

/// A text or list is too long.
pub(crate) fn too_many(field: impl Into<String>, count: usize, most: u64) -> Cause {
    let detail = format!("must have at most {most} items");
    let shown = Some(count.to_string());
    make("FieldValueTooMany", "Too many", field, shown, &detail)
}

/// A text is too long.
pub(crate) fn too_long(field: impl Into<String>, most: u64) -> Cause {
    let detail = format!("may not be more than {most} bytes");
    make("FieldValueTooLong", "Too long", field, None, &detail)
}

fn make(
    reason: &'static str,
    title: &str,
    field: impl Into<String>,
    shown: Option<String>,
    detail: &str,
) -> Cause {
    let detail = Some(detail.to_owned()).filter(|detail| !detail.is_empty());
    let parts = [Some(title.to_owned()), shown, detail];
    Cause {
        field: field.into(),
        reason,
        message: parts.into_iter().flatten().collect::<Vec<_>>().join(": "),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}
