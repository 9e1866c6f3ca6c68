//! The inner loops: operations on maps that the tensor library is told how to run and how to
//! differentiate.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Error, Layout, Result, Shape, Tensor};

use crate::maps::{OUTSIDE, Window};

/// The numbers of a matrix, and its number of columns.
pub(crate) fn matrix<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<(&'a [f32], usize)> {
    let (_, columns) = layout.shape().dims2()?;
    let Some((begin, end)) = layout.contiguous_offsets() else {
        return Err(Error::Msg("rows that lie apart".to_owned()));
    };
    Ok((&storage.as_slice::<f32>()?[begin..end], columns))
}

/// The numbers of a matrix, row by row.
pub(crate) fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// For each pixel of each image after: the row before of each pixel that it looks at, or none.
fn each_pixel(window: &Window, rows: usize, mut act: impl FnMut(usize, usize, usize)) {
    for image in 0..rows / window.before.max(1) {
        for (after, index) in window.index.chunks_exact(window.reach).enumerate() {
            for (place, &pixel) in index.iter().enumerate() {
                if pixel != OUTSIDE {
                    act(
                        image * window.after + after,
                        place,
                        image * window.before + pixel as usize,
                    );
                }
            }
        }
    }
}

/// Puts the rows that a pixel looks at side by side.
pub(crate) struct Gather {
    window: Window,
}

impl Gather {
    pub(crate) fn new(window: &Window) -> Self {
        let window = window.clone();
        Self { window }
    }
}

impl CustomOp1 for Gather {
    fn name(&self) -> &'static str {
        "gather-window"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (from, columns) = matrix(storage, layout)?;
        let rows = from.len() / columns;
        let after = rows / self.window.before * self.window.after;
        let wide = self.window.reach * columns;
        let mut to = vec![0.0; after * wide];
        each_pixel(&self.window, rows, |row, place, pixel| {
            let at = row * wide + place * columns;
            to[at..at + columns].copy_from_slice(&from[pixel * columns..(pixel + 1) * columns]);
        });
        Ok((CpuStorage::F32(to), (after, wide).into()))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (rows, columns) = arg.dims2()?;
        let wide = self.window.reach * columns;
        let from = numbers(grad)?;
        let mut to = vec![0.0; rows * columns];
        each_pixel(&self.window, rows, |row, place, pixel| {
            let at = row * wide + place * columns;
            let to = &mut to[pixel * columns..(pixel + 1) * columns];
            for (to, from) in to.iter_mut().zip(&from[at..at + columns]) {
                *to += from;
            }
        });
        Tensor::from_vec(to, (rows, columns), arg.device()).map(Some)
    }
}

/// Weighs the pixels in a window, each channel with weights of its own, and adds them.
pub(crate) struct Depthwise {
    window: Window,
}

impl Depthwise {
    pub(crate) fn new(window: &Window) -> Self {
        let window = window.clone();
        Self { window }
    }
}

impl CustomOp2 for Depthwise {
    fn name(&self) -> &'static str {
        "convolve-each"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (from, columns) = matrix(s1, l1)?;
        let (kernel, _) = matrix(s2, l2)?;
        let rows = from.len() / columns;
        let after = rows / self.window.before * self.window.after;
        let mut to = vec![0.0; after * columns];
        each_pixel(&self.window, rows, |row, place, pixel| {
            let kernel = &kernel[place * columns..(place + 1) * columns];
            let from = &from[pixel * columns..(pixel + 1) * columns];
            let to = &mut to[row * columns..(row + 1) * columns];
            for ((to, from), weight) in to.iter_mut().zip(from).zip(kernel) {
                *to += from * weight;
            }
        });
        Ok((CpuStorage::F32(to), (after, columns).into()))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (rows, columns) = arg1.dims2()?;
        let (from, kernel, grad) = (numbers(arg1)?, numbers(arg2)?, numbers(grad)?);
        let mut to_maps = vec![0.0; from.len()];
        let mut to_kernel = vec![0.0; kernel.len()];
        each_pixel(&self.window, rows, |row, place, pixel| {
            let of = |row: usize| row * columns..(row + 1) * columns;
            let grad = &grad[of(row)];
            let pairs = to_maps[of(pixel)].iter_mut().zip(&kernel[of(place)]);
            for ((to, weight), grad) in pairs.zip(grad) {
                *to += weight * grad;
            }
            let pairs = to_kernel[of(place)].iter_mut().zip(&from[of(pixel)]);
            for ((to, from), grad) in pairs.zip(grad) {
                *to += from * grad;
            }
        });
        Ok((
            Some(Tensor::from_vec(to_maps, arg1.shape(), arg1.device())?),
            Some(Tensor::from_vec(to_kernel, arg2.shape(), arg2.device())?),
        ))
    }
}

/// The greatest number of a window, for each channel.
pub(crate) struct Greatest {
    window: Window,
}

impl Greatest {
    pub(crate) fn new(window: &Window) -> Self {
        let window = window.clone();
        Self { window }
    }

    /// The greatest numbers, and the rows that they are in.
    fn find(&self, from: &[f32], columns: usize) -> (Vec<f32>, Vec<usize>) {
        let rows = from.len() / columns;
        let size = rows / self.window.before * self.window.after * columns;
        let (mut found, mut rows_of) = (vec![f32::NEG_INFINITY; size], vec![0; size]);
        each_pixel(&self.window, rows, |row, _, pixel| {
            for column in 0..columns {
                let (to, value) = (row * columns + column, from[pixel * columns + column]);
                if value > found[to] {
                    (found[to], rows_of[to]) = (value, pixel);
                }
            }
        });
        (found, rows_of)
    }
}

impl CustomOp1 for Greatest {
    fn name(&self) -> &'static str {
        "greatest-of-window"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (from, columns) = matrix(storage, layout)?;
        let (found, _) = self.find(from, columns);
        let after = found.len() / columns;
        Ok((CpuStorage::F32(found), (after, columns).into()))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (_, columns) = arg.dims2()?;
        let (_, rows) = self.find(&numbers(arg)?, columns);
        let mut to = vec![0.0; arg.elem_count()];
        for (at, (row, grad)) in rows.into_iter().zip(numbers(grad)?).enumerate() {
            to[row * columns + at % columns] += grad;
        }
        Tensor::from_vec(to, arg.shape(), arg.device()).map(Some)
    }
}
