//! The two texts that describe a network: which operation each layer has, and what these are.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One row for each layer: the number of its operation, then a bit for each layer before the one
/// that it follows, the images first.
pub(super) type Rows = Vec<Vec<usize>>;

/// What the numbers of operations stand for.
#[derive(Clone, Debug, Deserialize)]
pub struct NnConfig {
    num_layers: usize,
    /// Height, width and channels of images.
    pub input_sizes: Vec<usize>,
    /// Classes, last.
    pub output_sizes: Vec<usize>,
    embedding: BTreeMap<String, Embedded>,
}

#[derive(Clone, Debug, Deserialize)]
struct Embedded {
    opt_type: String,
    #[serde(default)]
    opt_params: BTreeMap<String, Value>,
}

/// A network, layer by layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// The layers.
    pub layers: Vec<Layer>,
    /// How many classes it tells apart.
    pub classes: usize,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// What it does.
    pub operation: Operation,
    /// Whose output it sees beside that of the layer before: 0 is the image, 1 the first layer.
    pub inputs: Vec<usize>,
}

/// What a layer does. Convolutions see the positive part of their input, and their output is
/// normalized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A convolution.
    Convolution {
        /// Channels of the output.
        filters: usize,
        /// Pixels on a side.
        size: usize,
        /// Each so many'th pixel stays.
        stride: usize,
    },
    /// A convolution of each channel, then of each pixel.
    Separable {
        /// Channels of the output.
        filters: usize,
        /// Pixels on a side.
        size: usize,
        /// Each so many'th pixel stays.
        stride: usize,
        /// Channels that are made of each.
        multiplier: usize,
    },
    /// A convolution of each channel.
    Depthwise {
        /// Pixels on a side.
        size: usize,
        /// Each so many'th pixel stays.
        stride: usize,
        /// Channels that are made of each.
        multiplier: usize,
    },
    /// The greatest or mean number of each square of pixels.
    Reduction {
        /// The greatest; otherwise the mean.
        greatest: bool,
        /// Pixels on a side.
        size: usize,
        /// Each so many'th square stays.
        stride: usize,
    },
}

impl Architecture {
    /// Puts the two texts together.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn new(rows: &Rows, config: &NnConfig) -> Result<Self, String> {
        if rows.len() != config.num_layers || rows.is_empty() {
            return Err(format!(
                "architecture has {} rows, nn_config {} layers: both must be the same, at least 1",
                rows.len(),
                config.num_layers
            ));
        }
        let layer = |(index, row): (usize, &Vec<usize>)| {
            let [operation, bits @ ..] = &row[..] else {
                return Err(format!("row {index} of architecture is empty"));
            };
            if bits.len() != index || bits.iter().any(|bit| *bit > 1) {
                return Err(format!(
                    "row {index} of architecture must be an operation and {index} bits"
                ));
            }
            let embedded = config.embedding.get(&operation.to_string());
            let embedded = embedded.ok_or_else(|| {
                format!("row {index} of architecture: nn_config has no operation {operation}")
            })?;
            let inputs = (0..index).filter(|&i| bits[i] == 1).collect();
            Ok(Layer {
                operation: embedded.operation()?,
                inputs,
            })
        };
        Ok(Self {
            layers: rows
                .iter()
                .enumerate()
                .map(layer)
                .collect::<Result<_, _>>()?,
            classes: config.output_sizes.last().copied().unwrap_or_default(),
        })
    }
}

