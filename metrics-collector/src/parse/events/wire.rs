//! The wire format of protocol buffers, as far as reading goes.

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire<'a> {
    /// `int32`, `int64`, `uint64`, `bool`, enums.
    Varint(u64),
    /// `double`, `fixed64`.
    Eight([u8; 8]),
    /// Texts, bytes, messages, packed repeated fields.
    Bytes(&'a [u8]),
    /// `float`, `fixed32`.
    Four([u8; 4]),
}

/// The fields of a message, in their order, up to the first that can't be read.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Wire<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut self.0)?),
            1 => Wire::Eight(*self.take(8)?.first_chunk()?),
            2 => {
                let length = varint(&mut self.0)?;
                Wire::Bytes(self.take(usize::try_from(length).ok()?)?)
            }
            5 => Wire::Four(*self.take(4)?.first_chunk()?),
            // Groups are of the past.
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'a> Fields<'a> {
    #[inline]
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Reads a number of up to ten bytes with seven bits each.
#[inline]
pub(super) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        *bytes = rest;
        return Some(u64::from(*first));
    }
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            *bytes = &bytes[at + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_up_to_what_cannot_be() {
        let message = b"\x08\x96\x01\x12\x02ab\x1d\x01\x02\x03\x04\x21\x01\x02\x03\x04\x05\x06\x07\x08\x2a\x05x";
        let fields: Vec<_> = Fields(message).collect();
        let expected = [
            (1, Wire::Varint(150)),
            (2, Wire::Bytes(b"ab")),
            (3, Wire::Four([1, 2, 3, 4])),
            (4, Wire::Eight([1, 2, 3, 4, 5, 6, 7, 8])),
        ];
        assert_eq!(fields, expected);
        let mut endless = &[0xff; 20][..];
        assert_eq!(varint(&mut endless), None);
        assert_eq!(Fields(b"\x0b").next(), None);
    }
}
