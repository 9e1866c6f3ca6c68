//! The fast way through a JSON object that holds plain members alone: ASCII text without escapes,
//! numbers, constants. Anything else is left to the slow way, which decides what it is.

use std::fmt::Write as _;

/// A member's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plain<'a> {
    Text(&'a str),
    /// As it is written.
    Number(&'a str),
    Constant,
}

/// Calls back for each member; returns false where the line has to be read the slow way.
pub(super) fn members<'a>(line: &'a [u8], each: &mut dyn FnMut(&'a str, Plain<'a>)) -> bool {
    read(line, each).is_some()
}

fn read<'a>(line: &'a [u8], each: &mut dyn FnMut(&'a str, Plain<'a>)) -> Option<()> {
    let mut at = space(line, 1);
    if line.first() != Some(&b'{') || line.get(at) == Some(&b'}') {
        return None;
    }
    loop {
        let key = text(line, &mut at)?;
        at = space(line, at);
        if line.get(at) != Some(&b':') {
            return None;
        }
        at = space(line, at + 1);
        let value = match line.get(at)? {
            b'"' => Plain::Text(text(line, &mut at)?),
            b't' => constant(line, &mut at, b"true")?,
            b'f' => constant(line, &mut at, b"false")?,
            b'n' => constant(line, &mut at, b"null")?,
            _ => Plain::Number(number(line, &mut at)?),
        };
        each(key, value);
        at = space(line, at);
        match line.get(at)? {
            b',' => at = space(line, at + 1),
            b'}' => return (space(line, at + 1) == line.len()).then_some(()),
            _ => return None,
        }
    }
}

fn space(line: &[u8], mut at: usize) -> usize {
    while matches!(line.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

fn text<'a>(line: &'a [u8], at: &mut usize) -> Option<&'a str> {
    let rest = line.get(*at..)?.strip_prefix(b"\"")?;
    let end = rest
        .iter()
        .position(|b| *b == b'"' || *b == b'\\' || !(b' '..=b'~').contains(b))?;
    if rest[end] != b'"' {
        return None;
    }
    *at += end + 2;
    std::str::from_utf8(&rest[..end]).ok()
}

fn constant<'a>(line: &[u8], at: &mut usize, word: &[u8]) -> Option<Plain<'a>> {
    line[*at..].starts_with(word).then(|| {
        *at += word.len();
        Plain::Constant
    })
}

/// Reads a number by JSON's grammar.
fn number<'a>(line: &'a [u8], at: &mut usize) -> Option<&'a str> {
    let rest = &line[*at..];
    let digits = |from: usize| {
        rest[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let sign = usize::from(rest.first() == Some(&b'-'));
    let whole = digits(sign);
    if whole == 0 || (whole > 1 && rest[sign] == b'0') {
        return None;
    }
    let mut end = sign + whole;
    if rest.get(end) == Some(&b'.') {
        match digits(end + 1) {
            0 => return None,
            decimals => end += 1 + decimals,
        }
    }
    if let Some(b'e' | b'E') = rest.get(end) {
        let sign = usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
        match digits(end + 1 + sign) {
            0 => return None,
            exponent => end += 1 + sign + exponent,
        }
    }
    *at += end;
    std::str::from_utf8(&rest[..end]).ok()
}

/// Prints a number in its shortest form; nothing where it is too large to be one.
pub(super) fn shortest(number: &str) -> Option<String> {
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_whole = digits.bytes().all(|b| b.is_ascii_digit());
    // Shorter than what 64 bits hold, and not -0.
    if is_whole && digits.len() <= 18 && number != "-0" {
        return Some(number.to_owned());
    }
    let number: serde_json::Number = serde_json::from_str(number).ok()?;
    let mut text = String::with_capacity(24);
    write!(text, "{number}").ok()?;
    Some(text)
}
