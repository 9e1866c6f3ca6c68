//! TFRecord framing: length (u64), its masked CRC32C (u32), payload, its masked CRC32C (u32), all
//! little-endian. Source: TensorFlow, `core/lib/io/record_writer.h` and `core/lib/hash/crc32c.h`.

/// Larger records are passed over unread: pictures and graphs, no scalars.
const LARGEST: u64 = 16 << 20;
/// Length and its checksum.
const HEADER: usize = 12;
/// The payload's checksum.
const FOOTER: usize = 4;

/// Where a file is not what its checksums say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A payload. It is left out.
    #[error("the record at byte {0} has a wrong checksum and is left out")]
    Payload(u64),
    /// A length, so that the next record has to be searched.
    #[error("no record begins at byte {0}; what follows is searched for the next one")]
    Framing(u64),
}

/// The records of a file that arrives in chunks.
#[derive(Debug, Default)]
pub(super) struct Records {
    partial: Vec<u8>,
    /// How many bytes were consumed: behind the last whole record.
    consumed: u64,
    /// How much of a record that is passed over has been seen.
    passed: u64,
    /// How much of it is to come.
    to_pass: u64,
    /// Framing is lost.
    searching: bool,
    damage: Option<Damage>,
}

impl Records {
    /// Begins at a byte of the file, between two records.
    pub(super) fn at(offset: u64) -> Self {
        Self {
            consumed: offset,
            ..Self::default()
        }
    }

    /// Takes the next bytes and calls back for each payload that they complete.
    pub(super) fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) {
        if self.partial.is_empty() {
            let end = self.read(bytes, each);
            self.partial.extend_from_slice(&bytes[end..]);
            return;
        }
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(bytes);
        let end = self.read(&joined, each);
        joined.drain(..end);
        joined.shrink_to(64 << 10);
        self.partial = joined;
    }

    /// Behind the last whole record.
    pub(super) fn settled(&self) -> u64 {
        self.consumed
    }

    /// The first damage.
    pub(super) fn damage(&self) -> Option<Damage> {
        self.damage
    }

    fn read(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> usize {
        let mut at = 0;
        loop {
            if self.to_pass > 0 && !self.pass(bytes.len() - at, &mut at) {
                return at;
            }
            let rest = &bytes[at..];
            // In what is searched, a length that is out of all measure is chance.
            let length = header(rest).filter(|length| !self.searching || *length <= LARGEST);
            let Some(length) = length else {
                if rest.len() < HEADER {
                    return at;
                }
                let skipped = self.search(rest);
                at += skipped;
                self.consumed += skipped as u64;
                continue;
            };
            if length > LARGEST {
                self.to_pass = length.saturating_add((HEADER + FOOTER) as u64);
                continue;
            }
            let end = HEADER + length as usize;
            let Some(checksum) = rest.get(end..end + FOOTER) else {
                return at;
            };
            self.searching = false;
            let payload = &rest[HEADER..end];
            if masked(payload).to_le_bytes() == checksum {
                each(payload);
            } else {
                self.damage.get_or_insert(Damage::Payload(self.consumed));
            }
            at += end + FOOTER;
            self.consumed += (end + FOOTER) as u64;
        }
    }

    /// Passes over what there is of a large record; returns whether its end was reached.
    fn pass(&mut self, available: usize, at: &mut usize) -> bool {
        let step = self.to_pass.min(available as u64);
        *at += step as usize;
        self.passed += step;
        self.to_pass -= step;
        if self.to_pass > 0 {
            return false;
        }
        self.consumed += std::mem::take(&mut self.passed);
        true
    }

    /// Returns how far the next place is where a record may begin.
    fn search(&mut self, bytes: &[u8]) -> usize {
        if !self.searching {
            self.searching = true;
            self.damage.get_or_insert(Damage::Framing(self.consumed));
        }
        let last = bytes.len() - HEADER;
        (1..=last)
            .find(|at| header(&bytes[*at..]).is_some_and(|length| length <= LARGEST))
            .unwrap_or(last + 1)
    }
}

