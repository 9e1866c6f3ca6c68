//! The folders of pods that ended, kept for pods to come.
//!
//! When ext4 looks for a free inode it passes over those freed within the last minute, one by one.
//! With hundreds of pods a second that search cost a tenth of all time, so a folder that holds
//! nothing but a plan, a record and the files for last words is emptied and used again instead of being removed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use parking_lot::Mutex;

/// How many folders are kept.
const KEPT: usize = 64;
/// A pod's plan, and the file that becomes it.
const PLAN: [&str; 2] = ["plan", "plan.draft"];
/// A pod's record, and the empty file that the holder makes it of.
const RECORD: [&str; 2] = ["status", "status.free"];
/// How the names of files for last words begin. Each is emptied when it is used again.
const MESSAGE: &str = "message.";

/// The folders that are kept.
pub(crate) struct Spares {
    folder: PathBuf,
    free: Mutex<Vec<PathBuf>>,
    count: AtomicU64,
}

impl Spares {
    /// Keeps folders in `folder`; what lies there from an earlier process is removed.
    pub(crate) fn new(folder: PathBuf) -> io::Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            free: Mutex::default(),
            count: AtomicU64::new(0),
        })
    }

    /// Makes the folder of a pod, unless it is there.
    pub(crate) fn take(&self, folder: &Path) -> io::Result<()> {
        if folder.exists() {
            return Ok(());
        }
        let spare = self.free.lock().pop();
        match spare {
            Some(spare) => fs::rename(spare, folder),
            None => fs::create_dir_all(folder),
        }
    }

    /// Removes the folder of a pod, or keeps it. Nobody holds the pod any more.
    pub(crate) fn give(&self, folder: &Path) -> io::Result<()> {
        if self.free.lock().len() >= KEPT || !is_plain(folder)? {
            return fs::remove_dir_all(folder);
        }
        let spare = self
            .folder
            .join(self.count.fetch_add(1, Ordering::Relaxed).to_string());
        fs::rename(folder, &spare)?;
        fs::File::options()
            .write(true)
            .truncate(true)
            .open(spare.join(RECORD[0]))?;
        for [used, free] in [PLAN, RECORD] {
            fs::rename(spare.join(used), spare.join(free))?;
        }
        self.free.lock().push(spare);
        Ok(())
    }
}

/// Whether a folder holds a plan and a record and nothing else but files for last words.
fn is_plain(folder: &Path) -> io::Result<bool> {
    let mut found = 0;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name == PLAN[0] || name == RECORD[0] {
            found += 1;
        } else if !name.as_encoded_bytes().starts_with(MESSAGE.as_bytes()) {
            return Ok(false);
        }
    }
    Ok(found == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(root: &Path, name: &str) -> PathBuf {
        let folder = root.join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("plan"), "old plan").unwrap();
        fs::write(folder.join("status"), "end 1\n").unwrap();
        folder
    }

    #[test]
    fn a_plain_folder_comes_back_without_a_plan_and_a_record() {
        let root = tempfile::tempdir().unwrap();
        let spares = Spares::new(root.path().join("spare")).unwrap();
        let old = pod(root.path(), "a");
        spares.give(&old).unwrap();
        assert!(!old.exists());
        let new = root.path().join("b");
        spares.take(&new).unwrap();
        assert!(!new.join("plan").exists() && !new.join("status").exists());
        assert_eq!(fs::read(new.join("status.free")).unwrap(), b"");
    }

    #[test]
    fn a_folder_with_more_in_it_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let spares = Spares::new(root.path().join("spare")).unwrap();
        let old = pod(root.path(), "a");
        fs::create_dir(old.join("volumes")).unwrap();
        spares.give(&old).unwrap();
        assert!(!old.exists());
        let new = root.path().join("b");
        spares.take(&new).unwrap();
        assert_eq!(fs::read_dir(&new).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_there_stays_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let spares = Spares::new(root.path().join("spare")).unwrap();
        spares.give(&pod(root.path(), "a")).unwrap();
        let half = pod(root.path(), "b");
        spares.take(&half).unwrap();
        assert_eq!(fs::read(half.join("plan")).unwrap(), b"old plan");
    }
}
