//! [`Nibbles`] with NEON: widening multiplications that every 64-bit ARM has.
#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::super::neon::Neon;
use super::{BLOCK_BYTES, BLOCK_DIMS, GROUP, Nibbles};

impl Nibbles for Neon {
    #[inline]
    fn dots(self, codes: [&[u8]; GROUP], query: &[i8]) -> [i32; GROUP] {
        // SAFETY: `self` proves that the features exist.
        codes.map(|code| unsafe { dot(code, query) })
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn dot(code: &[u8], query: &[i8]) -> i32 {
    let mut sum = vdupq_n_s32(0);
    for (code, query) in code.chunks_exact(BLOCK_BYTES).zip(query.chunks_exact(BLOCK_DIMS)) {
        for at in (0..BLOCK_BYTES).step_by(16) {
            // SAFETY: the slices have 64 and 128 bytes and `at` is at most 48.
            let (code, low, high) = unsafe {
                (
                    vld1q_u8(code.as_ptr().add(at)),
                    vld1q_s8(query.as_ptr().add(at)),
                    vld1q_s8(query.as_ptr().add(at + BLOCK_BYTES)),
                )
            };
            let first = vreinterpretq_s8_u8(vandq_u8(code, vdupq_n_u8(15)));
            let second = vreinterpretq_s8_u8(vshrq_n_u8::<4>(code));
            // Four products of at most 15·127 fit 16 bits.
            let mut pairs = vmull_s8(vget_low_s8(first), vget_low_s8(low));
            pairs = vmlal_high_s8(pairs, first, low);
            pairs = vmlal_s8(pairs, vget_low_s8(second), vget_low_s8(high));
            pairs = vmlal_high_s8(pairs, second, high);
            sum = vpadalq_s16(sum, pairs);
        }
    }
    vaddvq_s32(sum)
}
