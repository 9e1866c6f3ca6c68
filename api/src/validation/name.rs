//! The experiment's name: names of trials and of a suggestion service are built from it.

use std::sync::LazyLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use regex::Regex;

use crate::{FieldError, FieldErrors};

const MAX_LENGTH: usize = 40;
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^[a-z]([-a-z0-9]*[a-z0-9])?$").expect("the pattern is valid"));

pub(super) fn experiment(metadata: &ObjectMeta, errors: &mut FieldErrors) {
    let name = metadata.name.as_deref().unwrap_or_default();
    if name.is_empty() {
        // The server makes a name from the prefix.
        if metadata.generate_name.as_ref().is_none_or(String::is_empty) {
            errors.push(FieldError::required("metadata.name", "must be specified"));
        }
        return;
    }
    if !NAME.is_match(name) {
        let detail = "must start with a letter, end with a letter or digit and consist of lower \
                      case letters, digits and '-'";
        errors.push(FieldError::invalid("metadata.name", name, detail));
    }
    if name.len() > MAX_LENGTH {
        let detail = format!("must be no more than {MAX_LENGTH} characters");
        errors.push(FieldError::invalid("metadata.name", name, detail));
    }
}
