//! Volumes as folders and files of this machine, written before the pod starts.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, EmptyDirVolumeSource, HostPathVolumeSource, KeyToPath, Volume,
    VolumeProjection,
};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use parking_lot::{Mutex, MutexGuard};

use crate::claim;
use crate::options::AccountToken;
use crate::payload::{self, Files};
use crate::pod::Pod;
use crate::quantity;
use crate::refusal::Refusal;
use crate::rights;
use crate::settings::Settings;
use crate::source::{self, Entries, Lookup};

/// A volume that is ready to be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    /// The folder or file.
    pub(crate) path: PathBuf,
    /// Nothing may be written to it.
    pub(crate) read_only: bool,
}

/// Makes a volume in `folder`, a folder of its own.
///
/// # Errors
/// What it is made of is missing or not supported, or the disk refuses.
pub(crate) fn make(
    volume: &Volume,
    folder: PathBuf,
    pod: &Pod,
    settings: &Settings,
    lookup: &dyn Lookup,
) -> Result<Ready, Refusal> {
    if let Some(host) = &volume.host_path {
        return host_path(host);
    }
    if let Some(from) = &volume.persistent_volume_claim {
        return claim::ready(from, &folder, lookup);
    }
    if let Some(empty) = &volume.empty_dir {
        empty_dir(empty, &folder, settings, pod).map_err(|e| disk(&folder, &e))?;
        return Ok(Ready {
            path: folder,
            read_only: false,
        });
    }
    write(&WRITING.lock(), volume, &folder, (pod, settings), lookup)?;
    Ok(Ready {
        path: folder,
        read_only: true,
    })
}

/// Writes anew the volumes of a pod that runs and whose content has changed. Those that were not made
/// are left out, and what is missing now stays as it was.
pub(crate) fn refresh(pod: &Pod, settings: &Settings, lookup: &dyn Lookup) {
    for volume in pod.spec.volumes.iter().flatten() {
        let folder = settings.pod(&pod.uid).join("volumes").join(&volume.name);
        let writing = WRITING.lock();
        if folder.is_symlink() || volume.empty_dir.is_some() || !payload::is_written(&folder) {
            continue;
        }
        if let Err(error) = write(&writing, volume, &folder, (pod, settings), lookup) {
            let volume = &volume.name;
            tracing::debug!(pod.name, volume, %error, "cannot bring the volume up to date");
        }
    }
}

/// One volume is written after the other, each with what is now. The older of two that are written at the
/// same time might else be there at the end, and what changes while a pod starts be missed.
static WRITING: Mutex<()> = Mutex::new(());

/// Writes the files of a volume.
fn write(
    _writing: &MutexGuard<'_, ()>,
    volume: &Volume,
    folder: &Path,
    (pod, settings): (&Pod, &Settings),
    lookup: &dyn Lookup,
) -> Result<(), Refusal> {
    let now = lookup.pod(&pod.name);
    let now = now.filter(|object| object["metadata"]["uid"] == pod.uid.as_str());
    let now = now.and_then(|object| Pod::read(object, &pod.node_name, pod.capacity).ok());
    let files = files(volume, now.as_ref().unwrap_or(pod), settings, lookup)?;
    payload::write(folder, &files, group(pod, settings)).map_err(|e| disk(folder, &e))
}

/// Whether a pod's volumes show its labels and annotations, or the ConfigMap or Secret of a name.
pub(crate) fn shows(pod: &Pod, source: Option<(&str, &str)>) -> bool {
    let named =
        |kind: &str, name: Option<&str>| name.is_some() && source == name.map(|n| (kind, n));
    let projected = |p: &VolumeProjection| {
        named(
            "ConfigMap",
            p.config_map.as_ref().map(|from| from.name.as_str()),
        ) || named("Secret", p.secret.as_ref().map(|from| from.name.as_str()))
            || source.is_none() && p.downward_api.is_some()
    };
    pod.spec.volumes.iter().flatten().any(|volume| {
        let map = volume.config_map.as_ref().map(|from| from.name.as_str());
        let secret = volume
            .secret
            .as_ref()
            .and_then(|from| from.secret_name.as_deref());
        let projections = volume.projected.as_ref().and_then(|p| p.sources.as_ref());
        named("ConfigMap", map)
            || named("Secret", secret)
            || source.is_none() && volume.downward_api.is_some()
            || projections.into_iter().flatten().any(projected)
    })
}

