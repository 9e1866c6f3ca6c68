//! Compiles the small program that holds pods, so that it travels inside `diwan`.
//!
//! The program depends on nothing, so `rustc` alone builds it: statically where the target's C
//! library allows that, dynamically elsewhere.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let source = Path::new("../../entrypoint/src");
    println!("cargo::rerun-if-changed={}", source.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let program = out.join("diwan-entrypoint");
    if compile(source, &program, true) {
        return;
    }
    println!("cargo::warning=the entrypoint could not be linked statically");
    assert!(
        compile(source, &program, false),
        "cannot compile {}",
        source.display()
    );
}

/// Compiles the program; returns whether that worked.
fn compile(source: &Path, program: &Path, fixed: bool) -> bool {
    let mut rustc = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"));
    rustc.args([
        "--edition",
        "2024",
        "--crate-name",
        "diwan_entrypoint",
        "--crate-type",
        "bin",
    ]);
    rustc
        .arg("--target")
        .arg(env::var_os("TARGET").expect("cargo sets TARGET"));
    for option in [
        "opt-level=s",
        "panic=abort",
        "strip=symbols",
        "codegen-units=1",
        "lto=fat",
    ] {
        rustc.args(["-C", option]);
    }
    if fixed {
        rustc.args([
            "-C",
            "target-feature=+crt-static",
            "-C",
            "relocation-model=static",
        ]);
    }
    rustc.arg(source.join("main.rs")).arg("-o").arg(program);
    rustc.status().is_ok_and(|status| status.success())
}
