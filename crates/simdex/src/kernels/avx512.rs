//! AVX-512: F, BW, DQ and VL, as every processor with AVX-512 since Skylake-SP (2017) has.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::faiss;
use super::lanes::{self, Lanes, Product, SquaredDifference};

/// Proof that the machine has AVX-512 F, BW, DQ and VL.
#[derive(Debug, Clone, Copy)]
pub struct Avx512 {
    pub(super) vnni: Option<Vnni>,
}

/// Proof that the machine also has AVX-512 VNNI.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vnni(());

impl Avx512 {
    /// `None` where an instruction is missing.
    pub fn new() -> Option<Self> {
        let present = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        let vnni = is_x86_feature_detected!("avx512vnni").then_some(Vnni(()));
        present.then_some(Self { vnni })
    }

    /// The same without VNNI, as on Skylake-SP; `None` where it has none anyway.
    pub fn without_vnni(self) -> Option<Self> {
        self.vnni.map(|_| Self { vnni: None })
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

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn squared_l2_of_faiss(a: &[f32], b: &[f32]) -> f32 {
    faiss::wide(a, b)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn dot(isa: Avx512, a: &[f32], b: &[f32]) -> f32 {
    lanes::pair(isa, Product, a, b)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn squared_l2(isa: Avx512, a: &[f32], b: &[f32]) -> f32 {
    lanes::pair(isa, SquaredDifference, a, b)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn dot_rows(isa: Avx512, query: &[f32], rows: &[f32], out: &mut [f32]) {
    lanes::rows(isa, Product, query, rows, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn squared_l2_rows(isa: Avx512, query: &[f32], rows: &[f32], out: &mut [f32]) {
    lanes::rows(isa, SquaredDifference, query, rows, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn matrix_product(isa: Avx512, a: &[f32], b: &[f32], inner: usize, out: &mut [f32]) {
    lanes::columns(isa, Product, a, b, inner, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn squared_l2_columns(isa: Avx512, a: &[f32], b: &[f32], inner: usize, out: &mut [f32]) {
    lanes::columns(isa, SquaredDifference, a, b, inner, out);
}

impl Lanes for Avx512 {
    type Vector = __m512;
    const LANES: usize = 16;

    #[inline(always)]
    fn zero(self) -> __m512 {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    fn load(self, values: &[f32]) -> __m512 {
        let values = &values[..Self::LANES];
        // SAFETY: the slice has 16 values; `self` proves that the features exist.
        unsafe { _mm512_loadu_ps(values.as_ptr()) }
    }

    #[inline(always)]
    fn load_tail(self, values: &[f32]) -> __m512 {
        let mask = ((1u32 << values.len().min(Self::LANES)) - 1) as u16;
        // SAFETY: only lanes inside of the slice are read; `self` proves that the features exist.
        unsafe { _mm512_maskz_loadu_ps(mask, values.as_ptr()) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn store(self, a: __m512, places: &mut [f32]) {
        let places = &mut places[..Self::LANES];
        // SAFETY: the slice has as many places; `self` proves that the features exist.
        unsafe { _mm512_storeu_ps(places.as_mut_ptr(), a) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn multiply_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm512_reduce_add_ps(a) }
    }
}
