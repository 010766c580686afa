//! recall@k, with ties counted fairly.

use crate::error::Result;
use crate::matrix::Matrix;
use crate::search::query::Query;
use crate::search::score::exact_score;
use crate::types::Neighbor;

/// The worst score that belongs to the true `k` nearest rows of each query.
///
/// Rows that tie with the k-th are as right an answer as the one that an exact search happens to
/// return, so an answer counts by its score, not by its row number.
#[derive(Debug, Clone)]
pub(super) struct Bars {
    scores: Vec<f64>,
    /// Rows that a perfect answer has: k, or all where there are fewer.
    wanted: usize,
}

impl Bars {
    /// The bars of queries whose `wanted` nearest rows are known.
    ///
    /// # Errors
    /// Those of `nearest`, which returns the numbers of a query's `wanted` nearest rows.
    pub(super) fn new(
        queries: &[Query],
        base: &Matrix,
        wanted: usize,
        mut nearest: impl FnMut(usize) -> Result<Vec<u32>>,
    ) -> Result<Self> {
        let mut scores = Vec::with_capacity(queries.len());
        for (number, query) in queries.iter().enumerate() {
            let rows = nearest(number)?;
            let score = |row: u32| exact_score(query, base.row(row as usize));
            let farthest =
                rows.into_iter().map(score).max_by(|&a, &b| query.metric().closer_first(a, b));
            scores.extend(farthest);
        }
        Ok(Self { scores, wanted })
    }

    /// Rows that a perfect answer to query `number` has, and how many of them `answer` has; it is
    /// sorted by score and row, as [`crate::search::rerank::nearest`] returns it.
    pub(super) fn found(
        &self,
        number: usize,
        query: &Query,
        answer: &[Neighbor],
    ) -> (usize, usize) {
        let Some(&bar) = self.scores.get(number) else { return (self.wanted, 0) };
        let mut right: Vec<u32> = answer
            .iter()
            .filter(|neighbor| query.metric().closer_first(neighbor.score, bar).is_le())
            .map(|neighbor| neighbor.row)
            .collect();
        // A row that is returned twice is found once.
        right.dedup();
        (self.wanted, right.len().min(self.wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::rerank::nearest;
    use crate::types::Metric;
    use proptest::prelude::*;

    /// Counts an answer's rows that fewer than k rows beat: the definition, in O(n) a row.
    fn naive(query: &Query, base: &Matrix, answer: &[u32], k: usize) -> usize {
        let score = |row: usize| exact_score(query, base.row(row));
        let closer = |a: f64, b: f64| query.metric().closer_first(a, b).is_lt();
        let is_right = |row: u32| {
            let beaten_by = (0..base.rows()).filter(|&o| closer(score(o), score(row as usize)));
            beaten_by.count() < k
        };
        let mut rows: Vec<u32> = answer.iter().copied().filter(|&row| is_right(row)).collect();
        rows.sort_unstable();
        rows.dedup();
        rows.len()
    }

    proptest! {
        #[test]
        fn recall_is_by_definition(
            values in prop::collection::vec(-2_i8..3, 1..40),
            answer in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
            k in 1_usize..10,
            metric in prop::sample::select(vec![Metric::L2, Metric::Dot]),
        ) {
            let values: Vec<f32> = values.into_iter().map(f32::from).collect();
            let base = Matrix::from_slice(&values, 1).unwrap();
            let query = Query::new(&[1.0], metric).unwrap();
            let wanted = k.min(base.rows());
            let all: Vec<u32> = (0..base.rows() as u32).collect();
            let truth = nearest(&query, &base, &all, wanted);
            let truth = |_| Ok(truth.iter().map(|neighbor| neighbor.row).collect());
            let bars = Bars::new(std::slice::from_ref(&query), &base, wanted, truth).unwrap();

            let rows: Vec<u32> = answer.iter().map(|at| at.index(base.rows()) as u32).collect();
            let answer = nearest(&query, &base, &rows, k);
            let rows: Vec<u32> = answer.iter().map(|neighbor| neighbor.row).collect();
            let found = bars.found(0, &query, &answer);
            prop_assert_eq!(found, (wanted, naive(&query, &base, &rows, k)));
        }
    }

    #[test]
    fn a_tie_is_as_good_as_the_row_it_ties_with() {
        let base = Matrix::from_slice(&[1.0, 2.0, 2.0, 2.0, 9.0], 1).unwrap();
        let query = Query::new(&[0.0], Metric::L2).unwrap();
        let queries = std::slice::from_ref(&query);
        let bars = Bars::new(queries, &base, 2, |_| Ok(vec![0, 1])).unwrap();
        let found = |rows: &[u32]| bars.found(0, &query, &nearest(&query, &base, rows, 2));
        assert_eq!(found(&[0, 3]), (2, 2));
        assert_eq!(found(&[3, 2]), (2, 2));
        assert_eq!(found(&[4, 0]), (2, 1));
        assert_eq!(found(&[0, 0]), (2, 1));
        assert_eq!(found(&[]), (2, 0));
    }
}
