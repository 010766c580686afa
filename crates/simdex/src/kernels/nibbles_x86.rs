//! [`Nibbles`] with AVX-512 (no VNNI needed) and AVX2.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::super::{avx2::Avx2, avx512::Avx512};
use super::{BLOCK_BYTES, BLOCK_DIMS, GROUP, Nibbles};

impl Nibbles for Avx512 {
    #[inline]
    fn dots(self, codes: [&[u8]; GROUP], query: &[i8]) -> [i32; GROUP] {
        // SAFETY: `self` proves that the features exist.
        unsafe { dots_512(codes, query) }
    }
}

impl Nibbles for Avx2 {
    #[inline]
    fn dots(self, codes: [&[u8]; GROUP], query: &[i8]) -> [i32; GROUP] {
        // SAFETY: `self` proves that the features exist.
        unsafe { dots_256(codes, query) }
    }
}

/// Blocks whose 16-bit sums fit: two additions a block, eight a lane.
const BLOCKS_A_SUM: usize = 4;

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn dots_512(codes: [&[u8]; GROUP], query: &[i8]) -> [i32; GROUP] {
    let blocks = query.len() / BLOCK_DIMS;
    let codes = codes.map(|code| &code[..blocks * BLOCK_BYTES]);
    let nibble = _mm512_set1_epi8(15);
    let mut wide = [_mm512_setzero_si512(); GROUP];
    let mut from = 0;
    while from < blocks {
        let to = blocks.min(from + BLOCKS_A_SUM);
        let mut narrow = [_mm512_setzero_si512(); GROUP];
        for block in from..to {
            let query = &query[block * BLOCK_DIMS..][..BLOCK_DIMS];
            // SAFETY: the slice has 128 bytes.
            let (low, high) = unsafe {
                let at = query.as_ptr();
                (_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(64).cast()))
            };
            for (sum, code) in narrow.iter_mut().zip(codes) {
                let code = &code[block * BLOCK_BYTES..][..BLOCK_BYTES];
                // SAFETY: the slice has 64 bytes.
                let code = unsafe { _mm512_loadu_si512(code.as_ptr().cast()) };
                let first = _mm512_and_si512(code, nibble);
                let second = _mm512_and_si512(_mm512_srli_epi16::<4>(code), nibble);
                let pairs = _mm512_add_epi16(
                    _mm512_maddubs_epi16(first, low),
                    _mm512_maddubs_epi16(second, high),
                );
                *sum = _mm512_add_epi16(*sum, pairs);
            }
        }
        let ones = _mm512_set1_epi16(1);
        for (wide, narrow) in wide.iter_mut().zip(narrow) {
            *wide = _mm512_add_epi32(*wide, _mm512_madd_epi16(narrow, ones));
        }
        from = to;
    }
    sums_of_lanes(wide.map(|sum| {
        _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum))
    }))
}

#[inline]
#[target_feature(enable = "avx2")]
fn dots_256(codes: [&[u8]; GROUP], query: &[i8]) -> [i32; GROUP] {
    let blocks = query.len() / BLOCK_DIMS;
    let codes = codes.map(|code| &code[..blocks * BLOCK_BYTES]);
    let nibble = _mm256_set1_epi8(15);
    let ones = _mm256_set1_epi16(1);
    let mut wide = [_mm256_setzero_si256(); GROUP];
    for block in 0..blocks {
        let mut narrow = [_mm256_setzero_si256(); GROUP];
        for half in [0, 32] {
            let query = &query[block * BLOCK_DIMS..][..BLOCK_DIMS];
            // SAFETY: the slice has 128 bytes and `half` is at most 32.
            let (low, high) = unsafe {
                let at = query.as_ptr().add(half);
                (_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(64).cast()))
            };
            for (sum, code) in narrow.iter_mut().zip(codes) {
                let code = &code[block * BLOCK_BYTES..][..BLOCK_BYTES];
                // SAFETY: the slice has 64 bytes and `half` is at most 32.
                let code = unsafe { _mm256_loadu_si256(code.as_ptr().add(half).cast()) };
                let first = _mm256_and_si256(code, nibble);
                let second = _mm256_and_si256(_mm256_srli_epi16::<4>(code), nibble);
                let pairs = _mm256_add_epi16(
                    _mm256_maddubs_epi16(first, low),
                    _mm256_maddubs_epi16(second, high),
                );
                *sum = _mm256_add_epi16(*sum, pairs);
            }
        }
        for (wide, narrow) in wide.iter_mut().zip(narrow) {
            *wide = _mm256_add_epi32(*wide, _mm256_madd_epi16(narrow, ones));
        }
    }
    sums_of_lanes(wide)
}

/// The sum of the eight lanes of each register.
#[inline]
#[target_feature(enable = "avx2")]
fn sums_of_lanes(lanes: [__m256i; GROUP]) -> [i32; GROUP] {
    let pairs = _mm256_hadd_epi32(lanes[0], lanes[1]);
    let others = _mm256_hadd_epi32(lanes[2], lanes[3]);
    let halves = _mm256_hadd_epi32(pairs, others);
    let sums = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
    let mut out = [0; GROUP];
    // SAFETY: four 32-bit values are stored in an array of four.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), sums) };
    out
}
