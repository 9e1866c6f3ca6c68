//! Turns a pod into the plan that its holder carries out (the format is the entrypoint's), and
//! writes the volumes that the plan mounts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Container;

use crate::cgroup;
use crate::environment::{self, Environment};
use crate::hook::{ContainerFiles, PodFiles};
use crate::image;
use crate::mount::{self, Mount};
use crate::plan;
use crate::pod::{self, Pod};
use crate::refusal::Refusal;
use crate::rights::Rights;
use crate::settings::Settings;
use crate::source::Lookup;

/// Why a pod's plan cannot be made, and the container that is to blame (empty: all of them).
pub(crate) type Blame = (String, Refusal);

/// One container, ready to be written into the plan.
pub(crate) struct Ready<'a> {
    pub(crate) container: &'a Container,
    pub(crate) kind: Kind,
    pub(crate) rights: Rights,
    pub(crate) words: Vec<String>,
    pub(crate) environment: Environment,
    pub(crate) working_directory: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) mounts: Vec<Mount>,
    /// The file with its last words.
    pub(crate) message: PathBuf,
    /// The control group with its limits.
    pub(crate) cgroup: Option<PathBuf>,
}

/// When a container has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It runs, and ends, before the others start.
    Init,
    /// It starts in its turn among those that come first and runs until the others have ended.
    Sidecar,
    /// It runs with the others.
    Main,
}

/// Writes a pod's volumes, logs and plan into its folder, which may be left half written by an
/// earlier attempt.
///
/// # Errors
/// Names the container and says what is missing, wrong or refused.
pub(crate) fn prepare(
    pod: &Pod,
    settings: &Settings,
    lookup: &dyn Lookup,
    gpus: &[u64],
) -> Result<(), Blame> {
    let folder = settings.pod(&pod.uid);
    let disk = |e: std::io::Error| (String::new(), Refusal::Broken(format!("cannot write: {e}")));
    let mut base = settings.environment.clone();
    base.set("HOSTNAME", &pod.name);
    if !gpus.is_empty() {
        let list: Vec<String> = gpus.iter().map(u64::to_string).collect();
        base.set("CUDA_VISIBLE_DEVICES", list.join(","));
    }
    let inits = pod.spec.init_containers.as_ref().map_or(0, Vec::len);
    let mut containers = Vec::new();
    for (index, container) in pod.containers().enumerate() {
        let kind = if index >= inits {
            Kind::Main
        } else if pod::is_sidecar(container) {
            Kind::Sidecar
        } else {
            Kind::Init
        };
        let message = folder.join(format!("message.{index}"));
        let ready = ready(pod, settings, lookup, &base, container, (kind, message));
        let ready = ready.map_err(|refusal| {
            (
                container.name.clone(),
                refusal.of(&format!("container {}", container.name)),
            )
        })?;
        containers.push(ready);
    }
    fs::create_dir_all(settings.logs(&pod.namespace)).map_err(disk)?;
    for ready in &containers {
        let mut first = ready.log.clone().into_os_string();
        first.push("0.log");
        fs::File::options()
            .append(true)
            .create(true)
            .open(first)
            .map_err(disk)?;
    }
    settings.spares.take(&folder).map_err(disk)?;
    for ready in &containers {
        message_file(&ready.message).map_err(disk)?;
    }
    if !gpus.is_empty() {
        let list: Vec<String> = gpus.iter().map(u64::to_string).collect();
        fs::write(folder.join("gpus"), list.join("\n")).map_err(disk)?;
    }
    // Whole or not there: a holder must never see half a plan.
    let draft = folder.join("plan.draft");
    fs::write(&draft, plan::plan(pod, settings, &containers)).map_err(disk)?;
    fs::rename(&draft, folder.join("plan")).map_err(disk)
}

