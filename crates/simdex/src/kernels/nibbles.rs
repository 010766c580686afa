//! Inner products of 4-bit codes with an 8-bit query, for rows picked one by one.
//!
//! A code is blocks of 64 bytes, each 128 dimensions, the low nibbles
//! holding the first 64 of them and the high nibbles the others. Dimensions that don't exist are
//! zero in the query. It has two parts, which lie apart: a *head*, whose first block ends in
//! [`Factors`], and a *tail*, which is read only where the head says that the row may be close.
//!
//! The products need no VNNI: pairs are summed in 16 bits (at most
//! 2·15·127 = 3,810 a pair, so eight fit) and then widened.

use std::array;

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

/// Bytes of [`Factors`], at the end of a head's first block; the query is zero there.
pub const FACTOR_BYTES: usize = 8;

/// A block of a code.
type Line = [u8; BLOCK_BYTES];

/// What each instruction set provides.
pub(super) trait Nibbles: Copy {
    /// A block of a query in registers.
    type Held: Copy;

    /// Loads a block of a query.
    fn hold(self, query: &[i8; BLOCK_DIMS]) -> Self::Held;

    /// ⟨line, query⟩ of a block of each of [`GROUP`] codes.
    fn lines(self, lines: [&Line; GROUP], query: Self::Held) -> [i32; GROUP];

    /// [`sift`], compiled for the instruction set.
    fn sift(self, heads: Codes, numbers: &[u32], query: &Aim, bound: f32, near: &mut Near);

    /// [`refine`], compiled for the instruction set.
    fn refine(self, heads: Codes, tails: Codes, query: &Aim, near: &mut Near);
}

impl Nibbles for Scalar {
    type Held = [i8; BLOCK_DIMS];

    #[inline(always)]
    fn hold(self, query: &[i8; BLOCK_DIMS]) -> [i8; BLOCK_DIMS] {
        *query
    }

    #[inline(always)]
    fn lines(self, lines: [&Line; GROUP], query: [i8; BLOCK_DIMS]) -> [i32; GROUP] {
        lines.map(|line| block_dot(line, &query))
    }

    fn sift(self, heads: Codes, numbers: &[u32], query: &Aim, bound: f32, near: &mut Near) {
        sift(self, heads, numbers, query, bound, near);
    }

    fn refine(self, heads: Codes, tails: Codes, query: &Aim, near: &mut Near) {
        refine(self, heads, tails, query, near);
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

/// Codes of one size, one after the other, picked by number.
#[derive(Debug, Clone, Copy)]
pub struct Codes<'a> {
    /// The bytes of all codes.
    pub bytes: &'a [u8],
    /// Bytes from one code to the next: whole blocks.
    pub stride: usize,
}

impl<'a> Codes<'a> {
    /// The code of a number; empty where there is none.
    #[inline(always)]
    pub fn get(self, number: u32) -> &'a [u8] {
        let start = number as usize * self.stride;
        self.bytes.get(start..start + self.stride).unwrap_or(&[])
    }

    /// A block of a code; [`NOTHING`] where there is none.
    #[inline(always)]
    fn line(self, number: u32, block: usize) -> &'a Line {
        let start = number as usize * self.stride + block * BLOCK_BYTES;
        self.bytes.get(start..).and_then(|rest| rest.first_chunk()).unwrap_or(&NOTHING)
    }
}

/// The head of a row that is infinitely far.
static NOTHING: Line = {
    let mut line = [0; BLOCK_BYTES];
    // Beyond every finite number, with no exponent but the highest: infinity.
    (line[BLOCK_BYTES - 5], line[BLOCK_BYTES - 6]) = (0x7f, 0x80);
    line
};

/// What is stored of a row beside its code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factors {
    /// ‖x‖²
    pub norm: f32,
    /// What a product is multiplied by.
    pub stretch: f32,
    /// The length of what of x is not in the head.
    pub rest: f32,
}

impl Factors {
    /// Two float32, the last 8 bits of each replaced by half of a third one's first 16.
    pub fn to_bytes(self) -> [u8; FACTOR_BYTES] {
        let [_, _, low, high] = self.rest.to_le_bytes();
        let mut bytes = [0; FACTOR_BYTES];
        bytes[..4].copy_from_slice(&self.norm.to_le_bytes());
        bytes[4..].copy_from_slice(&self.stretch.to_le_bytes());
        (bytes[0], bytes[4]) = (high, low);
        bytes
    }

    /// The factors of a head's first block. The foreign bits of the first two are left as they
    /// are: less than the code's own error.
    #[inline(always)]
    pub fn of(line: &Line) -> Self {
        let [.., a, b, c, d, e, f, g, h] = *line;
        let first = u32::from_le_bytes([a, b, c, d]);
        let second = u32::from_le_bytes([e, f, g, h]);
        Self {
            norm: f32::from_bits(first),
            stretch: f32::from_bits(second),
            rest: f32::from_bits(first << 24 | (second & 255) << 16),
        }
    }
}

