//! Arithmetic on four-bit codes: sums of a block of 16 rows against up to four queries, and the
//! test whether a row can reach a limit. The layout of a block is in `quant`.
//!
//! Sums are whole numbers, so every instruction set gives the same ones.

/// Rows of a block.
pub const BLOCK_ROWS: usize = 16;
/// Dimensions of a group.
pub const GROUP_DIMS: usize = 8;
/// Bytes of a group: four for each row.
pub const GROUP_BYTES: usize = BLOCK_ROWS * GROUP_DIMS / 2;
/// Bytes after the groups: three words for each row.
pub const FACTOR_BYTES: usize = 3 * 4 * BLOCK_ROWS;
/// Levels of a code.
pub const LEVELS: f64 = 16.0;
/// Queries are whole numbers of at most this size: eight products with codes then fit 16 bits.
pub const LARGEST_QUERY: i8 = 127;

/// Groups summed in 16 bits before widening: 2 · 4 products pairs of at most 2 · 15 · 127.
const GROUPS_AT_ONCE: usize = 4;

/// A query of whole numbers, and what turns sums into bounds.
#[derive(Debug, Clone)]
pub struct CodeQuery {
    /// For each group, its first four and its last four values as the bytes of a word.
    words: Vec<[i32; 2]>,
    /// 15 · Σq: twice what the codes' zero point adds to a sum.
    zero: i32,
    /// Half of the query's step.
    half_step: f64,
    /// Multiplies ‖e‖ and ‖x̂‖.
    per_error: f32,
    per_norm: f32,
}

impl CodeQuery {
    /// `values`: q′ / `step` rounded, −127 … 127; `norm` ≥ ‖q′‖; `lost` ≥ what rounding lost.
    pub fn new(values: &[i8], step: f64, norm: f64, lost: f64) -> Self {
        let word = |values: &[i8]| {
            let byte = |i: usize| values.get(i).map_or(0, |&value| value as u8);
            i32::from_le_bytes(std::array::from_fn(byte))
        };
        let words = values
            .chunks(GROUP_DIMS)
            .map(|group| [word(group), word(group.get(4..).unwrap_or(&[]))])
            .collect();
        let sum: i32 = values.iter().map(|&value| i32::from(value)).sum();
        let up = |value: f64| (value as f32).next_up();
        Self {
            words,
            zero: 15 * sum,
            half_step: step / 2.0,
            per_error: up(norm),
            per_norm: up(lost),
        }
    }

    /// ⟨y, q⟩ in the query's own units from a sum over codes.
    pub fn product(&self, sum: i32) -> f64 {
        self.half_step * f64::from(2 * sum - self.zero)
    }
}

/// What is stored of one row.
#[derive(Debug, Clone, Copy)]
pub struct Factors {
    /// A.
    pub offset: f32,
    /// s.
    pub scale: f32,
    /// At least ‖e‖.
    pub error: f64,
    /// At least ‖x̂‖.
    pub norm: f64,
}

/// The factors of row `i` of a block; zeros where the block is too short.
pub fn factors(block: &[u8], i: usize) -> Factors {
    let words = block.len().saturating_sub(FACTOR_BYTES);
    let word = |kind: usize| {
        let bytes = block.get(words..).and_then(|all| all.get(4 * (BLOCK_ROWS * kind + i)..));
        bytes.and_then(|bytes| bytes.first_chunk()).map_or(0, |&bytes| u32::from_le_bytes(bytes))
    };
    let (error, norm) = split(word(2));
    Factors {
        offset: f32::from_bits(word(0)),
        scale: f32::from_bits(word(1)),
        error: f64::from(error),
        norm: f64::from(norm),
    }
}

#[inline(always)]
fn split(word: u32) -> (f32, f32) {
    (f32::from_bits(word & 0xFFFF_0000), f32::from_bits(word << 16))
}

/// Registers for products of codes; the implementing value proves that the instructions exist.
pub(super) trait CodeLanes: Copy {
    /// Bytes of codes or queries.
    type Bytes: Copy;
    /// Sums of a few products.
    type Short: Copy;
    /// 32-bit sums.
    type Long: Copy;

    /// Rows in a register of codes.
    const ROWS: usize;

