//! [`Nibbles`] with NEON: widening multiplications that every 64-bit ARM has.
#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::super::neon::Neon;
use super::{Aim, BLOCK_BYTES, BLOCK_DIMS, Codes, GROUP, Line, Near, Nibbles, refine, sift};

impl Nibbles for Neon {
    type Held = [i8; BLOCK_DIMS];

    #[inline(always)]
    fn hold(self, query: &[i8; BLOCK_DIMS]) -> [i8; BLOCK_DIMS] {
        *query
    }

    #[inline(always)]
    fn lines(self, lines: [&Line; GROUP], query: [i8; BLOCK_DIMS]) -> [i32; GROUP] {
        // SAFETY: `self` proves that the features exist.
        lines.map(|line| unsafe { dot(line, &query) })
    }

    fn sift(self, heads: Codes, numbers: &[u32], query: &Aim, bound: f32, near: &mut Near) {
        sift(self, heads, numbers, query, bound, near);
    }

    fn refine(self, heads: Codes, tails: Codes, query: &Aim, near: &mut Near) {
        refine(self, heads, tails, query, near);
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn dot(code: &Line, query: &[i8; BLOCK_DIMS]) -> i32 {
    let mut sum = vdupq_n_s32(0);
    for at in (0..BLOCK_BYTES).step_by(16) {
        // SAFETY: the arrays have 64 and 128 bytes and `at` is at most 48.
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
    vaddvq_s32(sum)
}
