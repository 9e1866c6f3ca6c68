//! Numbers from chance that depend on a seed alone: SplitMix64 (Steele et al., 2014).

use diwan_api::SearchSpace;
use diwan_api::search_space::{Domain, Scale, Value};

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Draws(u64);

impl Draws {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6a09_e667_f3bc_c908)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number of the normal distribution (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A point whose values are drawn as the space says.
    pub fn point(&mut self, space: &SearchSpace) -> Vec<Value> {
        let domains = space.parameters.iter().map(|p| &p.domain);
        domains
            .map(|domain| at_quantile(domain, self.uniform()))
            .collect()
    }
}

/// The value below which the share `u`, from 0 to 1, of a domain lies.
pub fn at_quantile(domain: &Domain, u: f64) -> Value {
    let index = |count: usize| ((u * count as f64) as usize).min(count.saturating_sub(1));
    match domain {
        Domain::Double {
            min, max, scale, ..
        } => Value::Double(between(*min, *max, *scale, u)),
        Domain::Int {
            min, max, scale, ..
        } => {
            // Every number has half of the way to its neighbours.
            let x = between(*min as f64 - 0.5, *max as f64 + 0.5, *scale, u);
            Value::Int((x.round() as i64).clamp(*min, *max))
        }
        Domain::Discrete(list) => Value::Index(index(list.len())),
        Domain::Categorical(list) => Value::Index(index(list.len())),
    }
}

fn between(low: f64, high: f64, scale: Scale, u: f64) -> f64 {
    match scale {
        Scale::LogUniform | Scale::LogNormal => (low * (high / low).powf(u)).clamp(low, high),
        Scale::Uniform | Scale::Normal => low + u * (high - low),
    }
}
