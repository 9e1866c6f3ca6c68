//! The controller: an LSTM that chooses layer by layer an operation and, by attention to the layers
//! before (its anchors), the connections that skip to it.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::tape::{Matrix, Tape, Var, sigmoid};

/// What the controller is made like.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) layers: usize,
    pub(super) operations: usize,
    /// How many numbers its state has.
    pub(super) hidden: usize,
    /// What logits are divided by.
    pub(super) temperature: f32,
    /// How large logits can be; `None` leaves them alone.
    pub(super) tanh_const: Option<f32>,
    /// The share of connections that is wanted.
    pub(super) skip_target: f32,
}

/// How wide the weights lie around zero at first.
const WIDTH: f32 = 0.01;

/// Where the weights lie in their vector.
#[derive(Clone, Copy, Debug)]
struct Layout {
    begin: Matrix,
    embedding: Matrix,
    softmax: Matrix,
    input: Matrix,
    state: Matrix,
    anchor: Matrix,
    query: Matrix,
    attention: Matrix,
    len: usize,
}

impl Layout {
    fn new(shape: &Shape) -> Self {
        let (h, operations) = (shape.hidden, shape.operations);
        let mut len = 0;
        let mut matrix = |rows, columns| {
            let start = len;
            len += rows * columns;
            Matrix {
                start,
                rows,
                columns,
            }
        };
        let begin = matrix(1, h);
        let embedding = matrix(operations, h);
        let softmax = matrix(h, operations);
        let (input, state) = (matrix(h, 4 * h), matrix(h, 4 * h));
        let (anchor, query) = (matrix(h, h), matrix(h, h));
        let attention = matrix(h, 1);
        Self {
            begin,
            embedding,
            softmax,
            input,
            state,
            anchor,
            query,
            attention,
            len,
        }
    }
}

/// One choice of a run.
struct Decision {
    raw: Var,
    probabilities: Vec<f32>,
    choice: usize,
    /// Whether it is about a connection, not an operation.
    is_skip: bool,
}

/// What the loss of a run is made of: `advantage · −log p`, less `entropy` times the entropy, and
/// `skip` times how far the share of connections is from its target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pull {
    pub(super) advantage: f32,
    pub(super) entropy: f32,
    pub(super) skip: f32,
}

/// A run of the controller: the choices, and how they were made.
pub(super) struct Run<'a> {
    tape: Tape<'a>,
    shape: &'a Shape,
    decisions: Vec<Decision>,
    /// The choices in the order of the flat space.
    pub(super) choices: Vec<usize>,
}

/// Weights of a fresh controller.
pub(super) fn weights(shape: &Shape, rng: &mut Pcg64Mcg) -> Vec<f32> {
    let len = Layout::new(shape).len;
    (0..len)
        .map(|_| WIDTH * (2.0 * rng.random::<f32>() - 1.0))
        .collect()
}

/// Runs the controller; `choose` is given the place and the probabilities of every choice.
pub(super) fn run<'a>(
    shape: &'a Shape,
    weights: &'a [f32],
    mut choose: impl FnMut(usize, &[f32]) -> usize,
) -> Run<'a> {
    let mut run = Run {
        tape: Tape::new(weights),
        shape,
        decisions: Vec::new(),
        choices: Vec::new(),
    };
    let (layout, h) = (Layout::new(shape), shape.hidden);
    let mut state = (run.tape.zeros(h), run.tape.zeros(h));
    let mut input = run.tape.row(layout.begin, 0);
    let mut anchors: Vec<(Var, Var)> = Vec::new();
    for layer in 0..shape.layers {
        state = run.lstm(&layout, input, state);
        let logits = run.tape.product(&[(state.1, layout.softmax)]);
        let operation = run.decide(logits, false, &mut choose);
        input = run.tape.row(layout.embedding, operation);
        state = run.lstm(&layout, input, state);
        let output = state.1;
        let mut chosen = Vec::new();
        if layer > 0 {
            let query = run.tape.product(&[(output, layout.query)]);
            for (anchor, key) in &anchors {
                let attended = run.tape.tanh_sum(query, *key);
                let logit = run.tape.product(&[(attended, layout.attention)]);
                if run.decide(logit, true, &mut choose) == 1 {
                    chosen.push(*anchor);
                }
            }
            let scale = 1.0 / (1.0 + chosen.len() as f32);
            input = run.tape.scaled_sum(chosen, h, scale);
        } else {
            input = run.tape.row(layout.begin, 0);
        }
        let key = run.tape.product(&[(output, layout.anchor)]);
        anchors.push((output, key));
    }
    run
}

