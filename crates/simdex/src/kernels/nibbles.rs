//! Inner products of 4-bit codes with an 8-bit query, for rows picked one by one.
//!
//! A *record* is the code of one row: blocks of 64 bytes, each 128 dimensions, the low nibbles
//! holding the first 64 of them and the high nibbles the others. Dimensions that don't exist are
//! zero in the query. The products need no VNNI: pairs are summed in 16 bits (at most
//! 2·15·127 = 3,810 a pair, so eight fit) and then widened.

use super::Kernels;
use super::scalar::Scalar;

#[cfg(target_arch = "x86_64")]
#[path = "nibbles_x86.rs"]
mod x86;

#[cfg(target_arch = "aarch64")]
#[path = "nibbles_neon.rs"]
mod neon;

/// Bytes of a block of a code.
pub const BLOCK_BYTES: usize = 64;

/// Dimensions of a block of a code.
pub const BLOCK_DIMS: usize = 2 * BLOCK_BYTES;

/// How many records are multiplied side by side.
pub const GROUP: usize = 4;

/// What each instruction set provides.
pub(super) trait Nibbles: Copy {
    /// ⟨code, query⟩ of [`GROUP`] codes. `codes` hold at least `query.len() / 2` bytes each, and
    /// the query is whole blocks.
    fn dots(self, codes: [&[u8]; GROUP], query: &[i8]) -> [i32; GROUP];
}

impl Nibbles for Scalar {
    #[inline(always)]
    fn dots(self, codes: [&[u8]; GROUP], query: &[i8]) -> [i32; GROUP] {
        codes.map(|code| {
            let blocks = code.chunks_exact(BLOCK_BYTES).zip(query.chunks_exact(BLOCK_DIMS));
            blocks.map(|(code, query)| block_dot(code, query)).sum()
        })
    }
}

/// ⟨code, query⟩ of one block, the obvious way.
fn block_dot(code: &[u8], query: &[i8]) -> i32 {
    let (low, high) = query.split_at(BLOCK_BYTES);
    let pairs = code.iter().zip(low).zip(high);
    pairs
        .map(|((&c, &l), &h)| i32::from(c & 15) * i32::from(l) + i32::from(c >> 4) * i32::from(h))
        .sum()
}

impl Kernels {
    /// ⟨code, query⟩ of [`GROUP`] codes of `query.len() / 2` bytes. O(dim).
    ///
    /// The query is cut to whole blocks that every code has.
    #[inline]
    pub fn nibble_dots(self, codes: [&[u8]; GROUP], query: &[i8]) -> [i32; GROUP] {
        let shortest = codes.iter().map(|code| code.len()).min().unwrap_or(0);
        let blocks = (shortest / BLOCK_BYTES).min(query.len() / BLOCK_DIMS);
        let query = &query[..blocks * BLOCK_DIMS];
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(isa) => isa.dots(codes, query),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(isa) => isa.dots(codes, query),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(isa) => isa.dots(codes, query),
            Self::Scalar(isa) => isa.dots(codes, query),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_agrees_even_at_the_extremes() {
        for blocks in 0..=26 {
            for (seed, extreme) in [(1u32, false), (2, true), (3, false)] {
                let mut state = seed.wrapping_mul(2_654_435_761) + blocks as u32;
                let mut next = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                };
                let mut byte = || if extreme { 255 } else { next() };
                let codes: Vec<Vec<u8>> = (0..GROUP)
                    .map(|_| (0..blocks * BLOCK_BYTES).map(|_| byte()).collect())
                    .collect();
                let level = |value: u8| if extreme { -127 } else { (value as i8).max(-127) };
                let query: Vec<i8> = (0..blocks * BLOCK_DIMS).map(|_| level(next())).collect();
                let slices = [&codes[0][..], &codes[1], &codes[2], &codes[3]];
                let want = Kernels::Scalar(Scalar::new()).nibble_dots(slices, &query);
                for kernels in Kernels::available() {
                    assert_eq!(kernels.nibble_dots(slices, &query), want, "{}", kernels.name());
                }
            }
        }
    }
}
