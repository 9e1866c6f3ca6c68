//! Gives a container mounts of its own without touching the machine's file system.
//!
//! The process takes a mount namespace (an ordinary user: inside a user namespace) and attaches
//! each source at its target. A target that does not exist is made to exist in this namespace only:
//! its nearest existing folder is assembled anew on a tmpfs, with every entry of the old one bound
//! into it, and laid over the old one; for `/` the assembled folder becomes the root.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use crate::plan::{Isolation, Mount};
use crate::sys::{self, Fork};

/// The folder of devices.
const DEVICES: &str = "/dev";

/// Isolates this process as the plan says: with mounts of its own, and all else read-only where that
/// is wanted. Does nothing without either.
///
/// # Errors
/// Says which step or mount failed.
pub(crate) fn isolate(
    kind: Isolation,
    stage: &Path,
    mounts: &[Mount],
    read_only: bool,
) -> Result<(), String> {
    if mounts.is_empty() && !read_only {
        return Ok(());
    }
    match kind {
        Isolation::None => return Err("mounts need isolation, which this machine refuses".into()),
        Isolation::Root => {
            sys::unshare(sys::CLONE_NEWNS).map_err(|e| format!("cannot unshare mounts: {e}"))?;
        }
        Isolation::User => unshare_user().map_err(|e| format!("cannot unshare the user: {e}"))?,
    }
    // Mounts made on the machine later still arrive here; none made here leaves.
    sys::mount(
        None,
        Path::new("/"),
        None,
        sys::MS_REC | sys::MS_SLAVE,
        None,
    )
    .map_err(|e| format!("cannot detach the mounts: {e}"))?;
    // All sources are taken before the first target is covered.
    let trees = mounts.iter().map(take).collect::<Result<Vec<_>, _>>()?;
    let protect = |path: &Path, below: bool| {
        sys::make_path_read_only(path, below)
            .map_err(|e| format!("cannot protect {}: {e}", path.display()))
    };
    if read_only {
        protect(Path::new("/"), true)?;
    }
    let mut layout = Layout {
        stage,
        assembled: Vec::new(),
        folders: Vec::new(),
        targets: Vec::new(),
    };
    for (mount, taken) in mounts.iter().zip(trees) {
        layout.attach(&mount.target, &taken).map_err(|e| {
            format!(
                "cannot mount {} at {}: {e}",
                mount.source.display(),
                mount.target.display()
            )
        })?;
    }
    if read_only {
        for folder in &layout.folders {
            protect(folder, false)?;
        }
    }
    Ok(())
}

/// Takes a user namespace in which this user is itself, and a mount namespace in it.
fn unshare_user() -> io::Result<()> {
    let (uid, gid) = (sys::user(), sys::group());
    sys::unshare(sys::CLONE_NEWUSER | sys::CLONE_NEWNS)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// Takes this process into the namespaces of another one, where they are not its own.
///
/// # Errors
/// The process is gone, or is another user's.
pub(crate) fn enter(pid: i32) -> io::Result<()> {
    // The user's first: it gives the right to enter the other one.
    let kinds = [("user", sys::CLONE_NEWUSER), ("mnt", sys::CLONE_NEWNS)];
    let mut files = Vec::new();
    for (name, kind) in kinds {
        let path = format!("/proc/{pid}/ns/{name}");
        let own = fs::read_link(format!("/proc/self/ns/{name}"))?;
        if fs::read_link(&path)? != own {
            files.push((File::open(path)?, kind));
        }
    }
    files
        .iter()
        .try_for_each(|(file, kind)| sys::enter_namespace(file, *kind))
}

/// A copy of a mount's source, attached nowhere yet.
struct Taken {
    tree: OwnedFd,
    is_folder: bool,
}

/// Takes a copy of a mount's source.
fn take(mount: &Mount) -> Result<Taken, String> {
    let is_folder = mount.source.is_dir();
    let tree = sys::clone_tree(&mount.source)
        .map_err(|e| format!("cannot take {}: {e}", mount.source.display()))?;
    if mount.read_only {
        sys::make_read_only(&tree)
            .map_err(|e| format!("cannot protect {}: {e}", mount.source.display()))?;
    }
    Ok(Taken { tree, is_folder })
}

/// What has been changed so far.
struct Layout<'a> {
    /// An empty folder to assemble folders over.
    stage: &'a Path,
    /// The devices of assembled folders. What lies on them is this container's own; what is bound
    /// into them has the machine's devices.
    assembled: Vec<u64>,
    /// The folders that were assembled.
    folders: Vec<PathBuf>,
    /// Where something was attached. Entries may be made below, as the kubelet does it.
    targets: Vec<PathBuf>,
}

