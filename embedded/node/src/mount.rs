//! What a container sees elsewhere: its volumes, its image's folder, and what every container has.

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Container;

use crate::environment::Environment;
use crate::holder::Isolation;
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
/// Where programs leave their last words unless the container says something else.
const MESSAGE: &str = "/dev/termination-log";

/// What a container sees elsewhere.
pub(crate) struct Mount {
    /// The file or folder of the machine.
    pub(crate) source: PathBuf,
    /// Where the container sees it.
    pub(crate) target: PathBuf,
    /// The container may not change it.
    pub(crate) read_only: bool,
}

/// All that a container sees elsewhere: parents before what lies in them. `message` is the file with
/// its last words.
///
/// # Errors
/// A volume is missing or cannot be made, or this machine allows no mounts.
pub(crate) fn mounts(
    pod: &Pod,
    settings: &Settings,
    lookup: &dyn Lookup,
    container: &Container,
    environment: &Environment,
    message: &Path,
) -> Result<Vec<Mount>, Refusal> {
    let mut mounts = image_mounts(settings, container)?;
    let volumes = settings.pod(&pod.uid).join("volumes");
    for wanted in container.volume_mounts.iter().flatten() {
        // Every pod has its account mounted; without private mounts it does without.
        if settings.isolation == Isolation::None && wanted.mount_path == ACCOUNT {
            continue;
        }
        let name = &wanted.name;
        let volume = pod.spec.volumes.iter().flatten().find(|v| v.name == *name);
        let Some(volume) = volume else {
            return Err(Refusal::Broken(format!("volume {name:?} not found")));
        };
        let ready = volume::make(volume, volumes.join(name), pod, settings, lookup)
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
    let wanted = container.termination_message_path.as_deref();
    let target = Path::new("/").join(wanted.unwrap_or(MESSAGE));
    if !mounts.iter().any(|mount| mount.target == target) {
        mounts.push(Mount {
            source: message.to_path_buf(),
            target,
            read_only: false,
        });
    }
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
            .account(pod)
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
