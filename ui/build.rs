//! Makes sure that the folder of the built page exists, so that the crate builds without Node.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let dist = Path::new("web/dist");
    fs::create_dir_all(dist)?;
    println!("cargo:rerun-if-changed={}", dist.display());
    Ok(())
}
