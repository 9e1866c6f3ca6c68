//! What is wrong with the pods of a workload.

use serde_json::{Value, json};

use super::{SECRETS_OF_USERS, Set, complain, each, is_subset};

pub(super) fn faults(set: &Set<'_>, workload: &Value) -> Vec<String> {
    let Some(template) = workload.pointer("/spec/template") else {
        return Vec::new();
    };
    let (pod, labels) = (&template["spec"], &template["metadata"]["labels"]);
    let selector = &workload["spec"]["selector"]["matchLabels"];
    let context = &pod["securityContext"];
    let account = &pod["serviceAccountName"];
    let service = &workload["spec"]["serviceName"];
    let mut faults = complain([
        (
            is_subset(selector, labels),
            format!("its pods have not {selector}"),
        ),
        (
            context["runAsNonRoot"] == true,
            "its pods may run as root".to_owned(),
        ),
        (
            context["runAsUser"].as_u64().is_some_and(|user| user > 0),
            "its user has no number".to_owned(),
        ),
        (
            context["seccompProfile"]["type"] == "RuntimeDefault",
            "no seccomp profile".to_owned(),
        ),
        (
            set.has("ServiceAccount", account)
                || account.is_null() && pod["automountServiceAccountToken"] == false,
            format!("no ServiceAccount {account}"),
        ),
        (
            service.is_null() || set.has("Service", service),
            format!("no Service {service}"),
        ),
    ]);
    faults.extend(volumes(set, pod));
    for container in each(&pod["containers"]) {
        let found = [
            rights(container),
            needs(container),
            mounts(workload, container),
            variables(set, container),
            addresses(set, container),
        ];
        faults.extend(found.into_iter().flatten());
    }
    faults
}

/// A container may do what it needs, and no more.
fn rights(container: &Value) -> Vec<String> {
    let context = &container["securityContext"];
    complain([
        (
            context["allowPrivilegeEscalation"] == false,
            "it may gain rights".to_owned(),
        ),
        (
            context["readOnlyRootFilesystem"] == true,
            "its root file system can be written".to_owned(),
        ),
        (
            context["capabilities"] == json!({"drop": ["ALL"]}),
            "it keeps capabilities".to_owned(),
        ),
    ])
}

/// What the scheduler and the kubelet have to know.
fn needs(container: &Value) -> Vec<String> {
    let resources = &container["resources"];
    let known: Vec<&Value> = each(&container["ports"])
        .map(|port| &port["name"])
        .collect();
    let probes = ["readinessProbe", "livenessProbe", "startupProbe"];
    let asked = probes.iter().flat_map(|probe| {
        let ports = ["httpGet", "tcpSocket"].map(|how| &container[probe][how]["port"]);
        ports.into_iter().filter(|port| !port.is_null())
    });
    let ports = asked.map(|port| {
        (
            known.contains(&port),
            format!("a probe asks the port {port}"),
        )
    });
    complain(ports.chain([
        (
            resources["requests"]["cpu"].is_string() && resources["requests"]["memory"].is_string(),
            "it does not say what it needs".to_owned(),
        ),
        (
            resources["limits"]["memory"].is_string(),
            "its memory has no limit".to_owned(),
        ),
        (
            container["readinessProbe"].is_object(),
            "nobody asks whether it is ready".to_owned(),
        ),
    ]))
}

fn volumes(set: &Set<'_>, pod: &Value) -> Vec<String> {
    complain(each(&pod["volumes"]).map(|volume| {
        let claim = &volume["persistentVolumeClaim"]["claimName"];
        let is_there = claim.is_null() || set.has("PersistentVolumeClaim", claim);
        (is_there, format!("no PersistentVolumeClaim {claim}"))
    }))
}

fn mounts(workload: &Value, container: &Value) -> Vec<String> {
    let volumes = each(&workload["spec"]["template"]["spec"]["volumes"]).map(|of| &of["name"]);
    let claims = each(&workload["spec"]["volumeClaimTemplates"]).map(|of| &of["metadata"]["name"]);
    let known: Vec<&Value> = volumes.chain(claims).collect();
    complain(each(&container["volumeMounts"]).map(|mount| {
        let is_there = known.contains(&&mount["name"]);
        (is_there, format!("no volume {}", mount["name"]))
    }))
}

/// Secrets exist, and `$(NAME)` stands after the variable that it means.
fn variables(set: &Set<'_>, container: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut before: Vec<&str> = Vec::new();
    for variable in each(&container["env"]) {
        let secret = &variable["valueFrom"]["secretKeyRef"]["name"];
        let is_there = secret
            .as_str()
            .is_none_or(|name| SECRETS_OF_USERS.contains(&name))
            || set.has("Secret", secret);
        let value = variable["value"].as_str().unwrap_or_default();
        let used = value
            .split_once("$(")
            .and_then(|(_, rest)| rest.split_once(')'));
        let is_known = used.is_none_or(|(name, _)| before.contains(&name));
        faults.extend(complain([
            (is_there, format!("no Secret {secret}")),
            (
                is_known,
                format!("{value} uses a variable that comes later"),
            ),
        ]));
        before.extend(variable["name"].as_str());
    }
    faults
}

/// What it connects to is a Service.
fn addresses(set: &Set<'_>, container: &Value) -> Vec<String> {
    let flags = each(&container["args"])
        .filter_map(|flag| flag.as_str()?.strip_prefix("--db-manager="))
        .map(|address| address.split_once(':').unwrap_or((address, "")));
    let databases = each(&container["env"])
        .filter_map(|variable| variable["value"].as_str()?.strip_prefix("postgres://"))
        .filter_map(|url| url.split_once('@')?.1.split_once('/'))
        .map(|(host, _)| (host, "5432"));
    complain(flags.chain(databases).map(|(host, port)| {
        let number = port.parse::<u16>().unwrap_or_default();
        (
            set.serves(host, &json!(number)),
            format!("no Service {host}:{port}"),
        )
    }))
}
