//! Asks an endpoint of a trial for its metrics, again and again while it runs.

use std::{collections::BTreeSet, time::Duration};

use diwan_api::metrics_collector::CollectorPlan;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    absence::{Absence, Found, counted, nearest},
    collect::{CollectError, Outcome},
    endpoint::Endpoint,
    parse::exposition::{self, ExpositionParser},
    report::{Reporter, Stretch},
    sink::Sink,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same when the trial has ended, and its endpoint most likely with it.
const PATIENCE_AT_END: Duration = Duration::from_millis(500);
/// How often is asked where nobody says otherwise.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// Where a trial shows its metrics, and how often they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeSource {
    /// Names the source within its trial, for good: such as pod and container.
    pub key: String,
    /// Whom to ask.
    pub endpoint: Endpoint,
    /// How long to wait between two questions.
    pub interval: Duration,
    /// It may have been collected in part by an earlier process, so the sink is asked how far.
    pub resumed: bool,
}

/// Asks until `ended` says (with true, or by losing its sender) that the trial is over; then once
/// more. What changed is reported. To the sink, the position is the number of reports so far. If
/// the objective metric never appears, one row says so at the end.
pub async fn scrape(
    plan: &CollectorPlan,
    source: &ScrapeSource,
    mut ended: watch::Receiver<bool>,
    sink: &dyn Sink,
) -> Result<Outcome, CollectError> {
    let mut reporter = Reporter::new(plan, sink);
    let mut position = if source.resumed {
        reporter.resume(&source.key).await?.position
    } else {
        0
    };
    let mut parser = ExpositionParser::new(plan);
    let mut met = Met::default();
    loop {
        let over = *ended.borrow() || ended.has_changed().is_err();
        let patience = if over { PATIENCE_AT_END } else { PATIENCE };
        match source.endpoint.get(patience).await {
            Ok(answer) => {
                let rows = parser.read(&answer, Timestamp::now());
                if !parser.objective_seen() {
                    met.remember(&answer);
                }
                if !rows.is_empty() {
                    let stretch = Stretch {
                        source: &source.key,
                        from: position,
                        to: position + 1,
                        rewound: false,
                    };
                    reporter.report(stretch, rows).await?;
                    position += 1;
                }
            }
            Err(error) => {
                tracing::debug!(
                    trial.name = plan.trial,
                    "{}: {error}",
                    source.endpoint.url()
                );
                met.error.get_or_insert(error);
            }
        }
        if over {
            let absence = met.absence(plan, &source.endpoint);
            return reporter.end(&source.key, position, Some(absence)).await;
        }
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => {}
            () = tokio::time::sleep(source.interval) => {}
        }
    }
}

/// What was met in place of the objective.
#[derive(Default)]
struct Met {
    answers: u64,
    names: BTreeSet<String>,
    error: Option<String>,
}

impl Met {
    fn remember(&mut self, answer: &[u8]) {
        self.answers += 1;
        // Endpoints show the same names again and again.
        if self.answers.is_power_of_two() {
            self.names = exposition::names(&String::from_utf8_lossy(answer)).collect();
        }
    }

    fn absence(self, plan: &CollectorPlan, endpoint: &Endpoint) -> Absence {
        let metric = plan.objective.clone();
        let found = if self.answers == 0 {
            Found::NoSource(self.error)
        } else {
            let name = exposition::plain_name(&metric);
            Found::Other {
                amount: counted(self.answers, "answer"),
                names: nearest(&name, self.names),
                hint: format!(
                    "show it as a line {metric} 0.5, or choose labels as in {name}{{a=\"b\"}}"
                ),
            }
        };
        Absence {
            metric,
            place: endpoint.url(),
            found,
        }
    }
}
