//! Amounts such as `500m`, `1.5` and `2Gi`: read, added and written as Kubernetes does.

use std::{
    cmp::Ordering,
    fmt::{self, Display, Formatter},
    ops::{Add, Sub},
};

/// Smallest parts of a unit that are told apart.
const NANO: i128 = 1_000_000_000;

/// How an amount is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// With powers of ten: `m`, `k`, `M`.
    Decimal,
    /// With powers of 1024: `Ki`, `Mi`.
    Binary,
    /// With an exponent: `e3`.
    Exponent,
}

/// An amount.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantity {
    nanos: i128,
    form: Form,
}

const DECIMAL: [(&str, i128); 10] = [
    ("E", NANO * 1_000_000_000_000_000_000),
    ("P", NANO * 1_000_000_000_000_000),
    ("T", NANO * 1_000_000_000_000),
    ("G", NANO * 1_000_000_000),
    ("M", NANO * 1_000_000),
    ("k", NANO * 1_000),
    ("", NANO),
    ("m", 1_000_000),
    ("u", 1_000),
    ("n", 1),
];
const BINARY: [(&str, i128); 6] = [
    ("Ei", NANO << 60),
    ("Pi", NANO << 50),
    ("Ti", NANO << 40),
    ("Gi", NANO << 30),
    ("Mi", NANO << 20),
    ("Ki", NANO << 10),
];

impl Quantity {
    /// Nothing.
    pub(crate) const ZERO: Self = Self {
        nanos: 0,
        form: Form::Decimal,
    };

    /// A number of units.
    pub(crate) fn units(count: i64) -> Self {
        Self {
            nanos: i128::from(count) * NANO,
            form: Form::Decimal,
        }
    }

    /// Reads an amount; `None` for a text that is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let split = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-'));
        let (number, suffix) = text.split_at(split.unwrap_or(text.len()));
        let table = DECIMAL.iter().map(|row| (row, Form::Decimal));
        let table = table.chain(BINARY.iter().map(|row| (row, Form::Binary)));
        let known = table.into_iter().find(|((name, _), _)| *name == suffix);
        let (factor, form) = match known {
            Some(((_, factor), form)) => (*factor, form),
            None => (
                power(suffix.strip_prefix(['e', 'E'])?.parse().ok()?)?,
                Form::Exponent,
            ),
        };
        Some(Self {
            nanos: scaled(number, factor)?,
            form,
        })
    }

    /// The storage that a claim asks for.
    pub(crate) fn of_claim(claim: &serde_json::Value) -> Option<Self> {
        Self::read(&claim["spec"]["resources"]["requests"]["storage"])
    }

    /// Reads an amount in an object: a text, or a number.
    pub(crate) fn read(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::String(text) => Self::parse(text),
            serde_json::Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    /// Whether it is nothing.
    pub(crate) fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// How many times another amount it is.
    pub(crate) fn ratio(self, other: Self) -> f64 {
        self.nanos as f64 / other.nanos as f64
    }
}

/// `10^exponent` units.
fn power(exponent: i32) -> Option<i128> {
    let size = 10i128.checked_pow(exponent.unsigned_abs())?;
    if exponent < 0 {
        return Some((NANO / size).max(1));
    }
    NANO.checked_mul(size)
}

/// A decimal number times a factor, rounded up to the smallest part.
fn scaled(number: &str, factor: i128) -> Option<i128> {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !plain(whole) || !plain(fraction) {
        return None;
    }
    let parse = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<i128>().ok()
        }
    };
    let base = 10i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let total = parse(whole)?
        .checked_mul(base)?
        .checked_add(parse(fraction)?)?;
    let product = total.checked_mul(factor)?;
    let rounded = product / base + i128::from(product % base != 0);
    Some(sign * rounded)
}

impl Display for Quantity {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let size = self.nanos.abs();
        if size == 0 {
            return f.write_str("0");
        }
        let fits = |unit: i128| size % unit == 0;
        if self.form == Form::Binary && size >= NANO << 10 {
            if let Some((suffix, unit)) = BINARY.iter().find(|(_, unit)| fits(*unit)) {
                return write!(f, "{}{suffix}", self.nanos / unit);
            }
            if fits(NANO) {
                return write!(f, "{}", self.nanos / NANO);
            }
        }
        let found = DECIMAL.iter().find(|(_, unit)| fits(*unit));
        let (suffix, unit) = found.unwrap_or(&DECIMAL[DECIMAL.len() - 1]);
        if self.form != Form::Exponent {
            return write!(f, "{}{suffix}", self.nanos / unit);
        }
        let steps = DECIMAL.iter().position(|(name, _)| name == suffix);
        let exponent = 18 - 3 * i64::try_from(steps.unwrap_or(6)).unwrap_or(6);
        write!(f, "{}", self.nanos / unit)?;
        if exponent == 0 {
            Ok(())
        } else {
            write!(f, "e{exponent}")
        }
    }
}

impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
            form: if self.is_zero() {
                other.form
            } else {
                self.form
            },
        }
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_sub(other.nanos),
            form: if self.is_zero() {
                other.form
            } else {
                self.form
            },
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    #[test]
    fn amounts_are_written_in_their_shortest_whole_form() {
        for (text, written) in [
            ("1", "1"),
            ("0", "0"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("1.5", "1500m"),
            ("1000", "1k"),
            ("1024", "1024"),
            ("1024Ki", "1Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Gi", "512Mi"),
            ("100Mi", "100Mi"),
            ("1e3", "1e3"),
            ("12E3", "12e3"),
            ("1E", "1E"),
            ("-5m", "-5m"),
            (".5", "500m"),
        ] {
            let read = Quantity::parse(text).unwrap();
            assert_eq!(read.to_string(), written, "{text}");
        }
        for text in ["", "x", "1Q", "1.2.3", "-", "1e", "1 Gi"] {
            assert!(Quantity::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn sums_are_written_as_their_first_part() {
        let sum = |parts: &[&str]| {
            let parts = parts.iter().map(|text| Quantity::parse(text).unwrap());
            parts
                .fold(Quantity::ZERO, |sum, part| sum + part)
                .to_string()
        };
        assert_eq!(sum(&["500m", "600m"]), "1100m");
        assert_eq!(sum(&["500Mi", "1G"]), "1524288000");
        assert_eq!(sum(&["512Mi", "0.5Gi"]), "1Gi");
        assert!(Quantity::parse("1Gi") > Quantity::parse("1G"));
    }
}
