//! What an edge of a cell can do.

use std::fmt;
use std::str::FromStr;

use candle_core::{Result, Tensor};

use crate::maps::{Maps, Window};
use crate::norm::{BatchNorm, Mode};
use crate::weights::Weights;

/// A kind of operation, by the name that Katib gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Primitive {
    /// The input as it is; made smaller where the cell does so.
    SkipConnection,
    /// The greatest number of each square.
    MaxPooling(usize),
    /// The mean of each square.
    AvgPooling(usize),
    /// Twice a convolution of each channel, then of each pixel.
    SeparableConvolution(usize),
    /// A convolution of each channel with every second pixel, then of each pixel.
    DilatedConvolution(usize),
}

impl FromStr for Primitive {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text == "skip_connection" {
            return Ok(Self::SkipConnection);
        }
        let read = || {
            let (name, size) = text.rsplit_once('_')?;
            let (a, b) = size.split_once('x')?;
            let size = a
                .parse()
                .ok()
                .filter(|size| a == b && (1..=7).contains(size))?;
            Some(match name {
                "max_pooling" => Self::MaxPooling(size),
                "avg_pooling" => Self::AvgPooling(size),
                "separable_convolution" => Self::SeparableConvolution(size),
                "dilated_convolution" => Self::DilatedConvolution(size),
                _ => return None,
            })
        };
        read().ok_or_else(|| {
            format!(
                "operation {text}: must be skip_connection, or max_pooling_NxN, avg_pooling_NxN, \
                 separable_convolution_NxN or dilated_convolution_NxN with N from 1 to 7"
            )
        })
    }
}

impl fmt::Display for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, size) = match self {
            Self::SkipConnection => return f.write_str("skip_connection"),
            Self::MaxPooling(size) => ("max_pooling", size),
            Self::AvgPooling(size) => ("avg_pooling", size),
            Self::SeparableConvolution(size) => ("separable_convolution", size),
            Self::DilatedConvolution(size) => ("dilated_convolution", size),
        };
        write!(f, "{name}_{size}x{size}")
    }
}

/// An operation with its weights.
pub(super) enum Operation {
    Identity,
    Convolution(Convolution),
    Pooling {
        greatest: bool,
        size: usize,
        stride: usize,
        norm: BatchNorm,
    },
    Depthwise(Vec<Depthwise>),
}

impl Operation {
    pub(super) fn new(
        primitive: Primitive,
        channels: usize,
        stride: usize,
        weights: &mut Weights,
    ) -> Result<Self> {
        let pooling = |greatest, size| -> Result<Self> {
            Ok(Self::Pooling {
                greatest,
                size,
                stride,
                norm: BatchNorm::plain(channels)?,
            })
        };
        let mut depthwise =
            |size, stride, dilation| Depthwise::new(channels, (size, stride, dilation), weights);
        Ok(match primitive {
            Primitive::SkipConnection if stride == 1 => Self::Identity,
            // A smaller map needs all pixels of the larger one to lose nothing.
            Primitive::SkipConnection => Self::Convolution(Convolution::new(
                (channels, channels),
                (stride, stride),
                weights,
            )?),
            Primitive::MaxPooling(size) => pooling(true, size)?,
            Primitive::AvgPooling(size) => pooling(false, size)?,
            Primitive::SeparableConvolution(size) => {
                Self::Depthwise(vec![depthwise(size, stride, 1)?, depthwise(size, 1, 1)?])
            }
            Primitive::DilatedConvolution(size) => {
                Self::Depthwise(vec![depthwise(size, stride, 2)?])
            }
        })
    }

    pub(super) fn forward(&self, maps: &Maps, mode: Mode) -> Result<Maps> {
        match self {
            Self::Identity => Ok(maps.clone()),
            Self::Convolution(convolution) => convolution.forward(maps, mode),
            Self::Pooling {
                greatest,
                size,
                stride,
                norm,
            } => {
                let window = Window::same(maps, *size, *stride, 1);
                let pooled = match greatest {
                    true => maps.greatest(&window)?,
                    false => maps.mean(&window)?,
                };
                norm.forward(&pooled, mode)
            }
            Self::Depthwise(steps) => {
                let mut maps = maps.clone();
                for step in steps {
                    maps = step.forward(&maps, mode)?;
                }
                Ok(maps)
            }
        }
    }
}

/// The positive part, a convolution, a normalization.
pub(super) struct Convolution {
    size: usize,
    stride: usize,
    kernel: Tensor,
    norm: BatchNorm,
}

impl Convolution {
    pub(super) fn new(
        (before, after): (usize, usize),
        (size, stride): (usize, usize),
        weights: &mut Weights,
    ) -> Result<Self> {
        let seen = size * size * before;
        Ok(Self {
            size,
            stride,
            kernel: weights.matrix((seen, after), seen)?,
            norm: BatchNorm::plain(after)?,
        })
    }

    pub(super) fn forward(&self, maps: &Maps, mode: Mode) -> Result<Maps> {
        let window = Window::same(maps, self.size, self.stride, 1);
        self.norm
            .forward(&maps.relu()?.convolve(&window, &self.kernel)?, mode)
    }
}

/// The positive part, a convolution of each channel, one of each pixel, a normalization.
pub(super) struct Depthwise {
    shape: (usize, usize, usize),
    each: Tensor,
    pointwise: Tensor,
    norm: BatchNorm,
}

impl Depthwise {
    fn new(channels: usize, shape: (usize, usize, usize), weights: &mut Weights) -> Result<Self> {
        let reach = shape.0 * shape.0;
        Ok(Self {
            shape,
            each: weights.matrix((reach, channels), reach)?,
            pointwise: weights.matrix((channels, channels), channels)?,
            norm: BatchNorm::plain(channels)?,
        })
    }

    fn forward(&self, maps: &Maps, mode: Mode) -> Result<Maps> {
        let (size, stride, dilation) = self.shape;
        let window = Window::same(maps, size, stride, dilation);
        let each = maps.relu()?.convolve_each(&window, &self.each)?;
        let single = Window::same(&each, 1, 1, 1);
        self.norm
            .forward(&each.convolve(&single, &self.pointwise)?, mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        let names = [
            "skip_connection",
            "max_pooling_3x3",
            "avg_pooling_2x2",
            "separable_convolution_5x5",
            "dilated_convolution_3x3",
        ];
        for name in names {
            assert_eq!(name.parse::<Primitive>().unwrap().to_string(), name);
        }
        for name in [
            "none",
            "max_pooling",
            "max_pooling_3x5",
            "max_pooling_0x0",
            "lstm_3x3",
        ] {
            let error = name.parse::<Primitive>().unwrap_err();
            assert!(
                error.starts_with(&format!("operation {name}: must be ")),
                "{error}"
            );
        }
    }
}
