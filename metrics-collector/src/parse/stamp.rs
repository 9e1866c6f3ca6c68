//! Time stamps in what trials write: RFC 3339 and seconds since 1970.

use jiff::{Span, Timestamp};

/// Reads the time that a line begins with, if it begins with one; brackets around it and a colon or
/// comma behind it don't matter. A plain number is a time only if it has the digits of one: 10 for
/// seconds, 13, 16 or 19 for thousandths, millionths and so on.
fn leading(line: &str) -> Option<Timestamp> {
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

/// Reads the time that a line begins with, as [`print`] gives it.
pub(super) fn leading_text(line: &str) -> Option<String> {
    let token = line.split([' ', '\t']).next().unwrap_or_default();
    usual(token).or_else(|| leading(line).map(print))
}

/// Reads a text that is a time and nothing else, RFC 3339 or a number of seconds, as [`print`]
/// gives it.
pub(super) fn whole_text(text: &str) -> Option<String> {
    usual(text).or_else(|| rfc3339(text).or_else(|| epoch(text)).map(print))
}

/// Prints a time as stores keep it: RFC 3339, UTC, cut to microseconds.
pub(super) fn print(time: Timestamp) -> String {
    micros(time).to_string()
}

/// The form that most programs write, which need not be taken apart to be printed again.
fn usual(text: &str) -> Option<String> {
    let seconds = text.as_bytes().get(..19)?;
    let mut fields = [0_u32; 6];
    let mut field = 0;
    for (at, byte) in seconds.iter().enumerate() {
        match (at, byte) {
            (4 | 7, b'-') | (10, b'T') | (13 | 16, b':') => field += 1,
            (4 | 7 | 10 | 13 | 16, _) => return None,
            (_, b'0'..=b'9') => fields[field] = fields[field] * 10 + u32::from(byte - b'0'),
            _ => return None,
        }
    }
    let [year, month, day, hour, minute, second] = fields;
    // Every month has 28 days.
    let plain =
        (1970..9999).contains(&year) && (1..=12).contains(&month) && (1..=28).contains(&day);
    if !plain || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = text[19..].strip_suffix('Z')?;
    let mut printed = String::with_capacity(27);
    printed.push_str(&text[..19]);
    if !fraction.is_empty() {
        let digits = fraction.strip_prefix('.')?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = digits[..digits.len().min(6)].trim_end_matches('0');
        if !digits.is_empty() {
            printed.push('.');
            printed.push_str(digits);
        }
    }
    printed.push('Z');
    Some(printed)
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
fn micros(time: Timestamp) -> Timestamp {
    let below = i64::from(time.subsec_nanosecond() % 1_000);
    time.checked_sub(Span::new().nanoseconds(below))
        .unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            assert_eq!(whole_text(text).unwrap_or_default(), expected);
        }
    }

    proptest! {
        #[test]
        fn the_usual_form_is_printed_as_the_slow_way_does(
            text in "(20|19)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,9})?Z?"
        ) {
            if let Some(printed) = usual(&text) {
                prop_assert_eq!(Some(printed), rfc3339(&text).map(print));
            }
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
