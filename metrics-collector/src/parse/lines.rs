//! Cuts bytes into lines, and lines at carriage returns, so that each state of a progress bar is a
//! piece of its own.

use memchr::memchr2;

/// Where a line that does not end is cut.
const LONGEST: usize = 8 << 20;

/// Part of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// The bytes, without what ended them; never empty.
    pub(super) bytes: &'a [u8],
    /// Whether this is the first part of its line.
    pub(super) starts_line: bool,
}

/// The lines of a source that arrives in chunks.
#[derive(Debug)]
pub(super) struct Lines {
    partial: Vec<u8>,
    taken: u64,
    starts_line: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            partial: Vec::new(),
            taken: 0,
            starts_line: true,
        }
    }
}

impl Lines {
    pub(super) fn push(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Piece<'_>)) {
        self.taken += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = LONGEST - self.partial.len();
            let window = &bytes[..bytes.len().min(room)];
            if let Some(end) = memchr2(b'\n', b'\r', window) {
                self.complete(&window[..end], each);
                self.starts_line |= bytes[end] == b'\n';
                bytes = &bytes[end + 1..];
            } else if window.len() == room {
                self.complete(window, each);
                bytes = &bytes[room..];
            } else {
                self.partial.extend_from_slice(window);
                return;
            }
        }
    }

    pub(super) fn finish(&mut self, each: &mut dyn FnMut(Piece<'_>)) {
        self.complete(&[], each);
        self.starts_line = true;
    }

    pub(super) fn settled(&self) -> u64 {
        self.taken - self.partial.len() as u64
    }

    fn complete(&mut self, end: &[u8], each: &mut dyn FnMut(Piece<'_>)) {
        let starts_line = self.starts_line;
        if !self.partial.is_empty() {
            self.partial.extend_from_slice(end);
            each(Piece {
                bytes: &self.partial,
                starts_line,
            });
            self.partial.clear();
            self.partial.shrink_to(64 << 10);
        } else if !end.is_empty() {
            each(Piece {
                bytes: end,
                starts_line,
            });
        } else {
            return;
        }
        self.starts_line = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let mut each = |piece: Piece<'_>| found.push((piece.bytes.to_vec(), piece.starts_line));
        for chunk in chunks {
            lines.push(chunk, &mut each);
        }
        lines.finish(&mut each);
        found
    }

    #[test]
    fn carriage_returns_part_a_line_and_empty_parts_are_left_out() {
        let found = pieces([b"a\r\n\r10%\r20%\n\n\rb".as_slice()]);
        let expected = [("a", true), ("10%", true), ("20%", false), ("b", true)];
        let expected = expected.map(|(text, first)| (text.as_bytes().to_vec(), first));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_line_without_end_is_cut_where_it_grows_too_long() {
        let endless = vec![b'x'; LONGEST + 10];
        let (whole, halves) = (
            pieces([&endless[..]]),
            pieces(endless.chunks(LONGEST / 2 + 7)),
        );
        assert_eq!(whole, halves);
        assert_eq!((whole.len(), whole[1].0.len(), whole[1].1), (2, 10, false));
    }

    #[test]
    fn what_is_not_complete_is_not_settled() {
        let mut lines = Lines::default();
        for (chunk, settled) in [("a\nbc", 2), ("d", 2), ("\r", 6), ("e\n\n", 9)] {
            lines.push(chunk.as_bytes(), &mut |_| {});
            assert_eq!(lines.settled(), settled, "after {chunk:?}");
        }
    }

    proptest! {
        #[test]
        fn chunking_changes_nothing(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..60),
            size in 1..9usize,
        ) {
            prop_assert_eq!(pieces([&bytes[..]]), pieces(bytes.chunks(size)));
        }
    }
}
