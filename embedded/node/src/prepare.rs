//! Turns a pod into the plan that its holder carries out (the format is the entrypoint's), and
//! writes the volumes that the plan mounts.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Container;
use nix::unistd::{Uid, User};

use crate::environment::{self, Environment};
use crate::holder::Isolation;
use crate::hook::{ContainerFiles, PodFiles};
use crate::image;
use crate::pod::Pod;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::source::Lookup;
use crate::volume;

/// Where pods find their service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Where names are resolved.
const HOSTS: &str = "/etc/hosts";

/// Why a pod's plan cannot be made, and the container that is to blame (empty: all of them).
pub(crate) type Blame = (String, Refusal);

/// One container, ready to be written into the plan.
struct Ready<'a> {
    container: &'a Container,
    init: bool,
    user: Option<(u32, u32)>,
    words: Vec<String>,
    environment: Environment,
    working_directory: PathBuf,
    mounts: Vec<Mount>,
}

/// What a container sees elsewhere.
struct Mount {
    source: PathBuf,
    target: PathBuf,
    read_only: bool,
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
        let ready = ready(pod, settings, lookup, &base, container, index < inits);
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
        let mut first = log(pod, settings, ready.container).into_os_string();
        first.push("0.log");
        fs::File::options()
            .append(true)
            .create(true)
            .open(first)
            .map_err(disk)?;
    }
    settings.spares.take(&folder).map_err(disk)?;
    if !gpus.is_empty() {
        let list: Vec<String> = gpus.iter().map(u64::to_string).collect();
        fs::write(folder.join("gpus"), list.join("\n")).map_err(disk)?;
    }
    // Whole or not there: a holder must never see half a plan.
    let draft = folder.join("plan.draft");
    fs::write(&draft, plan(pod, settings, &containers)).map_err(disk)?;
    fs::rename(&draft, folder.join("plan")).map_err(disk)
}

/// Works out one container and makes its volumes.
fn ready<'a>(
    pod: &'a Pod,
    settings: &Settings,
    lookup: &dyn Lookup,
    base: &Environment,
    container: &'a Container,
    init: bool,
) -> Result<Ready<'a>, Refusal> {
    let broken = |text: String| Err(Refusal::Broken(text));
    if init && container.restart_policy.is_some() {
        return broken("an init container with a restartPolicy is not supported".into());
    }
    if container.command.as_ref().is_none_or(Vec::is_empty) {
        return broken(
            "no command: images are not run here, so name the program in `command`".into(),
        );
    }
    let environment = environment::environment(base, pod, container, lookup)?;
    let words = environment::words(&environment, container);
    if words.iter().any(|word| word.contains('\0')) {
        return broken("the command holds a NUL character".into());
    }
    let user = user(pod, container, settings)?;
    let mounts = mounts(pod, settings, lookup, container, &environment)?;
    let working_directory = working_directory(settings, container);
    Ok(Ready {
        container,
        init,
        user,
        words,
        environment,
        working_directory,
        mounts,
    })
}

