//! The name of an image, taken apart as the container runtimes do.

/// The registry that names without one mean, and where it answers.
const HUB: &str = "docker.io";
const HUB_ADDRESS: &str = "registry-1.docker.io";

/// The name of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// The registry, as credentials name it.
    pub(super) registry: String,
    /// The image within the registry.
    pub(super) repository: String,
    /// Its tag or digest.
    pub(super) version: String,
}

impl Reference {
    /// Takes a name apart; what is wrong with it otherwise.
    pub(super) fn parse(image: &str) -> Result<Self, String> {
        let wrong = || format!("{image} is not the name of an image");
        let (name, digest) = match image.split_once('@') {
            Some((name, digest)) if is_digest(digest) => (name, Some(digest)),
            Some(_) => return Err(wrong()),
            None => (image, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            // A colon before a slash is that of a port.
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if is_registry(first) => (first, rest),
            _ => (HUB, name),
        };
        let registry = canonical(registry);
        let repository = if registry == HUB && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        let version = digest.or(tag).unwrap_or("latest");
        let is_good = repository.split('/').all(is_component)
            && tag.is_none_or(is_tag)
            && registry.bytes().all(is_of_host);
        if !is_good {
            return Err(wrong());
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            version: version.to_owned(),
        })
    }

    /// Where the registry answers.
    pub(super) fn address(&self) -> &str {
        if self.registry == HUB {
            HUB_ADDRESS
        } else {
            &self.registry
        }
    }
}

/// One name for the registry that has several.
pub(super) fn canonical(registry: &str) -> &str {
    match registry {
        "index.docker.io" | HUB_ADDRESS => HUB,
        other => other,
    }
}

/// Whether a text is a digest such as `sha256:0123…`.
pub(super) fn is_digest(text: &str) -> bool {
    let Some((algorithm, hash)) = text.split_once(':') else {
        return false;
    };
    let is_name = |b: u8| b.is_ascii_alphanumeric();
    !algorithm.is_empty()
        && algorithm.bytes().all(is_name)
        && hash.len() >= 32
        && hash.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_registry(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost"
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)
}

fn is_component(text: &str) -> bool {
    let is_good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    text.bytes().any(|b| b.is_ascii_alphanumeric()) && text.bytes().all(is_good)
}

fn is_tag(text: &str) -> bool {
    let is_good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !text.starts_with(['.', '-']) && (1..=128).contains(&text.len()) && text.bytes().all(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_as_the_runtimes_do() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (image, expected) in [
            ("busybox", "docker.io library/busybox latest"),
            ("team/train:1.2", "docker.io team/train 1.2"),
            ("docker.io/busybox:1", "docker.io library/busybox 1"),
            ("index.docker.io/a/b", "docker.io a/b latest"),
            ("localhost/a", "localhost a latest"),
            ("localhost:5000/a/b:v", "localhost:5000 a/b v"),
            ("gcr.io/p/a__b/c", "gcr.io p/a__b/c latest"),
            (
                &format!("quay.io/a/b:1@{digest}"),
                &format!("quay.io a/b {digest}"),
            ),
        ] {
            let reference = Reference::parse(image).unwrap();
            let Reference {
                registry,
                repository,
                version,
            } = &reference;
            assert_eq!(format!("{registry} {repository} {version}"), expected);
        }
        let hub = Reference::parse("busybox").unwrap();
        assert_eq!(hub.address(), "registry-1.docker.io");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for image in [
            "",
            "Team/train",
            "a//b",
            "a/../b",
            "a:b c",
            "a@sha256:12",
            "a?x=1",
            "host.io:80@evil/a",
            "host.io/",
            "a:",
        ] {
            let parsed = Reference::parse(image);
            assert_eq!(parsed, Err(format!("{image} is not the name of an image")));
        }
    }
}
