//! One stream of a wrapped program: passed on at once, and copied to a file in whole lines, so that
//! the lines of two streams don't mix.

use std::fs::File;
use std::io::{self, Read as _, Write};

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;
/// A line that is longer is copied in parts.
const LONGEST_LINE: usize = 1024 * 1024;

/// A stream that is read here and written by the program.
pub(crate) struct Stream {
    reader: Option<File>,
    /// The stream of this process with the same meaning: 1 or 2.
    number: i32,
    /// The begin of a line.
    pending: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(reader: File, number: i32) -> Self {
        Self {
            reader: Some(reader),
            number,
            pending: Vec::new(),
        }
    }

    /// The file that is read; none once the stream has ended.
    pub(crate) fn file(&self) -> Option<&File> {
        self.reader.as_ref()
    }

    /// Passes on what is there; returns how much that was, which is nothing at the end.
    pub(crate) fn copy(&mut self, copy: Option<&mut File>) -> usize {
        let Some(reader) = &mut self.reader else {
            return 0;
        };
        let mut bytes = vec![0; CHUNK];
        match reader.read(&mut bytes) {
            Ok(0) | Err(_) => {
                self.reader = None;
                0
            }
            Ok(count) => {
                let bytes = &bytes[..count];
                // Whoever reads the log may be gone.
                let _ = if self.number == 1 {
                    pass_on(io::stdout(), bytes)
                } else {
                    pass_on(io::stderr(), bytes)
                };
                self.keep(bytes, copy);
                count
            }
        }
    }

    /// Writes what is left of a last line.
    pub(crate) fn finish(&mut self, copy: Option<&mut File>) {
        if self.pending.is_empty() {
            return;
        }
        self.pending.push(b'\n');
        if let Some(copy) = copy {
            let _ = copy.write_all(&self.pending);
        }
        self.pending.clear();
    }

    /// Writes the lines that are whole to the copy; a carriage return ends one too.
    fn keep(&mut self, bytes: &[u8], copy: Option<&mut File>) {
        let Some(copy) = copy else { return };
        let last = bytes.iter().rposition(|b| matches!(b, b'\n' | b'\r'));
        let whole = last.map_or(0, |at| at + 1);
        let (lines, rest) = bytes.split_at(whole);
        // A disk that is full does not end the program.
        if !lines.is_empty() {
            self.pending.extend_from_slice(lines);
            let _ = copy.write_all(&self.pending);
            self.pending.clear();
        }
        self.pending.extend_from_slice(rest);
        if self.pending.len() > LONGEST_LINE {
            let _ = copy.write_all(&self.pending);
            self.pending.clear();
        }
    }
}

fn pass_on(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}
