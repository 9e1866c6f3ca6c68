//! 1,797 handwritten digits of 8×8 pixels (see `data/README.md`).

use anyhow::Context as _;
use candle_core::{Device, Tensor};
use diwan_examples::split;

use crate::maps::Maps;

/// Pixels on a side.
pub const SIDE: usize = 8;
/// Digits.
pub const CLASSES: usize = 10;
/// One image in so many is never learned from.
const PARTS: usize = 3;

/// Images and what they show.
pub struct Digits {
    pixels: Vec<f32>,
    labels: Vec<u32>,
}

/// Images that are learned from, and others that a network is judged by. The split is the same in
/// each trial: scores differ by what was learned alone.
pub struct Data {
    /// 1,198 images.
    pub training: Digits,
    /// 599 images.
    pub validation: Digits,
}

/// All images.
pub fn load() -> anyhow::Result<Data> {
    let all = Digits::parse(include_str!("../data/digits.txt"))?;
    let split = split::hold_out(&all.labels, PARTS, 0);
    Ok(Data {
        training: all.pick(&split.train),
        validation: all.pick(&split.validation),
    })
}

impl Digits {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut digits = Self {
            pixels: Vec::new(),
            labels: Vec::new(),
        };
        for line in text.lines() {
            let (label, pixels) = line.split_once(' ').context("a line has a blank")?;
            digits.labels.push(label.parse()?);
            for letter in pixels.chars() {
                let level = letter.to_digit(17).context("a pixel has 17 levels")?;
                digits.pixels.push(level as f32 / 16.0);
            }
        }
        Ok(digits)
    }

    /// The images with these numbers, in this order.
    pub fn pick(&self, numbers: &[usize]) -> Self {
        let size = SIDE * SIDE;
        let pixels = |&n: &usize| &self.pixels[n * size..(n + 1) * size];
        Self {
            pixels: numbers.iter().flat_map(pixels).copied().collect(),
            labels: numbers.iter().map(|&n| self.labels[n]).collect(),
        }
    }

    /// Every second image, and the others.
    pub fn halves(&self) -> (Self, Self) {
        let (even, odd): (Vec<usize>, Vec<usize>) = (0..self.len()).partition(|n| n % 2 == 0);
        (self.pick(&even), self.pick(&odd))
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The images as maps with one channel.
    pub fn maps(&self) -> candle_core::Result<Maps> {
        let rows = Tensor::from_slice(&self.pixels, (self.pixels.len(), 1), &Device::Cpu)?;
        Ok(Maps::new(rows, SIDE, SIDE))
    }

    /// What each image shows.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_hold_each_digit_as_often_as_it_comes() {
        let data = load().unwrap();
        assert_eq!((data.training.len(), data.validation.len()), (1198, 599));
        for digit in 0..10 {
            let count = |d: &Digits| d.labels.iter().filter(|&&l| l == digit).count();
            assert!((57..=62).contains(&count(&data.validation)), "{digit}");
        }
        let (even, odd) = data.training.halves();
        assert_eq!(even.len() + odd.len(), 1198);
        assert!(data.training.pixels.iter().all(|p| (0.0..=1.0).contains(p)));
    }
}
