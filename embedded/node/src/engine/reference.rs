//! The names of images. Pure.

/// The tag of an image that names none.
const LATEST: &str = "latest";
/// The registry of images that name none, and how logins for it are written.
const HUB: [&str; 3] = [
    "docker.io",
    "index.docker.io",
    "https://index.docker.io/v1/",
];

/// An image's name without its tag or digest, and that. Without one it is the tag `latest`: an engine
/// would fetch them all.
pub(crate) fn split(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        return (without_tag(name).0, digest);
    }
    let (name, tag) = without_tag(image);
    (name, tag.unwrap_or(LATEST))
}

/// The colon of a registry's port begins no tag.
fn without_tag(image: &str) -> (&str, Option<&str>) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (image, None),
    }
}

/// The registry of an image.
pub(crate) fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => HUB[0],
    }
}

/// Whether a login is one for a registry.
pub(crate) fn is_login_for(login: &str, registry: &str) -> bool {
    if HUB.contains(&registry) {
        return HUB.contains(&login);
    }
    let host = login
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    host.split('/').next() == Some(registry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_as_engines_do() {
        for (image, name, tag, host) in [
            ("busybox", "busybox", "latest", "docker.io"),
            ("team/a:1", "team/a", "1", "docker.io"),
            ("localhost/a", "localhost/a", "latest", "localhost"),
            ("host:5000/a", "host:5000/a", "latest", "host:5000"),
            (
                "ghcr.io/a/b:2@sha256:12",
                "ghcr.io/a/b",
                "sha256:12",
                "ghcr.io",
            ),
        ] {
            assert_eq!(split(image), (name, tag), "{image}");
            assert_eq!(registry(image), host, "{image}");
        }
    }

    #[test]
    fn a_login_is_found_however_it_is_written() {
        assert!(is_login_for(
            "https://index.docker.io/v1/",
            registry("busybox")
        ));
        assert!(is_login_for("https://ghcr.io/v2/", "ghcr.io"));
        assert!(is_login_for("host:5000", "host:5000"));
        assert!(!is_login_for("ghcr.io", "docker.io"));
    }
}
