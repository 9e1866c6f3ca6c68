//! What this process uses of the machine, from `/proc`.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// How many ticks a second of `/proc` has; the same on every Linux.
const TICKS: f64 = 100.0;

/// What this process uses; where `/proc` does not tell, nothing is shown.
#[derive(Debug)]
pub(super) struct Usage;

impl Collector for Usage {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        if let Some(bytes) = resident_bytes(&read("/proc/self/status")) {
            let (name, help) = ("process_resident_memory_bytes", "Resident memory");
            let family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(bytes).encode(family)?;
        }
        if let Some(seconds) = cpu_seconds(&read("/proc/self/stat")) {
            // The encoding puts `_total` behind a counter's name.
            let (name, help) = ("process_cpu_seconds", "Processor time, user and system");
            let family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(seconds).encode(family)?;
        }
        Ok(())
    }
}

fn resident_bytes(status: &str) -> Option<i64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The 14th and 15th field; the second is the program's name, which may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut ticks = after_name.split_whitespace().skip(11);
    let user: u64 = ticks.next()?.parse().ok()?;
    let system: u64 = ticks.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_processor_time_are_read() {
        let status = "Name:\tdiwan\nVmHWM:\t   9000 kB\nVmRSS:\t   8132 kB\nThreads:\t4\n";
        assert_eq!(resident_bytes(status), Some(8132 * 1024));
        let stat = "77 (a) b) S 1 77 77 0 -1 4194560 900 0 3 0 250 50 0 0 20 0 4 0 91 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!((resident_bytes(""), cpu_seconds("")), (None, None));
    }
}
