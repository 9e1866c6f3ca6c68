//! How objects get from one version to another.

use diwan_api::crd::EXPERIMENTS;
use serde_json::{Value, json};

use crate::{
    custom::problem::{forbidden, required, unsupported},
    metadata,
    status::Cause,
};

/// Checks the conversion: only apiVersion changes. No webhook is ever called here, but
/// experiments have a conversion of their own, for which a cluster has one.
pub(super) fn check(definition: &Value, causes: &mut Vec<Cause>) {
    let conversion = &definition["spec"]["conversion"];
    let webhook = &conversion["webhook"];
    match conversion["strategy"].as_str().unwrap_or_default() {
        "" => causes.push(required("spec.conversion.strategy", "")),
        "None" => {
            let detail = "should not be set when strategy is not set to Webhook";
            let fields = [
                ("clientConfig", "webhookClientConfig"),
                ("conversionReviewVersions", "conversionReviewVersions"),
            ];
            for (given, field) in fields {
                if !webhook[given].is_null() {
                    causes.push(forbidden(format!("spec.conversion.{field}"), detail));
                }
            }
        }
        "Webhook" => check_webhook(definition, webhook, causes),
        other => causes.push(unsupported(
            "spec.conversion.strategy",
            &json!(other),
            &["None", "Webhook"],
        )),
    }
}

fn check_webhook(definition: &Value, webhook: &Value, causes: &mut Vec<Cause>) {
    let mut complete = true;
    if webhook["clientConfig"].is_null() {
        let detail = "required when strategy is set to Webhook";
        causes.push(required("spec.conversion.webhookClientConfig", detail));
        complete = false;
    }
    if webhook["conversionReviewVersions"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        causes.push(required("spec.conversion.conversionReviewVersions", ""));
        complete = false;
    }
    if complete && metadata::name(definition) != EXPERIMENTS {
        let detail = "objects are converted by no webhook on one machine: use strategy None, which \
                      changes only apiVersion, or a Kubernetes cluster";
        causes.push(forbidden("spec.conversion.strategy", detail));
    }
}
