//! AVX2 with fused multiply-add: Intel since Haswell (2013), AMD since Excavator (2015).
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::faiss;
use super::lanes::{self, Lanes, Product, SquaredDifference};

/// Proof that the machine has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub struct Avx2(());

impl Avx2 {
    /// `None` where an instruction is missing.
    pub fn new() -> Option<Self> {
        let present = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        present.then_some(Self(()))
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

    /// See [`super::Kernels::squared_l2_of_faiss`].
    pub fn squared_l2_of_faiss(self, a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: `self` proves that the features exist.
        unsafe { squared_l2_of_faiss(a, b) }
    }
}

#[target_feature(enable = "avx2,fma")]
fn squared_l2_of_faiss(a: &[f32], b: &[f32]) -> f32 {
    faiss::middle(a, b)
}

#[target_feature(enable = "avx2,fma")]
fn dot(isa: Avx2, a: &[f32], b: &[f32]) -> f32 {
    lanes::pair(isa, Product, a, b)
}

#[target_feature(enable = "avx2,fma")]
fn squared_l2(isa: Avx2, a: &[f32], b: &[f32]) -> f32 {
    lanes::pair(isa, SquaredDifference, a, b)
}

#[target_feature(enable = "avx2,fma")]
fn dot_rows(isa: Avx2, query: &[f32], rows: &[f32], out: &mut [f32]) {
    lanes::rows(isa, Product, query, rows, out);
}

#[target_feature(enable = "avx2,fma")]
fn squared_l2_rows(isa: Avx2, query: &[f32], rows: &[f32], out: &mut [f32]) {
    lanes::rows(isa, SquaredDifference, query, rows, out);
}

#[target_feature(enable = "avx2,fma")]
fn matrix_product(isa: Avx2, a: &[f32], b: &[f32], inner: usize, out: &mut [f32]) {
    lanes::columns(isa, Product, a, b, inner, out);
}

#[target_feature(enable = "avx2,fma")]
fn squared_l2_columns(isa: Avx2, a: &[f32], b: &[f32], inner: usize, out: &mut [f32]) {
    lanes::columns(isa, SquaredDifference, a, b, inner, out);
}

impl Lanes for Avx2 {
    type Vector = __m256;
    const LANES: usize = 8;

    #[inline(always)]
    fn zero(self) -> __m256 {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    fn load(self, values: &[f32]) -> __m256 {
        let values = &values[..Self::LANES];
        // SAFETY: the slice has 8 values; `self` proves that the features exist.
        unsafe { _mm256_loadu_ps(values.as_ptr()) }
    }

    #[inline(always)]
    fn load_tail(self, values: &[f32]) -> __m256 {
        let mut padded = [0.0; Self::LANES];
        for (place, &value) in padded.iter_mut().zip(values) {
            *place = value;
        }
        self.load(&padded)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn store(self, a: __m256, places: &mut [f32]) {
        let places = &mut places[..Self::LANES];
        // SAFETY: the slice has as many places; `self` proves that the features exist.
        unsafe { _mm256_storeu_ps(places.as_mut_ptr(), a) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn multiply_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        // SAFETY: `self` proves that the features exist.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            let one = _mm_add_ss(two, _mm_shuffle_ps::<0b01>(two, two));
            _mm_cvtss_f32(one)
        }
    }
}
