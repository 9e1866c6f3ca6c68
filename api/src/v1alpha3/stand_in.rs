//! Words that stand in for what can't be written yet.

/// Words of letters and digits that don't occur in a text, none of them a part of another.
pub(super) struct StandIns(String);

impl StandIns {
    /// Words that don't occur in `text`.
    pub(super) fn new(text: &str) -> Self {
        let mut base = "standin".to_owned();
        while text.contains(&base) {
            base.push('x');
        }
        Self(base)
    }

    /// The word of number `i`.
    pub(super) fn word(&self, i: usize) -> String {
        format!("{}{i}e", self.0)
    }
}
