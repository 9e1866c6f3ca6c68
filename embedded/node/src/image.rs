//! Images that stand for a folder of this machine.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::pod::Pod;
use crate::record::{Program, Record};

/// More mounts than this for one image are refused: the folder overlaps the machine's too much.
const MOST_MOUNTS: usize = 1024;

/// The folder that stands for an image, if one was named for it.
///
/// A name without tag or digest stands for all of them.
pub(crate) fn folder<'a>(images: &'a [(String, PathBuf)], image: &str) -> Option<&'a Path> {
    let stands_for =
        |name: &str| name == image || (repository(name) == name && repository(image) == name);
    images
        .iter()
        .find(|(name, _)| stands_for(name))
        .map(|(_, folder)| folder.as_path())
}

/// An image's name without tag and digest. The colon of a registry's port is no tag.
fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// Adds what helps to the message of a container whose program is missing under an absolute path:
/// it may be one of an image for which no folder was named.
pub(crate) fn explain(record: &mut Record, pod: &Pod, images: &[(String, PathBuf)]) {
    for container in pod.containers() {
        let started = record.containers.get_mut(&container.name);
        let Some(Program::NotStarted { message, .. }) = started.map(|c| &mut c.current) else {
            continue;
        };
        let image = container.image.as_deref().filter(|name| !name.is_empty());
        let is_named = image.is_some_and(|name| folder(images, name).is_some());
        if message.starts_with("program not found: /") && !is_named {
            let name = image.unwrap_or("NAME");
            let _ = write!(
                message,
                " (images are not run here: name a folder that holds the image's files with \
                 --image {name}=DIR)"
            );
        }
    }
}

/// What is mounted where so that the folder's tree appears at the same absolute paths: each entry
/// that the machine lacks or has as a file, below folders that both have.
///
/// # Errors
/// The folder cannot be read, or the trees overlap in too many places.
pub(crate) fn mounts(folder: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), PathBuf::from("/"))];
    while let Some((source, target)) = folders.pop() {
        for entry in fs::read_dir(&source)? {
            let entry = entry?;
            let (from, to) = (entry.path(), target.join(entry.file_name()));
            if from.is_dir() && to.is_dir() {
                folders.push((from, to));
            } else {
                found.push((from, to));
            }
        }
        if found.len() > MOST_MOUNTS {
            return Err(io::Error::other(
                "it overlaps the machine's folders in too many places",
            ));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::schedule::Resources;

    #[test]
    fn a_name_without_tag_stands_for_every_tag() {
        let images = [
            ("host:5000/team/a".to_owned(), "/a".into()),
            ("b:1".to_owned(), "/b".into()),
        ];
        for (image, expected) in [
            ("host:5000/team/a", Some("/a")),
            ("host:5000/team/a:2", Some("/a")),
            ("host:5000/team/a@sha256:12", Some("/a")),
            ("host:5000/team/a:2@sha256:12", Some("/a")),
            ("team/a", None),
            ("b:1", Some("/b")),
            ("b:2", None),
            ("b", None),
        ] {
            assert_eq!(folder(&images, image), expected.map(Path::new), "{image}");
        }
    }

    #[test]
    fn the_fix_is_said_where_a_path_is_missing_and_the_image_has_no_folder() {
        let object = json!({ "spec": { "containers": [
            { "name": "mapped", "image": "a:1" },
            { "name": "other", "image": "b:1" },
            { "name": "bare" },
            { "name": "word", "image": "b:1" },
        ]}});
        let pod = Pod::read(Arc::new(object), "machine", Resources::default()).unwrap();
        let mut record = Record::parse(
            "fail 0 1 mapped program not found: /x\nfail 0 1 other program not found: /x\n\
             fail 0 1 bare program not found: /x\nfail 0 1 word program not found: x\n",
        );
        explain(&mut record, &pod, &[("a".to_owned(), "/a".into())]);
        for (container, start, end) in [
            ("mapped", "program not found: /x", "/x"),
            ("other", "program not found: /x (", "--image b:1=DIR)"),
            ("bare", "program not found: /x (", "--image NAME=DIR)"),
            ("word", "program not found: x", ": x"),
        ] {
            let Program::NotStarted { message, .. } = &record.containers[container].current else {
                panic!("{record:?}");
            };
            assert!(
                message.starts_with(start) && message.ends_with(end),
                "{message}"
            );
        }
    }

    #[test]
    fn only_what_the_machine_lacks_is_mounted_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("diwan-test-image/deep/er")).unwrap();
        fs::create_dir_all(folder.path().join("etc/diwan-test")).unwrap();
        let targets: Vec<PathBuf> = mounts(folder.path())
            .unwrap()
            .into_iter()
            .map(|(_, to)| to)
            .collect();
        assert_eq!(
            targets,
            [Path::new("/diwan-test-image"), Path::new("/etc/diwan-test")]
        );
    }
}
