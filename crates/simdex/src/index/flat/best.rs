//! Keeps every row that may be among the k closest, given intervals of keys.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::bounds::Interval;

/// A key, ordered; never NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Key(f64);

impl Eq for Key {}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A key that at least k rows are known to reach, shared by the threads of one search.
#[derive(Debug)]
pub(super) struct Floor(AtomicU64);

impl Floor {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(Self::encode(f64::NEG_INFINITY)))
    }

    fn get(&self) -> f64 {
        Self::decode(self.0.load(Relaxed))
    }

    fn raise(&self, key: f64) {
        self.0.fetch_max(Self::encode(key), Relaxed);
    }

    /// Maps keys to integers of the same order.
    fn encode(key: f64) -> u64 {
        let bits = key.to_bits();
        if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
    }

    fn decode(code: u64) -> f64 {
        f64::from_bits(if code >> 63 == 1 { code & !(1 << 63) } else { !code })
    }
}

/// The rows found so far by one thread.
#[derive(Debug)]
pub(super) struct Best<'a> {
    k: usize,
    shared: &'a Floor,
    /// The k highest worst cases.
    worst: BinaryHeap<Reverse<Key>>,
    /// Rows with their best case.
    rows: Vec<(f64, u32)>,
    /// Length of `rows` at which those below the floor are dropped.
    crowded: usize,
}

impl<'a> Best<'a> {
    /// Collects rows for the `k` closest, `k` ≥ 1.
    pub(super) fn new(k: usize, shared: &'a Floor) -> Self {
        let worst = BinaryHeap::with_capacity(k.saturating_add(1).min(1 << 16));
        Self { k, shared, worst, rows: Vec::new(), crowded: 4 * k.min(1 << 20) + 64 }
    }

    /// A key that k rows are known to reach: rows that can't reach it need not be offered.
    pub(super) fn floor(&self) -> f64 {
        self.shared.get()
    }

    /// Adds a row if it may be among the k closest.
    pub(super) fn offer(&mut self, row: u32, Interval { worst, best }: Interval) {
        if best < self.floor() {
            return;
        }
        self.rows.push((best, row));
        if self.worst.len() < self.k {
            self.worst.push(Reverse(Key(worst)));
        } else if self.worst.peek().is_some_and(|Reverse(lowest)| lowest.0 < worst) {
            self.worst.pop();
            self.worst.push(Reverse(Key(worst)));
        }
        if self.worst.len() == self.k
            && let Some(Reverse(lowest)) = self.worst.peek()
        {
            self.shared.raise(lowest.0);
        }
        if self.rows.len() >= self.crowded {
            self.drop_below_floor();
            self.crowded = 2 * self.rows.len() + self.crowded / 2;
        }
    }

    fn drop_below_floor(&mut self) {
        let floor = self.floor();
        self.rows.retain(|&(best, _)| best >= floor);
    }

    /// The rows that may be among the k closest, once every thread has raised the floor.
    pub(super) fn into_rows(mut self) -> impl Iterator<Item = u32> {
        self.drop_below_floor();
        self.rows.into_iter().map(|(_, row)| row)
    }

    /// What one thread found, joined with what another did: k rows of both reach the higher of
    /// the floors of the union.
    pub(super) fn merge(mut self, other: Self) -> Self {
        for Reverse(key) in other.worst {
            self.worst.push(Reverse(key));
            if self.worst.len() > self.k {
                self.worst.pop();
            }
        }
        if self.worst.len() == self.k
            && let Some(Reverse(lowest)) = self.worst.peek()
        {
            self.shared.raise(lowest.0);
        }
        self.rows.extend(other.rows);
        self
    }
}
