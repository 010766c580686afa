//! NEON: every 64-bit ARM processor.
#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::lanes::{self, Lanes, Product, SquaredDifference};

/// Proof that the machine has NEON.
#[derive(Debug, Clone, Copy)]
pub struct Neon(());

impl Neon {
    /// `None` where an instruction is missing.
    pub fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    /// See [`super::Kernels::dot`].
    pub fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: `self` proves that the features exist.
        unsafe { dot(self, a, b) }
    }

    /// See [`super::Kernels::squared_l2`].
    pub fn squared_l2(self, a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: `self` proves that the features exist.
        unsafe { squared_l2(self, a, b) }
    }

    /// See [`super::Kernels::dot_rows`].
    pub fn dot_rows(self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        // SAFETY: `self` proves that the features exist.
        unsafe { dot_rows(self, query, rows, out) }
    }

    /// See [`super::Kernels::squared_l2_rows`].
    pub fn squared_l2_rows(self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        // SAFETY: `self` proves that the features exist.
        unsafe { squared_l2_rows(self, query, rows, out) }
    }

    /// See [`super::Kernels::matrix_product`].
    pub fn matrix_product(self, a: &[f32], b: &[f32], inner: usize, out: &mut [f32]) {
        // SAFETY: `self` proves that the features exist.
        unsafe { matrix_product(self, a, b, inner, out) }
    }

    /// See [`super::Kernels::squared_l2_columns`].
    pub fn squared_l2_columns(self, a: &[f32], b: &[f32], inner: usize, out: &mut [f32]) {
        // SAFETY: `self` proves that the features exist.
        unsafe { squared_l2_columns(self, a, b, inner, out) }
    }
}

#[target_feature(enable = "neon")]
fn dot(isa: Neon, a: &[f32], b: &[f32]) -> f32 {
    lanes::pair(isa, Product, a, b)
}

#[target_feature(enable = "neon")]
fn squared_l2(isa: Neon, a: &[f32], b: &[f32]) -> f32 {
    lanes::pair(isa, SquaredDifference, a, b)
}

#[target_feature(enable = "neon")]
fn dot_rows(isa: Neon, query: &[f32], rows: &[f32], out: &mut [f32]) {
    lanes::rows(isa, Product, query, rows, out);
}

#[target_feature(enable = "neon")]
fn squared_l2_rows(isa: Neon, query: &[f32], rows: &[f32], out: &mut [f32]) {
    lanes::rows(isa, SquaredDifference, query, rows, out);
}

#[target_feature(enable = "neon")]
fn matrix_product(isa: Neon, a: &[f32], b: &[f32], inner: usize, out: &mut [f32]) {
    lanes::columns(isa, Product, a, b, inner, out);
}

#[target_feature(enable = "neon")]
fn squared_l2_columns(isa: Neon, a: &[f32], b: &[f32], inner: usize, out: &mut [f32]) {
    lanes::columns(isa, SquaredDifference, a, b, inner, out);
}

impl Lanes for Neon {
    type Vector = float32x4_t;
    const LANES: usize = 4;

    #[inline(always)]
    fn zero(self) -> float32x4_t {
        // SAFETY: `self` proves that the features exist.
        unsafe { vdupq_n_f32(0.0) }
    }

    #[inline(always)]
    fn load(self, values: &[f32]) -> float32x4_t {
        let values = &values[..Self::LANES];
        // SAFETY: the slice has 4 values; `self` proves that the features exist.
        unsafe { vld1q_f32(values.as_ptr()) }
    }

    #[inline(always)]
    fn load_tail(self, values: &[f32]) -> float32x4_t {
        let mut padded = [0.0; Self::LANES];
        for (place, &value) in padded.iter_mut().zip(values) {
            *place = value;
        }
        self.load(&padded)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> float32x4_t {
        // SAFETY: `self` proves that the features exist.
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    fn store(self, a: float32x4_t, places: &mut [f32]) {
        let places = &mut places[..Self::LANES];
        // SAFETY: the slice has as many places; `self` proves that the features exist.
        unsafe { vst1q_f32(places.as_mut_ptr(), a) }
    }

    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves that the features exist.
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves that the features exist.
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    fn multiply_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: `self` proves that the features exist.
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    fn sum(self, a: float32x4_t) -> f32 {
        // SAFETY: `self` proves that the features exist.
        unsafe { vaddvq_f32(a) }
    }
}
