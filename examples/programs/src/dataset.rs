//! The data that the programs learn from, and how it is prepared.

use linfa::Dataset;
use ndarray::{Array1, Array2, Axis, Ix1, concatenate};

/// 1,599 red wines with 11 chemical measurements; the target is whether tasters gave 6 or more
/// of 10 points, which is so for 53 of 100.
pub fn good_wine() -> Dataset<f64, bool, Ix1> {
    linfa_datasets::winequality().map_targets(|points| *points >= 6)
}

/// 441 patients with 10 measurements; the target is the progress of diabetes after a year, from
/// 25 to 346.
pub fn diabetes() -> Dataset<f64, f64, Ix1> {
    linfa_datasets::diabetes()
}

/// 150 flowers with 4 measurements; the target is one of three species.
pub fn iris() -> Dataset<f64, usize, Ix1> {
    linfa_datasets::iris()
}

/// The given rows, in the given order; a row may come more than once.
pub fn rows<T: Clone>(data: &Dataset<f64, T, Ix1>, indices: &[usize]) -> Dataset<f64, T, Ix1> {
    let targets: Array1<T> = indices.iter().map(|&i| data.targets[i].clone()).collect();
    Dataset::new(data.records.select(Axis(0), indices), targets)
}

/// Adds all squares and products of two columns to the columns.
pub fn with_products(records: &Array2<f64>) -> Array2<f64> {
    let mut columns = vec![records.view()];
    let products: Vec<Array2<f64>> = (0..records.ncols())
        .flat_map(|i| (i..records.ncols()).map(move |j| (i, j)))
        .map(|(i, j)| (&records.column(i) * &records.column(j)).insert_axis(Axis(1)))
        .collect();
    columns.extend(products.iter().map(Array2::view));
    concatenate(Axis(1), &columns).expect("all columns have as many rows as the records")
}

/// Shifts and scales columns to mean 0 and standard deviation 1, as measured on training rows,
/// so that nothing of the validation rows leaks into the model.
pub struct Scaler {
    mean: Array1<f64>,
    deviation: Array1<f64>,
}

impl Scaler {
    /// Measures the columns. A constant column is shifted only.
    pub fn fit(records: &Array2<f64>) -> Self {
        let count = records.nrows().max(1) as f64;
        let mean = records.sum_axis(Axis(0)) / count;
        let variance = (records - &mean).mapv(|x| x * x).sum_axis(Axis(0)) / count;
        let deviation = variance.mapv(|v| if v > 1e-24 { v.sqrt() } else { 1.0 });
        Self { mean, deviation }
    }

    /// Scales records of the same columns.
    pub fn apply(&self, records: &Array2<f64>) -> Array2<f64> {
        (records - &self.mean) / &self.deviation
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn data_is_what_its_description_says() {
        let wine = good_wine();
        assert_eq!(wine.records.dim(), (1599, 11));
        let good = wine.targets.iter().filter(|&&good| good).count();
        assert_eq!(good, 855);
        assert_eq!(diabetes().records.dim(), (441, 10));
        assert_eq!(iris().records.dim(), (150, 4));
    }

    #[test]
    fn rows_come_in_the_given_order_and_may_repeat() {
        let data = Dataset::new(array![[1.0], [2.0], [3.0]], array!['a', 'b', 'c']);
        let picked = rows(&data, &[2, 0, 2]);
        assert_eq!(picked.records, array![[3.0], [1.0], [3.0]]);
        assert_eq!(picked.targets, array!['c', 'a', 'c']);
    }

    #[test]
    fn products_follow_the_columns() {
        let got = with_products(&array![[2.0, 3.0], [-1.0, 4.0]]);
        assert_eq!(
            got,
            array![[2.0, 3.0, 4.0, 6.0, 9.0], [-1.0, 4.0, 1.0, -4.0, 16.0]]
        );
    }

    #[test]
    fn scaling_is_measured_on_training_rows_alone() {
        let scaler = Scaler::fit(&array![[0.0, 7.0], [4.0, 7.0]]);
        assert_eq!(
            scaler.apply(&array![[0.0, 7.0], [4.0, 7.0]]),
            array![[-1.0, 0.0], [1.0, 0.0]]
        );
        assert_eq!(scaler.apply(&array![[6.0, 9.0]]), array![[2.0, 2.0]]);
    }
}
