//! Kubernetes quantities such as `500m`, `1.5`, `2Gi`, `1e3`.

/// Reads a quantity as a number of units.
///
/// Returns `None` for a text that is no quantity.
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-'));
    let (number, suffix) = text.split_at(split.unwrap_or(text.len()));
    // `1e3` and `1E3` are exponents, `1E` alone is the suffix exa.
    if suffix.len() > 1 && suffix.starts_with(['e', 'E']) {
        return text.parse().ok();
    }
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024f64,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn quantities_are_read_with_their_suffix() {
        for (text, value) in [
            ("1", 1.0),
            ("500m", 0.5),
            ("1.5", 1.5),
            ("2Gi", 2_147_483_648.0),
            ("1k", 1000.0),
            ("1e3", 1000.0),
            ("1E", 1e18),
        ] {
            assert_eq!(parse(text), Some(value), "{text}");
        }
        for text in ["", "x", "1Q", "1.2.3"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
