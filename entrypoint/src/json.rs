//! As much of JSON as the answers of a container engine need: the value of a field, wherever it
//! stands, and texts.
//!
//! A field is found by `"name":`. Within a text its first or last quote would be escaped, so what
//! a user wrote is never taken for a field.

use std::fmt::Write as _;

/// What follows a field's name.
fn after<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let name = format!("\"{name}\":");
    let at = json.find(&name)? + name.len();
    Some(json[at..].trim_start())
}

/// A field that is a whole number.
pub(crate) fn number(json: &str, name: &str) -> Option<i32> {
    let rest = after(json, name)?;
    let end = rest.find(|c: char| c != '-' && !c.is_ascii_digit())?;
    rest[..end].parse().ok()
}

/// Whether a field is true.
pub(crate) fn is_true(json: &str, name: &str) -> bool {
    after(json, name).is_some_and(|rest| rest.starts_with("true"))
}

/// A field that is a text.
pub(crate) fn text(json: &str, name: &str) -> Option<String> {
    let mut rest = after(json, name)?.strip_prefix('"')?.chars();
    let mut text = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(text),
            '\\' => text.push(escaped(&mut rest)?),
            c => text.push(c),
        }
    }
}

/// The character that is meant by what follows a backslash.
fn escaped(rest: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match rest.next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => {
            let digits = rest.as_str().get(..4)?;
            *rest = rest.as_str().get(4..)?.chars();
            let code = u32::from_str_radix(digits, 16).ok()?;
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        c => c,
    })
}

/// A text as JSON has it.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => {
                // Writing to a text can't fail.
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_texts_that_look_like_them_are_not() {
        let json = r#"{"Env":["\"OOMKilled\":true"],"State":{"OOMKilled":false,"ExitCode": -1},
            "message":"a \"b\"\n\u00e9\\","Id":"7"}"#;
        assert!(!is_true(json, "OOMKilled"));
        assert!(is_true(&json.replace("false", "true"), "OOMKilled"));
        assert_eq!(number(json, "ExitCode"), Some(-1));
        assert_eq!(number(json, "Id"), None);
        assert_eq!(text(json, "message").as_deref(), Some("a \"b\"\né\\"));
        assert_eq!(text(json, "missing"), None);
        assert_eq!(text(r#"{"a":"cut o"#, "a"), None);
    }

    #[test]
    fn a_text_is_read_back_as_it_was_quoted() {
        for given in ["", "a \"b\" \\ c", "line\nfeed\u{1}", "é ☃"] {
            let json = format!("{{\"a\":{}}}", quote(given));
            assert_eq!(text(&json, "a").as_deref(), Some(given));
        }
    }
}
