//! What a training leaves in a folder, for another run to go on from.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

const FILE: &str = "training.json";

/// What the folder holds; nothing when no run has left anything.
pub fn load(folder: &Path) -> anyhow::Result<Option<Value>> {
    let path = folder.join(FILE);
    let describe = || format!("cannot read the checkpoint {}", path.display());
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => {
            let text = read.with_context(describe)?;
            Ok(Some(serde_json::from_str(&text).with_context(describe)?))
        }
    }
}

/// Leaves a value in the folder: whole, or what was there stays.
pub fn save(folder: &Path, value: &Value) -> anyhow::Result<()> {
    let describe = || format!("cannot write a checkpoint into {}", folder.display());
    fs::create_dir_all(folder).with_context(describe)?;
    let draft = folder.join(format!("{FILE}.draft"));
    let mut file = File::create(&draft).with_context(describe)?;
    let text = value.to_string();
    file.write_all(text.as_bytes()).with_context(describe)?;
    file.sync_all().with_context(describe)?;
    fs::rename(&draft, folder.join(FILE)).with_context(describe)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_left_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("deep");
        assert_eq!(load(&below).unwrap(), None);
        for value in [json!({"x": 12.345_678_9}), json!([0.1])] {
            save(&below, &value).unwrap();
            assert_eq!(load(&below).unwrap(), Some(value));
        }
        fs::write(below.join(FILE), "{").unwrap();
        let error = load(&below).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the checkpoint"), "{error}");
    }
}
