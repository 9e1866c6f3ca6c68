//! Architectures of small convolutional networks, built as they were suggested and trained on one
//! thread: what the trial programs in `src/bin` share.
//!
//! The same flags and the same `--seed` give the same metrics. The programs know nothing of Diwan:
//! a trial is any program that prints its result.

pub mod darts;
pub mod digits;
pub mod enas;
pub mod flag;
mod kernel;
pub mod maps;
pub mod norm;
pub mod training;
pub mod weights;

/// Keeps the tensor library to one thread, whatever the machine has: experiments run several trials
/// at a time.
pub fn use_one_thread() {
    // An error says that there is a pool already, which was made here.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build_global();
}