impl Embedded {
    fn operation(&self) -> Result<Operation, String> {
        let (size, stride) = (self.count("filter_size", 3)?, self.count("stride", 1)?);
        let filters = self.count("num_filter", 64)?;
        let multiplier = self.count("depth_multiplier", 1)?;
        Ok(match self.opt_type.as_str() {
            "convolution" => Operation::Convolution {
                filters,
                size,
                stride,
            },
            "separable_convolution" => Operation::Separable {
                filters,
                size,
                stride,
                multiplier,
            },
            "depthwise_convolution" => Operation::Depthwise {
                size,
                stride,
                multiplier,
            },
            "reduction" => {
                let size = self.count("pool_size", 2)?;
                let kind = self.opt_params.get("reduction_type");
                Operation::Reduction {
                    greatest: match kind.and_then(Value::as_str).unwrap_or("max_pooling") {
                        "max_pooling" => true,
                        "avg_pooling" => false,
                        other => {
                            return Err(format!(
                                "reduction_type {other}: must be max_pooling or avg_pooling"
                            ));
                        }
                    },
                    size,
                    stride: self.count("stride", size)?,
                }
            }
            other => {
                return Err(format!(
                    "operation {other}: must be convolution, separable_convolution, \
                     depthwise_convolution or reduction"
                ));
            }
        })
    }

    /// A whole number of at least 1, written as a number or a text.
    fn count(&self, name: &str, default: usize) -> Result<usize, String> {
        let count = match self.opt_params.get(name) {
            None => return Ok(default),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(value) => value.as_u64().and_then(|n| usize::try_from(n).ok()),
        };
        let refusal = || {
            format!(
                "{name} of {}: must be a whole number of at least 1",
                self.opt_type
            )
        };
        count.filter(|&n| n > 0).ok_or_else(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flag;

    const CONFIG: &str = "\"{'num_layers': 3, 'input_sizes': [32, 32, 3], 'output_sizes': [10], \
        'embedding': {'0': {'opt_id': 0, 'opt_type': 'convolution', 'opt_params': \
        {'filter_size': '5', 'num_filter': '32', 'stride': '2'}}, '7': {'opt_id': 7, 'opt_type': \
        'reduction', 'opt_params': {'reduction_type': 'avg_pooling', 'pool_size': 3}}}}\"";

    fn build(rows: &str, config: &str) -> Result<Architecture, String> {
        Architecture::new(&flag::json(rows)?, &flag::json(config)?)
    }

    #[test]
    fn the_two_texts_say_what_each_layer_does_and_sees() {
        let got = build("[[0], [7, 1], [0, 0, 1]]", CONFIG).unwrap();
        assert_eq!(got.classes, 10);
        let inputs: Vec<_> = got.layers.iter().map(|l| l.inputs.clone()).collect();
        assert_eq!(inputs, [vec![], vec![0], vec![1]]);
        let convolution = Operation::Convolution {
            filters: 32,
            size: 5,
            stride: 2,
        };
        let reduction = Operation::Reduction {
            greatest: false,
            size: 3,
            stride: 3,
        };
        let operations: Vec<_> = got.layers.iter().map(|l| l.operation).collect();
        assert_eq!(operations, [convolution, reduction, convolution]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let cases = [
            (
                "[[0]]",
                CONFIG.to_owned(),
                "architecture has 1 rows, nn_config 3 layers",
            ),
            (
                "[[0], [0], [0, 0, 0]]",
                CONFIG.to_owned(),
                "row 1 of architecture must be",
            ),
            (
                "[[0], [3, 0], [0, 0, 0]]",
                CONFIG.to_owned(),
                "nn_config has no operation 3",
            ),
            (
                "[[0], [0, 2], [0, 0, 0]]",
                CONFIG.to_owned(),
                "an operation and 1 bits",
            ),
            (
                "[[0], [], [0, 0, 0]]",
                CONFIG.to_owned(),
                "row 1 of architecture is empty",
            ),
            (
                "[[0], [0, 1], [0, 0, 1]]",
                CONFIG.replace("'5'", "'0'"),
                "filter_size of convolution",
            ),
            (
                "[[0], [7, 1], [0, 0, 1]]",
                CONFIG.replace("'reduction'", "'lstm'"),
                "operation lstm: ",
            ),
            (
                "[[0], [7, 1], [0, 0, 1]]",
                CONFIG.replace("avg_", "least_"),
                "reduction_type least_",
            ),
        ];
        for (rows, config, text) in cases {
            let error = build(rows, &config).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
