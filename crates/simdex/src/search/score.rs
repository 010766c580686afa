//! Exact scores: float64, in the order of operations of llm's `cosine_similarity`.

use crate::search::query::Query;
use crate::types::Metric;

/// The score of `row` under the query's metric (convention: [`Metric`]). O(dim).
///
/// Sums run over the dimensions in order, in float64, so the cosine equals the value that llm's
/// Python loop computes.
pub fn exact_score(query: &Query, row: &[f32]) -> f64 {
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

/// The square root as Python computes `x ** 0.5`: C's `pow`, which may differ from `sqrt` in the
/// last place. With it scores equal llm's to the last digit.
pub(crate) fn root(square: f64) -> f64 {
    // The compiler would turn a power of 0.5 that it can see into a square root.
    square.powf(std::hint::black_box(0.5))
}
