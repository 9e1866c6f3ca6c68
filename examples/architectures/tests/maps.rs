//! What is done to maps, beside the tensor library's own operations and beside differences.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use candle_core::{Device, Result, Tensor, Var};
use diwan_architectures::maps::{Maps, Window};
use diwan_architectures::norm::{BatchNorm, Mode};
use diwan_architectures::weights::Weights;

const IMAGES: usize = 2;
const HEIGHT: usize = 5;
const WIDTH: usize = 4;
const CHANNELS: usize = 3;

fn random(shape: (usize, usize), seed: u64) -> Tensor {
    Weights::new(seed).uniform(shape, 1.0).unwrap().detach()
}

fn maps(rows: &Tensor) -> Maps {
    Maps::new(rows.clone(), HEIGHT, WIDTH)
}

fn images() -> Tensor {
    random((IMAGES * HEIGHT * WIDTH, CHANNELS), 1)
}

/// Images, rows, columns, channels; as the library wants them, channels come second.
fn channels_first(rows: &Tensor) -> Tensor {
    let shape = (IMAGES, HEIGHT, WIDTH, rows.dim(1).unwrap());
    rows.reshape(shape)
        .unwrap()
        .permute((0, 3, 1, 2))
        .unwrap()
        .contiguous()
        .unwrap()
}

#[track_caller]
fn assert_close(a: &Tensor, b: &Tensor, tolerance: f32) {
    let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(a.dims(), b.dims());
    for (index, (a, b)) in numbers(a).into_iter().zip(numbers(b)).enumerate() {
        assert!((a - b).abs() < tolerance, "number {index}: {a} and {b}");
    }
}

#[test]
fn convolutions_are_those_of_the_library() {
    for (size, dilation) in [(1, 1), (3, 1), (3, 2), (5, 1)] {
        let (maps, margin) = (maps(&images()), (size - 1) * dilation / 2);
        let window = Window::same(&maps, size, 1, dilation);
        let kernel = random((size * size * CHANNELS, 2), 2);
        let got = maps.convolve(&window, &kernel).unwrap();
        let kernel = kernel.reshape((size, size, CHANNELS, 2)).unwrap();
        let kernel = kernel.permute((3, 2, 0, 1)).unwrap().contiguous().unwrap();
        let expected = channels_first(maps.rows()).conv2d(&kernel, margin, 1, dilation, 1);
        assert_close(&channels_first(got.rows()), &expected.unwrap(), 1e-5);

        let kernel = random((size * size, CHANNELS), 3);
        let got = maps.convolve_each(&window, &kernel).unwrap();
        let kernel = kernel.reshape((size, size, CHANNELS, 1)).unwrap();
        let kernel = kernel.permute((2, 3, 0, 1)).unwrap().contiguous().unwrap();
        let expected = channels_first(maps.rows()).conv2d(&kernel, margin, 1, dilation, CHANNELS);
        assert_close(&channels_first(got.rows()), &expected.unwrap(), 1e-5);
    }
}

#[test]
fn pools_are_those_of_the_library() {
    let maps = maps(&images());
    let window = Window::inside(&maps, 2, 2).unwrap();
    let first = |pooled: &Maps| {
        let shape = (IMAGES, HEIGHT / 2, WIDTH / 2, CHANNELS);
        pooled
            .rows()
            .reshape(shape)
            .unwrap()
            .permute((0, 3, 1, 2))
            .unwrap()
    };
    let images = channels_first(maps.rows());
    let greatest = maps.greatest(&window).unwrap();
    assert_close(&first(&greatest), &images.max_pool2d(2).unwrap(), 1e-6);
    let mean = maps.mean(&window).unwrap();
    assert_close(&first(&mean), &images.avg_pool2d(2).unwrap(), 1e-6);
    assert!(
        Window::inside(&maps, 5, 5).is_none(),
        "maps are only 4 wide"
    );
}

