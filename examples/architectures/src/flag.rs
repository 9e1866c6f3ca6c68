//! JSON in flags, as templates that were written for Katib pass it.

use serde::de::DeserializeOwned;

/// Reads JSON with `'` for `"`. Templates put it between quotes, which a shell takes away and a
/// container's command keeps: both are read.
pub fn json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(&unquoted(text).replace('\'', "\""))
        .map_err(|e| format!("is no such JSON: {e}"))
}

/// The text without the quotes around it.
pub fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    inner.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_with_and_without_quotes_around_it() {
        for text in ["[['a', 1]]", "\"[['a', 1]]\"", " [[\"a\", 1]] "] {
            assert_eq!(
                json::<Vec<(String, u8)>>(text).unwrap(),
                [("a".to_owned(), 1)],
                "{text}"
            );
        }
        let error = json::<Vec<u8>>("[1").unwrap_err();
        assert!(error.starts_with("is no such JSON: "), "{error}");
    }
}
