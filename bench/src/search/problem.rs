//! What is minimized.

use diwan_api::SearchSpace;
use diwan_api::search_space::{Domain, Parameter, Scale, Value};

use super::draw::{Draws, at_quantile};

/// Spaces with no more points than this are searched completely for their best value.
const COUNTABLE: u64 = 100_000;

type Function = Box<dyn Fn(&[f64]) -> f64 + Send + Sync>;

/// A function over a search space.
pub struct Problem {
    /// Its name.
    pub name: String,
    /// What it is counted with.
    pub group: &'static str,
    /// Its space.
    pub space: SearchSpace,
    /// The smallest value that is known.
    pub best: f64,
    /// The deviation of what is observed from the value.
    pub noise: f64,
    function: Function,
}

impl Problem {
    /// A problem with a best value that is known. The function takes numbers as they are and
    /// categories by their place in the list.
    pub fn new(
        (group, name): (&'static str, impl Into<String>),
        parameters: Vec<Parameter>,
        best: f64,
        function: impl Fn(&[f64]) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            group,
            space: SearchSpace { parameters },
            best,
            noise: 0.0,
            function: Box::new(function),
        }
    }

    /// A problem whose best value has to be looked for.
    pub fn unsolved(
        name: (&'static str, impl Into<String>),
        parameters: Vec<Parameter>,
        function: impl Fn(&[f64]) -> f64 + Send + Sync + 'static,
    ) -> Self {
        let mut problem = Self::new(name, parameters, f64::INFINITY, function);
        problem.best = problem.search();
        problem
    }

    /// The same with noise of a deviation on what is observed.
    pub fn noisy(mut self, deviation: f64) -> Self {
        self.noise = deviation;
        self
    }

    /// The value of a point.
    pub fn value(&self, point: &[Value]) -> f64 {
        let pairs = self.space.parameters.iter().zip(point);
        let numbers: Vec<f64> = pairs.map(|(p, value)| number(&p.domain, *value)).collect();
        (self.function)(&numbers)
    }

    /// The smallest value that a long search finds: all points where they can be counted, else
    /// the best of many, each improved by steps that become smaller.
    fn search(&self) -> f64 {
        if let Some(count) = self.space.cardinality().filter(|n| *n <= COUNTABLE) {
            let values = (0..count).map(|index| self.value(&self.nth(index)));
            return values.fold(f64::INFINITY, f64::min);
        }
        let mut draws = Draws::new(5);
        let dimensions = self.space.parameters.len();
        let mut starts: Vec<(f64, Vec<f64>)> = (0..20_000)
            .map(|_| {
                let place: Vec<f64> = (0..dimensions).map(|_| draws.uniform()).collect();
                (self.at(&place), place)
            })
            .collect();
        starts.sort_by(|a, b| a.0.total_cmp(&b.0));
        starts.truncate(20);
        let improved = starts.into_iter().map(|(mut value, mut place)| {
            for step in 0..4000 {
                let reach = 0.2 * 0.998_f64.powi(step);
                let mut next = place.clone();
                for x in &mut next {
                    if draws.uniform() < 0.5 {
                        *x = (*x + reach * draws.normal()).clamp(0.0, 1.0);
                    }
                }
                let found = self.at(&next);
                if found <= value {
                    (value, place) = (found, next);
                }
            }
            value
        });
        improved.fold(f64::INFINITY, f64::min)
    }

    fn at(&self, place: &[f64]) -> f64 {
        let pairs = self.space.parameters.iter().zip(place);
        let point: Vec<Value> = pairs.map(|(p, u)| at_quantile(&p.domain, *u)).collect();
        self.value(&point)
    }

    /// The point at an index of a finite space.
    fn nth(&self, mut index: u64) -> Vec<Value> {
        let domains = self.space.parameters.iter().map(|p| &p.domain);
        let values = domains.map(|domain| {
            let count = domain.cardinality().unwrap_or(1);
            let value = domain.value_at(index % count);
            index /= count;
            value.unwrap_or(Value::Index(0))
        });
        values.collect()
    }
}

fn number(domain: &Domain, value: Value) -> f64 {
    match (domain, value) {
        (Domain::Discrete(list), Value::Index(index)) => list[index].0,
        (_, Value::Index(index)) => index as f64,
        (_, Value::Int(n)) => n as f64,
        (_, Value::Double(x)) => x,
    }
}

/// A real number.
pub fn double(name: impl Into<String>, min: f64, max: f64) -> Parameter {
    scaled(name, min, max, Scale::Uniform)
}

/// A real number that is drawn evenly in the logarithm.
pub fn log_double(name: impl Into<String>, min: f64, max: f64) -> Parameter {
    scaled(name, min, max, Scale::LogUniform)
}

fn scaled(name: impl Into<String>, min: f64, max: f64, scale: Scale) -> Parameter {
    let domain = Domain::Double {
        min,
        max,
        step: None,
        scale,
    };
    Parameter {
        name: name.into(),
        domain,
    }
}

/// A whole number.
pub fn int(name: impl Into<String>, min: i64, max: i64, scale: Scale) -> Parameter {
    let domain = Domain::Int {
        min,
        max,
        step: 1,
        scale,
    };
    Parameter {
        name: name.into(),
        domain,
    }
}

/// Numbers of a list.
pub fn discrete(name: impl Into<String>, list: &[f64]) -> Parameter {
    let items = list.iter().map(|x| (*x, x.to_string()));
    Parameter {
        name: name.into(),
        domain: Domain::Discrete(items.collect()),
    }
}

/// Words of a list.
pub fn category<T: ToString>(name: impl Into<String>, list: &[T]) -> Parameter {
    let items = list.iter().map(T::to_string);
    Parameter {
        name: name.into(),
        domain: Domain::Categorical(items.collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_a_space_that_can_be_counted_is_exact() {
        let space = vec![
            int("x", -50, 50, Scale::Uniform),
            category("c", &["a", "b"]),
        ];
        let problem = Problem::unsolved(("test", "valley"), space, |x| {
            (x[0] - 7.3).abs() + 0.25 * (1.0 - x[1])
        });
        assert!((problem.best - 0.3).abs() < 1e-12, "{}", problem.best);
    }

    #[test]
    fn the_best_of_a_continuous_space_is_found_closely() {
        let space = vec![double("x", -1.0, 3.0), log_double("y", 1e-3, 10.0)];
        let problem = Problem::unsolved(("test", "bowl"), space, |x| {
            (x[0] - 0.7).powi(2) + (x[1].ln() + 2.0).powi(2)
        });
        assert!(problem.best < 1e-6, "{}", problem.best);
    }
}
