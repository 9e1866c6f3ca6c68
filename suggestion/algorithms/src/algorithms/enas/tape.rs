//! Vectors that remember how they were made, so that gradients can be passed back.
//!
//! A tape holds the few operations that the controller is made of, and no others. All sums are
//! made in one fixed order: the same weights give the same numbers, whatever the machine's cores.

/// A vector on the tape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Var {
    start: usize,
    len: usize,
}

impl Var {
    /// A part of it.
    pub(super) fn part(self, start: usize, len: usize) -> Self {
        Self {
            start: self.start + start,
            len,
        }
    }
}

/// A matrix among the weights, row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matrix {
    /// Where it begins.
    pub(super) start: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

enum Step {
    /// A row of a matrix.
    Row { place: usize, out: Var },
    /// `out += x · matrix`
    Product { matrix: Matrix, x: Var, out: Var },
    /// `out = tanh(a + b)`
    TanhSum { a: Var, b: Var, out: Var },
    /// `out = scale · (sum of xs)`
    Mean { xs: Vec<Var>, scale: f32, out: Var },
    /// One step of an LSTM: `out` holds the cell and the output behind one another.
    Cell { gates: Var, cell: Var, out: Var },
}

/// The vectors of one run of the controller.
pub(super) struct Tape<'a> {
    weights: &'a [f32],
    steps: Vec<Step>,
    values: Vec<f32>,
    slopes: Vec<f32>,
}

impl<'a> Tape<'a> {
    pub(super) fn new(weights: &'a [f32]) -> Self {
        Self {
            weights,
            steps: Vec::new(),
            values: Vec::new(),
            slopes: Vec::new(),
        }
    }

    /// The numbers of a vector.
    pub(super) fn value(&self, var: Var) -> &[f32] {
        &self.values[var.start..var.start + var.len]
    }

    /// A vector of zeros.
    pub(super) fn zeros(&mut self, len: usize) -> Var {
        let start = self.values.len();
        self.values.resize(start + len, 0.0);
        Var { start, len }
    }

    /// A row of a matrix.
    pub(super) fn row(&mut self, matrix: Matrix, row: usize) -> Var {
        let place = matrix.start + row * matrix.columns;
        let out = self.zeros(matrix.columns);
        let weights = &self.weights[place..place + matrix.columns];
        self.values[out.start..].copy_from_slice(weights);
        self.steps.push(Step::Row { place, out });
        out
    }

    /// The sum of vectors, each multiplied with a matrix.
    pub(super) fn product(&mut self, pairs: &[(Var, Matrix)]) -> Var {
        let columns = pairs.first().map_or(0, |(_, matrix)| matrix.columns);
        let out = self.zeros(columns);
        let (before, sum) = self.values.split_at_mut(out.start);
        for (x, matrix) in pairs {
            let rows = self.weights[matrix.start..].chunks_exact(columns);
            for (x, row) in before[x.start..x.start + x.len].iter().zip(rows) {
                add(sum, row, *x);
            }
        }
        for (x, matrix) in pairs {
            self.steps.push(Step::Product {
                matrix: *matrix,
                x: *x,
                out,
            });
        }
        out
    }

    /// The hyperbolic tangent of a sum.
    pub(super) fn tanh_sum(&mut self, a: Var, b: Var) -> Var {
        let out = self.zeros(a.len);
        for i in 0..a.len {
            let sum = self.values[a.start + i] + self.values[b.start + i];
            self.values[out.start + i] = sum.tanh();
        }
        self.steps.push(Step::TanhSum { a, b, out });
        out
    }

    /// The sum of vectors, scaled.
    pub(super) fn scaled_sum(&mut self, xs: Vec<Var>, len: usize, scale: f32) -> Var {
        let out = self.zeros(len);
        let (before, sum) = self.values.split_at_mut(out.start);
        for x in &xs {
            add(sum, &before[x.start..x.start + x.len], scale);
        }
        self.steps.push(Step::Mean { xs, scale, out });
        out
    }

