//! Which rows a model learns from and which it is judged by.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

/// Indices of rows, each row on one side only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Rows to learn from.
    pub train: Vec<usize>,
    /// Rows to be judged by.
    pub validation: Vec<usize>,
}

/// Deals rows to `folds` folds, one split for each, so that every row is judged by once. Rows
/// are shuffled by `seed` first, then sorted by `stratum` (stable), so that each fold gets its
/// share of every stratum. With fewer rows than folds, some folds judge by nothing.
///
/// `stratum` gives the class of each row; for regression, a constant.
pub fn folds<S: Ord>(strata: &[S], folds: usize, seed: u64) -> Vec<Split> {
    let mut order: Vec<usize> = (0..strata.len()).collect();
    order.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
    order.sort_by(|&a, &b| strata[a].cmp(&strata[b]));
    (0..folds)
        .map(|fold| {
            let (validation, train): (Vec<_>, Vec<_>) = order
                .iter()
                .enumerate()
                .partition(|(position, _)| position % folds == fold);
            let rows = |side: Vec<(usize, &usize)>| side.into_iter().map(|(_, &row)| row).collect();
            Split {
                train: rows(train),
                validation: rows(validation),
            }
        })
        .collect()
}

/// One split: one row in `parts` is judged by, the others are learnt from.
pub fn hold_out<S: Ord>(strata: &[S], parts: usize, seed: u64) -> Split {
    folds(strata, parts.max(2), seed).swap_remove(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_row_is_judged_by_exactly_once(
            strata in prop::collection::vec(0u8..3, 0..60), count in 2usize..7, seed: u64,
        ) {
            let splits = folds(&strata, count, seed);
            prop_assert_eq!(splits.len(), count);
            let mut judged: Vec<usize> =
                splits.iter().flat_map(|s| s.validation.iter().copied()).collect();
            judged.sort_unstable();
            prop_assert_eq!(judged, (0..strata.len()).collect::<Vec<_>>());
            for split in splits {
                let mut both = [split.train, split.validation].concat();
                both.sort_unstable();
                prop_assert_eq!(both, (0..strata.len()).collect::<Vec<_>>());
            }
        }

        #[test]
        fn folds_get_equal_shares_of_a_class(
            strata in prop::collection::vec(0u16..3, 10..60), count in 2usize..7, seed: u64,
        ) {
            let ones = strata.iter().filter(|&&s| s == 1).count();
            for split in folds(&strata, count, seed) {
                let share = split.validation.iter().filter(|&&row| strata[row] == 1).count();
                prop_assert!(share == ones / count || share == ones.div_ceil(count));
            }
        }
    }

    #[test]
    fn the_seed_decides() {
        let strata = vec![0; 100];
        assert_eq!(hold_out(&strata, 4, 1), hold_out(&strata, 4, 1));
        assert_ne!(hold_out(&strata, 4, 1), hold_out(&strata, 4, 2));
        assert_eq!(hold_out(&strata, 4, 1).validation.len(), 25);
    }
}
