//! The two output streams of a container as an engine sends them: frames of one or the other, each
//! with eight bytes before it that name the stream and the length.

/// The length of what stands before a frame.
const HEAD: usize = 8;
/// The stream of messages for people.
const STDERR: u8 = 2;

/// Takes the streams apart, however the bytes arrive.
#[derive(Default)]
pub(crate) struct Frames {
    head: Vec<u8>,
    /// How much of the frame is to come.
    left: usize,
}

impl Frames {
    /// Hands out the pieces of `bytes` with their streams, 1 or 2.
    pub(crate) fn pass(&mut self, mut bytes: &[u8], mut to: impl FnMut(i32, &[u8])) {
        while !bytes.is_empty() {
            if self.left == 0 {
                let (head, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
                self.head.extend_from_slice(head);
                bytes = rest;
                if self.head.len() < HEAD {
                    return;
                }
                self.left = self.head[4..]
                    .iter()
                    .fold(0, |n, b| n << 8 | usize::from(*b));
            }
            let (piece, rest) = bytes.split_at(bytes.len().min(self.left));
            if !piece.is_empty() {
                to(if self.head[0] == STDERR { 2 } else { 1 }, piece);
            }
            self.left -= piece.len();
            bytes = rest;
            if self.left == 0 {
                self.head.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_streams_are_the_same_wherever_the_bytes_are_cut() {
        let all = [
            &[1, 0, 0, 0, 0, 0, 0, 3][..],
            b"one",
            &[2, 0, 0, 0, 0, 0, 0, 0],
            &[2, 0, 0, 0, 0, 0, 1, 0],
            &[b'x'; 256],
            &[1, 0, 0, 0, 0, 0, 0, 1],
            b"!",
        ]
        .concat();
        for size in 1..=all.len() {
            let (mut frames, mut out) = (Frames::default(), [Vec::new(), Vec::new()]);
            for piece in all.chunks(size) {
                frames.pass(piece, |number, bytes| {
                    out[number as usize - 1].extend_from_slice(bytes);
                });
            }
            assert_eq!(out[0], b"one!", "pieces of {size}");
            assert_eq!(out[1], [b'x'; 256], "pieces of {size}");
        }
    }
}
