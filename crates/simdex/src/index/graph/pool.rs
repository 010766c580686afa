//! The closest nodes seen so far, closest first, and which of them were expanded.

use crate::kernels::nibbles::Close;

/// When a walk has gone far enough.
///
/// It ends where the closest node that wasn't expanded is farther than the node at `rank` by a
/// margin: where much is about as near as the answer, as for queries unlike all rows, it goes on
/// for longer (the idea of Al-Jazzazi et al. 2025, arXiv:2505.15636).
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    /// The most nodes that are kept.
    pub(super) width: usize,
    /// Which node's distance d counts, from 1; 0 for none.
    pub(super) rank: usize,
    /// Nodes farther than d + `margin` · (d + `floor`) aren't expanded.
    pub(super) margin: f32,
    pub(super) floor: f32,
}

impl Stop {
    /// Expands all nodes that are kept.
    pub(super) fn width(width: usize) -> Self {
        Self { width, rank: 0, margin: 0.0, floor: 0.0 }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::width(0)
    }
}

/// A sorted list of the nodes that a walk keeps.
///
/// An entry is one number, so that sorting it is comparing numbers: the distance's bits, ordered
/// as the distance is, above the node number and the expanded mark.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    entries: Vec<u64>,
    stop: Stop,
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
    /// Empties it for another walk.
    pub(super) fn reset(&mut self, stop: Stop) {
        self.entries.clear();
        self.stop = stop;
        self.cursor = 0;
        self.bound = if stop.width == 0 { 0 } else { u64::MAX };
    }

    /// Adds nodes that were not added before, those that closer ones don't keep out.
    #[inline(always)]
    pub(super) fn insert_all(&mut self, rows: &[Close]) {
        for row in rows {
            self.insert(entry(row.distance, row.number));
        }
    }

    /// A node that is as far or farther won't be kept.
    #[inline(always)]
    pub(super) fn bound(&self) -> f32 {
        match self.bound {
            u64::MAX => f32::INFINITY,
            bound => distance(bound),
        }
    }

    #[inline]
    fn insert(&mut self, new: u64) {
        if new >= self.bound {
            return;
        }
        if self.entries.len() == self.stop.width {
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
        if self.entries.len() == self.stop.width
            && let Some(&last) = self.entries.last()
        {
            self.bound = self.bound.min(last);
        }
        if at < self.stop.rank
            && let Some(&entry) = self.entries.get(self.stop.rank - 1)
        {
            let near = distance(entry);
            let limit = near + self.stop.margin * (near.max(0.0) + self.stop.floor);
            // Behind every entry at this distance, so that with no margin the one at `rank` stays.
            self.bound = self.bound.min(self::entry(limit, NODE_LIMIT as u32 - 1) | EXPANDED);
            while self.entries.last().is_some_and(|&last| last > self.bound) {
                self.entries.pop();
            }
        }
    }

    /// The nodes that weren't expanded and are close enough, closest first.
    #[inline]
    pub(super) fn waiting(&self) -> impl Iterator<Item = u32> {
        let entries = self.entries.get(self.cursor..).unwrap_or_default().iter();
        let near = entries.take_while(|&&entry| entry <= self.bound);
        near.filter(|&&entry| entry & EXPANDED == 0).map(|&entry| node(entry))
    }

    /// Takes the closest node that wasn't expanded, and marks it.
    #[inline]
    pub(super) fn expand(&mut self) -> Option<u32> {
        let closest = self.entries.get_mut(self.cursor).filter(|entry| **entry <= self.bound)?;
        *closest |= EXPANDED;
        let closest = node(*closest);
        let rest = &self.entries[self.cursor..];
        self.cursor += rest.iter().position(|entry| entry & EXPANDED == 0).unwrap_or(rest.len());
        Some(closest)
    }

    /// (distance, node), closest first.
    pub(super) fn nodes(&self) -> impl ExactSizeIterator<Item = (f32, u32)> + Clone {
        self.entries.iter().map(|&entry| (distance(entry), node(entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(pool: &mut Pool, distance: f32, number: u32) {
        pool.insert_all(&[Close { number, product: 0, distance }]);
    }

    #[test]
    fn keeps_the_closest_and_expands_in_order() {
        let mut pool = Pool::default();
        pool.reset(Stop::width(3));
        for (distance, node) in [(4.0, 4), (-1.0, 1), (3.0, 3), (0.0, 0), (9.0, 9)] {
            insert(&mut pool, distance, node);
        }
        assert_eq!(pool.nodes().collect::<Vec<_>>(), [(-1.0, 1), (0.0, 0), (3.0, 3)]);
        assert_eq!(pool.expand(), Some(1));
        assert_eq!(pool.expand(), Some(0));
        insert(&mut pool, -2.0, 7);
        assert_eq!(pool.expand(), Some(7));
        assert_eq!(pool.waiting().next(), None);
    }

    #[test]
    fn keeps_as_many_as_the_rank_without_a_margin() {
        let mut pool = Pool::default();
        pool.reset(Stop { width: 9, rank: 3, margin: 0.0, floor: 1.0 });
        for (distance, node) in [(1.0, 1), (9.0, 9), (4.0, 4), (4.0, 5), (5.0, 6), (2.0, 2)] {
            insert(&mut pool, distance, node);
        }
        assert_eq!(pool.nodes().collect::<Vec<_>>(), [(1.0, 1), (2.0, 2), (4.0, 4), (4.0, 5)]);
    }

    #[test]
    fn expands_nothing_beyond_the_margin() {
        let mut pool = Pool::default();
        pool.reset(Stop { width: 9, rank: 2, margin: 0.5, floor: 1.0 });
        for (distance, node) in [(1.0, 1), (9.0, 9), (4.0, 4)] {
            insert(&mut pool, distance, node);
        }
        assert_eq!(pool.expand(), Some(1));
        // 4 + 0.5 · (4 + 1)
        assert_eq!(pool.bound(), 6.5);
        assert_eq!(pool.expand(), Some(4));
        assert_eq!(pool.expand(), None);
        insert(&mut pool, 7.0, 7);
        insert(&mut pool, 6.0, 6);
        assert_eq!(pool.waiting().next(), Some(6));
    }
}
