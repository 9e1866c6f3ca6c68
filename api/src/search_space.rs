//! The search space with its values typed: parsed and printed here and nowhere else.

mod parse;

use crate::{FieldErrors, ParameterSpec};

/// All parameters of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchSpace {
    /// The dimensions, in the order in which the user wrote them.
    pub parameters: Vec<Parameter>,
}

/// One dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name of the parameter.
    pub name: String,
    /// The values that it may take.
    pub domain: Domain,
}

/// The values that a parameter may take.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// Real numbers.
    Double {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
        /// Distance between values, counted from `min`.
        step: Option<f64>,
        /// How values are drawn.
        scale: Scale,
    },
    /// Whole numbers.
    Int {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
        /// Distance between values, counted from `min`; at least 1.
        step: i64,
        /// How values are drawn.
        scale: Scale,
    },
    /// Numbers from a list; kept with the text that the user wrote.
    Discrete(Vec<(f64, String)>),
    /// Texts from a list.
    Categorical(Vec<String>),
}

/// How values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Uniform,
    /// Evenly in the logarithm.
    LogUniform,
    /// Mean in the middle, deviation a sixth of the range, truncated to the range.
    Normal,
    /// The same in the logarithm.
    LogNormal,
}

/// One value of a parameter. Which variant belongs to which domain is said with each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of [`Domain::Double`].
    Double(f64),
    /// Of [`Domain::Int`].
    Int(i64),
    /// Position in the list, of [`Domain::Discrete`] and [`Domain::Categorical`].
    Index(usize),
}

impl SearchSpace {
    /// Parses the parameters that are listed under the field `path` and reports everything that
    /// is wrong with them.
    pub fn parse(parameters: &[ParameterSpec], path: &str) -> Result<Self, FieldErrors> {
        parse::parameters(parameters, path)
    }

    /// The parameter of this name.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }

    /// How many points the space has; `None` when it has a continuous dimension or more points
    /// than fit into 64 bits.
    pub fn cardinality(&self) -> Option<u64> {
        self.parameters
            .iter()
            .try_fold(1, |n: u64, p| n.checked_mul(p.domain.cardinality()?))
    }
}

impl Domain {
    /// Prints a value as it is written into an assignment: doubles with the fewest digits that
    /// read back as the same number and never with an exponent, list values as the user wrote
    /// them. `None` when the value belongs to another kind of domain or is no item of the list.
    pub fn print(&self, value: Value) -> Option<String> {
        match (self, value) {
            // Adding zero turns a negative zero into zero.
            (Self::Double { .. }, Value::Double(x)) => Some((x + 0.0).to_string()),
            (Self::Int { .. }, Value::Int(n)) => Some(n.to_string()),
            (Self::Discrete(list), Value::Index(i)) => list.get(i).map(|(_, text)| text.clone()),
            (Self::Categorical(list), Value::Index(i)) => list.get(i).cloned(),
            _ => None,
        }
    }

    /// Reads the text of an assignment. `None` when it is no value of this domain or outside its
    /// bounds. A value between two steps is accepted: somebody may have tried it.
    pub fn parse_value(&self, text: &str) -> Option<Value> {
        match self {
            Self::Double { min, max, .. } => {
                let x = text.parse::<f64>().ok()?;
                (*min <= x && x <= *max).then_some(Value::Double(x))
            }
            Self::Int { min, max, .. } => {
                let n = text.parse().ok().or_else(|| whole(text))?;
                (*min <= n && n <= *max).then_some(Value::Int(n))
            }
            Self::Discrete(list) => {
                let by_text = list.iter().position(|(_, item)| item == text);
                let by_number = || {
                    let x = text.parse::<f64>().ok()?;
                    list.iter().position(|(number, _)| *number == x)
                };
                by_text.or_else(by_number).map(Value::Index)
            }
            Self::Categorical(list) => list.iter().position(|i| i == text).map(Value::Index),
        }
    }

    /// How many values there are, steps counted from `min`; `None` when they are continuous or
    /// more than fit into 64 bits.
    pub fn cardinality(&self) -> Option<u64> {
        match self {
            Self::Double { step: None, .. } => None,
            Self::Double {
                min,
                max,
                step: Some(step),
                ..
            } => {
                // The quotient of decimals is often a hair below the whole number it stands for.
                let steps = ((max - min) / step * (1.0 + 1e-12) + 1e-9).floor();
                (steps < 9.0e15).then_some(steps as u64 + 1)
            }
            Self::Int { min, max, step, .. } => {
                let steps = (i128::from(*max) - i128::from(*min)) / i128::from(*step);
                u64::try_from(steps + 1).ok()
            }
            Self::Discrete(list) => Some(list.len() as u64),
            Self::Categorical(list) => Some(list.len() as u64),
        }
    }

    /// The value at an index below [`Domain::cardinality`], in rising order for doubles and ints
    /// and in the user's order for lists.
    pub fn value_at(&self, index: u64) -> Option<Value> {
        if index >= self.cardinality()? {
            return None;
        }
        match self {
            Self::Double { step: None, .. } => None,
            Self::Double {
                min,
                max,
                step: Some(step),
                ..
            } => {
                let digits = decimals(*min).max(decimals(*step));
                let x = round_to(min + index as f64 * step, digits);
                Some(Value::Double(x.clamp(*min, *max)))
            }
            Self::Int { min, step, .. } => {
                let n = i128::from(*min) + i128::from(index) * i128::from(*step);
                i64::try_from(n).ok().map(Value::Int)
            }
            Self::Discrete(_) | Self::Categorical(_) => {
                usize::try_from(index).ok().map(Value::Index)
            }
        }
    }

    /// The value on the grid of steps that is nearest to `value`; `value` itself, kept inside the
    /// bounds, where there are no steps.
    pub fn snap(&self, value: Value) -> Value {
        match (self, value) {
            (Self::Double { min, max, step, .. }, Value::Double(x)) => {
                let x = x.clamp(*min, *max);
                let (Some(step), Some(count)) = (step, self.cardinality()) else {
                    return Value::Double(x);
                };
                let index = ((x - min) / step).round() as u64;
                self.value_at(index.min(count - 1))
                    .unwrap_or(Value::Double(x))
            }
            (Self::Int { min, max, step, .. }, Value::Int(n)) => {
                let (low, high) = (i128::from(*min), i128::from(*max));
                let step = i128::from(*step);
                let offset = i128::from(n).clamp(low, high) - low;
                let index = ((offset + step / 2) / step).min((high - low) / step);
                Value::Int(i64::try_from(low + index * step).unwrap_or(*min))
            }
            _ => value,
        }
    }
}

/// A whole number that is written as a double, such as `5.0`.
fn whole(text: &str) -> Option<i64> {
    let x = text.parse::<f64>().ok()?;
    // Beyond 2^53 a double no longer names one whole number.
    (x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0).then_some(x as i64)
}

/// Digits after the point in the shortest text of `x`.
fn decimals(x: f64) -> usize {
    x.to_string()
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len())
}

/// Rounds to a number of decimals, so that `0.1 + 2 × 0.1` becomes `0.3`.
fn round_to(x: f64, decimals: usize) -> f64 {
    format!("{x:.decimals$}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests;
