//! Products of codes on AVX-512: 16 rows a register, with VNNI where there is.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::avx512::{Avx512, Vnni};
use super::codes::{self, BLOCK_ROWS, CodeLanes, CodeQuery};

impl Avx512 {
    /// See [`super::Kernels::code_block`].
    pub(super) fn code_block<const Q: usize>(
        self,
        block: &[u8],
        queries: [&CodeQuery; Q],
        limits: [f32; Q],
        sums: &mut [[i32; BLOCK_ROWS]; Q],
    ) -> [u16; Q] {
        match self.vnni {
            // SAFETY: `self` and `vnni` prove that the features exist.
            Some(vnni) => unsafe { block_vnni((self, vnni), block, queries, limits, sums) },
            // SAFETY: `self` proves that the features exist.
            None => unsafe { code_block(self, block, queries, limits, sums) },
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn code_block<const Q: usize>(
    isa: Avx512,
    block: &[u8],
    queries: [&CodeQuery; Q],
    limits: [f32; Q],
    sums: &mut [[i32; BLOCK_ROWS]; Q],
) -> [u16; Q] {
    codes::block(isa, block, queries, limits, sums)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn block_vnni<const Q: usize>(
    isa: (Avx512, Vnni),
    block: &[u8],
    queries: [&CodeQuery; Q],
    limits: [f32; Q],
    sums: &mut [[i32; BLOCK_ROWS]; Q],
) -> [u16; Q] {
    codes::block(isa, block, queries, limits, sums)
}

impl CodeLanes for Avx512 {
    type Bytes = __m512i;
    type Short = __m512i;
    type Long = __m512i;
    const ROWS: usize = 16;

    #[inline(always)]
    fn short_zero(self) -> __m512i {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn long_zero(self) -> __m512i {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> __m512i {
        let bytes = &bytes[..64];
        // SAFETY: the slice has 64 bytes; `self` proves that the features exist.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn splat(self, word: i32) -> __m512i {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm512_set1_epi32(word) }
    }

    #[inline(always)]
    fn nibbles(self, bytes: __m512i) -> (__m512i, __m512i) {
        // SAFETY: `self` proves that the features exist.
        unsafe {
            let low = _mm512_set1_epi8(0x0F);
            (_mm512_and_si512(bytes, low), _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), low))
        }
    }

    #[inline(always)]
    fn multiply(self, sum: __m512i, codes: __m512i, query: __m512i) -> __m512i {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm512_add_epi16(sum, _mm512_maddubs_epi16(codes, query)) }
    }

    #[inline(always)]
    fn widen(self, sum: __m512i, short: __m512i) -> __m512i {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm512_add_epi32(sum, _mm512_madd_epi16(short, _mm512_set1_epi16(1))) }
    }

    #[inline(always)]
    fn store(self, sum: __m512i, out: &mut [i32]) {
        let out = &mut out[..16];
        // SAFETY: the slice has 16 places; `self` proves that the features exist.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sum) }
    }
}

/// One instruction multiplies and sums four bytes straight into 32 bits.
impl CodeLanes for (Avx512, Vnni) {
    type Bytes = __m512i;
    type Short = __m512i;
    type Long = __m512i;
    const ROWS: usize = 16;

    #[inline(always)]
    fn short_zero(self) -> __m512i {
        self.0.short_zero()
    }

    #[inline(always)]
    fn long_zero(self) -> __m512i {
        self.0.long_zero()
    }

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> __m512i {
        self.0.load(bytes)
    }

    #[inline(always)]
    fn splat(self, word: i32) -> __m512i {
        self.0.splat(word)
    }

    #[inline(always)]
    fn nibbles(self, bytes: __m512i) -> (__m512i, __m512i) {
        self.0.nibbles(bytes)
    }

    #[inline(always)]
    fn multiply(self, sum: __m512i, codes: __m512i, query: __m512i) -> __m512i {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm512_dpbusd_epi32(sum, codes, query) }
    }

    #[inline(always)]
    fn widen(self, sum: __m512i, short: __m512i) -> __m512i {
        // SAFETY: `self` proves that the features exist.
        unsafe { _mm512_add_epi32(sum, short) }
    }

    #[inline(always)]
    fn store(self, sum: __m512i, out: &mut [i32]) {
        self.0.store(sum, out);
    }
}
