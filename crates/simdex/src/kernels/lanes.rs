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

    /// One value in all lanes.
    fn splat(self, value: f32) -> Self::Vector;

    /// Writes the lanes to the first `LANES` places of a slice that is at least so long.
    fn store(self, a: Self::Vector, places: &mut [f32]);

    /// Lane by lane a − b.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// Lane by lane a + b.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// Lane by lane a · b + c, rounded once or twice.
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// The sum of the lanes.
    fn sum(self, a: Self::Vector) -> f32;
}

/// What is summed over the dimensions.
pub(super) trait Term: Copy {
    /// `sum` plus the term of each lane.
    fn accumulate<L: Lanes>(self, isa: L, a: L::Vector, b: L::Vector, sum: L::Vector) -> L::Vector;

    /// The term of one dimension.
    fn one(self, a: f32, b: f32) -> f32;
}

/// a · b
#[derive(Clone, Copy)]
pub(super) struct Product;

impl Term for Product {
    #[inline(always)]
    fn accumulate<L: Lanes>(self, isa: L, a: L::Vector, b: L::Vector, sum: L::Vector) -> L::Vector {
        isa.multiply_add(a, b, sum)
    }

    #[inline(always)]
    fn one(self, a: f32, b: f32) -> f32 {
        a * b
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

    #[inline(always)]
    fn one(self, a: f32, b: f32) -> f32 {
        (a - b) * (a - b)
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

/// Sums a term of the query and each row of `rows` (row-major) into `out`.
///
/// One row after the other: hardware prefetchers follow one stream at the speed of memory, and
/// processors overlap the sums of successive rows by themselves.
#[inline(always)]
pub(super) fn rows<L: Lanes, T: Term>(
    isa: L,
    term: T,
    query: &[f32],
    rows: &[f32],
    out: &mut [f32],
) {
    if query.is_empty() {
        out.fill(0.0);
        return;
    }
    for (row, place) in rows.chunks_exact(query.len()).zip(out) {
        *place = pair(isa, term, query, row);
    }
}

/// Sums a term of each row of `a` (n × inner) and each column of `b` (inner × m) into `out`
/// (n × m), all row-major: with [`Product`], the matrix product.
///
/// Sums lie in the lanes of neighbouring columns, so that none has to be added up across lanes.
#[inline(always)]
pub(super) fn columns<L: Lanes, T: Term>(
    isa: L,
    term: T,
    a: &[f32],
    b: &[f32],
    inner: usize,
    out: &mut [f32],
) {
    let columns = b.len() / inner.max(1);
    if inner == 0 || columns == 0 {
        out.fill(0.0);
        return;
    }
    // What is left of each, when four rows are taken at a time, has to be the same rows.
    let n = (a.len() / inner).min(out.len() / columns);
    let (a, out) = (&a[..n * inner], &mut out[..n * columns]);
    let (mut rows, mut places) = (a.chunks_exact(4 * inner), out.chunks_exact_mut(4 * columns));
    for (rows, places) in rows.by_ref().zip(places.by_ref()) {
        let rows = std::array::from_fn(|i| &rows[i * inner..][..inner]);
        strip::<L, T, 2, 4>(isa, term, rows, b, columns, places);
    }
    let rest = places.into_remainder().chunks_exact_mut(columns);
    for (row, places) in rows.remainder().chunks_exact(inner).zip(rest) {
        strip::<L, T, 8, 1>(isa, term, [row], b, columns, places);
    }
}

/// `P` rows of `a`, `J` registers of columns at a time: as many sums as hide the latency of
/// additions and still fit the registers.
#[inline(always)]
fn strip<L: Lanes, T: Term, const J: usize, const P: usize>(
    isa: L,
    term: T,
    rows: [&[f32]; P],
    b: &[f32],
    columns: usize,
    out: &mut [f32],
) {
    let mut at = 0;
    while at + J * L::LANES <= columns {
        tile::<L, T, J, P>(isa, term, rows, b, columns, at, out);
        at += J * L::LANES;
    }
    while at + L::LANES <= columns {
        tile::<L, T, 1, P>(isa, term, rows, b, columns, at, out);
        at += L::LANES;
    }
    for at in at..columns {
        for (p, row) in rows.iter().enumerate() {
            let terms = row.iter().zip(b.chunks_exact(columns));
            out[p * columns + at] = terms.map(|(&value, b)| term.one(value, b[at])).sum();
        }
    }
}

#[inline(always)]
fn tile<L: Lanes, T: Term, const J: usize, const P: usize>(
    isa: L,
    term: T,
    rows: [&[f32]; P],
    b: &[f32],
    columns: usize,
    at: usize,
    out: &mut [f32],
) {
    let mut sums = [[isa.zero(); J]; P];
    for (i, b) in b.chunks_exact(columns).enumerate() {
        let b = &b[at..][..J * L::LANES];
        let b: [L::Vector; J] = std::array::from_fn(|j| isa.load(&b[j * L::LANES..]));
        for (row, sums) in rows.iter().zip(&mut sums) {
            let value = isa.splat(row[i]);
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = term.accumulate(isa, value, b, *sum);
            }
        }
    }
    for (p, sums) in sums.into_iter().enumerate() {
        for (j, sum) in sums.into_iter().enumerate() {
            isa.store(sum, &mut out[p * columns + at + j * L::LANES..]);
        }
    }
}
