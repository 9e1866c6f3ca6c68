//! Sets of indexes, written as Kubernetes writes them: `0-2,5`.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

/// Some indexes of a Job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexes(BTreeSet<u32>);

impl Indexes {
    /// Reads what a set has below `end`; what is no range is left out.
    pub(super) fn parse(text: &str, end: u64) -> Self {
        let last_of_all = u32::try_from(end.saturating_sub(1)).unwrap_or(u32::MAX);
        let ranges = text.split(',').filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let last: u32 = last.parse().ok()?;
            Some(first.parse().ok()?..=last.min(last_of_all))
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
            assert_eq!(Indexes::parse(text, 100).to_string(), text);
        }
        assert_eq!(Indexes::parse("x,2,1-,3", 100).to_string(), "2,3");
        // Whatever somebody writes there, it takes no more room than the Job has parts.
        assert_eq!(Indexes::parse("0-4294967295", 4).to_string(), "0-3");
    }

    #[test]
    fn indexes_that_are_no_more_are_forgotten() {
        let mut indexes = Indexes::parse("0-5", 100);
        indexes.keep_below(2);
        indexes.extend([4]);
        assert_eq!((indexes.to_string().as_str(), indexes.len()), ("0,1,4", 3));
        assert!(indexes.contains(4) && !indexes.contains(2));
    }
}
