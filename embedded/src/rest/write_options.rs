//! Parameters of requests that change something, checked as Kubernetes checks them.

use diwan_api::FieldError;
use serde_json::Value;

use super::Call;
use crate::{
    ownership::MANAGER_MAX,
    status::{Cause, Status},
    validate::cause,
};

/// Checks the parameters of a request that writes an object; `kind` is that of its options, such
/// as `CreateOptions`. Also, that the answer can be written before anything is done.
pub(super) fn check(call: &Call<'_>, kind: &str) -> Result<(), Status> {
    call.form()?;
    let query = &call.query;
    let mut causes = Vec::new();
    let apply = kind == "PatchOptions" && call.content_type.starts_with("application/apply-patch");
    if kind == "PatchOptions" && !apply && query.get("force").is_some() {
        let why = "may not be specified for non-apply patch";
        causes.push(cause(FieldError::forbidden("force", why)));
    }
    causes.extend(query.get("fieldManager").and_then(field_manager));
    let tried: Vec<&str> = query.all("dryRun").collect();
    causes.extend(dry_run(&tried));
    if let Some(other) = query
        .get("fieldValidation")
        .filter(|mode| !["Ignore", "Strict", "Warn"].contains(mode))
    {
        let known = ["", "Ignore", "Strict", "Warn"];
        causes.push(cause(FieldError::not_supported(
            "fieldValidation",
            other,
            &known,
        )));
    }
    refuse(kind, &causes)
}

/// Refuses a request whose options break rules.
pub(super) fn refuse(kind: &str, causes: &[Cause]) -> Result<(), Status> {
    if causes.is_empty() {
        return Ok(());
    }
    Err(Status::invalid_options(kind, causes))
}

/// What is wrong with a list of what is only to be tried.
pub(super) fn dry_run(given: &[&str]) -> Option<Cause> {
    let wrong = given.iter().any(|given| *given != "All");
    wrong.then(|| Cause {
        field: "dryRun".to_owned(),
        reason: "FieldValueNotSupported",
        message: format!(
            "Unsupported value: {}: supported values: \"All\"",
            Value::from(given)
        ),
    })
}

fn field_manager(name: &str) -> Option<Cause> {
    if name.len() > MANAGER_MAX {
        return Some(Cause {
            field: "fieldManager".to_owned(),
            reason: "FieldValueTooLong",
            message: format!("Too long: may not be more than {MANAGER_MAX} bytes"),
        });
    }
    let (at, c) = name.char_indices().find(|(_, c)| c.is_control())?;
    let code = u32::from(c);
    Some(Cause {
        field: "fieldManager".to_owned(),
        reason: "FieldValueInvalid",
        message: format!(
            "Invalid value: \"{}\": invalid character U+{code:04X} (at position {at})",
            go_escaped(name)
        ),
    })
}

/// A text as Go quotes it.
fn go_escaped(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() && c.is_ascii() => format!("\\x{:02x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}
