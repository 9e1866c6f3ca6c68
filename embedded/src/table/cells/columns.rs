//! Columns of workload, service, storage and access kinds.

/// Names of columns; those after a `*` are shown with `-o wide` only.
pub(super) fn names(kind: &str) -> &'static [&'static str] {
    let row = COLUMNS.iter().find(|row| row.0 == kind);
    row.map_or(&["Name", "Age"], |row| row.1)
}

const COLUMNS: &[(&str, &[&str])] = &[
    (
        "Deployment",
        &[
            "Name",
            "Ready",
            "Up-to-date",
            "Available",
            "Age",
            "*Containers",
            "*Images",
            "*Selector",
        ],
    ),
    (
        "ReplicaSet",
        &[
            "Name",
            "Desired",
            "Current",
            "Ready",
            "Age",
            "*Containers",
            "*Images",
            "*Selector",
        ],
    ),
    (
        "StatefulSet",
        &["Name", "Ready", "Age", "*Containers", "*Images"],
    ),
    (
        "CronJob",
        &[
            "Name",
            "Schedule",
            "Timezone",
            "Suspend",
            "Active",
            "Last Schedule",
            "Age",
            "*Containers",
            "*Images",
            "*Selector",
        ],
    ),
    (
        "ControllerRevision",
        &["Name", "Controller", "Revision", "Age"],
    ),
    ("Endpoints", &["Name", "Endpoints", "Age"]),
    (
        "EndpointSlice",
        &["Name", "AddressType", "Ports", "Endpoints", "Age"],
    ),
    (
        "PersistentVolumeClaim",
        &[
            "Name",
            "Status",
            "Volume",
            "Capacity",
            "Access Modes",
            "StorageClass",
            "VolumeAttributesClass",
            "Age",
            "*VolumeMode",
        ],
    ),
    (
        "PersistentVolume",
        &[
            "Name",
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
            "*VolumeMode",
        ],
    ),
    (
        "StorageClass",
        &[
            "Name",
            "Provisioner",
            "ReclaimPolicy",
            "VolumeBindingMode",
            "AllowVolumeExpansion",
            "Age",
        ],
    ),
    (
        "RoleBinding",
        &[
            "Name",
            "Role",
            "Age",
            "*Users",
            "*Groups",
            "*ServiceAccounts",
        ],
    ),
    (
        "PriorityClass",
        &["Name", "Value", "Global-Default", "Age", "PreemptionPolicy"],
    ),
    ("ResourceQuota", &["Name", "Request", "Limit", "Age"]),
    (
        "ClusterRoleBinding",
        &[
            "Name",
            "Role",
            "Age",
            "*Users",
            "*Groups",
            "*ServiceAccounts",
        ],
    ),
];
