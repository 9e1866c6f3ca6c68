//! Behaviour seen from outside: a real `diwan`, real clients, real processes. The tests are the
//! files in `tests/`, named by the door they knock on; here is what they share.
//!
//! The programs must be built before (`cargo build --workspace`); `make test` does.

// A test may fail on the spot.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

pub mod clients;
pub mod cluster;
pub mod engine;
pub mod experiment;
pub mod forward;
pub mod installation;
pub mod kubectl;
pub mod normal;
pub mod postgres;
pub mod process;
pub mod transcript;
pub mod up;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The folder of the built programs: the one above that of the test programs.
pub fn programs() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}

/// `diwan` as built.
pub fn diwan() -> PathBuf {
    let program = programs().join("diwan");
    assert!(
        program.exists(),
        "{} is missing: run `cargo build --workspace`",
        program.display()
    );
    program
}

/// The Python of `make python`, with the SDKs in it.
pub fn python() -> PathBuf {
    let python = root().join(".venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run `make python`",
        python.display()
    );
    python
}

/// `PATH` with the example programs and the Python in front.
pub fn path() -> String {
    let system = std::env::var("PATH").unwrap_or_default();
    let venv = root().join(".venv/bin");
    format!("{}:{}:{system}", programs().display(), venv.display())
}

/// Waits until `check` gives something; what it is waiting for is named in the failure. The
/// deadline is generous: it ends a test that would hang, it measures nothing.
#[track_caller]
pub fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
