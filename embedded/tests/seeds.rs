//! What the fuzz targets demand, of their seeds and of changes of them: without a nightly toolchain,
//! and the same each time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../fuzz/src/lib.rs"]
#[allow(
    unreachable_pub,
    clippy::panic,
    reason = "it is a library to the fuzz targets, which find by panicking"
)]
mod demands;

use std::{fs, path::Path};

use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};

/// Words that mean something in some form of input.
const WORDS: [&str; 12] = [
    "null", "[]", "{}", "\"\"", "-1", "1e999", "$patch", "metadata", "\u{0}", "\u{ff}", ": ",
    "&a *a",
];

fn change(numbers: &mut impl Rng, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..numbers.random_range(1..5) {
        let at = numbers.random_range(0..=bytes.len());
        let to = (at + numbers.random_range(0..12)).min(bytes.len());
        match numbers.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << numbers.random_range(0..8),
            1 => {
                let word = WORDS[numbers.random_range(0..WORDS.len())];
                bytes.splice(at..to, word.bytes());
            }
            2 => bytes.truncate(at),
            3 => {
                let from = numbers.random_range(0..other.len());
                let end = (from + numbers.random_range(0..60)).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
            _ => drop(bytes.drain(at..to)),
        }
    }
    bytes
}

#[track_caller]
fn check(target: &str, demand: fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let entries = fs::read_dir(folder.join(target)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let seeds: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(seeds.len() > 2);
    let mut numbers = SmallRng::seed_from_u64(7);
    let mut accepted = 0;
    for (path, seed) in paths.iter().zip(&seeds) {
        eprintln!("{}", path.display());
        accepted += usize::from(demand(seed));
        for _ in 0..60 {
            let other = &seeds[numbers.random_range(0..seeds.len())];
            let changed = change(&mut numbers, seed, other);
            // The last one printed is the one that failed.
            eprintln!("{}", changed.escape_ascii());
            demand(&changed);
        }
    }
    assert!(
        accepted * 3 > seeds.len(),
        "only {accepted} seeds were accepted"
    );
}

#[test]
fn bodies() {
    check("bodies", demands::bodies);
}

#[test]
fn yaml() {
    check("yaml", demands::yaml);
}

#[test]
fn patches() {
    check("patches", demands::patches);
}

#[test]
fn selectors() {
    check("selectors", demands::selectors);
}
