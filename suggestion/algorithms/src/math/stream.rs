//! Random streams that are named by a seed and an index instead of being carried along.

use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

/// The generator for the `index`th assignment of the experiment with this seed. Generators with
/// neighbouring indices are independent.
pub(crate) fn rng(seed: u64, index: usize) -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(mix(seed ^ mix(index as u64 ^ 0x9e37_79b9_7f4a_7c15)))
}

/// A 32-bit seed made of a seed and a tag.
pub(crate) fn short_seed(seed: u64, tag: u64) -> u32 {
    (mix(seed ^ mix(tag)) >> 32) as u32
}

/// The finalizer of SplitMix64: every bit of the input changes every bit of the output.
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
