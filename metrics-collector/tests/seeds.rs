//! What the fuzz targets demand, of their seeds and of changes of them: without a nightly toolchain,
//! and the same each time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is a library to the fuzz targets")]
mod demands;

use std::{fs, path::Path};

/// A small generator of numbers (Steele and others, SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }

    fn change(&mut self, seed: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 => bytes.insert(at, b"\n\r=:\"{},.%-+e \\\x1b\xff"[self.below(17)]),
                2 => bytes.truncate(at),
                3 => {
                    let from = self.below(other.len());
                    let to = (from + self.below(40)).min(other.len());
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
                _ => {
                    let to = (at + self.below(8)).min(bytes.len());
                    bytes.drain(at..to);
                }
            }
        }
        bytes
    }
}

#[track_caller]
fn check(target: &str, demand: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    let seeds: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(seeds.len() >= 2);
    let mut numbers = Numbers(7);
    for seed in &seeds {
        demand(seed);
        for _ in 0..300 {
            let other = &seeds[numbers.below(seeds.len())];
            demand(&numbers.change(seed, other));
        }
    }
}

#[test]
fn text() {
    check("text", demands::text);
}

#[test]
fn json() {
    check("json", demands::json);
}

#[test]
fn events() {
    check("events", demands::events);
}

#[test]
fn exposition() {
    check("exposition", demands::exposition);
}
