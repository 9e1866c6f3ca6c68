//! Files that only their owner may read.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Writes a file as a whole: readers see the old content or the new one.
pub(crate) fn write(path: &Path, content: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

/// The content of a file, which is made when it is absent.
pub(crate) fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> io::Result<String>,
) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let content = make()?;
            write(path, &content)?;
            Ok(content)
        }
        other => other,
    }
}

/// 256 random bits as text, for tokens.
pub(crate) fn secret() -> String {
    let halves: [u128; 2] = rand::random();
    format!("{:032x}{:032x}", halves[0], halves[1])
}

/// Whether two secrets are the same; takes as long whichever byte differs.
pub(crate) fn same_secret(a: &str, b: &str) -> bool {
    let difference = a
        .bytes()
        .zip(b.bytes())
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{read_or_make, same_secret, secret};

    #[test]
    fn a_file_is_made_once_and_only_for_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let first = read_or_make(&path, || Ok(secret())).unwrap();
        assert_eq!(read_or_make(&path, || panic!("made twice")).unwrap(), first);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn secrets_are_compared_as_a_whole() {
        assert!(same_secret("ab", "ab"));
        for other in ["", "a", "abc", "ac"] {
            assert!(!same_secret("ab", other));
        }
    }
}
