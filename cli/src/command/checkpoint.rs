//! `diwan checkpoint`: gives a trial the checkpoint that it continues, and removes those that nobody
//! will continue. It runs before the trial, in its pod, which alone sees the volume.
//!
//! It may be killed at any instant and begin anew. A copy is made aside and put in its place at once, so
//! a trial never sees half of one; and a folder in which something lies stays as it is, for a trial
//! whose pod is replaced goes on from what it has.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

/// What the names of copies that are being made begin with; no trial's does.
const ASIDE: &str = ".copy.";

/// Gives a trial the checkpoint that it continues.
#[derive(clap::Args)]
pub(crate) struct Checkpoint {
    /// The folder with the folders of all trials
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// The trial that is about to start, if one is
    #[arg(long, value_name = "NAME", value_parser = name)]
    trial: Option<String>,
    /// The trial whose checkpoint it continues
    #[arg(long, value_name = "NAME", value_parser = name, requires = "trial")]
    from: Option<String>,
    /// A trial whose checkpoint nobody will continue any more; can be given several times
    #[arg(long, value_name = "NAME", value_parser = name)]
    remove: Vec<String>,
}

fn name(text: &str) -> Result<String, String> {
    let mut parts = Path::new(text).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) if !text.starts_with('.') => Ok(text.to_owned()),
        _ => Err("must be the name of a trial".to_owned()),
    }
}

impl Checkpoint {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let pod = std::env::var("HOSTNAME").unwrap_or_default();
        if let Some(trial) = &self.trial {
            self.give(trial, &pod)?;
        }
        for name in &self.remove {
            // The trial can do without; the room is missed later, by others.
            if let Err(error) = remove(&self.folder, name) {
                eprintln!("can't remove the checkpoint of {name}: {error}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Fills the trial's folder. `pod` tells apart the pods of one trial, which may all be at it.
    fn give(&self, trial: &str, pod: &str) -> anyhow::Result<()> {
        let own = self.folder.join(trial);
        fs::create_dir_all(&own).with_context(|| format!("can't make {}", own.display()))?;
        if !is_empty(&own)? {
            println!("{trial} goes on from what it has");
            return Ok(());
        }
        let Some(from) = &self.from else {
            open_to_all(&own)?;
            println!("{trial} begins anew");
            return Ok(());
        };
        let source = self.folder.join(from);
        if !source.is_dir() {
            bail!("the volume has no checkpoint of {from}, which {trial} continues");
        }
        let aside = self.folder.join(format!("{ASIDE}{trial}.{pod}"));
        let describe = || format!("can't copy the checkpoint of {from}");
        clear(&aside)
            .and_then(|()| copy(&source, &aside))
            .with_context(describe)?;
        match fs::rename(&aside, &own) {
            Ok(()) => File::open(&self.folder)?
                .sync_all()
                .with_context(describe)?,
            // Another pod of the trial was faster.
            Err(_) if !is_empty(&own)? => clear(&aside)?,
            Err(error) => return Err(error).with_context(describe),
        }
        println!("{trial} continues {from}");
        Ok(())
    }
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(folder)?.next().is_none())
}

/// Lets every user write, as in an empty volume, where the folder is ours.
fn open_to_all(folder: &Path) -> io::Result<()> {
    match fs::set_permissions(folder, Permissions::from_mode(0o777)) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

/// Copies a folder with all that lies in it, and has it on disk.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&source, &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
            give_away(&source, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target)?;
            File::open(&target)?.sync_all()?;
            give_away(&source, &target)?;
        }
    }
    File::open(to)?.sync_all()?;
    give_away(from, to)?;
    fs::set_permissions(to, from.metadata()?.permissions())
}

/// Gives a copy to whom the original belongs, where this process may.
fn give_away(from: &Path, to: &Path) -> io::Result<()> {
    let original = from.symlink_metadata()?;
    match lchown(to, Some(original.uid()), Some(original.gid())) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

/// Removes a folder that may not be there.
fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a trial's folder and what is left of copies into it.
fn remove(folders: &Path, name: &str) -> io::Result<()> {
    let copies = format!("{ASIDE}{name}.");
    for entry in fs::read_dir(folders)? {
        let file = entry?.file_name();
        let is_copy = file.to_str().is_some_and(|file| file.starts_with(&copies));
        if is_copy {
            clear(&folders.join(file))?;
        }
    }
    clear(&folders.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(folder: &Path, from: Option<&str>) -> Checkpoint {
        Checkpoint {
            folder: folder.to_owned(),
            trial: None,
            from: from.map(str::to_owned),
            remove: Vec::new(),
        }
    }

    /// A volume in which trial `a` has left a checkpoint.
    fn volume() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/deep")).unwrap();
        fs::write(folder.path().join("a/deep/weights"), "1 2 3").unwrap();
        symlink("deep/weights", folder.path().join("a/latest")).unwrap();
        folder
    }

    fn weights(folder: &Path) -> String {
        fs::read_to_string(folder.join("b/latest")).unwrap_or_default()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_trial_finds_a_copy_of_what_it_continues() {
        let folder = volume();
        // A runtime has made the folder that it is to mount.
        fs::create_dir(folder.path().join("b")).unwrap();
        checkpoint(folder.path(), Some("a"))
            .give("b", "pod")
            .unwrap();
        assert_eq!(weights(folder.path()), "1 2 3");
        fs::write(folder.path().join("b/latest"), "4").unwrap();
        let original = fs::read_to_string(folder.path().join("a/deep/weights"));
        assert_eq!(original.unwrap(), "1 2 3", "the donor's stays");
        assert_eq!(names(folder.path()), ["a", "b"]);
    }

    #[test]
    fn a_copy_that_was_cut_short_is_made_anew() {
        let folder = volume();
        let half = folder.path().join(".copy.b.pod");
        fs::create_dir_all(half.join("deep")).unwrap();
        fs::write(half.join("deep/weights"), "1 ").unwrap();
        checkpoint(folder.path(), Some("a"))
            .give("b", "pod")
            .unwrap();
        assert_eq!(weights(folder.path()), "1 2 3");
        assert_eq!(names(folder.path()), ["a", "b"]);
    }

    #[test]
    fn a_trial_that_is_tried_again_goes_on_from_its_own() {
        let folder = volume();
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(folder.path().join("b/latest"), "5").unwrap();
        checkpoint(folder.path(), Some("a"))
            .give("b", "pod")
            .unwrap();
        assert_eq!(weights(folder.path()), "5");
    }

    #[test]
    fn a_checkpoint_that_is_gone_is_said() {
        let folder = volume();
        let error = checkpoint(folder.path(), Some("x"))
            .give("b", "pod")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the volume has no checkpoint of x, which b continues"
        );
        checkpoint(folder.path(), None).give("b", "pod").unwrap();
        assert!(is_empty(&folder.path().join("b")).unwrap());
    }

    #[test]
    fn what_is_spent_goes_with_its_leftovers() {
        let folder = volume();
        fs::create_dir(folder.path().join(".copy.a.pod")).unwrap();
        fs::create_dir(folder.path().join(".copy.a-b.pod")).unwrap();
        remove(folder.path(), "a").unwrap();
        remove(folder.path(), "a").unwrap();
        assert_eq!(names(folder.path()), [".copy.a-b.pod"]);
    }

    #[test]
    fn only_names_of_trials_are_taken() {
        for bad in ["", ".", "..", "a/b", "/a", ".copy.x"] {
            assert!(name(bad).is_err(), "{bad}");
        }
        assert_eq!(name("tune-b").as_deref(), Ok("tune-b"));
    }
}
