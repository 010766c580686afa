//! Exact scores: float64, in the order of operations of llm's `cosine_similarity`.

use crate::search::query::Query;
use crate::types::Metric;

/// The score of `row` under the query's metric (convention: [`Metric`]). O(dim).
///
/// Sums run over the dimensions in order, in float64, so the cosine equals the value that llm's
/// Python loop computes.
pub fn exact_score(query: &Query, row: &[f32]) -> f64 {
    let [score] = exact_scores(query, [row]);
    score
}

/// [`exact_score`] of `N` rows at once, which is faster: each sum has to wait for its own additions
/// only. Rows are as long as the query. O(N · dim).
pub fn exact_scores<const N: usize>(query: &Query, rows: [&[f32]; N]) -> [f64; N] {
    // What `Iterator::sum` begins with: adding it changes no number, not even the sign of a zero.
    let mut sums = [-0.0f64; N];
    match query.metric() {
        Metric::L2 => {
            for_each(query, rows, |at, q, x| sums[at] += (x - q) * (x - q));
            sums
        }
        Metric::Dot => {
            for_each(query, rows, |at, q, x| sums[at] += x * q);
            sums
        }
        Metric::Cosine => {
            let mut norms = [-0.0f64; N];
            for_each(query, rows, |at, q, x| {
                sums[at] += x * q;
                norms[at] += x * x;
            });
            std::array::from_fn(|at| sums[at] / (root(norms[at]) * query.norm()))
        }
    }
}

/// Dimension by dimension, `term(which row, value of the query, value of the row)`.
#[inline(always)]
fn for_each<const N: usize>(
    query: &Query,
    rows: [&[f32]; N],
    mut term: impl FnMut(usize, f64, f64),
) {
    let shortest = rows.iter().map(|row| row.len()).fold(query.exact().len(), usize::min);
    let rows = rows.map(|row| &row[..shortest]);
    for (i, &q) in query.exact()[..shortest].iter().enumerate() {
        for (at, row) in rows.iter().enumerate() {
            term(at, q, f64::from(row[i]));
        }
    }
}

/// The square root as Python computes `x ** 0.5`: C's `pow`, which may differ from `sqrt` in the
/// last place. With it scores equal llm's to the last digit.
pub(crate) fn root(square: f64) -> f64 {
    // The compiler would turn a power of 0.5 that it can see into a square root.
    square.powf(std::hint::black_box(0.5))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The obvious loop, one row and one sum after the other.
    fn obvious(query: &Query, row: &[f32]) -> f64 {
        let pairs = || query.exact().iter().zip(row).map(|(&q, &x)| (q, f64::from(x)));
        match query.metric() {
            Metric::L2 => pairs().map(|(q, x)| (x - q) * (x - q)).sum(),
            Metric::Dot => pairs().map(|(q, x)| x * q).sum(),
            Metric::Cosine => {
                let dot: f64 = pairs().map(|(q, x)| x * q).sum();
                let norm: f64 = pairs().map(|(_, x)| x * x).sum();
                dot / (root(norm) * query.norm())
            }
        }
    }

    proptest! {
        #[test]
        fn several_at_once_have_the_digits_of_each_alone(
            values in proptest::collection::vec(prop::num::f32::NORMAL | prop::num::f32::ZERO, 5..200),
        ) {
            let dim = values.len() / 5;
            let rows: [&[f32]; 4] = std::array::from_fn(|at| &values[(at + 1) * dim..][..dim]);
            for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
                let Ok(query) = Query::from_f32(&values[..dim], metric) else { continue };
                // Which NaN says that a row is zero is up to the processor.
                let bits = |score: f64| if score.is_nan() { u64::MAX } else { score.to_bits() };
                let want = rows.map(|row| bits(obvious(&query, row)));
                prop_assert_eq!(exact_scores(&query, rows).map(bits), want);
                prop_assert_eq!(rows.map(|row| bits(exact_score(&query, row))), want);
            }
        }
    }
}
