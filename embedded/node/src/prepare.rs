//! Turns a pod into the plan that its holder carries out (the format is the entrypoint's), and
//! writes the volumes that the plan mounts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Container;

use crate::cgroup;
use crate::engine::Engine;
use crate::engine::create::{self, Parts, Request};
use crate::engine::images::{Image, Images};
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
use crate::volume;

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
    /// What the engine is to make, where one runs the containers, and the file for that.
    pub(crate) request: Option<(PathBuf, Request)>,
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

/// What a pod's plan is made of.
pub(crate) struct Preparation<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) settings: &'a Settings,
    pub(crate) lookup: &'a dyn Lookup,
    /// The graphics processors that are the pod's.
    pub(crate) gpus: &'a [u64],
    /// The images of its containers, where an engine runs them.
    pub(crate) images: &'a Images,
    /// Folders of containers that have to be seen from this machine.
    pub(crate) folders: &'a [(String, PathBuf)],
}

impl<'a> Preparation<'a> {
    /// Writes the pod's volumes, logs and plan into its folder, which may be left half written by an
    /// earlier attempt.
    ///
    /// # Errors
    /// Names the container and says what is missing, wrong or refused.
    pub(crate) fn prepare(&self) -> Result<(), Blame> {
        let containers = self.containers()?;
        self.write(&containers)
            .map_err(|e| (String::new(), Refusal::Broken(format!("cannot write: {e}"))))
    }

    /// Works out all containers and makes their volumes.
    fn containers(&self) -> Result<Vec<Ready<'a>>, Blame> {
        let (pod, folder) = (self.pod, self.settings.pod(&self.pod.uid));
        let base = self.base();
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
            let file = |name: &str| folder.join(format!("{name}.{index}"));
            let ready = self.ready(&base, container, kind, &file);
            containers.push(ready.map_err(|refusal| {
                let name = &container.name;
                (name.clone(), refusal.of(&format!("container {name}")))
            })?);
        }
        Ok(containers)
    }

    /// The variables of all containers.
    fn base(&self) -> Environment {
        let mut base = self.settings.environment.clone();
        base.set("HOSTNAME", self.pod.host_name());
        // A container has its processors alone, and numbers them anew.
        if !self.gpus.is_empty() && self.settings.engine.is_none() {
            base.set("CUDA_VISIBLE_DEVICES", self.numbers(","));
        }
        base
    }

    fn numbers(&self, between: &str) -> String {
        let numbers: Vec<String> = self.gpus.iter().map(u64::to_string).collect();
        numbers.join(between)
    }

    fn write(&self, containers: &[Ready<'_>]) -> std::io::Result<()> {
        let (pod, settings) = (self.pod, self.settings);
        let folder = settings.pod(&pod.uid);
        fs::create_dir_all(settings.logs(&pod.namespace))?;
        for ready in containers {
            let mut first = ready.log.clone().into_os_string();
            first.push("0.log");
            fs::File::options().append(true).create(true).open(first)?;
        }
        settings.spares.take(&folder)?;
        for ready in containers {
            message_file(&ready.message)?;
            if let Some((file, request)) = &ready.request {
                fs::write(file, request.body.to_string())?;
            }
        }
        if !self.gpus.is_empty() {
            fs::write(folder.join("gpus"), self.numbers("\n"))?;
        }
        // Whole or not there: a holder must never see half a plan.
        let draft = folder.join("plan.draft");
        fs::write(&draft, plan::plan(pod, settings, containers))?;
        fs::rename(&draft, folder.join("plan"))
    }

    /// Works out one container and makes its volumes. Its own files are named by `file`.
    fn ready(
        &self,
        base: &Environment,
        container: &'a Container,
        kind: Kind,
        file: &dyn Fn(&str) -> PathBuf,
    ) -> Result<Ready<'a>, Refusal> {
        let (pod, settings, lookup) = (self.pod, self.settings, self.lookup);
        let environment = environment::environment(base, pod, container, lookup)?;
        let words = environment::words(&environment, container);
        if words.iter().any(|word| word.contains('\0')) {
            return Err(Refusal::Broken("the command holds a NUL character".into()));
        }
        let message = file("message");
        let mounts = mount::mounts(pod, settings, lookup, container, &environment, &message)?;
        let mut ready = Ready {
            container,
            kind,
            rights: Rights::default(),
            words: Vec::new(),
            environment: Environment::default(),
            working_directory: "/".into(),
            log: log(pod, settings, container),
            mounts: Vec::new(),
            message,
            cgroup: None,
            request: None,
        };
        if let Some(engine) = &settings.engine {
            let request = self.request(engine, container, &environment, mounts, file)?;
            ready.request = Some((container_file(&settings.pod(&pod.uid), container), request));
            return Ok(ready);
        }
        if !names_program(container) {
            return Err(Refusal::Broken(
                "no command: images are not run here, so name the program in `command`".into(),
            ));
        }
        ready.rights = Rights::of(pod, container, settings.isolation)?;
        (ready.words, ready.environment, ready.mounts) = (words, environment, mounts);
        ready.working_directory = working_directory(settings, container);
        if let Some(base) = &settings.cgroup {
            ready.cgroup = cgroup::make(base, &pod.uid, container)
                .map_err(|e| Refusal::Broken(format!("cannot limit its resources: {e}")))?;
        }
        Ok(ready)
    }

    /// What the engine is to make of a container.
    fn request(
        &self,
        engine: &Engine,
        container: &Container,
        environment: &Environment,
        mut mounts: Vec<Mount>,
        file: &dyn Fn(&str) -> PathBuf,
    ) -> Result<Request, Refusal> {
        let none = Image::default();
        let seen = self
            .folders
            .iter()
            .filter(|(name, _)| *name == container.name);
        for (number, (_, target)) in seen.enumerate() {
            let is_volume = mounts.iter().any(|mount| target.starts_with(&mount.target));
            if is_volume || target.parent().is_none() || !target.is_absolute() {
                continue;
            }
            let source = file("seen").join(number.to_string());
            volume::make_folder(&source, 0o777)
                .map_err(|e| Refusal::Broken(format!("cannot make {}: {e}", source.display())))?;
            mounts.push(Mount {
                source,
                target: target.clone(),
                read_only: false,
            });
        }
        mounts.sort_by_key(|mount| mount.target.components().count());
        let parts = Parts {
            image: self.images.get(&container.name).unwrap_or(&none),
            environment,
            mounts: &mounts,
            gpus: self.gpus,
        };
        create::request(engine, self.pod, container, &parts)
    }
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

/// The file with what an engine is to make of a container.
pub(crate) fn container_file(folder: &Path, container: &Container) -> PathBuf {
    folder.join(format!("container.{}.json", container.name))
}

fn log(pod: &Pod, settings: &Settings, container: &Container) -> PathBuf {
    settings.log(&pod.namespace, &pod.name, &pod.uid, &container.name)
}

/// Where a pod's output and files are, whether it was prepared by this process or an earlier one.
pub(crate) fn files(pod: &Pod, settings: &Settings) -> PodFiles {
    let folder = settings.pod(&pod.uid);
    let volumes = folder.join("volumes");
    let containers = pod.containers().map(|container| {
        if settings.engine.is_some() {
            let body = fs::read(container_file(&folder, container)).unwrap_or_default();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let (working_directory, mounts) = create::places(&body);
            return ContainerFiles {
                name: container.name.clone(),
                log: log(pod, settings, container),
                working_directory,
                mounts,
            };
        }
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
