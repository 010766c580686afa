//! The k closest of a stream of scored rows.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::store::Id;
use crate::types::Metric;

/// A row with its exact score.
#[derive(Debug, Clone)]
pub struct Scored {
    /// The score under the metric of the search.
    pub score: f64,
    /// Number of the source that holds the row.
    pub source: u32,
    /// The row's id.
    pub id: Id,
}

/// Keeps the `k` closest rows pushed so far; ties go by the source's rank, then by id. Memory O(k),
/// push O(log k).
#[derive(Debug)]
pub struct TopK {
    metric: Metric,
    k: usize,
    /// Rank of each source in ties: its position when sources are sorted by name.
    ranks: Vec<usize>,
    heap: BinaryHeap<Entry>,
}

#[derive(Debug)]
struct Entry {
    metric: Metric,
    rank: usize,
    row: Scored,
}

impl Entry {
    fn order(&self, score: f64, rank: usize, id: &Id) -> Ordering {
        let by_score = self.metric.closer_first(self.row.score, score);
        by_score.then_with(|| self.rank.cmp(&rank)).then_with(|| self.row.id.cmp(id))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order(other.row.score, other.rank, &other.row.id)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl TopK {
    /// Room for the `k` closest rows of the sources with these names.
    pub fn new(metric: Metric, k: usize, sources: &[&str]) -> Self {
        let rank = |name: &&str| sources.iter().filter(|other| *other < name).count();
        let ranks = sources.iter().map(rank).collect();
        Self { metric, k, ranks, heap: BinaryHeap::new() }
    }

    /// Whether a row with this score could still be among the closest; ties could.
    pub fn admits(&self, score: f64) -> bool {
        if self.heap.len() < self.k {
            return true;
        }
        let closer = |worst: &Entry| self.metric.closer_first(score, worst.row.score);
        self.heap.peek().is_some_and(|worst| closer(worst) != Ordering::Greater)
    }

    /// Takes a row.
    pub fn push(&mut self, row: Scored) {
        if !self.admits(row.score) {
            return;
        }
        let rank = self.ranks.get(row.source as usize).copied().unwrap_or(usize::MAX);
        self.heap.push(Entry { metric: self.metric, rank, row });
        if self.heap.len() > self.k {
            self.heap.pop();
        }
    }

    /// The rows kept, closest first.
    pub fn finish(self) -> Vec<Scored> {
        self.heap.into_sorted_vec().into_iter().map(|entry| entry.row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeps_what_a_sort_keeps(
            rows in prop::collection::vec((-3_i8..3, 0_u32..3, 0_i64..5), 0..60),
            k in 0_usize..12,
            metric in prop::sample::select(Metric::ALL.to_vec()),
        ) {
            let names = ["b", "c", "a"];
            let mut top = TopK::new(metric, k, &names);
            for &(score, source, id) in &rows {
                // Zero comes as both zeros.
                let score = if id % 2 == 0 { f64::from(score) } else { -f64::from(-score) };
                top.push(Scored { score, source, id: Id::Integer(id) });
            }
            let found: Vec<_> = top
                .finish()
                .into_iter()
                .map(|row| (row.score as i8, names[row.source as usize], row.id))
                .collect();
            let mut expected: Vec<_> = rows
                .iter()
                .map(|&(score, source, id)| (score, names[source as usize], Id::Integer(id)))
                .collect();
            expected.sort_by_key(|(score, name, id)| {
                (if metric == Metric::L2 { *score } else { -score }, *name, id.clone())
            });
            expected.truncate(k);
            prop_assert_eq!(found, expected);
        }
    }
}