impl Run<'_> {
    fn lstm(&mut self, layout: &Layout, input: Var, (cell, output): (Var, Var)) -> (Var, Var) {
        let gates = self
            .tape
            .product(&[(input, layout.input), (output, layout.state)]);
        self.tape.cell(gates, cell)
    }

    /// Makes one choice: among operations, or whether there is a connection.
    fn decide(
        &mut self,
        raw: Var,
        is_skip: bool,
        choose: &mut impl FnMut(usize, &[f32]) -> usize,
    ) -> usize {
        let logits = self.tape.value(raw).iter().map(|x| self.shape.squash(*x).0);
        let mut logits: Vec<f32> = logits.collect();
        if is_skip {
            // The two logits of a connection are each other's negative.
            logits.insert(0, -logits[0]);
        }
        let probabilities = softmax(&logits);
        let choice = choose(self.choices.len(), &probabilities).min(probabilities.len() - 1);
        self.choices.push(choice);
        self.decisions.push(Decision {
            raw,
            probabilities,
            choice,
            is_skip,
        });
        choice
    }

    /// The logarithm of the probability of all choices.
    #[cfg(test)]
    pub(super) fn log_probability(&self) -> f32 {
        let logs = self
            .decisions
            .iter()
            .map(|d| d.probabilities[d.choice].ln());
        logs.sum()
    }

    /// The loss of this run.
    #[cfg(test)]
    pub(super) fn loss(&self, pull: Pull) -> f32 {
        let mut loss = -pull.advantage * self.log_probability();
        for decision in &self.decisions {
            let p = &decision.probabilities;
            loss += pull.entropy * p.iter().map(|p| p * p.ln()).sum::<f32>();
            if decision.is_skip {
                let q = self.shape.squash(self.tape.value(decision.raw)[0]).0;
                loss += pull.skip * self.skip_share() * self.shape.divergence(q).0;
            }
        }
        loss
    }

    /// What one connection weighs in the penalty, which is the mean over layers.
    fn skip_share(&self) -> f32 {
        1.0 / (self.shape.layers.max(2) - 1) as f32
    }

    /// Adds the gradient of the loss of this run.
    pub(super) fn backward(mut self, pull: Pull, gradient: &mut [f32]) {
        let share = pull.skip * self.skip_share();
        for decision in std::mem::take(&mut self.decisions) {
            let raw = self.tape.value(decision.raw).to_vec();
            let p = &decision.probabilities;
            let entropy: f32 = p.iter().map(|p| -p * p.ln()).sum();
            let slope = |k: usize| {
                let target = if k == decision.choice { 1.0 } else { 0.0 };
                pull.advantage * (p[k] - target) + pull.entropy * p[k] * (p[k].ln() + entropy)
            };
            let slopes: Vec<f32> = if decision.is_skip {
                let (q, inner) = self.shape.squash(raw[0]);
                vec![(slope(1) - slope(0) + share * self.shape.divergence(q).1) * inner]
            } else {
                let pairs = raw.iter().enumerate();
                pairs
                    .map(|(k, x)| slope(k) * self.shape.squash(*x).1)
                    .collect()
            };
            self.tape.slope(decision.raw, &slopes);
        }
        self.tape.backward(gradient);
    }
}

impl Shape {
    /// A logit as it counts, and its slope.
    fn squash(&self, x: f32) -> (f32, f32) {
        let x = x / self.temperature;
        match self.tanh_const {
            None => (x, 1.0 / self.temperature),
            Some(most) => {
                let y = x.tanh();
                (most * y, most * (1.0 - y * y) / self.temperature)
            }
        }
    }

    /// How far the logit of a connection is from the share that is wanted, and its slope: the
    /// divergence of the sigmoids of both logits.
    fn divergence(&self, q: f32) -> (f32, f32) {
        let (on, off) = (sigmoid(q), sigmoid(-q));
        let gains = (on / self.skip_target).ln();
        let losses = (off / (1.0 - self.skip_target).max(1e-6)).ln();
        (on * gains + off * losses, on * off * (gains - losses))
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|x| (x - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    // Never zero, so that there is a logarithm.
    let share = |power: f32| (power / sum).max(1e-12);
    powers.into_iter().map(share).collect()
}

/// Draws one of several by their probabilities.
pub(super) fn draw(probabilities: &[f32], rng: &mut Pcg64Mcg) -> usize {
    let mut left: f32 = rng.random();
    for (k, p) in probabilities.iter().enumerate() {
        left -= p;
        if left < 0.0 {
            return k;
        }
    }
    probabilities.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::stream;

    fn shape(tanh_const: Option<f32>) -> Shape {
        Shape {
            layers: 4,
            operations: 3,
            hidden: 5,
            temperature: 1.5,
            tanh_const,
            skip_target: 0.4,
        }
    }

    #[test]
    fn gradients_are_those_of_differences() {
        for (seed, tanh_const) in [(1, Some(2.25)), (2, None)] {
            let shape = shape(tanh_const);
            let mut rng = stream::rng(seed, 0);
            let theta: Vec<f32> = weights(&shape, &mut rng).iter().map(|w| 60.0 * w).collect();
            let choices = run(&shape, &theta, |_, p| draw(p, &mut rng)).choices;
            let pull = Pull {
                advantage: 1.3,
                entropy: 0.4,
                skip: 0.8,
            };
            let loss = |theta: &[f32]| run(&shape, theta, |place, _| choices[place]).loss(pull);
            let mut gradient = vec![0.0; theta.len()];
            run(&shape, &theta, |place, _| choices[place]).backward(pull, &mut gradient);
            let size = gradient.iter().map(|g| g.abs()).fold(0.0, f32::max);
            assert!(size > 0.01, "{size}");
            for place in 0..theta.len() {
                let (mut up, mut down) = (theta.clone(), theta.clone());
                up[place] += 5e-3;
                down[place] -= 5e-3;
                let slope = (loss(&up) - loss(&down)) / 1e-2;
                let off = (slope - gradient[place]).abs();
                assert!(
                    off < 4e-3 * size.max(1.0),
                    "{place}: {slope} {}",
                    gradient[place]
                );
            }
        }
    }

    #[test]
    fn a_run_that_is_forced_has_the_probability_of_its_choices() {
        let shape = shape(Some(2.25));
        let mut rng = stream::rng(7, 0);
        let theta = weights(&shape, &mut rng);
        let drawn = run(&shape, &theta, |_, p| draw(p, &mut rng));
        assert_eq!(drawn.choices.len(), 4 + 6);
        let choices = drawn.choices.clone();
        let forced = run(&shape, &theta, |place, _| choices[place]);
        assert_eq!(forced.log_probability(), drawn.log_probability());
        assert_eq!(forced.choices, choices);
    }
}
