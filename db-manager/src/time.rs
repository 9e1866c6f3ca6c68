//! Time stamps between text and microseconds.
//!
//! Text is RFC 3339 with up to nine decimals; what is stored is microseconds since 1970, as in
//! Katib's tables, which also has room for the year 1 that stands for an unknown time.

use jiff::Timestamp;

/// A text that is not a time stamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time stamp {0:?} is not RFC 3339, such as 2026-01-31T12:00:00.25Z")]
pub struct TimeError(pub String);

/// Reads RFC 3339 with any offset; digits below a microsecond are cut off.
pub fn parse(text: &str) -> Result<i64, TimeError> {
    let time: Timestamp = text.parse().map_err(|_| TimeError(text.to_owned()))?;
    Ok(time
        .as_nanosecond()
        .div_euclid(1_000)
        .try_into()
        .unwrap_or(i64::MAX))
}

/// Writes UTC with the zeros at the end of the fraction trimmed, and no fraction for whole
/// seconds.
pub fn format(micros: i64) -> String {
    let clamped = micros.clamp(
        Timestamp::MIN.as_microsecond(),
        Timestamp::MAX.as_microsecond(),
    );
    Timestamp::from_microsecond(clamped)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_comes_back_in_utc_without_trailing_zeros() {
        for (given, expected) in [
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("2021-12-02T14:27:27Z", "2021-12-02T14:27:27Z"),
            ("2021-12-02T14:27:27.500000000Z", "2021-12-02T14:27:27.5Z"),
            (
                "2021-12-02T14:27:27.123456789Z",
                "2021-12-02T14:27:27.123456Z",
            ),
            (
                "2021-12-02T16:27:27.000028+02:00",
                "2021-12-02T14:27:27.000028Z",
            ),
            (
                "1969-12-31T23:59:59.9999999Z",
                "1969-12-31T23:59:59.999999Z",
            ),
            ("9999-12-30T00:00:00Z", "9999-12-30T00:00:00Z"),
        ] {
            assert_eq!(parse(given).map(format), Ok(expected.to_owned()), "{given}");
        }
    }

    #[test]
    fn other_text_is_refused_by_name() {
        for text in [
            "",
            "yesterday",
            "2021-12-02",
            "2021-12-02T14:27:27",
            "1638455247",
        ] {
            assert_eq!(parse(text), Err(TimeError(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn every_microsecond_of_ten_thousand_years_survives(
            micros in -62_135_596_800_000_000_i64..253_402_200_000_000_000,
        ) {
            prop_assert_eq!(parse(&format(micros)), Ok(micros));
        }
    }
}
