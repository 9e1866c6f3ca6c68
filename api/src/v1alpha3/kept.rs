//! What a spec was before it was converted.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ANNOTATION, STORED_API_VERSION};
use crate::ExperimentSpec;

/// The fields that may be changed after an experiment was created.
const COUNTS: [&str; 3] = ["parallelTrialCount", "maxTrialCount", "maxFailedTrialCount"];

/// What a spec was, and what it became.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kept {
    api_version: String,
    spec: Map<String, Value>,
    /// The counts after the conversion: those that differ now were changed since.
    counts: Map<String, Value>,
    /// Of the spec after the conversion, without its counts.
    checksum: u32,
}

impl Kept {
    /// Keeps `spec`, which became `converted`.
    pub(super) fn new(
        api_version: &str,
        spec: &Map<String, Value>,
        converted_to: &str,
        converted: &Map<String, Value>,
    ) -> Self {
        let counts = COUNTS.iter().filter_map(|&name| {
            let count = converted.get(name)?;
            Some((name.to_owned(), count.clone()))
        });
        Self {
            api_version: api_version.to_owned(),
            spec: spec.clone(),
            counts: counts.collect(),
            checksum: checksum(converted_to, converted),
        }
    }

    /// What is kept in an object, if it is of this version and still about the object's spec.
    pub(super) fn of(object: &Value, api_version: &str) -> Option<Self> {
        let text = object["metadata"]["annotations"][ANNOTATION].as_str()?;
        let kept: Self = serde_json::from_str(text).ok()?;
        let now = checksum(object["apiVersion"].as_str()?, object["spec"].as_object()?);
        (kept.api_version == api_version && kept.checksum == now).then_some(kept)
    }

    /// The spec that was kept, with the counts that were changed in `spec` since.
    pub(super) fn restore(self, spec: &Map<String, Value>) -> Map<String, Value> {
        let mut restored = self.spec;
        for name in COUNTS {
            match (self.counts.get(name), spec.get(name)) {
                (before, now) if before == now => {}
                (_, Some(now)) => {
                    restored.insert(name.to_owned(), now.clone());
                }
                (_, None) => {
                    restored.remove(name);
                }
            }
        }
        restored
    }

    /// As the annotation's value.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Of all but the counts. The API server drops unknown fields of v1beta1, so they don't count.
fn checksum(api_version: &str, spec: &Map<String, Value>) -> u32 {
    let mut spec = Value::Object(spec.clone());
    if api_version == STORED_API_VERSION
        && let Ok(typed) = serde_json::from_value::<ExperimentSpec>(spec.clone())
    {
        spec = serde_json::to_value(typed).unwrap_or_default();
    }
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|name, _| !COUNTS.contains(&name.as_str()));
    }
    // Keys of objects are sorted.
    crc32c::crc32c(spec.to_string().as_bytes())
}
