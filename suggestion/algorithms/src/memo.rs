//! What a designer may leave for the next one.

use std::any::Any;

/// What a designer worked out from the completed trials of a history, for the next designer of the
/// same space and objective. It spares work and changes no answer; whoever keeps none asks with an
/// empty one.
#[derive(Debug, Default)]
pub struct Memo {
    work: Option<Box<dyn Any + Send>>,
    same: usize,
}

impl Memo {
    /// Says that of the completed trials of the last request the first `count` stand where they
    /// stood, unchanged, and nothing is known of others. To be called before every request.
    pub fn keep_first(&mut self, count: usize) {
        self.same = self.same.min(count);
    }

    /// Takes out what was left, if it is of this type, and how many of the first completed trials
    /// are the same as then.
    pub(crate) fn take<T: 'static>(&mut self) -> Option<(T, usize)> {
        let work = self.work.take()?.downcast().ok()?;
        Some((*work, self.same))
    }

    /// Leaves something that was worked out from so many completed trials.
    pub(crate) fn leave<T: Send + 'static>(&mut self, work: T, completed: usize) {
        self.work = Some(Box::new(work));
        self.same = completed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_found_again_by_its_type_alone() {
        let mut memo = Memo::default();
        memo.leave(7_u8, 10);
        memo.keep_first(4);
        memo.keep_first(6);
        assert_eq!(memo.take::<u8>(), Some((7, 4)));
        assert_eq!(memo.take::<u8>(), None);
        memo.leave(7_u8, 10);
        assert_eq!(memo.take::<u16>(), None);
    }
}
