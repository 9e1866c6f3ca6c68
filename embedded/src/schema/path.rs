//! Where in an object a walk over it is.

use std::fmt::{self, Display, Formatter, Write};

/// A path such as `spec.containers[0].image`, written once and cut back on the way out.
#[derive(Debug, Default)]
pub(crate) struct Path(String);

impl Path {
    /// Does something in a field.
    pub(crate) fn within<T>(&mut self, field: &str, act: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.0.len();
        if length > 0 {
            self.0.push('.');
        }
        self.0.push_str(field);
        let result = act(self);
        self.0.truncate(length);
        result
    }

    /// Does something at a place in a list.
    pub(crate) fn at<T>(&mut self, index: usize, act: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.0.len();
        // Writing to a string does not fail.
        let _ = write!(self.0, "[{index}]");
        let result = act(self);
        self.0.truncate(length);
        result
    }

    /// The path as text; empty at the root.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn a_path_is_cut_back() {
        let mut path = Path::default();
        path.within("a", |path| {
            path.at(0, |path| {
                path.within("b", |path| assert_eq!(path.as_str(), "a[0].b"));
            });
            assert_eq!(path.as_str(), "a");
        });
    }
}
