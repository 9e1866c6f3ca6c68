//! How metrics are collected.

use k8s_openapi::{api::core::v1::HTTPGetAction, apimachinery::pkg::util::intstr::IntOrString};

use crate::{
    CollectorKind, FieldError, FieldErrors, MetricsCollectorSpec,
    metrics_filter::{Filter, FilterError},
};

const SOURCE: &str = "spec.metricsCollectorSpec.source";
const COLLECTOR: &str = "spec.metricsCollectorSpec.collector";

pub(super) fn collector(spec: Option<&MetricsCollectorSpec>, errors: &mut FieldErrors) {
    let Some(spec) = spec else { return };
    match spec.kind() {
        CollectorKind::StdOut | CollectorKind::Push | CollectorKind::None => {}
        CollectorKind::File => file(spec, errors),
        CollectorKind::TensorFlowEvent => tensor_flow_event(spec, errors),
        CollectorKind::PrometheusMetric => {
            let endpoint = spec.source.as_ref().and_then(|s| s.http_get.as_ref());
            prometheus(endpoint, errors);
        }
        CollectorKind::Custom => custom(spec, errors),
        CollectorKind::Other(other) => {
            let detail = format!("invalid metrics collector kind: {other}");
            errors.push(FieldError::invalid(
                format!("{COLLECTOR}.kind"),
                other,
                detail,
            ));
        }
    }
    filters(spec.filters(), errors);
}

fn file(spec: &MetricsCollectorSpec, errors: &mut FieldErrors) {
    let path = spec.path().cloned().unwrap_or_default();
    absolute(&path.path, errors);
    kind(&path.kind, &["File"], errors);
    if !["TEXT", "JSON"].contains(&path.format.as_str()) {
        let field = format!("{SOURCE}.fileSystemPath.format");
        errors.push(FieldError::not_supported(
            field,
            &path.format,
            &["TEXT", "JSON"],
        ));
    }
    if path.format == "JSON" && !spec.filters().is_empty() {
        let detail = "must not be specified when fileSystemPath.format is JSON";
        errors.push(FieldError::forbidden(format!("{SOURCE}.filter"), detail));
    }
}

fn tensor_flow_event(spec: &MetricsCollectorSpec, errors: &mut FieldErrors) {
    let path = spec.path().cloned().unwrap_or_default();
    absolute(&path.path, errors);
    kind(&path.kind, &["Directory"], errors);
    if !path.format.is_empty() {
        let field = format!("{SOURCE}.fileSystemPath.format");
        let detail = "must not be specified for kind TensorFlowEvent";
        errors.push(FieldError::forbidden(field, detail));
    }
}

fn prometheus(endpoint: Option<&HTTPGetAction>, errors: &mut FieldErrors) {
    let endpoint = endpoint.cloned().unwrap_or_default();
    let port = match &endpoint.port {
        IntOrString::Int(port) => port.to_string(),
        IntOrString::String(port) => port.clone(),
    };
    if !port.parse::<u16>().is_ok_and(|port| port > 0) && !is_port_name(&port) {
        let detail = "must be a number from 1 to 65535, or the name of a port of the container";
        errors.push(FieldError::invalid(
            format!("{SOURCE}.httpGet.port"),
            port,
            detail,
        ));
    }
    let path = endpoint.path.unwrap_or_default();
    if !path.starts_with('/') {
        let detail = "must start with /";
        errors.push(FieldError::invalid(
            format!("{SOURCE}.httpGet.path"),
            path,
            detail,
        ));
    }
}

/// Whether a container may call a port so.
fn is_port_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let has_letter = text.bytes().any(|byte| byte.is_ascii_lowercase());
    text.len() <= 15 && has_letter && text.bytes().all(is_plain)
}

fn custom(spec: &MetricsCollectorSpec, errors: &mut FieldErrors) {
    if spec
        .collector
        .as_ref()
        .is_none_or(|c| c.custom_collector.is_none())
    {
        let detail = "must be specified for kind Custom";
        errors.push(FieldError::required(
            format!("{COLLECTOR}.customCollector"),
            detail,
        ));
    }
    if let Some(path) = spec.path() {
        absolute(&path.path, errors);
        kind(&path.kind, &["File", "Directory"], errors);
    }
}

fn absolute(path: &str, errors: &mut FieldErrors) {
    if !path.starts_with('/') {
        let field = format!("{SOURCE}.fileSystemPath.path");
        errors.push(FieldError::invalid(field, path, "must be an absolute path"));
    }
}

fn kind(kind: &str, supported: &[&str], errors: &mut FieldErrors) {
    if !supported.contains(&kind) {
        let field = format!("{SOURCE}.fileSystemPath.kind");
        errors.push(FieldError::not_supported(field, kind, supported));
    }
}

/// Each filter finds the name in its first group and the value in its second.
fn filters(filters: &[String], errors: &mut FieldErrors) {
    for (i, filter) in filters.iter().enumerate() {
        let field = format!("{SOURCE}.filter.metricsFormat[{i}]");
        let detail = match Filter::new(filter) {
            Ok(_) => continue,
            Err(FilterError::Groups(_)) => "two top subexpressions are required".to_owned(),
            Err(FilterError::Syntax { reason, .. }) => {
                format!("is not a regular expression: {reason}")
            }
        };
        errors.push(FieldError::invalid(field, filter, detail));
    }
}
