//! The Cholesky factor of a symmetric positive definite matrix, which grows by single rows.
//!
//! Rows lie in memory one after the other, each to its diagonal only, so that every inner loop
//! is the product of two stretches of memory.

/// A lower triangular matrix `L`, standing for `L Lᵀ`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cholesky {
    rows: Vec<Vec<f64>>,
}

impl Cholesky {
    /// Factors a matrix that is given by its lower rows. `None` when it is not positive definite.
    pub(crate) fn new(lower: impl IntoIterator<Item = Vec<f64>>) -> Option<Self> {
        let mut factor = Self::default();
        for row in lower {
            factor.push(row)?;
        }
        Some(factor)
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// A row to its diagonal.
    pub(crate) fn row(&self, index: usize) -> &[f64] {
        &self.rows[index]
    }

    /// Adds a row (with its diagonal) to the matrix that this stands for. `None`, and nothing
    /// added, when it would not be positive definite.
    pub(crate) fn push(&mut self, mut row: Vec<f64>) -> Option<()> {
        for j in 0..self.rows.len() {
            let factor = &self.rows[j];
            row[j] = (row[j] - dot(&row[..j], &factor[..j])) / factor[j];
        }
        let last = self.rows.len();
        let square = row[last] - dot(&row[..last], &row[..last]);
        if !(square > 0.0 && square.is_finite()) {
            return None;
        }
        row[last] = square.sqrt();
        self.rows.push(row);
        Some(())
    }

    /// Solves `L x = b` in place.
    pub(crate) fn solve_lower(&self, b: &mut [f64]) {
        for (i, row) in self.rows.iter().enumerate() {
            b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
        }
    }

    /// Solves `L Lᵀ x = b` in place.
    pub(crate) fn solve(&self, b: &mut [f64]) {
        self.solve_lower(b);
        for (i, row) in self.rows.iter().enumerate().rev() {
            b[i] /= row[i];
            let x = b[i];
            for (b, l) in b[..i].iter_mut().zip(row) {
                *b -= x * l;
            }
        }
    }

    /// The logarithm of the determinant of `L Lᵀ`.
    pub(crate) fn log_determinant(&self) -> f64 {
        let logs = self.rows.iter().enumerate().map(|(i, row)| row[i].ln());
        2.0 * logs.sum::<f64>()
    }

    /// The inverse of `L Lᵀ`, whole rows.
    pub(crate) fn inverse(&self) -> Vec<Vec<f64>> {
        let n = self.rows.len();
        // Column j of the inverse of L, from its diagonal on.
        let columns: Vec<Vec<f64>> = (0..n)
            .map(|j| {
                let mut column = Vec::with_capacity(n - j);
                column.push(1.0 / self.rows[j][j]);
                for i in j + 1..n {
                    let row = &self.rows[i];
                    column.push(-dot(&row[j..i], &column) / row[i]);
                }
                column
            })
            .collect();
        let mut inverse = vec![vec![0.0; n]; n];
        for i in 0..n {
            for j in 0..=i {
                let product = dot(&columns[i], &columns[j][i - j..]);
                inverse[i][j] = product;
                inverse[j][i] = product;
            }
        }
        inverse
    }
}

/// The product of two vectors of the same length, in sums that a processor adds side by side.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_parts, b_parts) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a_parts
        .remainder()
        .iter()
        .zip(b_parts.remainder())
        .map(|(a, b)| a * b)
        .sum::<f64>();
    for (a, b) in a_parts.zip(b_parts) {
        for k in 0..8 {
            sums[k] += a[k] * b[k];
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Vec<Vec<f64>> {
        let at = |i: usize, j: usize| (-(i as f64 - j as f64).powi(2) / 30.0).exp();
        (0..12)
            .map(|i| {
                (0..=i)
                    .map(|j| at(i, j) + f64::from(u8::from(i == j)) * 0.1)
                    .collect()
            })
            .collect()
    }

    #[test]
    fn the_inverse_undoes_the_matrix() {
        let lower = matrix();
        let inverse = Cholesky::new(lower.clone()).unwrap().inverse();
        let at = |i: usize, j: usize| lower[i.max(j)][i.min(j)];
        for i in 0..12 {
            for j in 0..12 {
                let entry: f64 = inverse
                    .iter()
                    .enumerate()
                    .map(|(k, row)| at(i, k) * row[j])
                    .sum();
                assert!((entry - f64::from(u8::from(i == j))).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_solution_fits_the_equation() {
        let lower = matrix();
        let factor = Cholesky::new(lower.clone()).unwrap();
        let mut x: Vec<f64> = (0..12).map(f64::from).collect();
        factor.solve(&mut x);
        for i in 0..12 {
            let b: f64 = (0..12).map(|j| lower[i.max(j)][i.min(j)] * x[j]).sum();
            assert!((b - i as f64).abs() < 1e-9);
        }
    }

    #[test]
    fn what_is_not_positive_definite_is_not_factored() {
        assert!(Cholesky::new([vec![1.0], vec![1.0, 1.0]]).is_none());
        assert!(Cholesky::new([vec![f64::NAN]]).is_none());
    }
}
