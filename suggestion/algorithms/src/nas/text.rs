//! JSON as Python's `json.dumps` writes it, with `'` for `"`.

use std::fmt::Write as _;

/// A text in quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = "'".to_owned();
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('\'');
    out
}

/// A real number: the fewest digits that read back as the same, an exponent of two digits at
/// least where there is one.
pub(crate) fn number(x: f64) -> String {
    let size = x.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{x:?}");
    }
    let text = format!("{x:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_are_written_as_python_writes_them() {
        assert_eq!(quoted("max_pooling"), "'max_pooling'");
        assert_eq!(
            quoted("a\"b\\\u{e9}\u{1f600}"),
            "'a\\'b\\\\\\u00e9\\ud83d\\ude00'"
        );
        let written = [0.1, 1.0, 0.0001, 1e-5, 2.5e-7, 1e16, 0.0].map(number);
        let python = ["0.1", "1.0", "0.0001", "1e-05", "2.5e-07", "1e+16", "0.0"];
        assert_eq!(written, python);
    }
}
