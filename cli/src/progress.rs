//! Progress of experiments on a terminal (a bar each) or in a log (a line each time that the
//! number of completed trials changes).

use std::collections::HashMap;
use std::io::IsTerminal as _;

use diwan_api::{Experiment, ExperimentStatus, ObjectiveSpec};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use kube::ResourceExt as _;

/// Shows progress on stderr.
pub(crate) struct Progress {
    bars: Option<MultiProgress>,
    shown: HashMap<String, Shown>,
}

struct Shown {
    bar: Option<ProgressBar>,
    completed: i32,
}

impl Progress {
    /// Progress on this process's stderr.
    pub(crate) fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self {
            bars,
            shown: HashMap::new(),
        }
    }

    /// Shows what is known of an experiment now.
    pub(crate) fn update(&mut self, experiment: &Experiment) {
        let Some(status) = &experiment.status else {
            return;
        };
        let key = format!(
            "{}/{}",
            experiment.namespace().unwrap_or_default(),
            experiment.name_any()
        );
        let name = key.strip_prefix("default/").unwrap_or(&key).to_owned();
        let shown = self.shown.entry(key.clone()).or_insert_with(|| {
            let bar = self
                .bars
                .as_ref()
                .map(|bars| bars.add(new_bar(&name, experiment)));
            Shown { bar, completed: -1 }
        });
        let completed = completed(status);
        let message = message(status, experiment.spec.objective.as_ref());
        if let Some(bar) = &shown.bar {
            bar.set_position(u64::try_from(completed).unwrap_or_default());
            bar.set_message(message);
        } else if completed != shown.completed {
            let max = experiment.spec.max_trial_count;
            let of = max.map_or_else(String::new, |max| format!("/{max}"));
            eprintln!("{name}: {completed}{of} trials completed, {message}");
        }
        shown.completed = completed;
    }

    /// Leaves the bars as they are and ends.
    pub(crate) fn finish(self) {
        for shown in self.shown.values() {
            if let Some(bar) = &shown.bar {
                bar.abandon();
            }
        }
    }
}

fn new_bar(name: &str, experiment: &Experiment) -> ProgressBar {
    let max = experiment
        .spec
        .max_trial_count
        .and_then(|max| u64::try_from(max).ok());
    let (bar, template) = match max {
        Some(max) => (
            ProgressBar::new(max),
            "{prefix} [{bar:30}] {pos}/{len} {elapsed} {msg}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{prefix} {pos} trials {elapsed} {msg}",
        ),
    };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    bar.with_style(style).with_prefix(name.to_owned())
}

fn completed(status: &ExperimentStatus) -> i32 {
    status.trials_succeeded
        + status.trials_failed
        + status.trials_killed
        + status.trials_early_stopped
        + status.trial_metrics_unavailable
}

fn message(status: &ExperimentStatus, objective: Option<&ObjectiveSpec>) -> String {
    let mut parts = vec![format!("{} running", status.trials_running)];
    if status.trials_pending > 0 {
        parts.push(format!("{} pending", status.trials_pending));
    }
    let failed = status.trials_failed + status.trial_metrics_unavailable;
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    let best = &status.current_optimal_trial;
    if let (Some(objective), false) = (objective, best.best_trial_name.is_empty())
        && let Some(value) = diwan_api::observation::objective_value(&best.observation, objective)
    {
        parts.push(format!("best {}={value}", objective.objective_metric_name));
    }
    parts.join(", ")
}
