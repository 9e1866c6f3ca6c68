//! One metric of one trial in a line: for tables that people read.

use crate::time;

/// What one metric of one trial amounts to. Values are text as the trial wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Name of the trial.
    pub trial: String,
    /// Name of the metric.
    pub metric: String,
    /// How many values were reported, whatever they are.
    pub count: u64,
    /// The smallest finite number; none when there is no such value.
    pub min: Option<String>,
    /// The largest finite number; none when there is no such value.
    pub max: Option<String>,
    /// The value with the latest time stamp; of equal ones, the last reported.
    pub latest: String,
    /// The earliest time stamp, RFC 3339 in UTC.
    pub first_time: String,
    /// The latest time stamp, RFC 3339 in UTC.
    pub last_time: String,
}

/// What the values of one metric of one trial amount to so far. Values may come in any order of
/// their time; of equal times the last one counts as the latest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tally {
    count: u64,
    min: Option<Extreme>,
    max: Option<Extreme>,
    first: i64,
    latest: i64,
    value: String,
}

/// A number, and the text that it was reported as.
#[derive(Clone, Debug, PartialEq)]
struct Extreme {
    number: f64,
    text: String,
}

/// A tally as databases keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TallyRow {
    pub(crate) count: i64,
    pub(crate) min: Option<String>,
    pub(crate) max: Option<String>,
    pub(crate) first: i64,
    pub(crate) latest: i64,
    pub(crate) value: String,
}

impl Tally {
    /// Nothing so far.
    pub(crate) fn empty() -> Self {
        Self {
            count: 0,
            min: None,
            max: None,
            first: i64::MAX,
            latest: i64::MIN,
            value: String::new(),
        }
    }

    /// Adds a value.
    pub(crate) fn add(&mut self, micros: i64, value: &str) {
        self.count += 1;
        self.first = self.first.min(micros);
        if micros >= self.latest {
            self.latest = micros;
            value.clone_into(&mut self.value);
        }
        let Some(number) = finite(value) else { return };
        if self.min.as_ref().is_none_or(|min| number < min.number) {
            self.min = Some(Extreme::new(number, value));
        }
        if self.max.as_ref().is_none_or(|max| number > max.number) {
            self.max = Some(Extreme::new(number, value));
        }
    }

    /// As databases keep it.
    pub(crate) fn row(&self) -> TallyRow {
        let text = |extreme: &Option<Extreme>| extreme.as_ref().map(|e| e.text.clone());
        TallyRow {
            count: self.count as i64,
            min: text(&self.min),
            max: text(&self.max),
            first: self.first,
            latest: self.latest,
            value: self.value.clone(),
        }
    }

    /// For people.
    pub(crate) fn summary(self, trial: &str, metric: &str) -> Summary {
        Summary {
            trial: trial.to_owned(),
            metric: metric.to_owned(),
            count: self.count,
            min: self.min.map(|extreme| extreme.text),
            max: self.max.map(|extreme| extreme.text),
            latest: self.value,
            first_time: time::format(self.first),
            last_time: time::format(self.latest),
        }
    }
}

impl From<TallyRow> for Tally {
    fn from(row: TallyRow) -> Self {
        let extreme = |text: Option<String>| {
            let number = text.as_deref().and_then(finite)?;
            Some(Extreme::new(number, text.as_deref()?))
        };
        Self {
            count: row.count as u64,
            min: extreme(row.min),
            max: extreme(row.max),
            first: row.first,
            latest: row.latest,
            value: row.value,
        }
    }
}

impl Extreme {
    fn new(number: f64, text: &str) -> Self {
        let text = text.to_owned();
        Self { number, text }
    }
}

/// The number that a value is, if it is finite.
pub(crate) fn finite(value: &str) -> Option<f64> {
    value
        .trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn min_and_max_are_of_finite_numbers_and_latest_is_any_text() {
        let mut tally = Tally::empty();
        for (micros, value) in [
            (1_000_000, "NaN"),
            (5_000_000, "nan"),
            (2_000_000, "0.50"),
            (3_000_000, "-inf"),
            (4_000_000, "2e-1"),
        ] {
            tally.add(micros, value);
        }
        let expected = Summary {
            trial: "t".into(),
            metric: "loss".into(),
            count: 5,
            min: Some("2e-1".into()),
            max: Some("0.50".into()),
            latest: "nan".into(),
            first_time: "1970-01-01T00:00:01Z".into(),
            last_time: "1970-01-01T00:00:05Z".into(),
        };
        assert_eq!(tally.summary("t", "loss"), expected);
    }

    #[test]
    fn no_number_leaves_no_extremes_and_equal_times_the_last_value() {
        let mut tally = Tally::empty();
        tally.add(7, "unavailable");
        tally.add(7, "");
        let row = tally.row();
        assert_eq!((row.min, row.max), (None, None));
        assert_eq!((row.count, row.value.as_str()), (2, ""));
    }

    #[test]
    fn a_stored_tally_goes_on_where_it_stopped() {
        let values = ["0.3", "0.1", "NaN", "0.7", "0.05"];
        let mut whole = Tally::empty();
        let mut resumed = Tally::empty();
        for (micros, value) in (0..).zip(values) {
            whole.add(micros, value);
            resumed = Tally::from(resumed.row());
            resumed.add(micros, value);
        }
        assert_eq!(resumed, whole);
    }
}
