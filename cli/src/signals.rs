//! The signals that end the program.

use tokio::signal::unix::{SignalKind, signal};

/// Completes at Ctrl-C, when the terminal goes, or when the process is asked to end. The signals are taken over when this
/// is called, not when it is first awaited.
pub(crate) fn interrupted() -> impl Future<Output = ()> {
    let signals: Vec<_> = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ]
    .into_iter()
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
