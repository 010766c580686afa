//! The closest nodes seen so far, closest first, and which of them were expanded.

use crate::kernels::nibbles::GROUP;

/// A sorted list of at most `width` nodes.
///
/// An entry is one number, so that sorting it is comparing numbers: the distance's bits, ordered
/// as the distance is, above the node number and the expanded mark.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    entries: Vec<u64>,
    width: usize,
    /// Every entry before this one is expanded.
    cursor: usize,
    /// What a further entry has to stay below.
    bound: u64,
}

const EXPANDED: u64 = 1;

/// Up to this length, moving entries one by one is faster than finding the place first.
const LINEAR: usize = 64;

/// Nodes are below this number.
pub(super) const NODE_LIMIT: usize = 1 << 31;

#[inline(always)]
fn entry(distance: f32, node: u32) -> u64 {
    let bits = distance.to_bits();
    // A set sign turns every bit over, else only the sign's.
    let ordered = bits ^ ((bits as i32 >> 31) as u32 | 1 << 31);
    u64::from(ordered) << 32 | u64::from(node) << 1
}

fn distance(entry: u64) -> f32 {
    let ordered = (entry >> 32) as u32;
    f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
}

fn node(entry: u64) -> u32 {
    entry as u32 >> 1
}

impl Pool {
    /// Empties it for a walk of `width` entries.
    pub(super) fn reset(&mut self, width: usize) {
        self.entries.clear();
        self.entries.reserve(width + 1);
        self.width = width;
        self.cursor = 0;
        self.bound = if width == 0 { 0 } else { u64::MAX };
    }

    /// Adds nodes that were not added before, those that `width` closer ones don't keep out.
    #[inline(always)]
    pub(super) fn insert_all(&mut self, distances: &[f32], nodes: &[u32]) {
        // Most are too far, unpredictably: they are sorted out without branches first.
        let mut close = [0; GROUP];
        let mut count = 0;
        for (&distance, &node) in distances.iter().zip(nodes).take(GROUP) {
            let new = entry(distance, node);
            close[count % GROUP] = new;
            count += usize::from(new < self.bound);
        }
        for &new in &close[..count] {
            self.insert(new);
        }
    }

    #[inline]
    fn insert(&mut self, new: u64) {
        if new >= self.bound {
            return;
        }
        if self.entries.len() == self.width {
            self.entries.pop();
        }
        let at = if self.entries.len() <= LINEAR {
            self.entries.push(new);
            let mut at = self.entries.len() - 1;
            while at > 0 && self.entries[at - 1] > new {
                self.entries[at] = self.entries[at - 1];
                at -= 1;
            }
            self.entries[at] = new;
            at
        } else {
            let at = self.entries.partition_point(|&old| old < new);
            self.entries.insert(at, new);
            at
        };
        self.cursor = self.cursor.min(at);
        if self.entries.len() == self.width
            && let Some(&last) = self.entries.last()
        {
            self.bound = last;
        }
    }

    /// The closest node that wasn't expanded, without taking it.
    #[inline]
    pub(super) fn peek(&self) -> Option<u32> {
        self.entries.get(self.cursor).map(|&entry| node(entry))
    }

    /// Takes the closest node that wasn't expanded, and marks it.
    #[inline]
    pub(super) fn expand(&mut self) -> Option<u32> {
        let closest = self.entries.get_mut(self.cursor)?;
        *closest |= EXPANDED;
        let closest = node(*closest);
        let rest = &self.entries[self.cursor..];
        self.cursor += rest.iter().position(|entry| entry & EXPANDED == 0).unwrap_or(rest.len());
        Some(closest)
    }

    /// (distance, node), closest first.
    pub(super) fn nodes(&self) -> impl ExactSizeIterator<Item = (f32, u32)> {
        self.entries.iter().map(|&entry| (distance(entry), node(entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_closest_and_expands_in_order() {
        let mut pool = Pool::default();
        pool.reset(3);
        for (distance, node) in [(4.0, 4), (-1.0, 1), (3.0, 3), (0.0, 0), (9.0, 9)] {
            pool.insert_all(&[distance], &[node]);
        }
        assert_eq!(pool.nodes().collect::<Vec<_>>(), [(-1.0, 1), (0.0, 0), (3.0, 3)]);
        assert_eq!(pool.expand(), Some(1));
        assert_eq!(pool.expand(), Some(0));
        pool.insert_all(&[-2.0], &[7]);
        assert_eq!(pool.expand(), Some(7));
        assert_eq!(pool.peek(), None);
    }
}
