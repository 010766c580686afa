//! Products of codes on NEON: 4 rows a register.
#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::codes::{self, BLOCK_ROWS, CodeLanes, CodeQuery};
use super::neon::Neon;

impl Neon {
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

#[target_feature(enable = "neon")]
fn code_block<const Q: usize>(
    isa: Neon,
    block: &[u8],
    queries: [&CodeQuery; Q],
    limits: [f32; Q],
    sums: &mut [[i32; BLOCK_ROWS]; Q],
) -> [u16; Q] {
    codes::block(isa, block, queries, limits, sums)
}

impl CodeLanes for Neon {
    type Bytes = int8x16_t;
    type Short = (int16x8_t, int16x8_t);
    type Long = (int32x4_t, int32x4_t);
    const ROWS: usize = 4;

    #[inline(always)]
    fn short_zero(self) -> (int16x8_t, int16x8_t) {
        // SAFETY: `self` proves that the features exist.
        unsafe { (vdupq_n_s16(0), vdupq_n_s16(0)) }
    }

    #[inline(always)]
    fn long_zero(self) -> (int32x4_t, int32x4_t) {
        // SAFETY: `self` proves that the features exist.
        unsafe { (vdupq_n_s32(0), vdupq_n_s32(0)) }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> int8x16_t {
        let bytes = &bytes[..16];
        // SAFETY: the slice has 16 bytes; `self` proves that the features exist.
        unsafe { vreinterpretq_s8_u8(vld1q_u8(bytes.as_ptr())) }
    }

    #[inline(always)]
    fn splat(self, word: i32) -> int8x16_t {
        // SAFETY: `self` proves that the features exist.
        unsafe { vreinterpretq_s8_s32(vdupq_n_s32(word)) }
    }

    #[inline(always)]
    fn nibbles(self, bytes: int8x16_t) -> (int8x16_t, int8x16_t) {
        // SAFETY: `self` proves that the features exist.
        unsafe {
            let bytes = vreinterpretq_u8_s8(bytes);
            let low = vandq_u8(bytes, vdupq_n_u8(0x0F));
            (vreinterpretq_s8_u8(low), vreinterpretq_s8_u8(vshrq_n_u8::<4>(bytes)))
        }
    }

    #[inline(always)]
    fn multiply(
        self,
        sum: (int16x8_t, int16x8_t),
        codes: int8x16_t,
        query: int8x16_t,
    ) -> (int16x8_t, int16x8_t) {
        // SAFETY: `self` proves that the features exist.
        unsafe {
            let low = vmlal_s8(sum.0, vget_low_s8(codes), vget_low_s8(query));
            (low, vmlal_high_s8(sum.1, codes, query))
        }
    }

    #[inline(always)]
    fn widen(
        self,
        sum: (int32x4_t, int32x4_t),
        short: (int16x8_t, int16x8_t),
    ) -> (int32x4_t, int32x4_t) {
        // SAFETY: `self` proves that the features exist.
        unsafe { (vpadalq_s16(sum.0, short.0), vpadalq_s16(sum.1, short.1)) }
    }

    #[inline(always)]
    fn store(self, sum: (int32x4_t, int32x4_t), out: &mut [i32]) {
        let out = &mut out[..4];
        // SAFETY: the slice has 4 places; `self` proves that the features exist.
        unsafe { vst1q_s32(out.as_mut_ptr(), vpaddq_s32(sum.0, sum.1)) }
    }
}
