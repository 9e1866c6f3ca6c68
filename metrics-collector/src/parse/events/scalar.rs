//! Scalars of a summary: plain ones, and tensors of one element.
//! Source: TensorFlow, `core/framework/{summary,tensor,tensor_shape,types}.proto`.

use std::fmt::{Display, LowerExp};

use super::wire::{Fields, Wire, varint};

/// Prints the single element of a tensor, if it is one number.
pub(super) fn tensor(message: &[u8]) -> Option<String> {
    let mut kind = 0;
    let mut content: &[u8] = &[];
    let mut element = None;
    for (field, value) in Fields(message) {
        match (field, value) {
            (1, Wire::Varint(value)) => kind = value,
            (2, Wire::Bytes(shape)) if elements(shape) != Some(1) => return None,
            (4, Wire::Bytes(bytes)) => content = bytes,
            // The values, of which each type of element has its own field.
            (5..=7 | 10 | 11 | 13 | 16 | 17, value) => {
                element.get_or_insert(value);
            }
            _ => {}
        }
    }
    if content.is_empty() {
        listed(kind, element?)
    } else {
        packed(kind, content)
    }
}

/// How many elements a shape has; nothing where that is not known.
fn elements(shape: &[u8]) -> Option<u64> {
    let mut count = 1_u64;
    for (field, value) in Fields(shape) {
        match (field, value) {
            (2, Wire::Bytes(dimension)) => {
                let size = Fields(dimension).find_map(|(field, value)| match (field, value) {
                    (1, Wire::Varint(size)) => Some(size),
                    _ => None,
                });
                count = count.checked_mul(size.unwrap_or(0))?;
            }
            (3, Wire::Varint(1)) => return None,
            _ => {}
        }
    }
    Some(count)
}

/// Prints the first of the listed values.
fn listed(kind: u64, value: Wire<'_>) -> Option<String> {
    let integer = |value| match value {
        Wire::Varint(value) => Some(value),
        Wire::Bytes(mut bytes) => varint(&mut bytes),
        _ => None,
    };
    match kind {
        1 => match value {
            Wire::Four(bytes) => Some(float(f32::from_le_bytes(bytes))),
            Wire::Bytes(bytes) => packed(kind, bytes.get(..4)?),
            _ => None,
        },
        2 => match value {
            Wire::Eight(bytes) => Some(double(f64::from_le_bytes(bytes))),
            Wire::Bytes(bytes) => packed(kind, bytes.get(..8)?),
            _ => None,
        },
        3 | 5 | 6 | 9 => Some((integer(value)? as i64).to_string()),
        4 | 17 | 22 | 23 => Some(integer(value)?.to_string()),
        14 => Some(float(bfloat16(integer(value)? as u16))),
        19 => Some(float(half(integer(value)? as u16))),
        _ => None,
    }
}

/// Prints the element whose bytes these are.
fn packed(kind: u64, bytes: &[u8]) -> Option<String> {
    macro_rules! whole {
        ($number:ty) => {
            <$number>::from_le_bytes(bytes.try_into().ok()?)
        };
    }
    Some(match kind {
        1 => float(whole!(f32)),
        2 => double(whole!(f64)),
        3 => whole!(i32).to_string(),
        4 => whole!(u8).to_string(),
        5 => whole!(i16).to_string(),
        6 => whole!(i8).to_string(),
        9 => whole!(i64).to_string(),
        14 => float(bfloat16(whole!(u16))),
        17 => whole!(u16).to_string(),
        19 => float(half(whole!(u16))),
        22 => whole!(u32).to_string(),
        23 => whole!(u64).to_string(),
        _ => return None,
    })
}

/// Prints the shortest text that is read as this number again.
pub(super) fn float(number: f32) -> String {
    short(number, f64::from(number.abs()))
}

fn double(number: f64) -> String {
    short(number, number.abs())
}

fn short(number: impl Display + LowerExp, size: f64) -> String {
    if size == 0.0 || (1e-5..1e16).contains(&size) || !size.is_finite() {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

fn bfloat16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f32::from(bits & 0x3ff) / 1024.0;
    sign * match exponent {
        0 => fraction * 2_f32.powi(-14),
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        exponent => (1.0 + fraction) * 2_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_short() {
        for (number, expected) in [
            (0.1, "0.1"),
            (1.0, "1"),
            (-2.5e-7, "-2.5e-7"),
            (1e20, "1e20"),
            (0.0, "0"),
            (f32::NAN, "NaN"),
            (f32::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float(number), expected);
        }
        for (bits, expected) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), expected);
        }
        assert!(half(0x7e00).is_nan());
        assert_eq!(bfloat16(0x3fc0), 1.5);
    }

    #[test]
    fn tensors_of_one_element_are_scalars() {
        // dtype float, shape (), float_val packed and not, tensor_content.
        let value = 0.25_f32.to_le_bytes();
        for field in [&b"\x2a\x04"[..], b"\x2d", b"\x22\x04"] {
            let message = [b"\x08\x01\x12\x00", field, &value].concat();
            assert_eq!(tensor(&message).as_deref(), Some("0.25"));
        }
        // int64 -3, shape (1), int64_val.
        let message =
            b"\x08\x09\x12\x04\x12\x02\x08\x01\x52\x0a\xfd\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(tensor(message).as_deref(), Some("-3"));
        // half 1, half_val.
        assert_eq!(
            tensor(b"\x08\x13\x12\x00\x6a\x02\x80\x78").as_deref(),
            Some("1")
        );
        // shape (2), text, nothing.
        assert_eq!(
            tensor(b"\x08\x01\x12\x04\x12\x02\x08\x02\x2a\x08aaaabbbb"),
            None
        );
        assert_eq!(tensor(b"\x08\x07\x12\x00\x42\x01a"), None);
        assert_eq!(tensor(b""), None);
        // Content of the wrong size.
        assert_eq!(tensor(b"\x08\x01\x22\x03abc"), None);
    }
}