impl Layout<'_> {
    /// Attaches a source at its target, which is made to exist first.
    fn attach(&mut self, target: &Path, taken: &Taken) -> io::Result<()> {
        let (existing, missing) = resolve(target)?;
        let mut target = existing;
        if !missing.as_os_str().is_empty() {
            if !self.is_own(&target)? {
                self.assemble(&target)?;
                self.assembled.push(target.metadata()?.dev());
                self.folders.push(target.clone());
            }
            target.push(missing);
            make(&target, taken.is_folder)?;
        }
        sys::attach_tree(&taken.tree, &target)?;
        self.targets.push(target);
        Ok(())
    }

    /// Whether entries can be made in a folder without touching the machine's.
    fn is_own(&self, folder: &Path) -> io::Result<bool> {
        Ok(self.targets.iter().any(|target| folder.starts_with(target))
            || self.assembled.contains(&folder.metadata()?.dev()))
    }

    /// Lays over `folder` a copy of it in which entries can be made.
    fn assemble(&self, folder: &Path) -> io::Result<()> {
        let mode = format!("mode={:o},size=16m\0", folder.metadata()?.mode() & 0o7777);
        let options = std::ffi::CStr::from_bytes_with_nul(mode.as_bytes()).ok();
        sys::mount(
            Some(Path::new("diwan")),
            self.stage,
            Some(c"tmpfs"),
            0,
            options,
        )?;
        // The copy must not be bound into itself, nor seen twice.
        sys::mount(None, self.stage, None, sys::MS_PRIVATE, None)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (from, to) = (entry.path(), self.stage.join(entry.file_name()));
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
                continue;
            }
            if folder == Path::new(DEVICES) && is_rare(&entry.file_name()) {
                continue;
            }
            make(&to, kind.is_dir())?;
            // What this user may not bind stays empty; few containers would look there.
            let _ = sys::mount(Some(&from), &to, None, sys::MS_BIND | sys::MS_REC, None);
        }
        if folder == Path::new("/") {
            std::env::set_current_dir(self.stage)?;
            sys::pivot_to_working_directory()?;
            return std::env::set_current_dir("/");
        }
        sys::mount(Some(self.stage), folder, None, sys::MS_MOVE, None)
    }
}

/// Whether a device is one of the many that no container looks for, or gets on a cluster: virtual
/// consoles and the like. Binding each would take longer than all else.
fn is_rare(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let console = name.strip_prefix(b"tty").and_then(|rest| rest.first());
    console.is_some_and(u8::is_ascii_digit)
        || [&b"vcs"[..], b"loop", b"ram"]
            .iter()
            .any(|kind| name.starts_with(kind))
}

/// Makes a folder with its parents, or an empty file.
fn make(path: &Path, folder: bool) -> io::Result<()> {
    if folder {
        return fs::create_dir_all(path);
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o666))
}

/// Splits a path into the real path of what exists of it and the rest.
///
/// # Errors
/// The path is not absolute, goes upwards, or what exists of it cannot be read.
fn resolve(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let plain = path
        .components()
        .all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !plain {
        return Err(io::Error::other("not an absolute path without `..`"));
    }
    for existing in path.ancestors() {
        match existing.canonicalize() {
            Ok(real) => {
                let missing = path.strip_prefix(existing).map_err(io::Error::other)?;
                return Ok((real, missing.to_path_buf()));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Tries the kinds of isolation and returns the first that works, and why others do not.
pub(crate) fn probe(folder: &Path) -> (Isolation, String) {
    let mut reasons = Vec::new();
    let kinds: &[Isolation] = if sys::user() == 0 {
        &[Isolation::Root, Isolation::User]
    } else {
        &[Isolation::User]
    };
    for kind in kinds {
        match attempt(*kind, folder) {
            Ok(()) => return (*kind, String::new()),
            Err(why) => reasons.push(why),
        }
    }
    (Isolation::None, reasons.join("; "))
}

/// Tries one kind in a child: targets that do not exist, below a folder and below `/`.
fn attempt(kind: Isolation, folder: &Path) -> Result<(), String> {
    let mount = |target: &Path| Mount {
        source: folder.to_path_buf(),
        target: target.to_path_buf(),
        read_only: true,
    };
    let mounts = [
        mount(Path::new("/run/diwan-probe/folder")),
        mount(Path::new("/diwan-probe/folder")),
    ];
    let (mut reports, mut report) = sys::pipe().map_err(|e| e.to_string())?;
    match sys::fork_process().map_err(|e| e.to_string())? {
        Fork::Child => {
            let outcome = isolate(kind, folder, &mounts, false);
            let message = outcome.err().unwrap_or_else(|| "ok".into());
            let _ = io::Write::write_all(&mut report, message.as_bytes());
            sys::exit_now(0);
        }
        Fork::Parent(_) => {
            drop(report);
            let mut message = String::new();
            io::Read::read_to_string(&mut reports, &mut message).map_err(|e| e.to_string())?;
            if message == "ok" {
                Ok(())
            } else {
                Err(message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_splits_where_it_stops_to_exist() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        fs::create_dir(real.join("a")).unwrap();
        std::os::unix::fs::symlink(real.join("a"), real.join("link")).unwrap();
        let split = |p: &str| resolve(&real.join(p)).unwrap();
        assert_eq!(split("a"), (real.join("a"), PathBuf::new()));
        assert_eq!(split("link/b/c"), (real.join("a"), PathBuf::from("b/c")));
        assert_eq!(split("x/y"), (real.clone(), PathBuf::from("x/y")));
        assert!(resolve(Path::new("a/b")).is_err());
        assert!(resolve(Path::new("/a/../b")).is_err());
    }
}
