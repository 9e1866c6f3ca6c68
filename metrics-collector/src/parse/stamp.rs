//! Time stamps in what trials write: RFC 3339 and seconds since 1970.

use jiff::{Span, Timestamp};

/// Reads the time that a line begins with, if it begins with one; brackets around it and a colon or
/// comma behind it don't matter. A plain number is a time only if it has the digits of one: 10 for
/// seconds, 13, 16 or 19 for thousandths, millionths and so on.
pub(super) fn leading(line: &str) -> Option<Timestamp> {
    let line = line.trim_start();
    let inner = line.strip_prefix('[').unwrap_or(line);
    if !inner.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut ends = inner
        .match_indices([' ', '\t'])
        .map(|(at, _)| at)
        .chain([inner.len()]);
    let first = bare(&inner[..ends.next()?]);
    rfc3339(first).or_else(|| epoch_digits(first)).or_else(|| {
        // RFC 3339 lets a space stand between date and time.
        let both = &inner[..ends.next()?];
        (first.len() == 10 && first.contains('-')).then(|| rfc3339(bare(both)))?
    })
}

/// Reads a text that is a time and nothing else: RFC 3339, or a number of seconds.
pub(super) fn whole(text: &str) -> Option<Timestamp> {
    rfc3339(text).or_else(|| epoch(text))
}

/// Reads a number of seconds since 1970; of thousandths and so on where it is too large for
/// seconds.
pub(super) fn epoch(text: &str) -> Option<Timestamp> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) {
        return None;
    }
    let per_second: i128 = match whole.len() {
        ..=11 => 1,
        12..=14 => 1_000,
        15..=17 => 1_000_000,
        18..=20 => 1_000_000_000,
        _ => return None,
    };
    let unit = 1_000_000_000 / per_second;
    let fraction = decimals.bytes().chain(std::iter::repeat(b'0')).take(9);
    let billionths = fraction.fold(0, |sum: i128, digit| sum * 10 + i128::from(digit - b'0'));
    let nanos = whole.parse::<i128>().ok()? * unit + billionths * unit / 1_000_000_000;
    Timestamp::from_nanosecond(nanos).ok()
}

fn epoch_digits(text: &str) -> Option<Timestamp> {
    let digits = text.find('.').unwrap_or(text.len());
    matches!(digits, 10 | 13 | 16 | 19).then(|| epoch(text))?
}

fn bare(token: &str) -> &str {
    token.trim_end_matches([':', ',']).trim_end_matches(']')
}

/// Reads RFC 3339 with any number of decimals.
fn rfc3339(text: &str) -> Option<Timestamp> {
    if !text.contains(['T', 't', ' ']) {
        return None;
    }
    text.parse().ok().or_else(|| {
        let decimals = text.find(['.', ','])? + 1;
        let len = text[decimals..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        let cut = format!(
            "{}{}",
            &text[..decimals + len.min(9)],
            &text[decimals + len..]
        );
        (len > 9).then(|| cut.parse().ok())?
    })
}

/// Cuts a time to microseconds, which is what stores keep.
pub(super) fn micros(time: Timestamp) -> Timestamp {
    let below = i64::from(time.subsec_nanosecond() % 1_000);
    time.checked_sub(Span::new().nanoseconds(below))
        .unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: Option<Timestamp>, expected: &str) {
        assert_eq!(
            found.map(|time| time.to_string()).unwrap_or_default(),
            expected
        );
    }

    #[test]
    fn lines_begin_with_a_time_or_not() {
        for (line, expected) in [
            ("2024-03-04T17:55:08Z loss=1", "2024-03-04T17:55:08Z"),
            (
                "2024-03-04T17:55:08.123456789+01:00 x",
                "2024-03-04T16:55:08.123456789Z",
            ),
            ("2024-03-04t17:55:08z x", "2024-03-04T17:55:08Z"),
            (
                "2024-03-04T17:55:08.1234567890123Z x",
                "2024-03-04T17:55:08.123456789Z",
            ),
            ("2024-03-04 17:55:08Z INFO loss=1", "2024-03-04T17:55:08Z"),
            ("[2024-03-04T17:55:08Z] loss=1", "2024-03-04T17:55:08Z"),
            ("  2024-03-04T17:55:08Z: loss=1", "2024-03-04T17:55:08Z"),
            ("2024-03-04T17:55:08Z", "2024-03-04T17:55:08Z"),
            ("1638422847 loss=1", "2021-12-02T05:27:27Z"),
            ("1638422847.28721 loss=1", "2021-12-02T05:27:27.28721Z"),
            ("1638422847287 loss=1", "2021-12-02T05:27:27.287Z"),
            ("1638422847287210000 loss=1", "2021-12-02T05:27:27.28721Z"),
            ("loss=1 2024-03-04T17:55:08Z", ""),
            ("2024-03-04 17:55:08 loss=1", ""),
            ("2024-03-04T17:55:08 loss=1", ""),
            ("100000 loss=1", ""),
            ("20240304 loss=1", ""),
            ("", ""),
            ("[", ""),
        ] {
            check(leading(line), expected);
        }
    }

    #[test]
    fn a_number_is_seconds_unless_it_is_too_large() {
        for (text, expected) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("12.5", "1970-01-01T00:00:12.5Z"),
            ("1638422847.28721", "2021-12-02T05:27:27.28721Z"),
            ("1638422847287.5", "2021-12-02T05:27:27.2875Z"),
            ("2021-12-02T05:27:27Z", "2021-12-02T05:27:27Z"),
            ("-1", ""),
            ("1e9", ""),
            ("9".repeat(30).as_str(), ""),
        ] {
            check(whole(text), expected);
        }
    }

    #[test]
    fn what_is_below_a_microsecond_is_cut() {
        check(
            "2021-12-02T05:27:27.123456789Z".parse().ok().map(micros),
            "2021-12-02T05:27:27.123456Z",
        );
    }
}
