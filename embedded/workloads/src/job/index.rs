//! Sets of indexes, written as Kubernetes writes them: `0-2,5`.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

/// Some indexes of a Job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexes(BTreeSet<u32>);

impl Indexes {
    /// Reads a set; what is none is left out.
    pub(super) fn parse(text: &str) -> Self {
        let ranges = text.split(',').filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse().ok()?..=last.parse().ok()?)
        });
        Self(ranges.flatten().collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn contains(&self, index: u32) -> bool {
        self.0.contains(&index)
    }

    /// Forgets the indexes from `end` on.
    pub(super) fn keep_below(&mut self, end: u64) {
        self.0.retain(|index| u64::from(*index) < end);
    }
}

impl Extend<u32> for Indexes {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, indexes: I) {
        self.0.extend(indexes);
    }
}

impl Display for Indexes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for &index in &self.0 {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == index => *last = index,
                _ => ranges.push((index, index)),
            }
        }
        let texts = ranges.into_iter().map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}-{last}"),
        });
        f.write_str(&texts.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::Indexes;

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["", "0", "0,1", "0-2", "1,3-5,7,8"] {
            assert_eq!(Indexes::parse(text).to_string(), text);
        }
        assert_eq!(Indexes::parse("x,2,1-,3").to_string(), "2,3");
    }

    #[test]
    fn indexes_that_are_no_more_are_forgotten() {
        let mut indexes = Indexes::parse("0-5");
        indexes.keep_below(2);
        indexes.extend([4]);
        assert_eq!((indexes.to_string().as_str(), indexes.len()), ("0,1,4", 3));
        assert!(indexes.contains(4) && !indexes.contains(2));
    }
}
