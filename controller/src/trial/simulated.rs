//! One pass of the trial controller over a model, for the simulation.

use diwan_api::{MetricLog, Trial, TrialStatus};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::conclusion::{Conclusion, conclude};
use super::plan::{Plan, Run, Snapshot, plan};
use super::status::{self, End, Epitaph};

pub(crate) const SUCCESS: &str = r#"conditions.#(type=="Complete")#"#;
pub(crate) const FAILURE: &str = r#"conditions.#(type=="Failed")#"#;

/// What the pass would do.
pub(crate) enum Ended {
    Nothing,
    Start(TrialStatus),
    Write(TrialStatus),
    Remove,
}

/// A run that has ended.
pub(crate) fn ended(well: bool) -> Value {
    json!({"conditions": [{"type": if well { "Complete" } else { "Failed" }}]})
}

/// Looks at a trial.
pub(crate) fn pass(
    trial: &Trial,
    run: Option<&Value>,
    logs: &[MetricLog],
    now: Timestamp,
) -> Ended {
    let run = run.map_or(Run::Absent, |object| Run::Present {
        object,
        leaving: false,
    });
    let mut status = trial.status.clone().unwrap_or_default();
    match plan(&Snapshot { trial, run }) {
        Plan::Start => {
            status::running(&mut status, now);
            return Ended::Start(status);
        }
        Plan::ConfirmRunning => status::running(&mut status, now),
        Plan::Conclude(job) => {
            let none = std::time::Duration::ZERO;
            let Conclusion::Ended {
                end, observation, ..
            } = conclude(trial, logs, none, none)
            else {
                return Ended::Nothing;
            };
            status::ended(
                &mut status,
                end,
                Epitaph {
                    job,
                    note: None,
                    observation,
                },
                now,
            );
        }
        Plan::Fail(job) => {
            let epitaph = Epitaph {
                job,
                ..Epitaph::default()
            };
            status::ended(&mut status, End::Failed, epitaph, now);
        }
        Plan::RemoveRun => return Ended::Remove,
        _ => return Ended::Nothing,
    }
    Ended::Write(status)
}
