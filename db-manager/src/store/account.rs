//! The rows of a trial as databases number them.
//!
//! A *series* is one metric of one trial. Rows are kept by series, time and number; the number
//! counts the rows of the trial in the order of their reports, so that equal times keep it. Each
//! series carries a tally of its values, brought forward with each report: what people read in
//! tables is never computed from the rows.

use std::collections::HashMap;

use super::{StoreError, StoredRow};
use crate::summary::{Tally, TallyRow};

/// How many series a trial may have: the id of a series is that of its trial times this, plus its
/// position in the trial.
pub(super) const SERIES_PER_TRIAL: i64 = 1 << 20;

/// The first and the last id that series of a trial may have.
pub(super) fn series_ids(trial: i64) -> (i64, i64) {
    let first = trial * SERIES_PER_TRIAL;
    (first, first + SERIES_PER_TRIAL - 1)
}

/// The series of one trial while rows are added to them.
#[derive(Debug)]
pub(super) struct Account {
    trial: i64,
    next_row: i64,
    positions: HashMap<String, usize>,
    series: Vec<Series>,
}

/// One metric of the trial.
#[derive(Debug)]
struct Series {
    metric: String,
    tally: Tally,
    changed: bool,
}

/// Where a row belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) series: i64,
    pub(super) id: i64,
}

impl Account {
    /// A trial, and the number of its next row.
    pub(super) fn new(trial: i64, next_row: i64) -> Self {
        Self {
            trial,
            next_row,
            positions: HashMap::new(),
            series: Vec::new(),
        }
    }

    /// Takes in a stored series; they come in the order of their ids.
    pub(super) fn restore(&mut self, metric: String, tally: TallyRow) {
        self.push(metric, tally.into());
    }

    /// Numbers a row and counts its value.
    pub(super) fn place(&mut self, row: &StoredRow) -> Result<Place, StoreError> {
        let at = match self.positions.get(&row.metric) {
            Some(at) => *at,
            None if self.series.len() as i64 >= SERIES_PER_TRIAL => {
                let error = format!("a trial may have {SERIES_PER_TRIAL} metrics");
                return Err(StoreError::Refused(error));
            }
            None => self.push(row.metric.clone(), Tally::empty()),
        };
        let series = &mut self.series[at];
        series.tally.add(row.micros, &row.value);
        series.changed = true;
        let place = Place {
            series: series_ids(self.trial).0 + at as i64,
            id: self.next_row,
        };
        self.next_row += 1;
        Ok(place)
    }

    /// The id of a series, if the trial has it.
    pub(super) fn series(&self, metric: &str) -> Option<i64> {
        let at = self.positions.get(metric)?;
        Some(series_ids(self.trial).0 + *at as i64)
    }

    /// The metric of a series of this trial.
    pub(super) fn metric(&self, series: i64) -> Option<&str> {
        let at = usize::try_from(series - series_ids(self.trial).0).ok()?;
        Some(self.series.get(at)?.metric.as_str())
    }

    pub(super) fn trial(&self) -> i64 {
        self.trial
    }

    pub(super) fn next_row(&self) -> i64 {
        self.next_row
    }

    /// The series that rows were added to: id, metric, tally.
    pub(super) fn changed(&self) -> impl Iterator<Item = (i64, &str, TallyRow)> {
        let numbered = (series_ids(self.trial).0..).zip(&self.series);
        let changed = numbered.filter(|(_, series)| series.changed);
        changed.map(|(id, series)| (id, series.metric.as_str(), series.tally.row()))
    }

    fn push(&mut self, metric: String, tally: Tally) -> usize {
        let at = self.series.len();
        self.positions.insert(metric.clone(), at);
        self.series.push(Series {
            metric,
            tally,
            changed: false,
        });
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(metric: &str, micros: i64, value: &str) -> StoredRow {
        StoredRow {
            metric: metric.into(),
            micros,
            value: value.into(),
        }
    }

    #[test]
    fn rows_are_numbered_by_trial_and_series_by_first_occurrence() {
        let mut account = Account::new(3, 10);
        let mut tally = Tally::empty();
        tally.add(1, "0.5");
        account.restore("loss".into(), tally.row());
        let base = 3 * SERIES_PER_TRIAL;
        let places = [row("acc", 5, "1"), row("loss", 6, "2"), row("acc", 7, "3")]
            .map(|row| account.place(&row).unwrap());
        let expected = [(base + 1, 10), (base, 11), (base + 1, 12)];
        assert_eq!(places, expected.map(|(series, id)| Place { series, id }));
        assert_eq!(account.next_row(), 13);
        assert_eq!(account.series("acc"), Some(base + 1));
        let changed: Vec<_> = account
            .changed()
            .map(|(id, m, t)| (id, m, t.count))
            .collect();
        assert_eq!(changed, [(base, "loss", 2), (base + 1, "acc", 2)]);
    }
}
