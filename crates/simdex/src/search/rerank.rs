//! The last step of a search over numbered rows: exact scores, and the closest first.

use crate::matrix::Matrix;
use crate::search::query::Query;
use crate::search::score::exact_score;
use crate::types::Neighbor;

/// The `k` closest of `rows` by exact score, closest first, ties by row number. O(rows · dim).
///
/// # Panics
/// When a row is not one of `vectors`.
pub fn nearest(query: &Query, vectors: &Matrix, rows: &[u32], k: usize) -> Vec<Neighbor> {
    let score = |&row: &u32| Neighbor { row, score: exact_score(query, vectors.row(row as usize)) };
    let mut neighbors: Vec<Neighbor> = rows.iter().map(score).collect();
    neighbors.sort_unstable_by(|a, b| {
        query.metric().closer_first(a.score, b.score).then(a.row.cmp(&b.row))
    });
    neighbors.truncate(k);
    neighbors
}
