//! Volumes as folders and files of this machine, written before the pod starts.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, HostPathVolumeSource, KeyToPath, Volume, VolumeProjection,
};

use crate::claim;
use crate::pod::Pod;
use crate::refusal::Refusal;
use crate::source::{self, Entries, Lookup};

/// A volume that is ready to be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    /// The folder or file.
    pub(crate) path: PathBuf,
    /// Nothing may be written to it.
    pub(crate) read_only: bool,
}

/// Files with their mode, by path in the volume.
type Files = Vec<(String, Vec<u8>, u32)>;

/// Makes a volume in `folder`, a folder of its own; `token` is the service account's.
///
/// # Errors
/// What it is made of is missing or not supported, or the disk refuses.
pub(crate) fn make(
    volume: &Volume,
    folder: PathBuf,
    pod: &Pod,
    lookup: &dyn Lookup,
    token: &str,
) -> Result<Ready, Refusal> {
    if let Some(host) = &volume.host_path {
        return host_path(host);
    }
    let files = if volume.empty_dir.is_some() {
        make_folder(&folder, 0o777).map_err(|e| disk(&folder, &e))?;
        return Ok(Ready {
            path: folder,
            read_only: false,
        });
    } else if let Some(from) = &volume.config_map {
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
            files.extend(project(projection, from.default_mode, pod, lookup, token)?);
        }
        files
    } else if let Some(from) = &volume.persistent_volume_claim {
        return claim::ready(from, &folder, lookup);
    } else {
        return Err(Refusal::Broken(
            "this kind of volume is not supported on this machine".into(),
        ));
    };
    write(&folder, &files).map_err(|e| disk(&folder, &e))?;
    Ok(Ready {
        path: folder,
        read_only: true,
    })
}

fn disk(path: &Path, error: &io::Error) -> Refusal {
    Refusal::Broken(format!("cannot write {}: {error}", path.display()))
}

fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
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
    lookup: &dyn Lookup,
    token: &str,
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
        return Ok(vec![(from.path.clone(), token.as_bytes().to_vec(), 0o600)]);
    }
    Err(Refusal::Broken(
        "this kind of projection is not supported on this machine".into(),
    ))
}

/// Writes the files of a volume. A folder that was left half written is completed.
fn write(folder: &Path, files: &Files) -> io::Result<()> {
    make_folder(folder, 0o755)?;
    for (name, content, mode) in files {
        let path = folder.join(inside(name).map_err(io::Error::other)?);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
    }
    Ok(())
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
