//! The closest of rows that come one by one, ties in the order in which they came.

use std::collections::BinaryHeap;

/// The `k` closest rows pushed so far: those with the least distance, of equals those that came
/// first. Memory O(k) and no more than the rows that came; push O(log k).
#[derive(Debug)]
pub struct Closest<T> {
    k: usize,
    pushed: usize,
    heap: BinaryHeap<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    distance: f64,
    number: usize,
    row: T,
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.distance.total_cmp(&other.distance).then(self.number.cmp(&other.number))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> Closest<T> {
    /// Room for `k` rows; memory is taken as rows come.
    pub fn new(k: usize) -> Self {
        Self { k, pushed: 0, heap: BinaryHeap::new() }
    }

    /// Whether a row at this distance would be kept: of equals the first stays.
    pub fn admits(&self, distance: f64) -> bool {
        self.heap.len() < self.k || self.heap.peek().is_some_and(|last| distance < last.distance)
    }

    /// Takes the next row.
    pub fn push(&mut self, distance: f64, row: T) {
        if !self.admits(distance) {
            return;
        }
        let number = self.pushed;
        self.pushed += 1;
        self.heap.push(Entry { distance, number, row });
        if self.heap.len() > self.k {
            self.heap.pop();
        }
    }

    /// The rows kept, closest first.
    pub fn finish(self) -> Vec<(T, f64)> {
        let sorted = self.heap.into_sorted_vec().into_iter();
        sorted.map(|entry| (entry.row, entry.distance)).collect()
    }
}
