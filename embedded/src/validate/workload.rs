//! The rules for what makes pods: Deployments, ReplicaSets, StatefulSets and CronJobs.

use std::sync::LazyLock;

use diwan_api::FieldError;
use regex::Regex;
use serde_json::Value;

use super::{job, label_selector, pod};
use crate::cron;

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' \
    (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
static PERCENT_PATTERN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^[0-9]+%$").expect("the pattern is valid"));

/// The rules for a Deployment.
pub(super) fn deployment(spec: &Value, errors: &mut Vec<FieldError>) {
    not_negative(spec, &["replicas"], errors);
    selector(spec, "deployment", errors);
    template(spec, errors);
    strategy(&spec["strategy"], errors);
    not_negative(spec, &["minReadySeconds", "revisionHistoryLimit"], errors);
    if let Some(deadline) = spec["progressDeadlineSeconds"].as_i64() {
        not_negative(spec, &["progressDeadlineSeconds"], errors);
        if deadline <= spec["minReadySeconds"].as_i64().unwrap_or(0) {
            let detail = "must be greater than minReadySeconds";
            errors.push(FieldError::invalid(
                "spec.progressDeadlineSeconds",
                deadline,
                detail,
            ));
        }
    }
}

/// The rules for a ReplicaSet.
pub(super) fn replica_set(spec: &Value, errors: &mut Vec<FieldError>) {
    not_negative(spec, &["replicas", "minReadySeconds"], errors);
    selector(spec, "deployment", errors);
    template(spec, errors);
}

/// The rules for a StatefulSet.
pub(super) fn stateful_set(spec: &Value, errors: &mut Vec<FieldError>) {
    let policy = text(&spec["podManagementPolicy"]);
    if !["OrderedReady", "Parallel"].contains(&policy) {
        let detail = "must be 'OrderedReady' or 'Parallel'";
        errors.push(FieldError::invalid(
            "spec.podManagementPolicy",
            policy,
            detail,
        ));
    }
    let strategy = &spec["updateStrategy"];
    let field = "spec.updateStrategy";
    match text(&strategy["type"]) {
        "RollingUpdate" => {
            let partition = &strategy["rollingUpdate"]["partition"];
            if let Some(partition) = partition.as_i64().filter(|p| *p < 0) {
                let field = format!("{field}.rollingUpdate.partition");
                errors.push(FieldError::invalid(field, partition, NOT_NEGATIVE));
            }
        }
        "OnDelete" if strategy["rollingUpdate"].is_null() => {}
        "OnDelete" => errors.push(FieldError::invalid(
            format!("{field}.rollingUpdate"),
            &strategy["rollingUpdate"],
            "only allowed for updateStrategy 'RollingUpdate'",
        )),
        _ => {
            let detail = "must be 'RollingUpdate' or 'OnDelete'";
            errors.push(FieldError::invalid(field, strategy, detail));
        }
    }
    not_negative(
        spec,
        &["replicas", "minReadySeconds", "revisionHistoryLimit"],
        errors,
    );
    if let Some(start) = spec["ordinals"]["start"].as_i64().filter(|s| *s < 0) {
        errors.push(FieldError::invalid(
            "spec.ordinals.start",
            start,
            NOT_NEGATIVE,
        ));
    }
    selector(spec, "statefulset", errors);
    template_with(spec, claims(spec), errors);
}

/// The volumes that a StatefulSet's claims make: pods may mount them.
fn claims(spec: &Value) -> Vec<Value> {
    let claims = spec["volumeClaimTemplates"]
        .as_array()
        .into_iter()
        .flatten();
    let volume = |claim: &Value| serde_json::json!({ "name": claim["metadata"]["name"] });
    claims.map(volume).collect()
}

