//! What containers and the machine use, from `/proc`. Measured when somebody asks: the use of
//! processors is the average since somebody asked before, or since the start.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use diwan_embedded::{Measured, PodUsage, Usage};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;

use crate::holder;
use crate::node::Shared;
use crate::pod::metadata;
use crate::record::Program;

/// How many clock ticks `/proc` counts in a second, on every machine of today.
const TICKS: u64 = 100;
/// Two questions within this time have one answer.
const LEAST_WINDOW: Duration = Duration::from_secs(1);
/// What was measured earlier is not looked at.
const LONGEST_WINDOW: Duration = Duration::from_mins(1);

/// Knows what the pods of a node use.
pub(crate) struct Meter {
    /// Weak: the API holds the meter, and the node the API.
    shared: Weak<Shared>,
    /// What was measured last, by container and run.
    last: Mutex<HashMap<String, Sample>>,
}

/// The processor time that something had used at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    at: Timestamp,
    ticks: u64,
    /// What was answered then: billionths of a processor, and the window.
    answer: (u64, f64),
}

impl Meter {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            last: Mutex::default(),
        }
    }

    /// The processors that something uses that began at a moment, and over how many seconds.
    fn rate(&self, key: String, began: Timestamp, now: Timestamp, ticks: u64) -> (u64, f64) {
        let mut last = self.last.lock();
        last.retain(|_, sample| seconds(sample.at, now) < LONGEST_WINDOW.as_secs_f64());
        let sample = next(last.get(&key), began, now, ticks);
        last.insert(key, sample);
        sample.answer
    }
}

/// The sample that follows from the last one and what is measured now.
fn next(last: Option<&Sample>, began: Timestamp, now: Timestamp, ticks: u64) -> Sample {
    if let Some(last) = last
        && seconds(last.at, now) < LEAST_WINDOW.as_secs_f64()
    {
        return *last;
    }
    let (since, before) = last.map_or((began, 0), |last| (last.at, last.ticks));
    let window = seconds(since, now).max(0.001);
    // Children that ended take their time with them.
    let used = ticks.saturating_sub(before) as f64 / TICKS as f64;
    Sample {
        at: now,
        ticks,
        answer: ((used / window * 1e9) as u64, window),
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

impl PodUsage for Meter {
    fn pod(&self, pod: &Value) -> Option<Measured> {
        let shared = self.shared.upgrade()?;
        let uid = metadata(pod, "uid");
        shared.live.lock().contains_key(uid).then_some(())?;
        let folder = shared.settings.pod(uid);
        let record = holder::record(&folder);
        let now = Timestamp::now();
        let mut window = 0.0_f64;
        let mut usage = Vec::new();
        for (name, container) in &record.containers {
            let Program::Running { pid, started } = container.current else {
                continue;
            };
            let (ticks, memory) = tree(inside(&folder, name).unwrap_or(pid));
            let key = format!("{uid}/{name}/{}", container.restarts);
            let (cpu, over) = self.rate(key, started, now, ticks);
            window = window.max(over);
            usage.push(Usage {
                name: name.clone(),
                cpu,
                memory,
            });
        }
        (!usage.is_empty()).then_some(Measured {
            at: now,
            window,
            usage,
        })
    }

    fn node(&self) -> Option<Measured> {
        let shared = self.shared.upgrade()?;
        let now = Timestamp::now();
        let (ticks, boot) = machine(&fs::read_to_string("/proc/stat").ok()?)?;
        let boot = Timestamp::from_second(boot).ok()?;
        let (cpu, window) = self.rate(String::new(), boot, now, ticks);
        let memory = memory(&fs::read_to_string("/proc/meminfo").ok()?)?;
        let name = shared.settings.node_name.clone();
        Some(Measured {
            at: now,
            window,
            usage: vec![Usage { name, cpu, memory }],
        })
    }
}

/// The first process of a container of an engine, whose own process only stands for it.
fn inside(folder: &Path, container: &str) -> Option<i32> {
    let file = folder.join(format!("container.{container}.pid"));
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The processor time and memory of a process and its descendants.
fn tree(pid: i32) -> (u64, u64) {
    let mut found = vec![pid];
    let (mut ticks, mut memory) = (0, 0);
    let mut index = 0;
    while let Some(pid) = found.get(index).copied() {
        index += 1;
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
        ticks += read("stat")
            .ok()
            .and_then(|text| process_ticks(&text))
            .unwrap_or(0);
        memory += read("status")
            .ok()
            .and_then(|text| kibibytes(&text, "VmRSS:"))
            .unwrap_or(0)
            * 1024;
        let children = read(&format!("task/{pid}/children")).unwrap_or_default();
        found.extend(
            children
                .split_whitespace()
                .filter_map(|word| word.parse::<i32>().ok()),
        );
    }
    (ticks, memory)
}

/// The processor time of a process and of its children that ended.
fn process_ticks(stat: &str) -> Option<u64> {
    // The name before may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let words: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| words.get(index)?.parse::<u64>().ok();
    Some(number(11)? + number(12)? + number(13)? + number(14)?)
}

/// The processor time of the machine but for idling, and when it was started.
fn machine(stat: &str) -> Option<(u64, i64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let times: Vec<u64> = line
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    // user, nice, system, (idle, waiting,) interrupts twice.
    let busy = [0, 1, 2, 5, 6]
        .iter()
        .filter_map(|index| times.get(*index))
        .sum();
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some((busy, boot.trim().parse().ok()?))
}

/// The memory of the machine that is in use.
fn memory(text: &str) -> Option<u64> {
    let free = kibibytes(text, "MemAvailable:")?;
    Some((kibibytes(text, "MemTotal:")?.saturating_sub(free)) * 1024)
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_kernel_are_read() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7";
        assert_eq!(process_ticks(stat), Some(100));
        let text = "cpu  1 2 3 4 5 6 7 0 0 0\ncpu0 1\nbtime 99\n";
        assert_eq!(machine(text), Some((19, 99)));
        let text = "MemTotal:       10 kB\nMemFree: 1 kB\nMemAvailable:   4 kB\n";
        assert_eq!(memory(text), Some(6 * 1024));
    }

    #[test]
    fn the_use_is_the_average_since_it_was_last_asked() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = next(None, at(0), at(10), 500);
        assert_eq!(first.answer, (500_000_000, 10.0));
        assert_eq!(next(Some(&first), at(0), at(10), 900), first);
        let second = next(Some(&first), at(0), at(12), 900);
        assert_eq!(second.answer, (2_000_000_000, 2.0));
        assert_eq!(next(Some(&second), at(0), at(13), 0).answer.0, 0);
    }
}
