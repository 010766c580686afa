//! Plain Rust: the obvious version that every other one is tested against, and the fallback.

use super::lanes::{self, Lanes, Product, SquaredDifference};

/// Plain Rust; every machine has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scalar(());

impl Scalar {
    /// Always succeeds.
    pub fn new() -> Self {
        Self(())
    }

    /// See [`super::Kernels::dot`].
    pub fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        lanes::pair(self, Product, a, b)
    }

    /// See [`super::Kernels::squared_l2`].
    pub fn squared_l2(self, a: &[f32], b: &[f32]) -> f32 {
        lanes::pair(self, SquaredDifference, a, b)
    }

    /// See [`super::Kernels::dot_rows`].
    pub fn dot_rows(self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        lanes::rows(self, Product, query, rows, out);
    }

    /// See [`super::Kernels::squared_l2_rows`].
    pub fn squared_l2_rows(self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        lanes::rows(self, SquaredDifference, query, rows, out);
    }

    /// See [`super::Kernels::matrix_product`].
    pub fn matrix_product(self, a: &[f32], b: &[f32], inner: usize, out: &mut [f32]) {
        lanes::columns(self, Product, a, b, inner, out);
    }

    /// See [`super::Kernels::squared_l2_columns`].
    pub fn squared_l2_columns(self, a: &[f32], b: &[f32], inner: usize, out: &mut [f32]) {
        lanes::columns(self, SquaredDifference, a, b, inner, out);
    }
}

/// Four lanes: what every 64-bit machine's baseline registers hold.
impl Lanes for Scalar {
    type Vector = [f32; 4];
    const LANES: usize = 4;

    #[inline(always)]
    fn zero(self) -> [f32; 4] {
        [0.0; 4]
    }

    #[inline(always)]
    fn load(self, values: &[f32]) -> [f32; 4] {
        std::array::from_fn(|i| values[i])
    }

    #[inline(always)]
    fn load_tail(self, values: &[f32]) -> [f32; 4] {
        std::array::from_fn(|i| values.get(i).copied().unwrap_or(0.0))
    }

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    fn store(self, a: [f32; 4], places: &mut [f32]) {
        places[..4].copy_from_slice(&a);
    }

    #[inline(always)]
    fn sub(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn add(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn multiply_add(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        // `f32::mul_add` would be a call into the C library where there is no such instruction.
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn sum(self, a: [f32; 4]) -> f32 {
        (a[0] + a[1]) + (a[2] + a[3])
    }
}