/// The rules for a CronJob.
pub(super) fn cron_job(spec: &Value, errors: &mut Vec<FieldError>) {
    let schedule = text(&spec["schedule"]);
    if schedule.is_empty() {
        errors.push(FieldError::required("spec.schedule", ""));
    } else if schedule.contains("TZ") {
        let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.push(FieldError::invalid("spec.schedule", schedule, detail));
    } else if let Err(why) = cron::Schedule::parse(schedule) {
        errors.push(FieldError::invalid("spec.schedule", schedule, why));
    }
    not_negative(spec, &["startingDeadlineSeconds"], errors);
    if let Some(zone) = spec["timeZone"].as_str()
        && (zone.is_empty() || cron::zone(Some(zone)).is_none())
    {
        let detail = format!("unknown time zone {zone}");
        errors.push(FieldError::invalid("spec.timeZone", zone, detail));
    }
    let policy = text(&spec["concurrencyPolicy"]);
    let known = ["Allow", "Forbid", "Replace"];
    if !known.contains(&policy) {
        errors.push(FieldError::not_supported(
            "spec.concurrencyPolicy",
            policy,
            &known,
        ));
    }
    not_negative(
        spec,
        &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"],
        errors,
    );
    let mut found = Vec::new();
    let job = &spec["jobTemplate"]["spec"];
    job::check(job, &mut found);
    errors.extend(found.into_iter().map(|mut error| {
        error.field = format!("spec.jobTemplate.{}", error.field);
        error
    }));
}

fn strategy(strategy: &Value, errors: &mut Vec<FieldError>) {
    let field = "spec.strategy.rollingUpdate";
    let rolling = &strategy["rollingUpdate"];
    match text(&strategy["type"]) {
        "Recreate" if rolling.is_null() => {}
        "Recreate" => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            errors.push(FieldError::forbidden(field, detail));
        }
        "RollingUpdate" => {
            let before = errors.len();
            amount(
                &rolling["maxUnavailable"],
                &format!("{field}.maxUnavailable"),
                true,
                errors,
            );
            amount(
                &rolling["maxSurge"],
                &format!("{field}.maxSurge"),
                false,
                errors,
            );
            let none = |value: &Value| *value == 0 || *value == "0%";
            if before == errors.len()
                && none(&rolling["maxSurge"])
                && none(&rolling["maxUnavailable"])
            {
                errors.push(FieldError::invalid(
                    format!("{field}.maxUnavailable"),
                    0,
                    "may not be 0 when `maxSurge` is 0",
                ));
            }
        }
        _ => errors.push(FieldError::not_supported(
            "spec.strategy",
            strategy,
            &["Recreate", "RollingUpdate"],
        )),
    }
}

/// A number or a share.
fn amount(value: &Value, field: &str, is_part: bool, errors: &mut Vec<FieldError>) {
    if let Some(number) = value.as_i64().filter(|n| *n < 0) {
        errors.push(FieldError::invalid(field, number, NOT_NEGATIVE));
    }
    let Some(share) = value.as_str() else { return };
    if !PERCENT_PATTERN.is_match(share) {
        errors.push(FieldError::invalid(field, share, PERCENT));
    } else if is_part
        && share
            .trim_end_matches('%')
            .parse::<u64>()
            .is_ok_and(|n| n > 100)
    {
        errors.push(FieldError::invalid(
            field,
            share,
            "must not be greater than 100%",
        ));
    }
}

fn selector(spec: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    let selector = &spec["selector"];
    if selector.is_null() {
        errors.push(FieldError::required("spec.selector", ""));
    } else if label_selector::is_empty(selector) {
        let detail = format!("empty selector is invalid for {kind}");
        errors.push(FieldError::invalid("spec.selector", selector, detail));
        return;
    } else {
        label_selector::check(selector, "spec.selector", errors);
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if selector.is_null() || !label_selector::selects(selector, labels) {
        errors.push(FieldError::invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        ));
    }
}

fn template(spec: &Value, errors: &mut Vec<FieldError>) {
    template_with(spec, Vec::new(), errors);
}

/// The rules for pods that are kept running.
fn template_with(spec: &Value, volumes: Vec<Value>, errors: &mut Vec<FieldError>) {
    let template = &spec["template"];
    super::labels(
        "spec.template.labels",
        &template["metadata"]["labels"],
        errors,
    );
    let mut pods = template["spec"].clone();
    if !volumes.is_empty() {
        let own = pods["volumes"].as_array().cloned().unwrap_or_default();
        let is_own = |volume: &Value| own.iter().any(|known| known["name"] == volume["name"]);
        let more: Vec<Value> = volumes.into_iter().filter(|v| !is_own(v)).collect();
        pods["volumes"] = own.iter().cloned().chain(more).collect();
    }
    pod::check(&pods, "spec.template.spec", errors);
    let policy = text(&pods["restartPolicy"]);
    if ["OnFailure", "Never"].contains(&policy) {
        let field = "spec.template.spec.restartPolicy";
        errors.push(FieldError::not_supported(field, policy, &["Always"]));
    }
    if !pods["activeDeadlineSeconds"].is_null() {
        let detail = "activeDeadlineSeconds in ReplicaSet is not Supported";
        let field = "spec.template.spec.activeDeadlineSeconds";
        errors.push(FieldError::forbidden(field, detail));
    }
}

