//! `allOf`, `anyOf`, `oneOf` and `not`.

use serde_json::{Value, json};

use super::{Schema, path::Path};
use crate::{custom::problem, status::Cause};

impl Schema {
    /// Checks a value against what a node combines.
    pub(super) fn check_branches(
        &self,
        node: &Value,
        value: &Value,
        path: &mut Path,
        causes: &mut Vec<Cause>,
    ) {
        let place = path.to_string();
        let complain = |what: &str| {
            let detail = format!("{place:?} must {what}");
            problem::invalid("<nil>", &json!(""), &detail)
        };
        let mut tried = |branch: &Value| {
            let mut found = Vec::new();
            self.check(branch, value, None, path, &mut found);
            found
        };
        let branches = |field: &str| node[field].as_array().filter(|list| !list.is_empty());
        if let Some(any) = branches("anyOf") {
            let mut results: Vec<Vec<Cause>> = any.iter().map(&mut tried).collect();
            if results.iter().all(|found| !found.is_empty()) {
                causes.push(complain("validate at least one schema (anyOf)"));
                causes.append(&mut results[0]);
            }
        }
        if let Some(one) = branches("oneOf") {
            let mut results: Vec<Vec<Cause>> = one.iter().map(&mut tried).collect();
            let fit = results.iter().filter(|found| found.is_empty()).count();
            let only = "validate one and only one schema (oneOf). Found";
            if fit == 0 {
                causes.push(complain(&format!("{only} none valid")));
                causes.append(&mut results[0]);
            } else if fit > 1 {
                causes.push(complain(&format!("{only} {fit} valid alternatives")));
            }
        }
        if let Some(all) = branches("allOf") {
            let mut found: Vec<Cause> = all.iter().flat_map(&mut tried).collect();
            if !found.is_empty() {
                causes.append(&mut found);
                causes.push(complain("validate all the schemas (allOf)"));
            }
        }
        if node["not"].is_object() && tried(&node["not"]).is_empty() {
            causes.push(complain("not validate the schema (not)"));
        }
    }
}
