//! The last step of a search over numbered rows: exact scores, and the closest first.

use crate::matrix::Matrix;
use crate::search::query::Query;
use crate::search::score::exact_scores;
use crate::types::Neighbor;

/// The `k` closest of `rows` by exact score, closest first, ties by row number. O(rows · dim).
///
/// # Panics
/// When a row is not one of `vectors`.
pub fn nearest(query: &Query, vectors: &Matrix, rows: &[u32], k: usize) -> Vec<Neighbor> {
    let values = |row: u32| vectors.row(row as usize);
    let (fours, rest) = rows.as_chunks::<4>();
    // Four cost hardly more than one: what is missing at the end is scored again.
    let last = rest.first().map(|&row| {
        let mut four = [row; 4];
        four[..rest.len()].copy_from_slice(rest);
        four
    });
    let mut neighbors = Vec::with_capacity(rows.len() + 3);
    for four in fours.iter().copied().chain(last) {
        let scores = exact_scores(query, four.map(values));
        neighbors.extend(four.into_iter().zip(scores).map(|(row, score)| Neighbor { row, score }));
    }
    neighbors.truncate(rows.len());
    neighbors.sort_unstable_by(|a, b| {
        query.metric().closer_first(a.score, b.score).then(a.row.cmp(&b.row))
    });
    neighbors.truncate(k);
    neighbors
}
