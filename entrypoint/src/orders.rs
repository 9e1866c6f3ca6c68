//! What the node tells the holder: lines appended to `DIR/orders`, after each of which it sends
//! SIGUSR1.
//!
//! ```text
//! started RESTART CONTAINER        it has started, so others go on
//! kill RESTART GRACE CONTAINER     end this run within so many seconds
//! go RESTART CONTAINER             its last preparations are made: it may be asked to end
//! ```

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// One order. The numbers are those of runs, so that an order that comes too late does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// A container has started.
    Started(u32, String),
    /// A container's run is to end within so many seconds.
    Kill(u32, u64, String),
    /// A container may be asked to end.
    Go(u32, String),
}

impl Order {
    /// Reads a line; `None`: it makes no sense.
    fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        let (restart, rest) = rest.split_once(' ')?;
        let restart = restart.parse().ok()?;
        match word {
            "started" => Some(Self::Started(restart, rest.to_owned())),
            "go" => Some(Self::Go(restart, rest.to_owned())),
            "kill" => {
                let (grace, name) = rest.split_once(' ')?;
                Some(Self::Kill(restart, grace.parse().ok()?, name.to_owned()))
            }
            _ => None,
        }
    }
}

/// The orders that were read so far, by their length.
#[derive(Default)]
pub(crate) struct Orders {
    read: u64,
}

impl Orders {
    /// The orders that are new.
    pub(crate) fn take(&mut self, folder: &Path) -> Vec<Order> {
        let mut text = String::new();
        let read = File::open(folder.join("orders")).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.read))?;
            file.read_to_string(&mut text)
        });
        if read.is_err() {
            return Vec::new();
        }
        // A line that is still being written is taken the next time.
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        self.read += whole as u64;
        text[..whole].lines().filter_map(Order::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_whole_line_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut orders = Orders::default();
        assert!(orders.take(folder.path()).is_empty());
        let write = |text: &str| std::fs::write(folder.path().join("orders"), text).unwrap();
        write("started 0 a\nkill 1 30 b");
        assert_eq!(orders.take(folder.path()), [Order::Started(0, "a".into())]);
        write("started 0 a\nkill 1 30 b\nnonsense\ngo 2 c\n");
        assert_eq!(
            orders.take(folder.path()),
            [Order::Kill(1, 30, "b".into()), Order::Go(2, "c".into())]
        );
        assert!(orders.take(folder.path()).is_empty());
    }
}