/// A query q as the kernels use it: ‖q − x‖² ≈ ‖q‖² + ‖x‖² − stretch · step · (product − offset).
#[derive(Debug, Clone, Default)]
pub struct Aim {
    /// Whole blocks for heads, and for tails.
    pub levels: [Vec<i8>; 2],
    /// Twice the value of one level.
    pub step: f32,
    /// What is taken from products: of the head, and of all.
    pub offsets: [f32; 2],
    /// ‖q‖²
    pub norm: f32,
    /// How much of the length of what isn't in the head may count for a row: times [`Factors::rest`],
    /// the most that its distance is taken to be below what the head says.
    pub rest: f32,
}

impl Aim {
    #[inline(always)]
    fn distance(&self, factors: Factors, product: i32, offset: f32) -> f32 {
        self.norm + factors.norm - factors.stretch * (self.step * (product as f32 - offset))
    }
}

/// A row that may be close.
#[derive(Debug, Clone, Copy, Default)]
pub struct Close {
    /// Its number.
    pub number: u32,
    /// The product so far.
    pub product: i32,
    /// The squared distance that the product tells.
    pub distance: f32,
}

/// Rows that may be close; reused from step to step.
#[derive(Debug, Default)]
pub struct Near {
    rows: Vec<Close>,
    count: usize,
}

impl Near {
    /// The rows.
    #[inline(always)]
    pub fn rows(&self) -> &[Close] {
        &self.rows[..self.count]
    }
}

/// The blocks of a query that codes of this stride have.
#[inline(always)]
fn blocks<'a>(codes: Codes, levels: &'a [i8]) -> &'a [[i8; BLOCK_DIMS]] {
    let blocks = levels.as_chunks().0;
    &blocks[..blocks.len().min(codes.stride / BLOCK_BYTES)]
}

/// The products of all blocks of a group of codes.
#[inline(always)]
fn products<N: Nibbles>(
    isa: N,
    codes: Codes,
    group: [u32; GROUP],
    query: &[[i8; BLOCK_DIMS]],
) -> [i32; GROUP] {
    let mut products = [0i32; GROUP];
    for (block, query) in query.iter().enumerate() {
        let lines = group.map(|number| codes.line(number, block));
        let more = isa.lines(lines, isa.hold(query));
        products = array::from_fn(|i| products[i].wrapping_add(more[i]));
    }
    products
}

#[inline(always)]
fn sift<N: Nibbles>(
    isa: N,
    heads: Codes,
    numbers: &[u32],
    query: &Aim,
    bound: f32,
    near: &mut Near,
) {
    if near.rows.len() < numbers.len() {
        near.rows.resize(numbers.len(), Close::default());
    }
    near.count = 0;
    let rows = &mut near.rows[..numbers.len()];
    let [first, others @ ..] = blocks(heads, &query.levels[0]) else { return };
    let held = isa.hold(first);
    let mut count = 0;
    for numbers in numbers.chunks(GROUP) {
        let last = numbers.len() - 1;
        let group: [u32; GROUP] = array::from_fn(|i| numbers[i.min(last)]);
        let lines = group.map(|number| heads.line(number, 0));
        let mut sums = isa.lines(lines, held);
        for (block, query) in others.iter().enumerate() {
            let lines = group.map(|number| heads.line(number, 1 + block));
            let more = isa.lines(lines, isa.hold(query));
            sums = array::from_fn(|i| sums[i].wrapping_add(more[i]));
        }
        let factors = lines.map(Factors::of);
        let distances: [f32; GROUP] =
            array::from_fn(|i| query.distance(factors[i], sums[i], query.offsets[0]));
        let least: [f32; GROUP] = array::from_fn(|i| distances[i] - query.rest * factors[i].rest);
        // Most are too far, unpredictably: no branches.
        for i in 0..numbers.len() {
            let row = Close { number: group[i], product: sums[i], distance: distances[i] };
            if let Some(place) = rows.get_mut(count) {
                *place = row;
            }
            count += usize::from(least[i] < bound);
        }
    }
    near.count = count;
}

#[inline(always)]
fn refine<N: Nibbles>(isa: N, heads: Codes, tails: Codes, query: &Aim, near: &mut Near) {
    let levels = blocks(tails, &query.levels[1]);
    for rows in near.rows[..near.count].chunks_mut(GROUP) {
        let last = rows.len() - 1;
        let group = array::from_fn(|i| rows[i.min(last)].number);
        let sums = products(isa, tails, group, levels);
        for (row, sum) in rows.iter_mut().zip(sums) {
            row.product = row.product.wrapping_add(sum);
            let factors = Factors::of(heads.line(row.number, 0));
            row.distance = query.distance(factors, row.product, query.offsets[1]);
        }
    }
}

impl Kernels {
    /// Looks at the heads of the rows of `numbers`: keeps those that may be closer than `bound`.
    /// O(numbers · dimensions of heads).
    #[inline]
    pub fn sift(self, heads: Codes, numbers: &[u32], query: &Aim, bound: f32, near: &mut Near) {
        dispatch!(self, isa => Nibbles::sift(isa, heads, numbers, query, bound, near));
    }

