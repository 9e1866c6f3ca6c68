//! Addresses of services: each gets one of its own on the loopback interface, which on Linux has
//! them all without being set up.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use rand::RngExt;
use serde_json::{Value, json};

use crate::{
    api::Api,
    metadata,
    resource::{Resource, SERVICES},
    status::{Cause, Status},
};

/// The range of services: 127.96.0.0/12.
const SERVICE_RANGE: u32 = u32::from_be_bytes([127, 96, 0, 0]);
/// The range of pods: 127.112.0.0/12.
const POD_RANGE: u32 = u32::from_be_bytes([127, 112, 0, 0]);
/// So many addresses are in a range.
const SIZE: u32 = 1 << 20;

/// The address of a pod. It follows from the unique identifier, so nobody has to keep it.
pub fn of_pod(uid: &str) -> Ipv4Addr {
    let hash = uid.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    // Neither the first nor the last address of the range.
    Ipv4Addr::from(POD_RANGE + 1 + (hash ^ (hash >> 16)) % (SIZE - 2))
}

/// Keeps what a service was given and an update leaves out.
pub(crate) fn keep(resource: &Resource, old: &Value, new: &mut Value) {
    if resource != &SERVICES || new["spec"]["type"] == "ExternalName" {
        return;
    }
    let is_empty = |value: &Value| value.as_str().is_none_or(str::is_empty);
    if is_empty(&new["spec"]["clusterIP"]) && !is_empty(&old["spec"]["clusterIP"]) {
        for field in ["clusterIP", "clusterIPs"] {
            new["spec"][field] = old["spec"][field].clone();
        }
    }
}

/// Whether a service is to have another address than it has: the rules refuse that.
pub(crate) fn is_moved(resource: &Resource, old: &Value, new: &Value) -> bool {
    let address = |service: &Value| {
        let text = service["spec"]["clusterIP"].as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    resource == &SERVICES
        && matches!((address(old), address(new)), (Some(old), Some(new)) if old != new)
}

/// Gives a service an address, unless it has one or wants none.
pub(crate) fn assign(api: &Api, resource: &Resource, object: &mut Value) -> Result<(), Status> {
    if resource != &SERVICES || object["spec"]["type"] == "ExternalName" {
        return Ok(());
    }
    let wanted = object["spec"]["clusterIP"].as_str().unwrap_or_default();
    if wanted == "None" {
        return Ok(());
    }
    let (services, _) = api.list(&SERVICES, None);
    let own = metadata::uid(object);
    let others = services
        .iter()
        .filter(|service| metadata::uid(service) != own);
    let taken: HashSet<&str> = others
        .filter_map(|service| service["spec"]["clusterIP"].as_str())
        .collect();
    if !wanted.is_empty() {
        let why = refusal(wanted, &taken);
        return why.map_or(Ok(()), |why| Err(refused(resource, object, wanted, &why)));
    }
    // At random: another process on this machine gives addresses too.
    let mut rng = rand::rng();
    let address = loop {
        let address = Ipv4Addr::from(SERVICE_RANGE + rng.random_range(1..SIZE - 1)).to_string();
        if !taken.contains(address.as_str()) {
            break address;
        }
    };
    object["spec"]["clusterIP"] = json!(address);
    object["spec"]["clusterIPs"] = json!([address]);
    Ok(())
}

/// Why a service can't have an address.
fn refusal(wanted: &str, taken: &HashSet<&str>) -> Option<String> {
    let address = wanted.parse::<Ipv4Addr>().ok()?;
    let why = if address.is_loopback() {
        taken
            .contains(wanted)
            .then_some("provided IP is already allocated")?
    } else {
        "the provided network does not match the current range; services of one machine have \
         addresses of 127.0.0.0/8"
    };
    Some(format!("failed to allocate IP {wanted}: {why}"))
}

fn refused(resource: &Resource, object: &Value, wanted: &str, why: &str) -> Status {
    let cause = Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: [{wanted:?}]: {why}"),
        field: "spec.clusterIPs".to_owned(),
    };
    Status::invalid(resource, metadata::name(object), &[cause])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_address_is_its_own_and_stays() {
        let addresses: HashSet<Ipv4Addr> = (0..300).map(|i| of_pod(&format!("uid-{i}"))).collect();
        assert_eq!(addresses.len(), 300);
        assert!(
            addresses
                .iter()
                .all(|ip| ip.octets()[0] == 127 && ip.octets()[1] >= 112)
        );
        assert_eq!(of_pod("a"), of_pod("a"));
    }

    #[test]
    fn an_address_is_given_once_and_on_this_machine() {
        let taken = HashSet::from(["127.96.0.9"]);
        assert_eq!(refusal("127.96.0.8", &taken), None);
        assert!(
            refusal("127.96.0.9", &taken)
                .unwrap()
                .contains("already allocated")
        );
        assert!(refusal("10.0.0.1", &taken).unwrap().contains("127.0.0.0/8"));
    }
}
