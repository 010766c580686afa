//! The float32 algorithms, written once over a vector register of any width.
//!
//! Everything here is `#[inline(always)]`, so that it is compiled inside a function that has the
//! instruction set's `#[target_feature]`; outside of one it would be correct but slow.

/// A vector register of float32 values; the implementing value proves that the instructions exist.
pub(super) trait Lanes: Copy {
    /// The register.
    type Vector: Copy;

    /// How many values it holds.
    const LANES: usize;

    /// All zero.
    fn zero(self) -> Self::Vector;

    /// The first `LANES` values of a slice that is at least so long.
    fn load(self, values: &[f32]) -> Self::Vector;

    /// Fewer than `LANES` values, then zeros.
    fn load_tail(self, values: &[f32]) -> Self::Vector;

    /// Lane by lane a − b.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// Lane by lane a + b.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// Lane by lane a · b + c, rounded once or twice.
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// The sum of the lanes.
    fn sum(self, a: Self::Vector) -> f32;

    /// Asks for the cache line at `offset` values after the start of `values`, which may lie
    /// outside of the slice.
    fn prefetch(self, values: &[f32], offset: usize);
}

/// What is summed over the dimensions.
pub(super) trait Term: Copy {
    /// `sum` plus the term of each lane.
    fn accumulate<L: Lanes>(self, isa: L, a: L::Vector, b: L::Vector, sum: L::Vector) -> L::Vector;
}

/// a · b
#[derive(Clone, Copy)]
pub(super) struct Product;

impl Term for Product {
    #[inline(always)]
    fn accumulate<L: Lanes>(self, isa: L, a: L::Vector, b: L::Vector, sum: L::Vector) -> L::Vector {
        isa.multiply_add(a, b, sum)
    }
}

/// (a − b)²
#[derive(Clone, Copy)]
pub(super) struct SquaredDifference;

impl Term for SquaredDifference {
    #[inline(always)]
    fn accumulate<L: Lanes>(self, isa: L, a: L::Vector, b: L::Vector, sum: L::Vector) -> L::Vector {
        let difference = isa.sub(a, b);
        isa.multiply_add(difference, difference, sum)
    }
}

/// Sums a term over two slices, the longer one cut to the shorter.
///
/// Four independent sums hide the latency of the additions.
#[inline(always)]
pub(super) fn pair<L: Lanes, T: Term>(isa: L, term: T, a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut sums = [isa.zero(); 4];
    let (mut wide_a, mut wide_b) = (a.chunks_exact(4 * L::LANES), b.chunks_exact(4 * L::LANES));
    for (a, b) in wide_a.by_ref().zip(wide_b.by_ref()) {
        for (i, sum) in sums.iter_mut().enumerate() {
            let at = i * L::LANES;
            *sum = term.accumulate(isa, isa.load(&a[at..]), isa.load(&b[at..]), *sum);
        }
    }
    let (mut whole_a, mut whole_b) =
        (wide_a.remainder().chunks_exact(L::LANES), wide_b.remainder().chunks_exact(L::LANES));
    for ((a, b), sum) in whole_a.by_ref().zip(whole_b.by_ref()).zip(&mut sums) {
        *sum = term.accumulate(isa, isa.load(a), isa.load(b), *sum);
    }
    let (tail_a, tail_b) = (whole_a.remainder(), whole_b.remainder());
    if !tail_a.is_empty() {
        let (a, b) = (isa.load_tail(tail_a), isa.load_tail(tail_b));
        sums[3] = term.accumulate(isa, a, b, sums[3]);
    }
    isa.sum(isa.add(isa.add(sums[0], sums[1]), isa.add(sums[2], sums[3])))
}

/// How many rows are summed side by side: enough independent sums to hide latency, and each value
/// of the query is loaded once for all of them.
const ROWS: usize = 4;

/// How far ahead of the sums rows are fetched, in rows' worth of values.
const AHEAD: usize = 2 * ROWS;

/// Sums a term of the query and each row of `rows` (row-major) into `out`.
#[inline(always)]
pub(super) fn rows<L: Lanes, T: Term>(
    isa: L,
    term: T,
    query: &[f32],
    rows: &[f32],
    out: &mut [f32],
) {
    let dim = query.len();
    if dim == 0 {
        out.fill(0.0);
        return;
    }
    let mut tiles = rows.chunks_exact(ROWS * dim);
    let mut places = out.chunks_exact_mut(ROWS);
    for (tile, places) in tiles.by_ref().zip(places.by_ref()) {
        places.copy_from_slice(&four(isa, term, query, tile));
    }
    let done = (out.len() / ROWS).min(rows.len() / (ROWS * dim)) * ROWS;
    for (row, place) in rows[done * dim..].chunks_exact(dim).zip(&mut out[done..]) {
        *place = pair(isa, term, query, row);
    }
}

/// The sums of four rows.
#[inline(always)]
fn four<L: Lanes, T: Term>(isa: L, term: T, query: &[f32], tile: &[f32]) -> [f32; ROWS] {
    let dim = query.len();
    let row: [&[f32]; ROWS] = std::array::from_fn(|r| &tile[r * dim..][..dim]);
    let mut sums = [isa.zero(); ROWS];
    let whole = dim - dim % L::LANES;
    let mut at = 0;
    while at < whole {
        let q = isa.load(&query[at..whole]);
        for r in 0..ROWS {
            isa.prefetch(row[r], at + AHEAD * dim);
            sums[r] = term.accumulate(isa, q, isa.load(&row[r][at..whole]), sums[r]);
        }
        at += L::LANES;
    }
    if whole < dim {
        let q = isa.load_tail(&query[whole..]);
        for r in 0..ROWS {
            sums[r] = term.accumulate(isa, q, isa.load_tail(&row[r][whole..]), sums[r]);
        }
    }
    sums.map(|sum| isa.sum(sum))
}