    /// One step of an LSTM: the cell and the output. The gates come as input, forget, output and
    /// candidate.
    pub(super) fn cell(&mut self, gates: Var, cell: Var) -> (Var, Var) {
        let n = cell.len;
        let out = self.zeros(2 * n);
        for i in 0..n {
            let gate = |k: usize| self.values[gates.start + k * n + i];
            let kept = sigmoid(gate(1)) * self.values[cell.start + i];
            let next = kept + sigmoid(gate(0)) * gate(3).tanh();
            let output = sigmoid(gate(2)) * next.tanh();
            self.values[out.start + i] = next;
            self.values[out.start + n + i] = output;
        }
        self.steps.push(Step::Cell { gates, cell, out });
        (out.part(0, n), out.part(n, n))
    }

    /// Adds to the slope of the loss along a vector.
    pub(super) fn slope(&mut self, var: Var, slope: &[f32]) {
        self.slopes.resize(self.values.len(), 0.0);
        add(&mut self.slopes[var.start..var.start + var.len], slope, 1.0);
    }

    /// Passes the slopes back to the weights and adds them to `gradient`.
    pub(super) fn backward(mut self, gradient: &mut [f32]) {
        self.slopes.resize(self.values.len(), 0.0);
        let steps = std::mem::take(&mut self.steps);
        for step in steps.iter().rev() {
            self.step_back(step, gradient);
        }
    }

    fn step_back(&mut self, step: &Step, gradient: &mut [f32]) {
        match step {
            Step::Row { place, out } => {
                let slopes = &self.slopes[out.start..out.start + out.len];
                add(&mut gradient[*place..*place + out.len], slopes, 1.0);
            }
            Step::Product { matrix, x, out } => self.product_back(*matrix, *x, *out, gradient),
            Step::TanhSum { a, b, out } => {
                for i in 0..out.len {
                    let y = self.values[out.start + i];
                    let slope = self.slopes[out.start + i] * (1.0 - y * y);
                    self.slopes[a.start + i] += slope;
                    self.slopes[b.start + i] += slope;
                }
            }
            Step::Mean { xs, scale, out } => {
                let (before, slopes) = self.slopes.split_at_mut(out.start);
                for x in xs {
                    let into = &mut before[x.start..x.start + x.len];
                    add(into, &slopes[..out.len], *scale);
                }
            }
            Step::Cell { gates, cell, out } => self.cell_back(*gates, *cell, *out),
        }
    }

    fn product_back(&mut self, matrix: Matrix, x: Var, out: Var, gradient: &mut [f32]) {
        let (before, slopes) = self.slopes.split_at_mut(out.start);
        let slopes = &slopes[..out.len];
        let rows = self.weights[matrix.start..].chunks_exact(matrix.columns);
        let gradients = gradient[matrix.start..].chunks_exact_mut(matrix.columns);
        for (i, (row, gradient)) in rows.zip(gradients).take(matrix.rows).enumerate() {
            before[x.start + i] += dot(row, slopes);
            add(gradient, slopes, self.values[x.start + i]);
        }
    }

    fn cell_back(&mut self, gates: Var, cell: Var, out: Var) {
        let n = cell.len;
        for i in 0..n {
            let gate = |k: usize| self.values[gates.start + k * n + i];
            let [input, forget, output] = [0, 1, 2].map(|k| sigmoid(gate(k)));
            let candidate = gate(3).tanh();
            let top = self.values[out.start + i].tanh();
            let slope = self.slopes[out.start + n + i];
            let next = self.slopes[out.start + i] + slope * output * (1.0 - top * top);
            let before = self.values[cell.start + i];
            let slopes = [
                next * candidate * input * (1.0 - input),
                next * before * forget * (1.0 - forget),
                slope * top * output * (1.0 - output),
                next * input * (1.0 - candidate * candidate),
            ];
            for (k, slope) in slopes.into_iter().enumerate() {
                self.slopes[gates.start + k * n + i] += slope;
            }
            self.slopes[cell.start + i] += next * forget;
        }
    }
}

/// Adds a vector that is scaled.
fn add(into: &mut [f32], x: &[f32], scale: f32) {
    for (into, x) in into.iter_mut().zip(x) {
        *into += x * scale;
    }
}

/// The product of two vectors, summed in eight lanes.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8
        .remainder()
        .iter()
        .zip(b8.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a8.zip(b8) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