    /// Adds what the tails of [`Kernels::sift`]'s rows say of their distance.
    /// O(rows · dimensions of tails).
    #[inline]
    pub fn refine(self, heads: Codes, tails: Codes, query: &Aim, near: &mut Near) {
        if !query.levels[1].is_empty() {
            dispatch!(self, isa => Nibbles::refine(isa, heads, tails, query, near));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heads, tails and a query of some blocks, filled as `next` says.
    fn sample(
        blocks: [usize; 2],
        extreme: bool,
        mut next: impl FnMut() -> u8,
    ) -> (Vec<Vec<u8>>, Aim) {
        let mut codes = blocks.map(|blocks| {
            let bytes = 7 * blocks * BLOCK_BYTES;
            (0..bytes).map(|_| if extreme { 255 } else { next() }).collect::<Vec<u8>>()
        });
        for (i, head) in codes[0].chunks_mut((blocks[0] * BLOCK_BYTES).max(1)).enumerate() {
            let factors = Factors { norm: 1.0 + i as f32, stretch: 0.01, rest: 0.5 };
            head[BLOCK_BYTES - FACTOR_BYTES..BLOCK_BYTES].copy_from_slice(&factors.to_bytes());
        }
        let mut level = || if extreme { -127 } else { (next() as i8).max(-127) };
        let levels = blocks.map(|blocks| (0..blocks * BLOCK_DIMS).map(|_| level()).collect());
        let aim = Aim { levels, step: 0.01, offsets: [3.0, 5.0], norm: 1.0, rest: 0.25 };
        (codes.into(), aim)
    }

    fn found(
        kernels: Kernels,
        blocks: [usize; 2],
        codes: &[Vec<u8>],
        aim: &Aim,
        bound: f32,
    ) -> Vec<(u32, i32, u32)> {
        let codes: [Codes; 2] =
            array::from_fn(|i| Codes { bytes: &codes[i], stride: blocks[i] * BLOCK_BYTES });
        let mut near = Near::default();
        // Eight and nine have no codes.
        kernels.sift(codes[0], &[3, 0, 6, 8, 2, 2, 5, 1, 4, 9, 3], aim, bound, &mut near);
        kernels.refine(codes[0], codes[1], aim, &mut near);
        near.rows().iter().map(|row| (row.number, row.product, row.distance.to_bits())).collect()
    }

    #[test]
    fn every_instruction_set_agrees_even_at_the_extremes() {
        for blocks in (1..=26).flat_map(|head| [[head, 0], [1, head], [head, 3]]) {
            for (seed, extreme) in [(1u32, false), (2, true), (3, false)] {
                let mut state = seed.wrapping_mul(2_654_435_761) + blocks[0] as u32;
                let (codes, aim) = sample(blocks, extreme, || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                });
                for bound in [f32::INFINITY, 5.0, 0.0] {
                    let scalar = Kernels::Scalar(Scalar::new());
                    let want = found(scalar, blocks, &codes, &aim, bound);
                    assert!(bound < f32::INFINITY || want.len() == 9, "{blocks:?}");
                    for kernels in Kernels::available() {
                        let got = found(kernels, blocks, &codes, &aim, bound);
                        assert_eq!(got, want, "{} {blocks:?}", kernels.name());
                    }
                }
            }
        }
    }

    #[test]
    fn products_are_sums_over_the_dimensions() {
        let (codes, aim) = sample([1, 2], false, {
            let mut state = 9u8;
            move || {
                state = state.wrapping_mul(77).wrapping_add(91);
                state
            }
        });
        let nibbles = |part: usize, row: usize, blocks: usize| {
            let row = &codes[part][row * blocks * BLOCK_BYTES..][..blocks * BLOCK_BYTES];
            let lines = row.chunks(BLOCK_BYTES);
            lines
                .flat_map(|l| l.iter().map(|b| b & 15).chain(l.iter().map(|b| b >> 4)))
                .collect::<Vec<u8>>()
        };
        let dot = |part: usize, row, blocks| -> i32 {
            let pairs = nibbles(part, row, blocks).into_iter().zip(&aim.levels[part]);
            pairs.map(|(c, &q)| i32::from(c) * i32::from(q)).sum()
        };
        for (number, product, _) in found(Kernels::detect(), [1, 2], &codes, &aim, f32::INFINITY) {
            let row = number as usize;
            assert_eq!(product, dot(0, row, 1) + dot(1, row, 2));
        }
    }

    #[test]
    fn factors_survive_but_for_their_last_bits() {
        let factors = Factors { norm: 1234.567, stretch: -0.001_234_5, rest: 3.0 };
        let mut line = [7; BLOCK_BYTES];
        line[BLOCK_BYTES - FACTOR_BYTES..].copy_from_slice(&factors.to_bytes());
        let got = Factors::of(&line);
        assert!((got.norm / factors.norm - 1.0).abs() < 1e-4);
        assert!((got.stretch / factors.stretch - 1.0).abs() < 1e-4);
        assert_eq!(got.rest, factors.rest);
        assert_eq!(Factors::of(&NOTHING).norm, f32::INFINITY);
    }
}
