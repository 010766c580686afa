//! Equal vectors share a node: a graph of many equal points would be walked in circles.

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::random::Random;

/// Which rows belong to which node.
pub(super) struct Groups {
    /// Nodes + 1: where each node's rows start in `rows`.
    pub(super) starts: Vec<u32>,
    /// Every row once; ascending within a node.
    pub(super) rows: Vec<u32>,
}

impl Groups {
    /// Groups equal points (n × dim, row-major), in an order as random as it is repeatable.
    /// O(n · dim + n · log n).
    pub(super) fn of(values: &[f32], dim: usize) -> Self {
        let point = |row: u32| &values[row as usize * dim..][..dim];
        let mut hashed: Vec<(u64, u32)> = values
            .par_chunks_exact(dim)
            .enumerate()
            .map(|(row, point)| (xxh3_64(bytemuck::cast_slice(point)), row as u32))
            .collect();
        hashed.par_sort_unstable();
        let mut groups: Vec<&[(u64, u32)]> =
            hashed.chunk_by(|a, b| a.0 == b.0 && point(a.1) == point(b.1)).collect();
        Random::new(1).shuffle(&mut groups);
        let mut starts = vec![0];
        let mut rows = Vec::with_capacity(hashed.len());
        for group in groups {
            rows.extend(group.iter().map(|&(_, row)| row));
            starts.push(rows.len() as u32);
        }
        Self { starts, rows }
    }

    /// How many nodes there are.
    pub(super) fn nodes(&self) -> usize {
        self.starts.len() - 1
    }

    /// The rows of a node.
    pub(super) fn rows_of(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.rows[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// One row of each node.
    pub(super) fn representatives(&self) -> Vec<u32> {
        (0..self.nodes() as u32).map(|node| self.rows_of(node)[0]).collect()
    }

    /// The same nodes in another order: all of them, each once.
    pub(super) fn in_order(&self, order: &[u32]) -> Self {
        let (mut starts, mut rows) = (vec![0], Vec::with_capacity(self.rows.len()));
        for &node in order {
            rows.extend_from_slice(self.rows_of(node));
            starts.push(rows.len() as u32);
        }
        Self { starts, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_the_group_of_its_equals() {
        let values = [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 5.0, 6.0, 1.0, 2.0];
        let groups = Groups::of(&values, 2);
        let mut lists: Vec<&[u32]> = groups
            .starts
            .windows(2)
            .map(|ends| &groups.rows[ends[0] as usize..ends[1] as usize])
            .collect();
        lists.sort();
        assert_eq!(lists, [&[0, 2, 4][..], &[1], &[3]]);
        assert_eq!(groups.representatives().len(), 3);
        assert!(Groups::of(&[], 2).representatives().is_empty());
    }
}
