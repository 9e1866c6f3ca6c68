//! How good predictions are.

use ndarray::{Array1, Array2};

/// The share of predictions that are right, from 0 to 1; NaN of nothing.
pub fn accuracy<T: PartialEq>(predicted: &Array1<T>, actual: &Array1<T>) -> f64 {
    let right = predicted.iter().zip(actual).filter(|(p, a)| p == a).count();
    right as f64 / actual.len() as f64
}

/// The harmonic mean of precision and recall of `true`, from 0 to 1; 0 when none is found.
pub fn f1(predicted: &Array1<bool>, actual: &Array1<bool>) -> f64 {
    let found = predicted
        .iter()
        .zip(actual)
        .filter(|(p, a)| **p && **a)
        .count() as f64;
    let claimed = predicted.iter().filter(|&&p| p).count() as f64;
    let present = actual.iter().filter(|&&a| a).count() as f64;
    if found == 0.0 {
        0.0
    } else {
        2.0 * found / (claimed + present)
    }
}

/// The mean of -ln(probability given to the class that came true), at least 0. A probability
/// counts as at least 1e-15.
///
/// `probabilities` has a row for each prediction and a column for each class.
pub fn log_loss(probabilities: &Array2<f64>, actual: &Array1<usize>) -> f64 {
    let total: f64 = probabilities
        .rows()
        .into_iter()
        .zip(actual)
        .map(|(row, &class)| -row[class].clamp(1e-15, 1.0).ln())
        .sum();
    total / actual.len() as f64
}

/// The root of the mean squared error, in the unit of the target.
pub fn rmse(predicted: &Array1<f64>, actual: &Array1<f64>) -> f64 {
    let squares: f64 = predicted
        .iter()
        .zip(actual)
        .map(|(p, a)| (p - a).powi(2))
        .sum();
    (squares / actual.len() as f64).sqrt()
}

/// The share of the target's variance that is explained: 1 is perfect, 0 is the mean's.
pub fn r2(predicted: &Array1<f64>, actual: &Array1<f64>) -> f64 {
    let mean = actual.sum() / actual.len() as f64;
    let left: f64 = predicted
        .iter()
        .zip(actual)
        .map(|(p, a)| (p - a).powi(2))
        .sum();
    let all: f64 = actual.iter().map(|a| (a - mean).powi(2)).sum();
    1.0 - left / all
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn accuracy_counts_what_is_right() {
        assert_eq!(accuracy(&array![1, 2, 3, 4], &array![1, 2, 0, 4]), 0.75);
    }

    #[test]
    fn f1_weighs_precision_and_recall() {
        let actual = array![true, true, true, false];
        assert_eq!(f1(&array![true, true, false, true], &actual), 2.0 / 3.0);
        assert_eq!(f1(&array![false, false, false, false], &actual), 0.0);
        assert_eq!(f1(&actual, &actual), 1.0);
    }

    #[test]
    fn log_loss_of_a_coin_is_ln_2_and_stays_finite() {
        let coin = array![[0.5, 0.5], [0.5, 0.5]];
        assert!((log_loss(&coin, &array![0, 1]) - 2f64.ln()).abs() < 1e-12);
        assert!((log_loss(&array![[1.0, 0.0]], &array![1]) - 1e15f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn regression_is_judged_against_the_mean() {
        let actual = array![1.0, 3.0];
        assert_eq!(rmse(&array![2.0, 2.0], &actual), 1.0);
        assert_eq!(r2(&array![2.0, 2.0], &actual), 0.0);
        assert_eq!(r2(&actual, &actual), 1.0);
    }
}
