//! The files of a volume, replaced all at once, as the kubelet does it: they lie in a folder named by
//! the time, to which a link `..data` leads, and through that link lead those with their names. Whoever
//! reads a volume while it changes sees the old files or the new ones.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::volume::inside;

/// Files with their mode, by path in the volume.
pub(crate) type Files = Vec<(String, Vec<u8>, u32)>;

/// The link to the folder that counts.
const DATA: &str = "..data";
/// What becomes that link.
const DRAFT: &str = "..data_tmp";

/// Whether the files of a volume were written.
pub(crate) fn is_written(folder: &Path) -> bool {
    folder.join(DATA).exists()
}

/// Writes the files, unless they are there. A folder that was left half written is completed.
///
/// # Errors
/// The disk refuses, or a path leaves the volume.
pub(crate) fn write(folder: &Path, files: &Files, group: Option<u32>) -> io::Result<()> {
    for (name, ..) in files {
        inside(name).map_err(io::Error::other)?;
    }
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    chown(folder, None, group)?;
    if is_same(folder, files) {
        return links(folder, files);
    }
    let time = Timestamp::now()
        .strftime("..%Y_%m_%d_%H_%M_%S.%N")
        .to_string();
    let new = folder.join(&time);
    fs::create_dir(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    for (name, content, mode) in files {
        let path = new.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content)?;
        // A group that owns the files can read them.
        let mode = if group.is_some() { mode | 0o440 } else { *mode };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        chown(&path, None, group)?;
    }
    let draft = folder.join(DRAFT);
    if draft.is_symlink() {
        fs::remove_file(&draft)?;
    }
    symlink(&time, &draft)?;
    fs::rename(&draft, folder.join(DATA))?;
    links(folder, files)?;
    tidy(folder, &time)
}

/// Whether the folder that counts holds these files and no others.
fn is_same(folder: &Path, files: &Files) -> bool {
    let data = folder.join(DATA);
    let wanted: BTreeSet<PathBuf> = files.iter().map(|(name, ..)| data.join(name)).collect();
    let mut found = BTreeSet::new();
    is_written(folder)
        && collect(&data, &mut found).is_ok()
        && found == wanted
        && files
            .iter()
            .all(|(name, content, _)| fs::read(data.join(name)).is_ok_and(|old| old == *content))
}

fn collect(folder: &Path, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else {
            found.insert(path);
        }
    }
    Ok(())
}

/// Makes the links with the names of the files, and removes those that lead nowhere any more.
fn links(folder: &Path, files: &Files) -> io::Result<()> {
    let first = |(name, ..): &(String, Vec<u8>, u32)| {
        let first = Path::new(name).components().next();
        first.map(|part| part.as_os_str().to_owned())
    };
    let wanted: BTreeSet<_> = files.iter().filter_map(first).collect();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if !is_own(&name) && !wanted.contains(&name) {
            fs::remove_file(folder.join(name))?;
        }
    }
    for name in wanted {
        let link = folder.join(&name);
        if !link.is_symlink() {
            symlink(Path::new(DATA).join(name), link)?;
        }
    }
    Ok(())
}

/// Removes folders that do not count any more.
fn tidy(folder: &Path, current: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_own(&entry.file_name()) && entry.file_type()?.is_dir() && entry.file_name() != current
        {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a name is one of those that no file of a volume may have.
fn is_own(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &str) -> (String, Vec<u8>, u32) {
        (name.to_owned(), content.as_bytes().to_vec(), 0o640)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with("..2")).collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_replaced_all_at_once() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("volume");
        assert!(!is_written(&folder));
        write(&folder, &vec![file("a", "1"), file("deep/b", "2")], None).unwrap();
        assert_eq!(names(&folder), ["..data", "a", "deep"]);
        assert_eq!(fs::read_to_string(folder.join("deep/b")).unwrap(), "2");
        let mode = fs::metadata(folder.join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let first = fs::read_link(folder.join(DATA)).unwrap();
        write(&folder, &vec![file("deep/b", "2"), file("a", "1")], None).unwrap();
        assert_eq!(
            fs::read_link(folder.join(DATA)).unwrap(),
            first,
            "nothing was new"
        );
        write(&folder, &vec![file("a", "3")], None).unwrap();
        assert_eq!(names(&folder), ["..data", "a"]);
        assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "3");
        assert!(!folder.join(first).exists());
    }

    #[test]
    fn a_path_that_leaves_the_volume_is_refused() {
        let root = tempfile::tempdir().unwrap();
        assert!(write(root.path(), &vec![file("../x", "1")], None).is_err());
        assert!(write(root.path(), &vec![file("/x", "1")], None).is_err());
    }

    #[test]
    fn a_volume_that_was_left_half_written_is_completed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("..2020_01_01_00_00_00.1")).unwrap();
        symlink("..2020_01_01_00_00_00.1", root.path().join(DRAFT)).unwrap();
        write(root.path(), &vec![file("a", "1")], None).unwrap();
        assert_eq!(names(root.path()), ["..data", "a"]);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3);
    }
}