    /// No sum yet.
    fn short_zero(self) -> Self::Short;
    /// No sum yet.
    fn long_zero(self) -> Self::Long;
    /// 4 · `ROWS` bytes.
    fn load(self, bytes: &[u8]) -> Self::Bytes;
    /// The four bytes of `word`, for each row.
    fn splat(self, word: i32) -> Self::Bytes;
    /// The low and the high nibble of each byte.
    fn nibbles(self, bytes: Self::Bytes) -> (Self::Bytes, Self::Bytes);
    /// Adds the products of codes and query.
    fn multiply(self, sum: Self::Short, codes: Self::Bytes, query: Self::Bytes) -> Self::Short;
    /// Adds a short sum to a long one.
    fn widen(self, sum: Self::Long, short: Self::Short) -> Self::Long;
    /// Writes the sums of `ROWS` rows.
    fn store(self, sum: Self::Long, out: &mut [i32]);
}

/// Sums of the 16 rows of `block` against each of `queries`, and for each query the rows, as bits,
/// whose best case A + ⟨x̂, q′⟩ + ‖e‖‖q′‖ + … is not below its limit.
#[inline(always)]
pub(super) fn block<L: CodeLanes, const Q: usize>(
    isa: L,
    block: &[u8],
    queries: [&CodeQuery; Q],
    limits: [f32; Q],
    sums: &mut [[i32; BLOCK_ROWS]; Q],
) -> [u16; Q] {
    let (codes, factors) = block.split_at(block.len().saturating_sub(FACTOR_BYTES));
    for part in 0..BLOCK_ROWS / L::ROWS {
        let long = part_sums(isa, codes, part, queries);
        for (sums, long) in sums.iter_mut().zip(long) {
            isa.store(long, &mut sums[part * L::ROWS..][..L::ROWS]);
        }
    }
    let mut masks = [0; Q];
    for q in 0..Q {
        masks[q] = reach(queries[q], limits[q], factors, &sums[q]);
    }
    masks
}

// Indices keep the queries' sums in registers: iterators over arrays of `Q` did not always.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn part_sums<L: CodeLanes, const Q: usize>(
    isa: L,
    codes: &[u8],
    part: usize,
    queries: [&CodeQuery; Q],
) -> [L::Long; Q] {
    let groups = queries.iter().fold(codes.len() / GROUP_BYTES, |n, q| n.min(q.words.len()));
    let words = queries.map(|query| &query.words[..groups]);
    let codes = &codes[..groups * GROUP_BYTES];
    let mut long = [isa.long_zero(); Q];
    let mut start = 0;
    while start < groups {
        let end = (start + GROUPS_AT_ONCE).min(groups);
        let mut short = [isa.short_zero(); Q];
        for g in start..end {
            let at = g * GROUP_BYTES + part * 4 * L::ROWS;
            let (low, high) = isa.nibbles(isa.load(&codes[at..]));
            for q in 0..Q {
                let [first, last] = words[q][g];
                short[q] = isa.multiply(short[q], low, isa.splat(first));
                short[q] = isa.multiply(short[q], high, isa.splat(last));
            }
        }
        for q in 0..Q {
            long[q] = isa.widen(long[q], short[q]);
        }
        start = end;
    }
    long
}

/// Bits of the rows that can reach the limit. The comparison is negated so that NaN passes.
#[inline(always)]
#[allow(clippy::neg_cmp_op_on_partial_ord)]
fn reach(query: &CodeQuery, limit: f32, factors: &[u8], sums: &[i32; BLOCK_ROWS]) -> u16 {
    const ROUNDING: f32 = 1.0 / (1u32 << 19) as f32;
    let (words, _) = factors.as_chunks::<4>();
    let Some(words) = words.first_chunk::<{ 3 * BLOCK_ROWS }>() else { return u16::MAX };
    let word = |at: usize| u32::from_le_bytes(words[at]);
    let half_step = query.half_step as f32;
    let mut best = [0.0f32; BLOCK_ROWS];
    for i in 0..BLOCK_ROWS {
        let offset = f32::from_bits(word(i));
        let scale = f32::from_bits(word(BLOCK_ROWS + i));
        let (error, norm) = split(word(2 * BLOCK_ROWS + i));
        let along = scale * (half_step * (2 * sums[i] - query.zero) as f32);
        let doubt = error * query.per_error + norm * query.per_norm;
        best[i] = (offset + along) + (doubt + (offset.abs() * ROUNDING + 1e-37));
    }
    let mut mask = 0;
    for (i, best) in best.iter().enumerate() {
        mask |= u16::from(!(*best < limit)) << i;
    }
    mask
}
