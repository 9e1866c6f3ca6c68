//! The maps of features that flow through a network, and what is done to them.
//!
//! A batch of maps is a matrix: a row for each pixel of each image, a column for each channel. A
//! convolution is then a gathering of rows and one product of matrices, which the tensor library is
//! quick at; its own convolutions are slow for maps this small, and loop over the channels of
//! depthwise ones.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use crate::kernel::{Depthwise, Gather, Greatest};

/// Stands for a pixel outside of the map.
pub(crate) const OUTSIDE: u32 = u32::MAX;

/// A batch of maps.
#[derive(Clone, Debug)]
pub struct Maps {
    rows: Tensor,
    height: usize,
    width: usize,
}

/// Which pixels of an image each pixel of the next map looks at.
#[derive(Clone, Debug)]
pub struct Window {
    pub(crate) index: Arc<[u32]>,
    /// How many pixels each looks at.
    pub(crate) reach: usize,
    /// Pixels of an image before and after.
    pub(crate) before: usize,
    pub(crate) after: usize,
    height: usize,
    width: usize,
}

impl Window {
    /// A square of `size` pixels on a side, `dilation` apart, for each `stride`th pixel; the map is
    /// thought to go on with zeros, so that only a stride makes it smaller.
    pub fn same(maps: &Maps, size: usize, stride: usize, dilation: usize) -> Self {
        let (height, width) = (maps.height.div_ceil(stride), maps.width.div_ceil(stride));
        let before = |length: usize, after: usize| {
            ((after - 1) * stride + (size - 1) * dilation + 1).saturating_sub(length) / 2
        };
        let margins = (before(maps.height, height), before(maps.width, width));
        Self::new(maps, (size, stride, dilation), (height, width), margins)
    }

    /// As `same`, without zeros: there are only pixels whose whole square lies inside. None if there
    /// is no such pixel.
    pub fn inside(maps: &Maps, size: usize, stride: usize) -> Option<Self> {
        let after = |length: usize| Some(length.checked_sub(size)? / stride + 1);
        let sides = (after(maps.height)?, after(maps.width)?);
        Some(Self::new(maps, (size, stride, 1), sides, (0, 0)))
    }

    /// The map with `height` and `width`, in the middle of zeros.
    fn padded(maps: &Maps, height: usize, width: usize) -> Self {
        let margins = ((height - maps.height) / 2, (width - maps.width) / 2);
        Self::new(maps, (1, 1, 1), (height, width), margins)
    }

    fn new(
        maps: &Maps,
        (size, stride, dilation): (usize, usize, usize),
        (height, width): (usize, usize),
        (top, left): (usize, usize),
    ) -> Self {
        let place = |at: usize, step: usize, margin: usize, length: usize| {
            let found = (at * stride + step * dilation).checked_sub(margin)?;
            (found < length).then_some(found)
        };
        let mut index = Vec::with_capacity(height * width * size * size);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            for (i, j) in (0..size).flat_map(|i| (0..size).map(move |j| (i, j))) {
                let row = place(y, i, top, maps.height);
                let pixel = row.zip(place(x, j, left, maps.width));
                index.push(pixel.map_or(OUTSIDE, |(y, x)| (y * maps.width + x) as u32));
            }
        }
        Self {
            index: index.into(),
            reach: size * size,
            before: maps.height * maps.width,
            after: height * width,
            height,
            width,
        }
    }
}

impl Maps {
    /// Maps of these rows.
    pub fn new(rows: Tensor, height: usize, width: usize) -> Self {
        Self {
            rows,
            height,
            width,
        }
    }

    /// The matrix.
    pub fn rows(&self) -> &Tensor {
        &self.rows
    }

    /// Columns of the matrix.
    pub fn channels(&self) -> Result<usize> {
        self.rows.dim(1)
    }

    /// Maps of the same size with other rows.
    pub fn with(&self, rows: Tensor) -> Self {
        Self::new(rows, self.height, self.width)
    }

    fn after(window: &Window, rows: Tensor) -> Self {
        Self::new(rows, window.height, window.width)
    }

    /// Negative numbers become zero.
    pub fn relu(&self) -> Result<Self> {
        Ok(self.with(self.rows.relu()?))
    }

    /// The convolution with a kernel that has a row for each pixel of the window and channel.
    pub fn convolve(&self, window: &Window, kernel: &Tensor) -> Result<Self> {
        let seen = if window.reach == 1 && window.before == window.after {
            self.rows.clone()
        } else {
            self.rows.apply_op1(Gather::new(window))?
        };
        Ok(Self::after(window, seen.matmul(kernel)?))
    }

    /// The convolution of each channel with a column of the kernel, which has a row for each pixel
    /// of the window.
    pub fn convolve_each(&self, window: &Window, kernel: &Tensor) -> Result<Self> {
        let rows = self.rows.apply_op2(kernel, Depthwise::new(window))?;
        Ok(Self::after(window, rows))
    }

    /// The greatest number in each window.
    pub fn greatest(&self, window: &Window) -> Result<Self> {
        let rows = self.rows.apply_op1(Greatest::new(window))?;
        Ok(Self::after(window, rows))
    }

    /// The mean of each window; zeros outside of the map count.
    pub fn mean(&self, window: &Window) -> Result<Self> {
        let share = 1.0 / window.reach as f32;
        let shape = (window.reach, self.channels()?);
        self.convolve_each(window, &Tensor::full(share, shape, self.rows.device())?)
    }

    /// The channels of several maps side by side. Smaller maps are put in the middle of zeros.
    pub fn side_by_side(maps: &[Self]) -> Result<Self> {
        let height = maps.iter().map(|m| m.height).max().unwrap_or_default();
        let width = maps.iter().map(|m| m.width).max().unwrap_or_default();
        let padded = |maps: &Self| {
            if (maps.height, maps.width) == (height, width) {
                return Ok(maps.rows.clone());
            }
            let window = Window::padded(maps, height, width);
            maps.rows.apply_op1(Gather::new(&window))
        };
        let rows: Vec<Tensor> = maps.iter().map(padded).collect::<Result<_>>()?;
        Ok(Self::new(Tensor::cat(&rows, 1)?, height, width))
    }

    /// The mean of each channel over an image: a row for each image.
    pub fn of_images(&self) -> Result<Tensor> {
        let size = self.height * self.width;
        let images = self.rows.dim(0)? / size;
        self.rows.reshape((images, size, self.channels()?))?.mean(1)
    }
}
