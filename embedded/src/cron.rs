//! Schedules of CronJobs, as Kubernetes reads them.

use std::time::Duration;

use croner::{Cron, parser::CronParser};
use jiff::{Timestamp, tz::TimeZone};

/// When something is to be done, again and again.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// At times of the calendar.
    Calendar(Box<Cron>),
    /// Each time after so long.
    Every(Duration),
}

impl Schedule {
    /// Reads five fields, a word such as `@hourly`, or `@every 90s`. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(text) = text.strip_prefix("@every ") {
            let every = every(text.trim());
            return every.ok_or_else(|| format!("failed to parse duration @every {text}"));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        if !text.starts_with('@') && fields.len() != 5 {
            let (found, fields) = (fields.len(), fields.join(" "));
            return Err(format!(
                "expected exactly 5 fields, found {found}: [{fields}]"
            ));
        }
        let parsed = CronParser::new().parse(text);
        parsed
            .map(|cron| Self::Calendar(Box::new(cron)))
            .map_err(|error| error.to_string())
    }

    /// The first time after another one; none when there is no such time.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(every) => after.checked_add(*every).ok(),
            Self::Calendar(cron) => {
                let next = cron.find_next_occurrence(&after.to_zoned(zone.clone()), false);
                Some(next.ok()?.timestamp())
            }
        }
    }
}

/// A time such as `1h30m`, in whole seconds and at least one.
fn every(text: &str) -> Option<Schedule> {
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * factor;
        rest = tail;
    }
    (!text.is_empty()).then(|| Schedule::Every(Duration::from_secs((seconds as u64).max(1))))
}

/// The time zone of that name; without one the machine's. None when it is not known.
pub fn zone(name: Option<&str>) -> Option<TimeZone> {
    match name {
        None => Some(TimeZone::system()),
        Some("Local") => None,
        Some(name) => TimeZone::get(name).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time_follows_the_calendar_of_the_zone() {
        let check = |schedule: &str, zone: &str, after: &str, expected: &str| {
            let schedule = Schedule::parse(schedule).unwrap();
            let zone = super::zone(Some(zone)).unwrap();
            let next = schedule.next(after.parse().unwrap(), &zone).unwrap();
            assert_eq!(next, expected.parse().unwrap(), "{schedule:?}");
        };
        check(
            "*/5 * * * *",
            "UTC",
            "2026-01-01T00:01:30Z",
            "2026-01-01T00:05:00Z",
        );
        check(
            "*/5 * * * *",
            "UTC",
            "2026-01-01T00:05:00Z",
            "2026-01-01T00:10:00Z",
        );
        check(
            "@daily",
            "Europe/Berlin",
            "2026-07-01T00:00:00Z",
            "2026-07-01T22:00:00Z",
        );
        check(
            "0 0 13 * 5",
            "UTC",
            "2026-01-01T00:00:00Z",
            "2026-01-02T00:00:00Z",
        );
        check(
            "@every 1m30s",
            "UTC",
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:01:30Z",
        );
    }

    #[test]
    fn what_is_no_schedule_is_named() {
        let wrong = |text: &str| Schedule::parse(text).unwrap_err();
        assert_eq!(
            wrong("* * *"),
            "expected exactly 5 fields, found 3: [* * *]"
        );
        for text in ["60 * * * *", "@never", "@every x", "a b c d e"] {
            wrong(text);
        }
        assert!(zone(Some("Mars/X")).is_none());
    }
}