/// Reads the length of a record, if its checksum is right.
fn header(bytes: &[u8]) -> Option<u64> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let checksum = rest.first_chunk::<4>()?;
    (masked(length).to_le_bytes() == *checksum).then(|| u64::from_le_bytes(*length))
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Frames one payload.
    fn frame(payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u64).to_le_bytes();
        [
            &length[..],
            &masked(&length).to_le_bytes(),
            payload,
            &masked(payload).to_le_bytes(),
        ]
        .concat()
    }

    fn read(file: &[u8], chunk: usize) -> (Vec<Vec<u8>>, Records) {
        let mut records = Records::default();
        let mut found = Vec::new();
        for chunk in file.chunks(chunk) {
            records.push(chunk, &mut |payload| found.push(payload.to_vec()));
        }
        (found, records)
    }

    #[test]
    fn a_damaged_payload_is_left_out_and_what_follows_is_read() {
        let mut file = [frame(b"one"), frame(b"two"), frame(b"three")].concat();
        file[19 + 13] ^= 1;
        let (found, records) = read(&file, 7);
        assert_eq!(found, [b"one".to_vec(), b"three".to_vec()]);
        assert_eq!(records.damage(), Some(Damage::Payload(19)));
        assert_eq!(records.settled(), file.len() as u64);
    }

    #[test]
    fn a_damaged_length_costs_the_record_alone_and_is_told_once() {
        let mut file = [
            frame(b"one"),
            frame(b"two"),
            frame(b"three"),
            frame(b"four"),
        ]
        .concat();
        file[19] ^= 0x10;
        file[19 + 19 + 9] ^= 0x10;
        for chunk in [1, 5, 1000] {
            let (found, records) = read(&file, chunk);
            assert_eq!(found, [b"one".to_vec(), b"four".to_vec()], "{chunk}");
            assert_eq!(records.damage(), Some(Damage::Framing(19)));
            assert_eq!(records.settled(), file.len() as u64);
        }
    }

    #[test]
    fn a_search_ends_at_the_same_record_however_the_file_is_cut() {
        let huge = (LARGEST + 1).to_le_bytes();
        let huge = [&huge[..], &masked(&huge).to_le_bytes()].concat();
        let file = [vec![9; 20], huge, vec![9; 20], frame(b"two")].concat();
        for chunk in 1..file.len() {
            let (found, records) = read(&file, chunk);
            assert_eq!(found, [b"two".to_vec()], "{chunk}");
            assert_eq!(records.damage(), Some(Damage::Framing(0)));
            assert_eq!(records.settled(), file.len() as u64);
        }
    }

    #[test]
    fn a_torn_tail_waits_for_its_rest() {
        let file = [frame(b"one"), frame(b"two")].concat();
        for cut in 19..file.len() {
            let (found, mut records) = read(&file[..cut], 1000);
            assert_eq!((found.len(), records.settled()), (1, 19), "{cut}");
            assert_eq!(records.damage(), None);
            let mut rest = Vec::new();
            records.push(&file[cut..], &mut |payload| rest.extend_from_slice(payload));
            assert_eq!(rest, b"two");
        }
    }

    #[test]
    fn a_huge_record_is_passed_over_and_settled_when_it_is_over() {
        let huge = vec![7; LARGEST as usize + 1];
        let file = [frame(&huge), frame(b"two")].concat();
        let (found, records) = read(&file, 256 << 10);
        assert_eq!((found, records.damage()), (vec![b"two".to_vec()], None));
        let (found, records) = read(&file[..huge.len()], 256 << 10);
        assert_eq!((found.len(), records.settled()), (0, 0));
        assert!(records.partial.len() < 300 << 10);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunks_give_the_same_records(
            parts in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..20).prop_map(|p| frame(&p)),
                    proptest::collection::vec(any::<u8>(), 0..20),
                ],
                0..8,
            ),
            chunk in 1..30usize,
        ) {
            let file = parts.concat();
            let (whole, end) = read(&file, file.len().max(1));
            let (parted, same_end) = read(&file, chunk);
            prop_assert_eq!(whole, parted);
            prop_assert_eq!(end.settled(), same_end.settled());
        }
    }
}
