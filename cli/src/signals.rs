//! The signals that end the program.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Completes at Ctrl-C, when the terminal goes, or when the process is asked to end. The signals
/// are taken over when this is called, not when it is first awaited.
pub(crate) fn interrupted() -> impl Future<Output = ()> {
    let signals: Vec<_> = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ]
    .into_iter()
    // Under nohup the program is to outlive its terminal.
    .filter(|kind| *kind != SignalKind::hangup() || !ignores(*kind))
    .filter_map(|kind| signal(kind).ok())
    .collect();
    async move {
        let waits = signals.into_iter().map(|mut signal| {
            Box::pin(async move {
                signal.recv().await;
            })
        });
        futures::future::select_all(waits).await;
    }
}

/// Cancelled when [`interrupted`] completes.
pub(crate) fn until_interrupted() -> CancellationToken {
    let stop = CancellationToken::new();
    let (interrupt, told) = (interrupted(), stop.clone());
    tokio::spawn(async move {
        interrupt.await;
        told.cancel();
    });
    stop
}

/// Whether this process was started to ignore a signal.
fn ignores(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    ignored.is_some_and(|bits| bits & (1 << (kind.as_raw_value() - 1)) != 0)
}