#[test]
fn a_stride_leaves_each_second_pixel_of_zeros_around() {
    // One image of the numbers from 1 to 20, summed over squares of 3.
    let rows = Tensor::arange(1f32, 21.0, &Device::Cpu)
        .unwrap()
        .reshape((20, 1))
        .unwrap();
    let maps = maps(&rows);
    let window = Window::same(&maps, 3, 2, 1);
    let ones = Tensor::ones((9, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
    let sums = maps.convolve(&window, &ones).unwrap();
    // Rows begin one before the first, columns at the first, as in Keras.
    let expected = [1 + 2 + 3 + 5 + 6 + 7, 3 + 4 + 7 + 8].map(|n| n as f32);
    let got: Vec<f32> = sums.rows().flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!((got.len(), [got[0], got[1]]), (6, expected));
}

#[test]
fn smaller_maps_are_put_in_the_middle_of_zeros() {
    let large = maps(&images());
    let small = large
        .greatest(&Window::inside(&large, 2, 2).unwrap())
        .unwrap();
    let both = Maps::side_by_side(&[large.clone(), small.clone()]).unwrap();
    assert_eq!(both.rows().dims(), [IMAGES * HEIGHT * WIDTH, 2 * CHANNELS]);
    assert_close(
        &both.rows().narrow(1, 0, CHANNELS).unwrap(),
        large.rows(),
        1e-9,
    );
    // 2 x 2 in the middle of 5 x 4: one row and one column before.
    let row = |y: usize, x: usize| both.rows().narrow(0, y * WIDTH + x, 1).unwrap();
    let half = |y, x| row(y, x).narrow(1, CHANNELS, CHANNELS).unwrap();
    assert_close(&half(1, 1), &small.rows().narrow(0, 0, 1).unwrap(), 1e-9);
    assert_close(
        &half(0, 1),
        &small.rows().narrow(0, 0, 1).unwrap().zeros_like().unwrap(),
        1e-9,
    );
}

/// Numbers from -1 to 1, so far apart that a small step leaves the greatest of them the greatest.
fn apart(shape: (usize, usize)) -> Tensor {
    let count = shape.0 * shape.1;
    let number = |index: usize| (index * 37 % count) as f32 / count as f32 * 2.0 - 1.0;
    let numbers: Vec<f32> = (0..count).map(number).collect();
    Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
}

/// Compares the derivatives of a weighed sum of what `f` gives with differences.
#[track_caller]
fn check_derivatives(shapes: &[(usize, usize)], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let inputs: Vec<Tensor> = shapes.iter().map(|shape| apart(*shape)).collect();
    let vars: Vec<Var> = inputs
        .iter()
        .map(|t| Var::from_tensor(t).unwrap())
        .collect();
    let sum = |inputs: &[Tensor]| {
        let made = f(inputs).unwrap();
        let weights = random(made.dims2().unwrap(), 99);
        (made * weights).unwrap().sum_all().unwrap()
    };
    let tracked: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let gradients = sum(&tracked).backward().unwrap();
    for (which, shape) in shapes.iter().enumerate() {
        let slope = gradients
            .get(&vars[which])
            .expect("it depends on all inputs");
        let slope: Vec<f32> = slope.flatten_all().unwrap().to_vec1().unwrap();
        let numbers: Vec<f32> = inputs[which].flatten_all().unwrap().to_vec1().unwrap();
        for (index, slope) in slope.iter().enumerate() {
            let at = |step: f32| {
                let mut moved = numbers.clone();
                moved[index] += step;
                let mut inputs = inputs.clone();
                inputs[which] = Tensor::from_vec(moved, *shape, &Device::Cpu).unwrap();
                sum(&inputs).to_scalar::<f32>().unwrap()
            };
            let difference = (at(5e-3) - at(-5e-3)) / 1e-2;
            let close = (difference - slope).abs() < 0.02 + 0.02 * slope.abs();
            assert!(
                close,
                "input {which}, number {index}: {slope}, differs by {difference}"
            );
        }
    }
}

#[test]
fn derivatives_are_what_differences_say() {
    let rows = (IMAGES * HEIGHT * WIDTH, CHANNELS);
    for (size, stride, dilation) in [(3, 1, 1), (3, 2, 1), (3, 1, 2), (2, 2, 1)] {
        let window = Window::same(&maps(&images()), size, stride, dilation);
        let reach = size * size;
        check_derivatives(&[rows, (reach * CHANNELS, 2)], |x| {
            Ok(maps(&x[0]).convolve(&window, &x[1])?.rows().clone())
        });
        check_derivatives(&[rows, (reach, CHANNELS)], |x| {
            Ok(maps(&x[0]).convolve_each(&window, &x[1])?.rows().clone())
        });
        check_derivatives(&[rows], |x| {
            Ok(maps(&x[0]).greatest(&window)?.rows().clone())
        });
    }
    let norm = BatchNorm::plain(CHANNELS).unwrap();
    check_derivatives(&[rows], |x| {
        Ok(norm.forward(&maps(&x[0]), Mode::Learn)?.rows().clone())
    });
}

#[test]
fn normalized_channels_have_mean_0_and_variance_1_and_are_judged_by_what_was_seen() {
    let norm = BatchNorm::plain(CHANNELS).unwrap();
    let shifted = maps(&((images() * 3.0).unwrap() + 7.0).unwrap());
    let mut learned = Vec::new();
    for _ in 0..200 {
        learned.push(norm.forward(&shifted, Mode::Learn).unwrap());
    }
    let (rows, zeros) = (
        learned[0].rows(),
        Tensor::zeros(CHANNELS, candle_core::DType::F32, &Device::Cpu).unwrap(),
    );
    assert_close(&rows.mean(0).unwrap(), &zeros, 1e-4);
    assert_close(
        &rows.sqr().unwrap().mean(0).unwrap(),
        &(zeros + 1.0).unwrap(),
        1e-3,
    );
    let judged = norm.forward(&shifted, Mode::Judge).unwrap();
    assert_close(judged.rows(), rows, 1e-3);
}
