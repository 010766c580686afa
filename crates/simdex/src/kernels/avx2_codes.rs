//! Products of codes on AVX2: 8 rows a register.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::avx2::Avx2;
use super::codes::{self, BLOCK_ROWS, CodeLanes, CodeQuery};

impl Avx2 {
    /// See [`super::Kernels::code_block`].
    pub(super) fn code_block<const Q: usize>(
        self,
        block: &[u8],
        queries: [&CodeQuery; Q],
        limits: [f32; Q],
        sums: &mut [[i32; BLOCK_ROWS]; Q],
    ) -> [u16; Q] {
        // SAFETY: `self` proves that the features exist.
        unsafe { code_block(self, block, queries, limits, sums) }
    }
}

#[target_feature(enable = "avx2,fma")]
fn code_block<const Q: usize>(
    isa: Avx2,
    block: &[u8],
    queries: [&CodeQuery; Q],
    limits: [f32; Q],
    sums: &mut [[i32; BLOCK_ROWS]; Q],
) -> [u16; Q] {
    codes::block(isa, block, queries, limits, sums)
}

impl CodeLanes for Avx2 {
    type Bytes = __m256i;
    type Short = __m256i;
    type Long = __m256i;
    const ROWS: usize = 8;

    #[inline(always)]
    fn short_zero(self) -> __m256i {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn long_zero(self) -> __m256i {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> __m256i {
        let bytes = &bytes[..32];
        // SAFETY: the slice has 32 bytes; `self` proves that the features exist.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn splat(self, word: i32) -> __m256i {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm256_set1_epi32(word) }
    }

    #[inline(always)]
    fn nibbles(self, bytes: __m256i) -> (__m256i, __m256i) {
        // SAFETY: `self` proves that the features exist.
        unsafe {
            let low = _mm256_set1_epi8(0x0F);
            (_mm256_and_si256(bytes, low), _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), low))
        }
    }

    #[inline(always)]
    fn multiply(self, sum: __m256i, codes: __m256i, query: __m256i) -> __m256i {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, query)) }
    }

    #[inline(always)]
    fn widen(self, sum: __m256i, short: __m256i) -> __m256i {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm256_add_epi32(sum, _mm256_madd_epi16(short, _mm256_set1_epi16(1))) }
    }

    #[inline(always)]
    fn store(self, sum: __m256i, out: &mut [i32]) {
        let out = &mut out[..8];
        // SAFETY: the slice has 8 places; `self` proves that the features exist.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), sum) }
    }
}
