//! What a registry tells of an image: an index of platforms, a manifest, a configuration.

use diwan_controller::admission::image_program::ImageProgram;
use serde_json::Value;

use super::reference::is_digest;

/// Which documents are understood, as the header `Accept` says it.
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// What to read next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The manifest of one platform.
    Manifest(String),
    /// The configuration.
    Config(String),
}

/// What to read after a manifest or an index; of an index the platform of this architecture, or
/// else any of Linux: what is run hardly differs.
pub(super) fn next(document: &Value, architecture: &str) -> Result<Next, String> {
    if let Some(manifests) = document["manifests"].as_array() {
        let is_linux = |manifest: &&Value| manifest["platform"]["os"] == "linux";
        let is_ours = |manifest: &&Value| manifest["platform"]["architecture"] == architecture;
        let mut linux = manifests.iter().filter(is_linux);
        let first = linux.clone().next();
        let found = linux.find(is_ours).or(first);
        let found = found.ok_or("the image is not for Linux")?;
        return digest(found).map(Next::Manifest);
    }
    digest(&document["config"]).map(Next::Config)
}

fn digest(descriptor: &Value) -> Result<String, String> {
    let digest = descriptor["digest"].as_str().filter(|d| is_digest(d));
    let digest = digest.ok_or("the registry has a manifest of an unknown form")?;
    Ok(digest.to_owned())
}

/// The name of this machine's architecture in indices.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// What an image runs.
pub(super) fn program(config: &Value) -> ImageProgram {
    let words = |name: &str| {
        let words = config["config"][name].as_array().into_iter().flatten();
        words.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    ImageProgram {
        entrypoint: words("Entrypoint"),
        cmd: words("Cmd"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sha(digit: &str) -> String {
        format!("sha256:{}", digit.repeat(64))
    }

    #[test]
    fn of_an_index_this_platform_is_read_or_else_another_of_linux() {
        let entry = |os: &str, architecture: &str, digit: &str| json!({"digest": sha(digit), "platform": {"os": os, "architecture": architecture}});
        let index = json!({"manifests": [
            entry("unknown", "unknown", "0"),
            entry("windows", "amd64", "1"),
            entry("linux", "arm64", "2"),
            entry("linux", "amd64", "3"),
        ]});
        for (architecture, expected) in [("amd64", "3"), ("arm64", "2"), ("s390x", "2")] {
            let expected = Ok(Next::Manifest(sha(expected)));
            assert_eq!(next(&index, architecture), expected, "{architecture}");
        }
        let windows = json!({"manifests": [entry("windows", "amd64", "1")]});
        let error = Err("the image is not for Linux".to_owned());
        assert_eq!(next(&windows, "amd64"), error);
    }

    #[test]
    fn a_manifest_leads_to_its_configuration() {
        let manifest = json!({"config": {"digest": sha("4")}});
        assert_eq!(next(&manifest, "amd64"), Ok(Next::Config(sha("4"))));
        for odd in [
            json!({"fsLayers": []}),
            json!({"config": {"digest": "../../x"}}),
            json!(null),
        ] {
            assert!(next(&odd, "amd64").is_err(), "{odd}");
        }
    }

    #[test]
    fn a_configuration_may_lack_either_part() {
        let config = json!({"config": {"Entrypoint": ["e", "-x"], "Cmd": null}});
        let program = program(&config);
        assert_eq!(program.entrypoint, ["e", "-x"]);
        assert_eq!(program.cmd, Vec::<String>::new());
        assert_eq!(super::program(&json!({})), ImageProgram::default());
    }
}