/// The group that owns the volumes of a pod, when this process can give them to one.
fn group(pod: &Pod, settings: &Settings) -> Option<u32> {
    let wanted = pod.spec.security_context.as_ref()?.fs_group?;
    u32::try_from(wanted)
        .ok()
        .filter(|_| rights::is_root(settings.isolation))
}

/// Makes an empty folder, in memory where that is wanted and this process may mount.
fn empty_dir(
    empty: &EmptyDirVolumeSource,
    folder: &Path,
    settings: &Settings,
    pod: &Pod,
) -> io::Result<()> {
    let group = group(pod, settings);
    let mode = if group.is_some() { 0o2777 } else { 0o777 };
    make_folder(folder, mode)?;
    let in_memory = empty.medium.as_deref() == Some("Memory");
    if in_memory && rights::is_root(settings.isolation) && !is_mounted(folder) {
        let size = empty
            .size_limit
            .as_ref()
            .and_then(|limit| quantity::parse(&limit.0));
        let size = size
            .map(|bytes| format!("size={bytes},"))
            .unwrap_or_default();
        let options = format!("{size}mode={mode:o}");
        let (kind, flags) = (Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV);
        mount(Some("diwan"), folder, kind, flags, Some(options.as_str()))?;
    }
    std::os::unix::fs::chown(folder, None, group)
}

/// Whether something is mounted at a folder: then it lies on another device than its parent. Links
/// lead to what is not the pod's own.
fn is_mounted(folder: &Path) -> bool {
    let device = |path: &Path| path.symlink_metadata().map(|m| m.dev()).ok();
    folder
        .parent()
        .is_some_and(|parent| device(folder) != device(parent))
}

/// Takes away what was mounted for a pod's volumes.
pub(crate) fn unmount(pod_folder: &Path) {
    let entries = fs::read_dir(pod_folder.join("volumes"))
        .into_iter()
        .flatten();
    for folder in entries.flatten().map(|entry| entry.path()) {
        if is_mounted(&folder)
            && let Err(error) = umount2(&folder, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
        {
            tracing::warn!(folder = %folder.display(), %error, "cannot unmount the volume");
        }
    }
}

/// What a volume consists of.
fn files(
    volume: &Volume,
    pod: &Pod,
    settings: &Settings,
    lookup: &dyn Lookup,
) -> Result<Files, Refusal> {
    Ok(if let Some(from) = &volume.config_map {
        let entries = source::config_map(lookup, &from.name, from.optional == Some(true))?;
        pick(
            entries,
            from.items.as_deref(),
            from.default_mode,
            from.optional,
            "configmap",
        )?
    } else if let Some(from) = &volume.secret {
        let name = from.secret_name.as_deref().unwrap_or_default();
        let entries = source::secret(lookup, name, from.optional == Some(true))?;
        pick(
            entries,
            from.items.as_deref(),
            from.default_mode,
            from.optional,
            "secret",
        )?
    } else if let Some(from) = &volume.downward_api {
        downward(
            pod,
            from.items.as_deref().unwrap_or_default(),
            from.default_mode,
        )?
    } else if let Some(from) = &volume.projected {
        let mut files = Files::new();
        for projection in from.sources.iter().flatten() {
            files.extend(project(
                projection,
                from.default_mode,
                pod,
                settings,
                lookup,
            )?);
        }
        files
    } else {
        return Err(Refusal::Broken(
            "this kind of volume is not supported on this machine".into(),
        ));
    })
}

fn disk(path: &Path, error: &io::Error) -> Refusal {
    Refusal::Broken(format!("cannot write {}: {error}", path.display()))
}

pub(crate) fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn host_path(host: &HostPathVolumeSource) -> Result<Ready, Refusal> {
    let path = PathBuf::from(&host.path);
    let kind = host.type_.as_deref().unwrap_or_default();
    let outcome = match kind {
        "DirectoryOrCreate" => fs::create_dir_all(&path),
        "FileOrCreate" => fs::File::options()
            .append(true)
            .create(true)
            .open(&path)
            .map(drop),
        _ => Ok(()),
    };
    outcome.map_err(|e| disk(&path, &e))?;
    let fits = match kind {
        "Directory" | "DirectoryOrCreate" => path.is_dir(),
        "File" | "FileOrCreate" => path.is_file(),
        "Socket" => is_kind(&path, FileTypeExt::is_socket),
        "CharDevice" => is_kind(&path, FileTypeExt::is_char_device),
        "BlockDevice" => is_kind(&path, FileTypeExt::is_block_device),
        _ => path.exists(),
    };
    if !fits {
        let what = if kind.is_empty() { "path" } else { kind };
        return Err(Refusal::Broken(format!(
            "hostPath {what} {} not found",
            path.display()
        )));
    }
    Ok(Ready {
        path,
        read_only: false,
    })
}

fn is_kind(path: &Path, is: impl Fn(&fs::FileType) -> bool) -> bool {
    path.metadata().is_ok_and(|found| is(&found.file_type()))
}

/// The entries that are asked for, or all of them.
fn pick(
    entries: Option<Entries>,
    items: Option<&[KeyToPath]>,
    mode: Option<i32>,
    optional: Option<bool>,
    kind: &str,
) -> Result<Files, Refusal> {
    let mode = mode.unwrap_or(0o644) as u32;
    let mut entries = entries.unwrap_or_default();
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        return Ok(entries
            .into_iter()
            .map(|(key, value)| (key, value, mode))
            .collect());
    };
    let mut files = Files::new();
    for item in items {
        match entries.remove(&item.key) {
            Some(value) => {
                let mode = item.mode.map_or(mode, |m| m as u32);
                files.push((item.path.clone(), value, mode));
            }
            None if optional == Some(true) => {}
            None => {
                let key = &item.key;
                let text = format!("{kind} references non-existent config key: {key}");
                return Err(Refusal::Waiting(text));
            }
        }
    }
    Ok(files)
}

