//! Numbers as programs print them.

use std::borrow::Cow;

/// A number at the beginning of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Number<'a> {
    /// The number as it was written, except that thousands separators, a point without decimals
    /// and per cent are resolved: `1,234` is `1234`, `1.` is `1`, `5%` is `0.05`.
    pub(super) value: Cow<'a, str>,
    /// How many bytes it takes.
    pub(super) len: usize,
}

/// Reads the number that a text begins with, if it begins with one. `nan`, `inf` and `infinity`
/// are numbers in any case, as long as no word goes on.
pub(super) fn leading(text: &str) -> Option<Number<'_>> {
    let bytes = text.as_bytes();
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    if let Some(len) = word(&text[sign..]) {
        let len = sign + len;
        return Some(Number {
            value: text[..len].into(),
            len,
        });
    }
    let whole = sign + digits(&bytes[sign..]);
    let grouped = groups(&bytes[sign..], whole - sign).map_or(whole, |len| sign + len);
    let decimals = match bytes.get(grouped) {
        Some(b'.') => digits(&bytes[grouped + 1..]),
        _ => 0,
    };
    if whole == sign && decimals == 0 {
        return None;
    }
    let point = usize::from(bytes.get(grouped) == Some(&b'.'));
    let exponent = exponent(&bytes[grouped + point + decimals..]);
    // A point that nothing follows ends a sentence.
    let point = if decimals + exponent > 0 { point } else { 0 };
    let len = grouped + point + decimals + exponent;
    let value = if grouped == whole {
        Cow::Borrowed(&text[..len])
    } else {
        Cow::Owned(text[..len].replace(',', ""))
    };
    if bytes.get(len) == Some(&b'%') {
        return Some(Number {
            value: hundredth(&value).into(),
            len: len + 1,
        });
    }
    Some(Number { value, len })
}

/// Reads a text that is a number and nothing else.
pub(super) fn whole(text: &str) -> Option<Cow<'_, str>> {
    leading(text)
        .filter(|number| number.len == text.len())
        .map(|number| number.value)
}

fn word(text: &str) -> Option<usize> {
    let len = text
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
        .count();
    let known = ["nan", "inf", "infinity"];
    known
        .iter()
        .any(|word| word.eq_ignore_ascii_case(&text[..len]))
        .then_some(len)
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| b.is_ascii_digit()).count()
}

fn exponent(bytes: &[u8]) -> usize {
    let Some(b'e' | b'E') = bytes.first() else {
        return 0;
    };
    let sign = usize::from(matches!(bytes.get(1), Some(b'+' | b'-')));
    match digits(&bytes[1 + sign..]) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}

/// Returns the length of a whole number whose thousands are separated: one to three digits, then
/// groups of exactly three. A list (`1,234,5`) and a decimal comma (`0,123`) are none.
fn groups(bytes: &[u8], first: usize) -> Option<usize> {
    if !(1..=3).contains(&first) || bytes[0] == b'0' {
        return None;
    }
    let mut len = first;
    while bytes.get(len) == Some(&b',') {
        match digits(&bytes[len + 1..]) {
            3 => len += 4,
            0 => break,
            _ => return None,
        }
    }
    (len > first).then_some(len)
}

/// Divides a number by 100 by moving its point.
fn hundredth(number: &str) -> String {
    let (mantissa, exponent) = number.split_at(number.find(['e', 'E']).unwrap_or(number.len()));
    if let Some(Ok(exponent)) = exponent.get(1..).map(str::parse::<i64>) {
        return format!("{mantissa}e{}", exponent.saturating_sub(2));
    }
    let (sign, digits) = mantissa.split_at(usize::from(mantissa.starts_with(['+', '-'])));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let padded = format!("{whole:0>3}{decimals}");
    let point = padded.len() - decimals.len() - 2;
    let (whole, decimals) = padded.split_at(point);
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    match decimals.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        decimals => format!("{sign}{whole}.{decimals}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_as_far_as_they_go() {
        for (text, value, rest) in [
            ("0.5", "0.5", ""),
            (".5e+3 next", ".5e+3", " next"),
            ("1e-5", "1e-5", ""),
            ("-7", "-7", ""),
            ("+7", "+7", ""),
            ("1.", "1", "."),
            ("1.e5", "1.e5", ""),
            ("1.5.", "1.5", "."),
            ("1e", "1", "e"),
            ("1e+", "1", "e+"),
            ("12s", "12", "s"),
            ("nan", "nan", ""),
            ("NaN,", "NaN", ","),
            ("-inf", "-inf", ""),
            ("Infinity)", "Infinity", ")"),
            ("1,234", "1234", ""),
            ("-1,234,567.89 x", "-1234567.89", " x"),
            ("1,234,acc=2", "1234", ",acc=2"),
            ("1,2", "1", ",2"),
            ("1,2345", "1", ",2345"),
            ("1,234,5", "1", ",234,5"),
            ("0,123", "0", ",123"),
            ("1234,567", "1234", ",567"),
            ("5%", "0.05", ""),
            ("95.50% of", "0.955", " of"),
            ("-100%", "-1", ""),
            ("0%", "0", ""),
            ("1,234%", "12.34", ""),
            ("2e3%", "2e1", ""),
            (".5%", "0.005", ""),
        ] {
            let number = leading(text).unwrap_or_else(|| panic!("{text} is a number"));
            assert_eq!(
                (&*number.value, &text[number.len..]),
                (value, rest),
                "{text}"
            );
        }
    }

    #[test]
    fn other_text_is_no_number() {
        for text in [
            "", "-", "+", ".", "-.", "e5", "abc", "nano", "info", "%", ",1", "−1", "é",
        ] {
            assert_eq!(leading(text), None, "{text}");
        }
        assert_eq!(whole("0.5 "), None);
    }

    proptest! {
        #[test]
        fn every_printed_float_is_read_whole(number: f64) {
            for text in [format!("{number}"), format!("{number:?}"), format!("{number:e}")] {
                prop_assert_eq!(whole(&text), Some(Cow::Borrowed(text.as_str())));
            }
        }

        #[test]
        fn what_is_read_can_be_parsed(text in "[-+]?[0-9.,eEnaif%]{0,9}") {
            if let Some(number) = leading(&text) {
                prop_assert!(number.value.parse::<f64>().is_ok(), "{text} gave {number:?}");
            }
        }

        #[test]
        fn per_cent_is_a_hundredth(number in -1e6..1e6f64) {
            let text = format!("{number}%");
            let value: f64 = whole(&text).unwrap().parse().unwrap();
            prop_assert!((value - number / 100.0).abs() <= 1e-9 * number.abs());
        }
    }
}
