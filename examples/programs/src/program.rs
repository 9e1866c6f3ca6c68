//! The frame of a trial program: flags in, metrics out, an exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;

use crate::report::{ReportArgs, Reporter};

/// Reads the flags, runs `train`, and says how it ended.
///
/// Exit codes: 0 after training, 1 when training failed (with one line on stderr), 2 when a flag
/// is wrong (with clap's message, which names the flag and what it accepts).
pub fn run<A: Parser>(
    report: fn(&A) -> &ReportArgs,
    train: fn(&A, &mut Reporter) -> anyhow::Result<()>,
) -> ExitCode {
    let args = A::parse();
    let result = Reporter::open(report(&args)).and_then(|mut reporter| train(&args, &mut reporter));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be told when stderr is closed; the exit code says it.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
