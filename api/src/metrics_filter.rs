//! The user's filters: RE2 expressions with two groups, as Katib's (Go's) `regexp` reads them.
//!
//! The `regex` crate has the same semantics and nearly the same syntax. What differs is rewritten
//! here: `\d`, `\w`, `\s` and `\b` are ASCII, braces that are no repetition are literal (Katib's
//! own documentation shows such a filter), classes don't nest, and `\Q…\E` quotes.

use std::{iter::Peekable, str::Chars};

use regex::{Regex, RegexBuilder};

/// A filter that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No regular expression.
    #[error("metrics filter {pattern:?} is no regular expression: {reason}")]
    Syntax {
        /// As it was given.
        pattern: String,
        /// What the compiler says.
        reason: String,
    },
    /// Fewer than two groups.
    #[error("metrics filter {0:?} needs two groups: the metric's name and its value")]
    Groups(String),
}

/// A regular expression whose first group is a metric's name and whose second is its value.
#[derive(Clone, Debug)]
pub struct Filter(Regex);

impl Filter {
    /// Compiles an expression in RE2 syntax.
    pub fn new(pattern: &str) -> Result<Self, FilterError> {
        let compiled = RegexBuilder::new(&translate(pattern)).octal(true).build();
        let regex = compiled.map_err(|error| FilterError::Syntax {
            pattern: pattern.to_owned(),
            reason: last_line(&error),
        })?;
        if regex.captures_len() < 3 {
            return Err(FilterError::Groups(pattern.to_owned()));
        }
        Ok(Self(regex))
    }

    /// Returns name and value of each match, trimmed.
    pub fn matches<'t>(&self, text: &'t str) -> impl Iterator<Item = (&'t str, &'t str)> {
        self.0.captures_iter(text).map(|groups| {
            let group = |number| groups.get(number).map_or("", |found| found.as_str().trim());
            (group(1), group(2))
        })
    }
}

/// What is wrong, without the drawing of where: that shows the rewritten expression.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Rewrites an expression from RE2's syntax to that of the `regex` crate.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => escape(&mut chars, &mut out),
            '[' => class(&mut chars, &mut out),
            '{' => match repetition(chars.clone()) {
                Some(len) => {
                    out.push('{');
                    out.extend(chars.by_ref().take(len));
                }
                None => out.push_str("\\{"),
            },
            '}' => out.push_str("\\}"),
            c => out.push(c),
        }
    }
    out
}

/// Returns the length of `n}`, `n,}` or `n,m}`, if the text begins so.
fn repetition(chars: Peekable<Chars<'_>>) -> Option<usize> {
    let inner: String = chars.take_while(|c| *c != '}').collect();
    let (least, most) = inner.split_once(',').unwrap_or((&inner, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(inner.len() + 1)
}

fn escape(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    match chars.next() {
        Some('b') => out.push_str("(?-u:\\b)"),
        Some('B') => out.push_str("(?-u:\\B)"),
        Some('Q') => quoted(chars, out),
        Some('E') => {}
        Some(c) => match ascii_class(c) {
            Some(class) => out.push_str(class),
            None => literal_escape(c, out),
        },
        None => out.push('\\'),
    }
}

fn quoted(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut text: String = chars.collect();
    let rest = match text.find("\\E") {
        Some(end) => text.split_off(end).split_off(2),
        None => String::new(),
    };
    out.push_str(&regex::escape(&text));
    out.push_str(&translate(&rest));
}

fn ascii_class(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => "[\\t\\n\\f\\r ]",
        'S' => "[^\\t\\n\\f\\r ]",
        _ => return None,
    })
}

fn literal_escape(c: char, out: &mut String) {
    // `\<` and `\>` are the edges of words to the crate.
    if !matches!(c, '<' | '>') {
        out.push('\\');
    }
    out.push(c);
}

/// Rewrites a class, of which `[` is read already.
fn class(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('[');
    out.extend(chars.next_if_eq(&'^'));
    if chars.next_if_eq(&']').is_some() {
        out.push_str("\\]");
    }
    while let Some(c) = chars.next() {
        match c {
            ']' => {
                out.push(']');
                return;
            }
            '\\' => match chars.next() {
                Some(c) => match ascii_class(c) {
                    Some(class) => {
                        out.push_str(class);
                        // A hyphen behind a class is literal.
                        if chars.next_if_eq(&'-').is_some() {
                            out.push_str("\\-");
                        }
                    }
                    None => literal_escape(c, out),
                },
                None => out.push('\\'),
            },
            '[' if chars.peek() == Some(&':') => {
                out.push('[');
                for c in chars.by_ref() {
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            // Nesting and set operators, which RE2 doesn't have.
            '[' | '&' | '~' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::Filter;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: &[(&str, &str)]) {
        let filter = Filter::new(pattern).unwrap();
        assert_eq!(
            filter.matches(text).collect::<Vec<_>>(),
            expected,
            "{pattern}"
        );
    }

    #[test]
    fn filters_mean_what_they_mean_to_go() {
        let documented = r"{metricName: ([\w|-]+), metricValue: ((-?\d+)(\.\d+)?)}";
        check(
            documented,
            "{metricName: acc, metricValue: 0.9}",
            &[("acc", "0.9")],
        );
        let default = r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)";
        check(default, "a|b = 1e5, c=nan", &[("a|b", "1e5"), ("c", "")]);
        check(r"(\w+) (\d{1,3})", "é_1 ١٢ x 1234", &[("x", "123")]);
        check(r"\b(\w+)\b: (\S+)", "a: b", &[("a", "b")]);
        check(r"([[a]+)=([\w-|]+)", "[a=b-|c", &[("[a", "b-|c")]);
        check(r"([]x]+)=([^]]+)", "]x=1]", &[("]x", "1")]);
        check(r"([[:alpha:]&&b]+)=(.*)", "a&b=1", &[("a&b", "1")]);
        check(r"\Q(a+b)\E (x)=(\d)", "(a+b) x=1", &[("x", "1")]);
        check(r"\<(x)\>(\d)", "<x>1", &[("x", "1")]);
        check(r"(?i)(LOSS)=(?P<value>.*?);", "Loss=1;2;", &[("Loss", "1")]);
        check(r"({)(})", "{}", &[("{", "}")]);
        check(r"(a{2,})(b{,2})", "aaab{,2}", &[("aaa", "b{,2}")]);
    }

    #[test]
    fn filters_that_cannot_be_used_say_why() {
        let text = |pattern| Filter::new(pattern).unwrap_err().to_string();
        assert!(text(r"(\w+)=\d").ends_with("needs two groups: the metric's name and its value"));
        assert!(text("(").contains("is no regular expression"));
        assert!(text(r"(a)(?=b)").contains("is no regular expression"));
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in r"[\[\]{}()\\|^$.*+?a-d0-3QEwdsb:,&~<>-]{0,20}") {
            let _ = Filter::new(&pattern);
        }
    }
}
