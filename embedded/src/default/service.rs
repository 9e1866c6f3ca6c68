//! Defaults of services.

use serde_json::{Value, json};

use super::{child, each, set};

/// Sets the type and what each port leaves out.
pub(super) fn apply(service: &mut Value) {
    let Some(fields) = service.as_object_mut() else {
        return;
    };
    if let Some(spec) = child(fields, "spec") {
        set(spec, "type", json!("ClusterIP"));
        set(spec, "sessionAffinity", json!("None"));
        for port in each(spec, "ports") {
            set(port, "protocol", json!("TCP"));
            if let Some(number) = port.get("port").cloned() {
                set(port, "targetPort", number);
            }
        }
    }
    if let Some(status) = child(fields, "status") {
        set(status, "loadBalancer", json!({}));
    }
}
