//! Removes the escape sequences with which terminals are coloured and moved.

use std::borrow::Cow;

const ESCAPE: char = '\u{1b}';

/// Returns the text without escape sequences (ECMA-48: CSI, OSC and other strings, two-character
/// ones).
pub(super) fn strip(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains(ESCAPE) {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != ESCAPE {
            plain.push(c);
            continue;
        }
        match chars.next() {
            // CSI: parameters, then a final byte.
            Some('[') => {
                while chars
                    .next()
                    .is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c))
                {}
            }
            // Strings end with BEL or ESC \.
            Some(']' | 'P' | 'X' | '^' | '_') => {
                while let Some(c) = chars.next_if(|c| *c != ESCAPE) {
                    if c == '\u{7}' {
                        break;
                    }
                }
            }
            // Intermediate bytes, then a final byte.
            Some(' '..='/') => while chars.next_if(|c| (' '..='/').contains(c)).is_some() {},
            _ => {}
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_titles_and_moves_disappear_and_text_stays() {
        for (given, expected) in [
            ("plain", "plain"),
            (
                "\u{1b}[1;31mloss\u{1b}[0m=\u{1b}[32m0.5\u{1b}[K",
                "loss=0.5",
            ),
            ("\u{1b}]0;title\u{7}loss=1", "loss=1"),
            ("\u{1b}]8;;http://x\u{1b}\\loss=1", "loss=1"),
            ("\u{1b}7loss=1\u{1b}8", "loss=1"),
            ("\u{1b}", ""),
            ("a\u{1b}[", "a"),
        ] {
            assert_eq!(strip(given.into()), expected, "{given:?}");
        }
    }
}