/// The user that a container asks for, when it is not the node's.
fn user(
    pod: &Pod,
    container: &Container,
    settings: &Settings,
) -> Result<Option<(u32, u32)>, Refusal> {
    let own = container.security_context.as_ref();
    let shared = pod.spec.security_context.as_ref();
    let uid = own
        .and_then(|c| c.run_as_user)
        .or_else(|| shared.and_then(|c| c.run_as_user));
    let gid = own
        .and_then(|c| c.run_as_group)
        .or_else(|| shared.and_then(|c| c.run_as_group));
    let Some(uid) = uid.and_then(|uid| u32::try_from(uid).ok()) else {
        return Ok(None);
    };
    let me = Uid::effective();
    if uid == me.as_raw() && gid.is_none() {
        return Ok(None);
    }
    if !me.is_root() || settings.isolation == Isolation::User {
        let text = format!("runAsUser {uid} needs diwan to run as root");
        return Err(Refusal::Broken(text));
    }
    let primary = || {
        User::from_uid(Uid::from_raw(uid))
            .ok()
            .flatten()
            .map(|u| u.gid.as_raw())
    };
    let gid = gid
        .and_then(|gid| u32::try_from(gid).ok())
        .or_else(primary)
        .unwrap_or(uid);
    Ok(Some((uid, gid)))
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

/// All that a container sees elsewhere: parents before what lies in them.
fn mounts(
    pod: &Pod,
    settings: &Settings,
    lookup: &dyn Lookup,
    container: &Container,
    environment: &Environment,
) -> Result<Vec<Mount>, Refusal> {
    let mut mounts = image_mounts(settings, container)?;
    let volumes = settings.pod(&pod.uid).join("volumes");
    for wanted in container.volume_mounts.iter().flatten() {
        let name = &wanted.name;
        let volume = pod.spec.volumes.iter().flatten().find(|v| v.name == *name);
        let Some(volume) = volume else {
            return Err(Refusal::Broken(format!("volume {name:?} not found")));
        };
        let token = settings.token(&pod.namespace);
        let ready = volume::make(volume, volumes.join(name), pod, lookup, &token)
            .map_err(|refusal| refusal.of(&format!("volume {name:?}")))?;
        let below = match (&wanted.sub_path, &wanted.sub_path_expr) {
            (Some(path), _) if !path.is_empty() => path.clone(),
            (_, Some(path)) => environment.expand(path),
            _ => String::new(),
        };
        let source = below_volume(&ready, &below)?;
        let target = Path::new("/").join(&wanted.mount_path);
        let read_only = ready.read_only || wanted.read_only == Some(true);
        mounts.push(Mount {
            source,
            target,
            read_only,
        });
    }
    if settings.isolation == Isolation::None {
        return match mounts.first() {
            None => Ok(mounts),
            Some(mount) => Err(Refusal::Broken(format!(
                "cannot mount {}: this machine allows no private mounts ({}); run diwan as root \
                 or allow user namespaces",
                mount.target.display(),
                settings.no_isolation
            ))),
        };
    }
    own_mounts(pod, settings, &mut mounts)?;
    // A stable sort: at equal depth the order of the specification stays.
    mounts.sort_by_key(|mount| mount.target.components().count());
    Ok(mounts)
}

/// A file or folder in a volume; a folder that is missing is made.
fn below_volume(ready: &volume::Ready, below: &str) -> Result<PathBuf, Refusal> {
    if below.is_empty() {
        return Ok(ready.path.clone());
    }
    let path = ready
        .path
        .join(volume::inside(below).map_err(Refusal::Broken)?);
    if !path.exists() {
        fs::create_dir_all(&path)
            .map_err(|e| Refusal::Broken(format!("subPath {below:?} cannot be made: {e}")))?;
    }
    Ok(path)
}

fn image_mounts(settings: &Settings, container: &Container) -> Result<Vec<Mount>, Refusal> {
    let name = container.image.as_deref().unwrap_or_default();
    let Some(folder) = image::folder(&settings.images, name) else {
        return Ok(Vec::new());
    };
    let pairs = image::mounts(folder).map_err(|e| {
        Refusal::Broken(format!(
            "image {name}: cannot use the folder {}: {e}",
            folder.display()
        ))
    })?;
    let mount = |(source, target)| Mount {
        source,
        target,
        read_only: false,
    };
    Ok(pairs.into_iter().map(mount).collect())
}

/// Adds the service account and the names of services, unless the pod puts something there.
fn own_mounts(pod: &Pod, settings: &Settings, mounts: &mut Vec<Mount>) -> Result<(), Refusal> {
    let hosts = settings.hosts.file(&pod.namespace);
    let hosts = hosts.map_err(|e| Refusal::Broken(format!("cannot write the names: {e}")))?;
    let mut own = vec![(hosts, PathBuf::from(HOSTS))];
    if pod.spec.automount_service_account_token != Some(false) {
        let account = settings
            .account(&pod.namespace)
            .map_err(|e| Refusal::Broken(format!("cannot write the service account: {e}")))?;
        own.push((account, PathBuf::from(ACCOUNT)));
    }
    for (source, target) in own {
        if !mounts.iter().any(|mount| mount.target == target) {
            mounts.push(Mount {
                source,
                target,
                read_only: true,
            });
        }
    }
    Ok(())
}

fn log(pod: &Pod, settings: &Settings, container: &Container) -> PathBuf {
    settings.log(&pod.namespace, &pod.name, &pod.uid, &container.name)
}

/// Writes the words of the plan.
fn plan(pod: &Pod, settings: &Settings, containers: &[Ready<'_>]) -> Vec<u8> {
    let mut words = Words::default();
    words.add(["diwan-pod-1", "isolate", settings.isolation.name()]);
    let restart = match pod.spec.restart_policy.as_deref() {
        Some("Never") => "never",
        Some("OnFailure") => "onfailure",
        _ => "always",
    };
    words.add([
        "restart",
        restart,
        "grace",
        &pod.grace().to_string(),
        "stage",
    ]);
    words.path(&settings.stage);
    for ready in containers {
        let name = &ready.container.name;
        words.add([
            "container",
            name,
            if ready.init { "init" } else { "main" },
            "log",
        ]);
        words.path(&log(pod, settings, ready.container));
        words.add(["cwd"]);
        words.path(&ready.working_directory);
        if let Some((uid, gid)) = ready.user {
            words.add(["user", &uid.to_string(), &gid.to_string()]);
        }
        for word in &ready.words {
            words.add(["arg", word]);
        }
        for (name, value) in &ready.environment.0 {
            words.add(["env", &format!("{name}={value}")]);
        }
        for mount in &ready.mounts {
            words.add(["mount"]);
            words.path(&mount.source);
            words.path(&mount.target);
            words.add([if mount.read_only { "ro" } else { "rw" }]);
        }
    }
    words.add(["end"]);
    words.0
}

/// Words, each ended by a NUL byte.
#[derive(Default)]
struct Words(Vec<u8>);

impl Words {
    fn add<const N: usize>(&mut self, words: [&str; N]) {
        for word in words {
            self.0.extend_from_slice(word.as_bytes());
            self.0.push(0);
        }
    }
    fn path(&mut self, path: &Path) {
        self.0.extend_from_slice(path.as_os_str().as_bytes());
        self.0.push(0);
    }
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
