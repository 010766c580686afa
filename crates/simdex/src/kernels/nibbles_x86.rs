//! [`Nibbles`] with AVX-512, with and without VNNI, and AVX2.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::super::avx2::Avx2;
use super::super::avx512::{Avx512, Vnni};
use super::{Aim, BLOCK_DIMS, Codes, GROUP, Line, Near, Nibbles, refine, sift};

/// Implements the functions that are compiled for an instruction set as a whole.
macro_rules! compiled {
    ($features:literal) => {
        fn sift(self, heads: Codes, numbers: &[u32], query: &Aim, bound: f32, near: &mut Near) {
            #[target_feature(enable = $features)]
            fn compiled<N: Nibbles>(
                isa: N,
                heads: Codes,
                numbers: &[u32],
                query: &Aim,
                bound: f32,
                near: &mut Near,
            ) {
                sift(isa, heads, numbers, query, bound, near);
            }
            // SAFETY: `self` proves that the features exist.
            unsafe { compiled(self, heads, numbers, query, bound, near) }
        }

        fn refine(self, heads: Codes, tails: Codes, query: &Aim, near: &mut Near) {
            #[target_feature(enable = $features)]
            fn compiled<N: Nibbles>(
                isa: N,
                heads: Codes,
                tails: Codes,
                query: &Aim,
                near: &mut Near,
            ) {
                refine(isa, heads, tails, query, near);
            }
            // SAFETY: `self` proves that the features exist.
            unsafe { compiled(self, heads, tails, query, near) }
        }
    };
}

/// The low and the high nibbles of a line, as bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn nibbles_512(line: &Line) -> (__m512i, __m512i) {
    let nibble = _mm512_set1_epi8(15);
    // SAFETY: a line has 64 bytes.
    let line = unsafe { _mm512_loadu_si512(line.as_ptr().cast()) };
    (_mm512_and_si512(line, nibble), _mm512_and_si512(_mm512_srli_epi16::<4>(line), nibble))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn hold_512(query: &[i8; BLOCK_DIMS]) -> (__m512i, __m512i) {
    let at = query.as_ptr();
    // SAFETY: the query has 128 bytes.
    unsafe { (_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(64).cast())) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn lines_512(lines: [&Line; GROUP], (low, high): (__m512i, __m512i)) -> [i32; GROUP] {
    let mut sums = [_mm256_setzero_si256(); GROUP];
    for (sum, line) in sums.iter_mut().zip(lines) {
        let (first, second) = nibbles_512(line);
        let pairs =
            _mm512_add_epi16(_mm512_maddubs_epi16(first, low), _mm512_maddubs_epi16(second, high));
        *sum = halves(_mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
    }
    sums_of_lanes(sums)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn lines_vnni(lines: [&Line; GROUP], (low, high): (__m512i, __m512i)) -> [i32; GROUP] {
    let mut sums = [_mm256_setzero_si256(); GROUP];
    for (sum, line) in sums.iter_mut().zip(lines) {
        let (first, second) = nibbles_512(line);
        let words = _mm512_dpbusd_epi32(_mm512_setzero_si512(), first, low);
        *sum = halves(_mm512_dpbusd_epi32(words, second, high));
    }
    sums_of_lanes(sums)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn halves(sum: __m512i) -> __m256i {
    _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum))
}

impl Nibbles for Avx512 {
    type Held = (__m512i, __m512i);

    #[inline(always)]
    fn hold(self, query: &[i8; BLOCK_DIMS]) -> Self::Held {
        // SAFETY: `self` proves that the features exist.
        unsafe { hold_512(query) }
    }

    #[inline(always)]
    fn lines(self, lines: [&Line; GROUP], query: Self::Held) -> [i32; GROUP] {
        // SAFETY: `self` proves that the features exist.
        unsafe { lines_512(lines, query) }
    }

    #[inline]
    fn sift(self, heads: Codes, numbers: &[u32], query: &Aim, bound: f32, near: &mut Near) {
        match self.vnni {
            Some(vnni) => Nibbles::sift((self, vnni), heads, numbers, query, bound, near),
            None => Nibbles::sift(WithoutVnni(self), heads, numbers, query, bound, near),
        }
    }

    #[inline]
    fn refine(self, heads: Codes, tails: Codes, query: &Aim, near: &mut Near) {
        match self.vnni {
            Some(vnni) => Nibbles::refine((self, vnni), heads, tails, query, near),
            None => Nibbles::refine(WithoutVnni(self), heads, tails, query, near),
        }
    }
}

/// AVX-512 as on Skylake-SP.
#[derive(Clone, Copy)]
struct WithoutVnni(Avx512);

impl Nibbles for WithoutVnni {
    type Held = (__m512i, __m512i);

    #[inline(always)]
    fn hold(self, query: &[i8; BLOCK_DIMS]) -> Self::Held {
        self.0.hold(query)
    }

    #[inline(always)]
    fn lines(self, lines: [&Line; GROUP], query: Self::Held) -> [i32; GROUP] {
        self.0.lines(lines, query)
    }

    compiled!("avx512f,avx512bw,avx512dq,avx512vl");
}

impl Nibbles for (Avx512, Vnni) {
    type Held = (__m512i, __m512i);

    #[inline(always)]
    fn hold(self, query: &[i8; BLOCK_DIMS]) -> Self::Held {
        self.0.hold(query)
    }

    #[inline(always)]
    fn lines(self, lines: [&Line; GROUP], query: Self::Held) -> [i32; GROUP] {
        // SAFETY: `self` proves that the features exist.
        unsafe { lines_vnni(lines, query) }
    }

    compiled!("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni");
}

#[inline]
#[target_feature(enable = "avx2")]
fn hold_256(query: &[i8; BLOCK_DIMS]) -> [__m256i; 4] {
    // SAFETY: the query has 128 bytes.
    [0, 32, 64, 96].map(|at| unsafe { _mm256_loadu_si256(query.as_ptr().add(at).cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn lines_256(lines: [&Line; GROUP], query: [__m256i; 4]) -> [i32; GROUP] {
    let nibble = _mm256_set1_epi8(15);
    let mut sums = [_mm256_setzero_si256(); GROUP];
    for (sum, line) in sums.iter_mut().zip(lines) {
        let mut narrow = _mm256_setzero_si256();
        for half in 0..2 {
            // SAFETY: a line has 64 bytes.
            let code = unsafe { _mm256_loadu_si256(line.as_ptr().add(32 * half).cast()) };
            let first = _mm256_and_si256(code, nibble);
            let second = _mm256_and_si256(_mm256_srli_epi16::<4>(code), nibble);
            let pairs = _mm256_add_epi16(
                _mm256_maddubs_epi16(first, query[half]),
                _mm256_maddubs_epi16(second, query[2 + half]),
            );
            narrow = _mm256_add_epi16(narrow, pairs);
        }
        *sum = _mm256_madd_epi16(narrow, _mm256_set1_epi16(1));
    }
    sums_of_lanes(sums)
}

impl Nibbles for Avx2 {
    type Held = [__m256i; 4];

    #[inline(always)]
    fn hold(self, query: &[i8; BLOCK_DIMS]) -> Self::Held {
        // SAFETY: `self` proves that the features exist.
        unsafe { hold_256(query) }
    }

    #[inline(always)]
    fn lines(self, lines: [&Line; GROUP], query: Self::Held) -> [i32; GROUP] {
        // SAFETY: `self` proves that the features exist.
        unsafe { lines_256(lines, query) }
    }

    compiled!("avx2");
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
