//! Whose a pod is that does not say it: the way over its owners to a trial. No I/O.

use diwan_api::{GROUP, VERSION};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

/// Where the way goes on from an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Way<'a> {
    /// The object is a trial's.
    Trial(&'a OwnerReference),
    /// These may be a trial's; none: the object is nobody's.
    Owners(Vec<&'a OwnerReference>),
}

/// Kinds whose pods come in numbers and are never a trial's.
const NEVER: [(&str, &str); 5] = [
    ("apps", "ReplicaSet"),
    ("apps", "DaemonSet"),
    ("apps", "StatefulSet"),
    ("", "ReplicationController"),
    ("", "Node"),
];

/// Where the way goes on from an object with these owners.
pub fn way(owners: &[OwnerReference]) -> Way<'_> {
    let version = format!("{GROUP}/{VERSION}");
    let is_trial = |owner: &&OwnerReference| owner.kind == "Trial" && owner.api_version == version;
    if let Some(trial) = owners.iter().find(is_trial) {
        return Way::Trial(trial);
    }
    let may_be = |owner: &&OwnerReference| {
        let group = owner.api_version.split_once('/');
        let group = group.map_or("", |(group, _)| group);
        !NEVER.contains(&(group, owner.kind.as_str()))
    };
    Way::Owners(owners.iter().filter(may_be).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(api_version: &str, kind: &str) -> OwnerReference {
        OwnerReference {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            ..OwnerReference::default()
        }
    }

    #[test]
    fn the_way_ends_at_a_trial_and_leaves_out_who_is_never_one_s() {
        let trial = owner("kubeflow.org/v1beta1", "Trial");
        let job = owner("batch/v1", "Job");
        let owners = [job.clone(), trial.clone()];
        assert_eq!(way(&owners), Way::Trial(&trial));
        let other = owner("other.example/v1beta1", "Trial");
        let foreign_set = owner("apps.kruise.io/v1", "StatefulSet");
        let owners = [
            owner("apps/v1", "ReplicaSet"),
            owner("apps/v1", "DaemonSet"),
            owner("apps/v1", "StatefulSet"),
            owner("v1", "Node"),
            job.clone(),
            other.clone(),
            foreign_set.clone(),
        ];
        assert_eq!(way(&owners), Way::Owners(vec![&job, &other, &foreign_set]));
        assert_eq!(way(&[]), Way::Owners(vec![]));
    }
}
