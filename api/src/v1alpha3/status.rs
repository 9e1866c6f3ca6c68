//! The status: v1alpha3 has one value of a metric, v1beta1 has three.

use serde_json::{Map, Value};

const EXTREMES: [&str; 3] = ["min", "max", "latest"];

/// Each metric's one value becomes all three, unless they are there from a conversion before.
pub(super) fn upgrade(status: &mut Value) {
    for metric in metrics(status) {
        let Some(value) = metric.remove("value") else {
            continue;
        };
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        for name in EXTREMES {
            metric
                .entry(name)
                .or_insert_with(|| Value::from(text.clone()));
        }
    }
}

/// Each metric gets the value of its strategy; the three stay beside it, so that the way back
/// loses nothing. A value that is not a finite number can't be said.
pub(super) fn downgrade(status: &mut Value, spec: &Value) {
    let strategies = spec["objective"]["metricStrategies"].as_array();
    for metric in metrics(status) {
        let strategies = strategies.into_iter().flatten();
        let mut of_metric = strategies.filter(|s| Some(&s["name"]) == metric.get("name"));
        let strategy = of_metric.find_map(|s| s["value"].as_str());
        let value = metric.get(strategy.unwrap_or("latest"));
        let number = value.and_then(Value::as_str).and_then(|v| v.parse().ok());
        if let Some(number) = number.and_then(serde_json::Number::from_f64) {
            metric.insert("value".to_owned(), Value::Number(number));
        }
    }
}

/// The metrics of the best trial.
fn metrics(status: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let metrics = status.pointer_mut("/currentOptimalTrial/observation/metrics");
    let metrics = metrics.and_then(Value::as_array_mut);
    metrics
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}