/// Works out one container and makes its volumes.
fn ready<'a>(
    pod: &'a Pod,
    settings: &Settings,
    lookup: &dyn Lookup,
    base: &Environment,
    container: &'a Container,
    (kind, message): (Kind, PathBuf),
) -> Result<Ready<'a>, Refusal> {
    let broken = |text: String| Err(Refusal::Broken(text));
    if !names_program(container) {
        return broken(
            "no command: images are not run here, so name the program in `command`".into(),
        );
    }
    let environment = environment::environment(base, pod, container, lookup)?;
    let words = environment::words(&environment, container);
    if words.iter().any(|word| word.contains('\0')) {
        return broken("the command holds a NUL character".into());
    }
    let rights = Rights::of(pod, container, settings.isolation)?;
    let mounts = mount::mounts(pod, settings, lookup, container, &environment, &message)?;
    Ok(Ready {
        container,
        kind,
        rights,
        words,
        environment,
        working_directory: working_directory(settings, container),
        log: log(pod, settings, container),
        mounts,
        message,
        cgroup: match &settings.cgroup {
            Some(base) => cgroup::make(base, &pod.uid, container)
                .map_err(|e| Refusal::Broken(format!("cannot limit its resources: {e}")))?,
            None => None,
        },
    })
}

/// Whether a container says what to run. Without a command its arguments name the program, as they do
/// for an image that brings none of its own; a flag is no program.
fn names_program(container: &Container) -> bool {
    let words = [&container.command, &container.args];
    let first = words.into_iter().flatten().flatten().next();
    let has_command = container.command.as_ref().is_some_and(|c| !c.is_empty());
    first.is_some_and(|word| has_command || !word.starts_with('-'))
}

/// Makes the empty file that a container finds for its last words, whoever its user is.
fn message_file(path: &Path) -> std::io::Result<()> {
    let file = fs::File::create(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o666))
}

fn working_directory(settings: &Settings, container: &Container) -> PathBuf {
    let named = container
        .working_dir
        .as_deref()
        .filter(|dir| !dir.is_empty());
    let image = container.image.as_deref().unwrap_or_default();
    match (named, image::folder(&settings.images, image)) {
        (Some(dir), _) => Path::new("/").join(dir),
        (None, Some(folder)) => folder.to_path_buf(),
        (None, None) => settings.working_directory.clone(),
    }
}

fn log(pod: &Pod, settings: &Settings, container: &Container) -> PathBuf {
    settings.log(&pod.namespace, &pod.name, &pod.uid, &container.name)
}

/// Where a pod's output and files are, whether it was prepared by this process or an earlier one.
pub(crate) fn files(pod: &Pod, settings: &Settings) -> PodFiles {
    let volumes = settings.pod(&pod.uid).join("volumes");
    let containers = pod.containers().map(|container| {
        let image = container.image.as_deref().unwrap_or_default();
        let folder = image::folder(&settings.images, image);
        let pairs = folder
            .and_then(|f| image::mounts(f).ok())
            .unwrap_or_default();
        let mut mounts: Vec<_> = pairs
            .into_iter()
            .map(|(source, target)| (target, source))
            .collect();
        for mount in container.volume_mounts.iter().flatten() {
            let volume = pod
                .spec
                .volumes
                .iter()
                .flatten()
                .find(|v| v.name == mount.name);
            let host = volume
                .and_then(|v| v.host_path.as_ref())
                .map(|h| PathBuf::from(&h.path));
            let mut source = host.unwrap_or_else(|| volumes.join(&mount.name));
            if let Some(below) = mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
                source.push(below);
            }
            mounts.push((Path::new("/").join(&mount.mount_path), source));
        }
        ContainerFiles {
            name: container.name.clone(),
            log: log(pod, settings, container),
            working_directory: working_directory(settings, container),
            mounts,
        }
    });
    PodFiles {
        containers: containers.collect(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Container;

    use super::names_program;

    #[test]
    fn arguments_name_the_program_where_no_command_does() {
        let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
        let check = |command: &[&str], args: &[&str], expected: bool| {
            let container = Container {
                command: words(command),
                args: words(args),
                ..Container::default()
            };
            assert_eq!(names_program(&container), expected, "{command:?} {args:?}");
        };
        check(&["sleep"], &["-1"], true);
        check(&["-weird"], &[], true);
        check(&[], &["sleep", "1"], true);
        check(&[], &["--batch-size=64"], false);
        check(&[], &[], false);
    }
}
