//! Products of codes in plain Rust.

use super::codes::{self, BLOCK_ROWS, CodeLanes, CodeQuery};
use super::scalar::Scalar;

impl Scalar {
    /// See [`super::Kernels::code_block`].
    pub(super) fn code_block<const Q: usize>(
        self,
        block: &[u8],
        queries: [&CodeQuery; Q],
        limits: [f32; Q],
        sums: &mut [[i32; BLOCK_ROWS]; Q],
    ) -> [u16; Q] {
        codes::block(self, block, queries, limits, sums)
    }
}

impl CodeLanes for Scalar {
    type Bytes = [i8; 16];
    type Short = [i32; 4];
    type Long = [i32; 4];
    const ROWS: usize = 4;

    #[inline(always)]
    fn short_zero(self) -> [i32; 4] {
        [0; 4]
    }

    #[inline(always)]
    fn long_zero(self) -> [i32; 4] {
        [0; 4]
    }

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> [i8; 16] {
        std::array::from_fn(|i| bytes[i] as i8)
    }

    #[inline(always)]
    fn splat(self, word: i32) -> [i8; 16] {
        let bytes = word.to_le_bytes();
        std::array::from_fn(|i| bytes[i % 4] as i8)
    }

    #[inline(always)]
    fn nibbles(self, bytes: [i8; 16]) -> ([i8; 16], [i8; 16]) {
        (bytes.map(|byte| byte & 0x0F), bytes.map(|byte| (byte as u8 >> 4) as i8))
    }

    #[inline(always)]
    fn multiply(self, sum: [i32; 4], codes: [i8; 16], query: [i8; 16]) -> [i32; 4] {
        let product = |i: usize| i32::from(codes[i]) * i32::from(query[i]);
        let four = |i: usize| (4 * i..4 * i + 4).map(product).sum::<i32>();
        std::array::from_fn(|i| sum[i] + four(i))
    }

    #[inline(always)]
    fn widen(self, sum: [i32; 4], short: [i32; 4]) -> [i32; 4] {
        std::array::from_fn(|i| sum[i] + short[i])
    }

    #[inline(always)]
    fn store(self, sum: [i32; 4], out: &mut [i32]) {
        out[..4].copy_from_slice(&sum);
    }
}