fn downward(
    pod: &Pod,
    items: &[DownwardAPIVolumeFile],
    mode: Option<i32>,
) -> Result<Files, Refusal> {
    let file = |item: &DownwardAPIVolumeFile| {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(selector), _) => source::field(pod, &selector.field_path)?,
            (None, Some(selector)) => source::resource(pod, "", selector)?,
            (None, None) => return Err(Refusal::Broken(format!("{} has no source", item.path))),
        };
        let mode = item.mode.or(mode).unwrap_or(0o644) as u32;
        Ok((item.path.clone(), text.into_bytes(), mode))
    };
    items.iter().map(file).collect()
}

fn project(
    projection: &VolumeProjection,
    mode: Option<i32>,
    pod: &Pod,
    settings: &Settings,
    lookup: &dyn Lookup,
) -> Result<Files, Refusal> {
    if let Some(from) = &projection.config_map {
        let entries = source::config_map(lookup, &from.name, from.optional == Some(true))?;
        return pick(
            entries,
            from.items.as_deref(),
            mode,
            from.optional,
            "configmap",
        );
    }
    if let Some(from) = &projection.secret {
        let entries = source::secret(lookup, &from.name, from.optional == Some(true))?;
        return pick(
            entries,
            from.items.as_deref(),
            mode,
            from.optional,
            "secret",
        );
    }
    if let Some(from) = &projection.downward_api {
        return downward(pod, from.items.as_deref().unwrap_or_default(), mode);
    }
    if let Some(from) = &projection.service_account_token {
        let token = settings.token(&AccountToken {
            audience: from.audience.as_deref(),
            expiration_seconds: from.expiration_seconds,
            ..AccountToken::of(pod)
        });
        let file = |token: String| (from.path.clone(), token.into_bytes(), 0o644);
        return Ok(token.map(file).into_iter().collect());
    }
    Err(Refusal::Broken(
        "this kind of projection is not supported on this machine".into(),
    ))
}

/// A path that stays inside the folder it is joined to.
///
/// # Errors
/// It is absolute or goes upwards.
pub(crate) fn inside(path: &str) -> Result<&Path, String> {
    let path = Path::new(path);
    let plain = path
        .components()
        .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if plain {
        Ok(path)
    } else {
        Err(format!("path {} leaves the volume", path.display()))
    }
}
