//! Values that flags accept. Each function reads one value and says in words what is wrong.

use std::convert::Infallible;
use std::str::FromStr;

/// Reads a finite number greater than zero.
pub fn positive(text: &str) -> Result<f64, String> {
    number(text, "a number greater than 0", |x: &f64| {
        x.is_finite() && *x > 0.0
    })
}

/// Reads a finite number of zero or more.
pub fn not_negative(text: &str) -> Result<f64, String> {
    number(text, "a number of at least 0", |x: &f64| {
        x.is_finite() && *x >= 0.0
    })
}

/// Reads a number from 0 to 1, both included.
pub fn share(text: &str) -> Result<f64, String> {
    number(text, "a number from 0 to 1", |x| (0.0..=1.0).contains(x))
}

/// Reads a number from 0 to 1, zero excluded.
pub fn positive_share(text: &str) -> Result<f64, String> {
    number(text, "a number greater than 0 and at most 1", |x| {
        *x > 0.0 && *x <= 1.0
    })
}

/// Reads a whole number of one or more.
pub fn count(text: &str) -> Result<usize, String> {
    number(text, "a whole number of at least 1", |x| *x > 0)
}

/// Reads a seed: a whole number, or any text, such as a name, that stands for one.
///
/// # Errors
/// Never.
pub fn seed(text: &str) -> Result<u64, Infallible> {
    let spelled = || {
        let begin = 0xcbf2_9ce4_8422_2325_u64;
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        text.bytes().fold(begin, mix)
    };
    Ok(text.parse().unwrap_or_else(|_| spelled()))
}

fn number<N: FromStr>(text: &str, wanted: &str, good: fn(&N) -> bool) -> Result<N, String> {
    text.parse()
        .ok()
        .filter(good)
        .ok_or_else(|| format!("must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_where_the_texts_say() {
        assert_eq!(positive("1e-5"), Ok(1e-5));
        for bad in ["0", "-1", "nan", "inf", "one", ""] {
            assert_eq!(
                positive(bad),
                Err("must be a number greater than 0".into()),
                "{bad}"
            );
        }
        assert_eq!(not_negative("0"), Ok(0.0));
        assert!(not_negative("-0.1").is_err());
        assert_eq!(share("1"), Ok(1.0));
        assert!(share("1.01").is_err());
        assert_eq!(positive_share("1"), Ok(1.0));
        assert!(positive_share("0").is_err());
        assert_eq!(seed("7"), Ok(7));
        assert_ne!(seed("tune-a"), seed("tune-b"));
        assert_eq!(count("7"), Ok(7));
        assert!(count("0").is_err());
        assert!(count("2.5").is_err());
    }
}
