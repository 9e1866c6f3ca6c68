//! Cuts bytes into blocks of whole lines, and blocks into the pieces that can hold a metric: a line
//! is parted at carriage returns, so that each state of a progress bar is a piece of its own.

use memchr::{memchr, memchr2, memmem, memrchr, memrchr2};
use regex::bytes::Regex;

/// Where a line that does not end is cut.
const LONGEST: usize = 8 << 20;
/// How much is looked at together: less than the longest line.
const WINDOW: usize = 256 << 10;
/// How much of a line is kept to find the time it begins with.
const HEAD: usize = 128;

/// Whole lines, or pieces of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    bytes: &'a [u8],
    /// The beginning of the line in which the block begins; empty if that is a line's beginning.
    head: &'a [u8],
}

/// Part of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// The bytes, without what ended them; never empty.
    pub(super) bytes: &'a [u8],
    /// The beginning of its line, where that is not its own.
    pub(super) head: &'a [u8],
}

/// The lines of a source that arrives in chunks.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    head: Vec<u8>,
    taken: u64,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Block<'_>)) {
        for window in bytes.chunks(WINDOW) {
            self.window(window, each);
        }
    }

    pub(super) fn finish(&mut self, each: &mut dyn FnMut(Block<'_>)) {
        self.emit_partial(each);
        self.head.clear();
    }

    pub(super) fn settled(&self) -> u64 {
        self.taken - self.partial.len() as u64
    }

    fn window(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Block<'_>)) {
        self.taken += bytes.len() as u64;
        if !self.partial.is_empty() {
            let room = LONGEST - self.partial.len();
            let near = &bytes[..bytes.len().min(room)];
            let end = memchr2(b'\n', b'\r', near).map_or(near.len(), |end| end + 1);
            self.partial.extend_from_slice(&near[..end]);
            let ended = matches!(self.partial.last(), Some(b'\n' | b'\r'));
            if ended || end == room {
                self.emit_partial(each);
            }
            bytes = &bytes[end..];
        }
        if let Some(last) = memrchr2(b'\n', b'\r', bytes) {
            let (whole, rest) = bytes.split_at(last + 1);
            self.emit(whole, each);
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
    }

    fn emit_partial(&mut self, each: &mut dyn FnMut(Block<'_>)) {
        let mut partial = std::mem::take(&mut self.partial);
        if !partial.is_empty() {
            self.emit(&partial, each);
        }
        partial.clear();
        partial.shrink_to(64 << 10);
        self.partial = partial;
    }

    fn emit(&mut self, bytes: &[u8], each: &mut dyn FnMut(Block<'_>)) {
        each(Block {
            bytes,
            head: &self.head,
        });
        let line = memrchr(b'\n', bytes).map(|end| end + 1);
        if line.is_some() {
            self.head.clear();
        }
        if self.head.is_empty() {
            self.head
                .extend_from_slice(head_of(&bytes[line.unwrap_or(0)..]));
        }
    }
}

/// The first piece of a line, as far as it is kept.
fn head_of(line: &[u8]) -> &[u8] {
    let begin = line.iter().position(|b| *b != b'\r').unwrap_or(line.len());
    let line = &line[begin..];
    let near = &line[..line.len().min(HEAD)];
    &near[..memchr(b'\r', near).unwrap_or(near.len())]
}

/// What a piece must mention to be looked at.
#[derive(Debug)]
pub(super) enum Mentions {
    /// Nothing.
    Any,
    /// One text.
    One(Box<memmem::Finder<'static>>),
    /// One of several texts.
    OneOf(Regex),
}

impl Mentions {
    /// Makes the search for some names.
    pub(super) fn of(names: &[String]) -> Self {
        match names {
            [] => Self::Any,
            [name] => Self::One(Box::new(memmem::Finder::new(name).into_owned())),
            names => {
                let names: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
                // A pattern too large to compile costs speed, not rows.
                Regex::new(&names.join("|")).map_or(Self::Any, Self::OneOf)
            }
        }
    }

    fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Any => bytes.iter().position(|b| !matches!(b, b'\n' | b'\r')),
            Self::One(finder) => finder.find(bytes),
            Self::OneOf(regex) => regex.find(bytes).map(|found| found.start()),
        }
    }
}

impl Block<'_> {
    /// Calls back for each piece that mentions something, in their order.
    pub(super) fn pieces(&self, mentions: &Mentions, each: &mut dyn FnMut(Piece<'_>)) {
        let bytes = self.bytes;
        let mut head = self.head;
        // Where the current line begins, if it does so in this block.
        let mut line = head.is_empty().then_some(0);
        let mut at = 0;
        while let Some(found) = bytes.get(at..).and_then(|rest| mentions.find(rest)) {
            let found = at + found;
            let skipped = &bytes[at..found];
            let begin = memrchr2(b'\n', b'\r', skipped).map_or(at, |end| at + end + 1);
            if let Some(end) = memrchr(b'\n', skipped) {
                line = Some(at + end + 1);
                head = &[];
            }
            let end = memchr2(b'\n', b'\r', &bytes[found..]).map_or(bytes.len(), |end| found + end);
            if let (true, Some(line)) = (head.is_empty(), line) {
                head = head_of(&bytes[line..begin]);
            }
            each(Piece {
                bytes: &bytes[begin..end],
                head,
            });
            if bytes.get(end) == Some(&b'\n') {
                line = Some(end + 1);
                head = &[];
            }
            at = end + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The pieces that mention one of the names, with the heads of their lines.
    fn pieces<'a>(
        chunks: impl IntoIterator<Item = &'a [u8]>,
        names: &[&str],
    ) -> Vec<(String, String)> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mentions = Mentions::of(&names);
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut each = |block: Block<'_>| {
            block.pieces(&mentions, &mut |piece| {
                found.push((text(piece.bytes), text(piece.head)));
            });
        };
        for chunk in chunks {
            lines.push(chunk, &mut each);
        }
        lines.finish(&mut each);
        found
    }

    #[track_caller]
    fn check(log: &str, names: &[&str], expected: &[(&str, &str)]) {
        let found = pieces([log.as_bytes()], names);
        let expected: Vec<_> = expected
            .iter()
            .map(|(piece, head)| ((*piece).to_owned(), (*head).to_owned()))
            .collect();
        assert_eq!(found, expected, "{log:?}");
    }

    #[test]
    fn carriage_returns_part_a_line_and_empty_parts_are_left_out() {
        let log = "a\r\n\r10%\r20%\n\n\rb";
        check(
            log,
            &[],
            &[("a", ""), ("10%", ""), ("20%", "10%"), ("b", "")],
        );
    }

    #[test]
    fn pieces_are_those_that_mention_a_name_with_the_head_of_their_line() {
        let log = "noise\nT x\ra=1\r\ra=2\nb\nU\ra=3 a=4\nlast b";
        check(
            log,
            &["a="],
            &[("a=1", "T x"), ("a=2", "T x"), ("a=3 a=4", "U")],
        );
        let both = [
            ("a=1", "T x"),
            ("a=2", "T x"),
            ("b", ""),
            ("a=3 a=4", "U"),
            ("last b", ""),
        ];
        check(log, &["a=", "b"], &both);
    }

    #[test]
    fn a_line_without_end_is_cut_where_it_grows_too_long() {
        let endless = vec![b'x'; LONGEST + 10];
        let whole = pieces([&endless[..]], &[]);
        assert_eq!(whole, pieces(endless.chunks(LONGEST / 2 + 7), &[]));
        let lengths: Vec<_> = whole.iter().map(|(p, h)| (p.len(), h.len())).collect();
        assert_eq!(lengths, [(LONGEST, 0), (10, HEAD)]);
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
            text in "[\n\ra b]{0,60}",
            size in 1..9usize,
            names in prop::sample::select(vec![&[][..], &["a"], &["a", "b b"]]),
        ) {
            let bytes = text.as_bytes();
            prop_assert_eq!(pieces([bytes], names), pieces(bytes.chunks(size), names));
        }

        #[test]
        fn pieces_are_what_splitting_gives(text in "[\n\ra b]{0,60}") {
            let expected: Vec<&str> =
                text.split(['\n', '\r']).filter(|piece| piece.contains('a')).collect();
            let found = pieces([text.as_bytes()], &["a"]);
            let found: Vec<&str> = found.iter().map(|(piece, _)| piece.as_str()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
