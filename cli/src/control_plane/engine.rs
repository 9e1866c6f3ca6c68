//! Finds the container engine that runs pods, where one is to: its socket, as the engine's own client
//! finds it.

use std::env::var;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::flags::Runtime;

/// What runs the containers of pods.
///
/// # Errors
/// No engine is found, or it is one of another machine; the message says what to do.
pub(super) fn runtime(
    wanted: Runtime,
    images: &[(String, PathBuf)],
) -> anyhow::Result<diwan_node::Runtime> {
    let engine = match wanted {
        Runtime::Process => return Ok(diwan_node::Runtime::Processes),
        Runtime::Podman => PODMAN,
        Runtime::Docker => DOCKER,
    };
    if let Some((name, _)) = images.first() {
        bail!(
            "--image {name}=… gives processes a folder in place of an image; with --runtime {} \
             images are run, so leave it out",
            engine.name
        );
    }
    let socket = engine.socket(&|name| var(name).ok(), &|path| path.exists())?;
    Ok(diwan_node::Runtime::Engine(socket))
}

/// How one engine is found.
struct Engine {
    name: &'static str,
    /// The variable that says where it listens.
    variable: &'static str,
    /// Where else, the likeliest first: below the folder that a variable names.
    usual: [(&'static str, &'static str); 3],
    /// What makes it listen.
    start: &'static str,
}

const PODMAN: Engine = Engine {
    name: "podman",
    variable: "CONTAINER_HOST",
    usual: [
        ("XDG_RUNTIME_DIR", "podman/podman.sock"),
        ("", "/run/podman/podman.sock"),
        ("", "/var/run/podman/podman.sock"),
    ],
    start: "`systemctl --user start podman.socket`, or as root `systemctl start podman.socket`, or \
            `podman system service --time=0 unix:///tmp/podman.sock` with \
            CONTAINER_HOST=unix:///tmp/podman.sock",
};

const DOCKER: Engine = Engine {
    name: "docker",
    variable: "DOCKER_HOST",
    usual: [
        ("", "/var/run/docker.sock"),
        ("XDG_RUNTIME_DIR", "docker.sock"),
        ("HOME", ".docker/run/docker.sock"),
    ],
    start: "`systemctl start docker`",
};

impl Engine {
    /// Where it listens.
    fn socket(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
        exists: &dyn Fn(&Path) -> bool,
    ) -> anyhow::Result<PathBuf> {
        let Self { name, start, .. } = self;
        if let Some(address) = variable(self.variable).filter(|address| !address.is_empty()) {
            let Some(path) = address.strip_prefix("unix://") else {
                bail!(
                    "{}={address}: pods need folders of this machine, so {name} has to listen on \
                     a socket of it: unix:///PATH",
                    self.variable
                );
            };
            return Ok(path.into());
        }
        let usual = self
            .usual
            .iter()
            .filter_map(|(folder, path)| match *folder {
                "" => Some(PathBuf::from(path)),
                folder => Some(Path::new(&variable(folder)?).join(path)),
            });
        let usual: Vec<PathBuf> = usual.collect();
        if let Some(found) = usual.iter().find(|path| exists(path)) {
            return Ok(found.clone());
        }
        let looked: Vec<String> = usual
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        bail!(
            "--runtime {name}: no socket of {name} at {}; start {name}: {start}; or name the socket: \
             {}=unix:///PATH",
            looked.join(", "),
            self.variable
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(
        engine: &Engine,
        variables: &[(&str, &str)],
        there: &[&str],
    ) -> Result<PathBuf, String> {
        let variable = |name: &str| {
            let mut all = variables.iter();
            let found = all.find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let exists = |path: &Path| there.iter().any(|there| path == Path::new(there));
        engine
            .socket(&variable, &exists)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_engine_is_found_where_its_own_client_finds_it() {
        let session = ("XDG_RUNTIME_DIR", "/run/user/7");
        let own = "/run/user/7/podman/podman.sock";
        let roots = "/run/podman/podman.sock";
        assert_eq!(found(&PODMAN, &[session], &[roots, own]), Ok(own.into()));
        assert_eq!(found(&PODMAN, &[session], &[roots]), Ok(roots.into()));
        assert_eq!(found(&PODMAN, &[], &[roots]), Ok(roots.into()));
        let named = ("CONTAINER_HOST", "unix:///tmp/a.sock");
        assert_eq!(
            found(&PODMAN, &[session, named], &[own]),
            Ok("/tmp/a.sock".into())
        );
        let docker = "/var/run/docker.sock";
        assert_eq!(
            found(&DOCKER, &[session, named], &[own, docker]),
            Ok(docker.into())
        );
    }

    #[test]
    fn an_engine_that_is_not_there_is_told_how_to_be_started() {
        let error = found(&PODMAN, &[("XDG_RUNTIME_DIR", "/run/user/7")], &[]).unwrap_err();
        for part in [
            "systemctl --user start podman.socket",
            "/run/user/7/podman/podman.sock",
        ] {
            assert!(error.contains(part), "{error}");
        }
        let error = found(&DOCKER, &[("DOCKER_HOST", "tcp://other:2375")], &[]).unwrap_err();
        assert!(
            error.contains("DOCKER_HOST=tcp://other:2375: pods need folders"),
            "{error}"
        );
    }
}