fn not_negative(spec: &Value, fields: &[&str], errors: &mut Vec<FieldError>) {
    for field in fields {
        if let Some(value) = spec[field].as_i64().filter(|value| *value < 0) {
            errors.push(FieldError::invalid(
                format!("spec.{field}"),
                value,
                NOT_NEGATIVE,
            ));
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(rule: fn(&Value, &mut Vec<FieldError>), spec: Value, expected: &[&str]) {
        let mut whole = json!({
            "selector": { "matchLabels": { "a": "b" } },
            "template": {
                "metadata": { "labels": { "a": "b" } },
                "spec": { "restartPolicy": "Always", "containers": [{ "name": "c", "image": "i" }] },
            },
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
            "updateStrategy": { "type": "RollingUpdate" },
            "podManagementPolicy": "Parallel",
        });
        for (field, value) in spec.as_object().unwrap() {
            whole[field] = value.clone();
        }
        let mut errors = Vec::new();
        rule(&whole, &mut errors);
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_deployment_is_refused_in_the_words_of_kubernetes() {
        check(deployment, json!({}), &[]);
        check(
            deployment,
            json!({ "selector": { "matchLabels": { "a": "c" } } }),
            &[
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            ],
        );
        check(
            deployment,
            json!({ "selector": {} }),
            &["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
        );
        check(
            deployment,
            json!({ "minReadySeconds": 10, "progressDeadlineSeconds": 10 }),
            &[
                "spec.progressDeadlineSeconds: Invalid value: 10: must be greater than minReadySeconds",
            ],
        );
        let rolling = |surge: Value, missing: Value| {
            let rolling = json!({ "maxSurge": surge, "maxUnavailable": missing });
            json!({ "strategy": { "type": "RollingUpdate", "rollingUpdate": rolling } })
        };
        check(
            deployment,
            rolling(json!(0), json!("0%")),
            &[
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
            ],
        );
        check(
            deployment,
            rolling(json!(1), json!("200%")),
            &[
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"200%\": must not be greater than 100%",
            ],
        );
        check(
            deployment,
            json!({ "strategy": { "type": "Recreate", "rollingUpdate": {} } }),
            &[
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ],
        );
    }

    #[test]
    fn a_stateful_set_may_mount_its_claims() {
        let template = json!({ "metadata": { "labels": { "a": "b" } }, "spec": {
            "restartPolicy": "Always",
            "containers": [{ "name": "c", "image": "i", "volumeMounts": [{ "name": "v", "mountPath": "/v" }] }],
        }});
        let claims = json!([{ "metadata": { "name": "v" } }]);
        check(
            stateful_set,
            json!({ "template": template, "volumeClaimTemplates": claims }),
            &[],
        );
        check(
            stateful_set,
            json!({ "podManagementPolicy": "X" }),
            &[
                "spec.podManagementPolicy: Invalid value: \"X\": must be 'OrderedReady' or 'Parallel'",
            ],
        );
    }

    #[test]
    fn a_cron_job_needs_a_schedule_that_can_be_read() {
        let spec = |schedule: &str, zone: Value| {
            json!({ "schedule": schedule, "timeZone": zone, "concurrencyPolicy": "Allow", "jobTemplate": { "spec": {
                "template": { "spec": { "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }] } },
            }}})
        };
        check(cron_job, spec("*/5 * * * 1-5", json!("Europe/Berlin")), &[]);
        check(
            cron_job,
            spec("bad", json!(null)),
            &["spec.schedule: Invalid value: \"bad\": expected exactly 5 fields, found 1: [bad]"],
        );
        check(
            cron_job,
            spec("@hourly", json!("Mars/X")),
            &["spec.timeZone: Invalid value: \"Mars/X\": unknown time zone Mars/X"],
        );
    }
}
