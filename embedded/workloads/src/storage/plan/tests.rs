use pretty_assertions::assert_eq;

use super::*;

fn object(text: &str) -> Value {
    // Claims and volumes in words: `name size mode class`, then `key=value` of other fields.
    let mut words = text.split_whitespace();
    let mut word = || words.next().unwrap();
    let (name, size, mode, class) = (word(), word(), word(), word());
    let mut object = json!({
        "metadata": { "name": name, "namespace": "n", "uid": format!("uid-{name}"), "annotations": {} },
        "spec": {
            "accessModes": [mode], "storageClassName": class, "volumeMode": "Filesystem",
            "capacity": { "storage": size }, "resources": { "requests": { "storage": size } },
        },
        "status": { "phase": "Available" },
    });
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        match key {
            "has" => object["spec"]["volumeName"] = json!(value),
            "done" => object["metadata"]["annotations"][COMPLETED] = json!(value),
            "for" => {
                object["spec"]["claimRef"] = json!({
                    "namespace": "n", "name": value, "uid": format!("uid-{value}"),
                });
            }
            "kept" => object["spec"]["claimRef"] = json!({ "namespace": "n", "name": value }),
            "going" => object["metadata"]["deletionTimestamp"] = json!(value),
            "policy" => object["spec"]["persistentVolumeReclaimPolicy"] = json!(value),
            "path" => {
                object["spec"]["hostPath"] = json!({ "path": value });
                object["metadata"]["annotations"][PROVISIONED_BY] = json!(PROVISIONER);
            }
            "by" => object["metadata"]["annotations"][BOUND_BY_US] = json!(value),
            other => panic!("{other}"),
        }
    }
    object
}

fn class(mode: &str, provisioner: &str) -> Value {
    json!({ "metadata": { "name": "s" }, "volumeBindingMode": mode, "provisioner": provisioner })
}

fn claimed(claim_text: &str, volumes: &[&str], class: Option<Value>, used: bool) -> ClaimStep {
    let owned: Vec<Value> = volumes.iter().map(|text| object(text)).collect();
    let volumes: Vec<&Value> = owned.iter().collect();
    let seen = ClaimSeen {
        claim: &object(claim_text),
        volumes: &volumes,
        class: class.as_ref(),
        used,
    };
    claim(&seen)
}

fn bind(name: &str) -> ClaimStep {
    ClaimStep::Bind(name.to_owned())
}

#[test]
fn a_claim_gets_the_smallest_volume_that_fits_or_the_one_kept_for_it() {
    let ours = || Some(class("Immediate", PROVISIONER));
    let volumes = [
        "a 5Gi RWO s",
        "b 2Gi RWO s",
        "c 1Gi RWO s",
        "d 3Gi RWX s",
        "e 3Gi RWO t",
    ];
    assert_eq!(claimed("x 2Gi RWO s", &volumes, ours(), false), bind("b"));
    assert_eq!(claimed("x 4Gi RWO s", &volumes, ours(), false), bind("a"));
    assert_eq!(claimed("x 1Gi RWX s", &volumes, ours(), false), bind("d"));
    assert_eq!(
        claimed("x 9Gi RWO s", &volumes, ours(), false),
        ClaimStep::Provision
    );
    assert_eq!(
        claimed(
            "x 1Gi RWO s",
            &["a 1Gi RWO s", "k 9Gi RWO s kept=x"],
            ours(),
            false
        ),
        bind("k")
    );
    assert_eq!(
        claimed("x 1Gi RWO s", &["a 1Gi RWO s for=y"], ours(), false),
        ClaimStep::Provision
    );
    assert_eq!(
        claimed("x 1Gi RWO s has=a", &["a 1Gi RWO s"], ours(), false),
        bind("a")
    );
}

#[test]
fn a_claim_that_cannot_be_bound_says_why() {
    let why = |claim, class, used| match claimed(claim, &[], class, used) {
        ClaimStep::Wait(event) => event.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(why("x 1Gi RWO s", None, false), "ProvisioningFailed");
    assert_eq!(
        why("x 1Gi RWO s", Some(class("Immediate", "other")), false),
        "ExternalProvisioning"
    );
    let late = || Some(class("WaitForFirstConsumer", PROVISIONER));
    assert_eq!(why("x 1Gi RWO s", late(), false), "WaitForFirstConsumer");
    assert_eq!(
        claimed("x 1Gi RWO s", &[], late(), true),
        ClaimStep::Provision
    );
    assert_eq!(why("x 1Gi RWO s has=a", None, false), "FailedBinding");
}

#[test]
fn a_claim_knows_its_volume_and_misses_it() {
    let step = claimed(
        "x 1Gi RWO s has=a done=yes",
        &["a 2Gi RWO s for=x"],
        None,
        false,
    );
    let ClaimStep::Bound(status) = step else {
        panic!("{step:?}")
    };
    assert_eq!(status["capacity"]["storage"], "2Gi");
    assert_eq!(
        claimed("x 1Gi RWO s has=a done=yes", &[], None, false),
        ClaimStep::Lost
    );
    assert_eq!(
        claimed("x 1Gi RWO s going=now", &[], None, true),
        ClaimStep::Rest
    );
    assert_eq!(
        claimed("x 1Gi RWO s going=now", &[], None, false),
        ClaimStep::Release
    );
}

#[test]
fn a_volume_follows_its_claim() {
    let step = |text: &str, claim: Option<&str>| {
        let claim = claim.map(object);
        volume(&object(text), claim.as_ref(), Path::new("/data"))
    };
    assert_eq!(step("a 1Gi RWO s", None), VolumeStep::Phase("Available"));
    assert_eq!(
        step("a 1Gi RWO s kept=x", None),
        VolumeStep::Phase("Available")
    );
    let bound = Some("x 1Gi RWO s has=a");
    assert_eq!(step("a 1Gi RWO s for=x", bound), VolumeStep::Phase("Bound"));
    assert_eq!(
        step("a 1Gi RWO s for=x going=now", bound),
        VolumeStep::Phase("Bound")
    );
    assert_eq!(
        step("a 1Gi RWO s for=x", Some("x 1Gi RWO s")),
        VolumeStep::Rest
    );
    assert_eq!(
        step("a 1Gi RWO s for=x by=yes", Some("x 1Gi RWO s has=b")),
        VolumeStep::Unbind
    );
    assert_eq!(
        step("a 1Gi RWO s for=x policy=Retain", None),
        VolumeStep::Phase("Released")
    );
    assert_eq!(
        step("a 1Gi RWO s for=x policy=Delete path=/data/f", None),
        VolumeStep::Delete("/data/f".into())
    );
    // Nobody else's folders are touched.
    for text in [
        "a 1Gi RWO s for=x policy=Delete path=/home/me",
        "a 1Gi RWO s for=x policy=Delete",
    ] {
        assert!(matches!(step(text, None), VolumeStep::Fail(_)), "{text}");
    }
    assert_eq!(step("a 1Gi RWO s going=now", None), VolumeStep::Release);
}
