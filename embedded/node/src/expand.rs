//! `$(VAR)` in commands, arguments and variables, as the kubelet expands it.

use std::borrow::Cow;

/// Replaces `$(NAME)` by the value that `lookup` gives and `$$` by `$`.
///
/// A name without a value stays as it is written, and so does a `$` before anything else.
pub(crate) fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Cow<'_, str> {
    if !text.contains('$') {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            result.push('$');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|t| t.split_once(')')) {
            match lookup(name) {
                Some(value) => result.push_str(&value),
                None => result.push_str(&rest[at..at + name.len() + 3]),
            }
            rest = tail;
        } else {
            result.push('$');
            rest = after;
        }
    }
    result.push_str(rest);
    Cow::Owned(result)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::expand;

    fn check(text: &str, expected: &str) {
        let lookup = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "EMPTY" => Some(String::new()),
            "B" => Some("$(A)".to_owned()),
            _ => None,
        };
        assert_eq!(expand(text, lookup), expected, "{text}");
    }

    #[test]
    fn texts_expand_as_in_the_kubelet() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$(A)", "1"),
            ("x$(A)y$(A)", "x1y1"),
            ("$(EMPTY)", ""),
            ("$(NONE)", "$(NONE)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$$$$", "$$"),
            ("$", "$"),
            ("a$", "a$"),
            ("$A", "$A"),
            ("$(A", "$(A"),
            ("$()", "$()"),
            ("$(B)", "$(A)"),
            (
                "echo > $$$$.pid; $(head -n 1 $$.pid)",
                "echo > $$.pid; $(head -n 1 $$.pid)",
            ),
        ] {
            check(text, expected);
        }
    }

    proptest! {
        #[test]
        fn doubling_every_dollar_protects_a_text(text in "[$()A-C ]{0,20}") {
            let protected = text.replace('$', "$$");
            prop_assert_eq!(expand(&protected, |_| Some("no".into())).into_owned(), text);
        }
    }
}
