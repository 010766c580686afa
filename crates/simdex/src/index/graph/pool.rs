//! The closest nodes seen so far, closest first, and which of them were expanded.

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

/// Nodes are below this number.
pub(super) const NODE_LIMIT: usize = 1 << 31;

fn entry(distance: f32, node: u32) -> u64 {
    let bits = distance.to_bits();
    let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
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

    /// Adds a node that was not added before, unless `width` closer ones are there.
    #[inline]
    pub(super) fn insert(&mut self, distance: f32, node: u32) {
        let new = entry(distance, node);
        if new >= self.bound {
            return;
        }
        let at = self.entries.partition_point(|&old| old < new);
        if self.entries.len() == self.width {
            self.entries.pop();
        }
        self.entries.insert(at, new);
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
            pool.insert(distance, node);
        }
        assert_eq!(pool.nodes().collect::<Vec<_>>(), [(-1.0, 1), (0.0, 0), (3.0, 3)]);
        assert_eq!(pool.expand(), Some(1));
        assert_eq!(pool.expand(), Some(0));
        pool.insert(-2.0, 7);
        assert_eq!(pool.expand(), Some(7));
        assert_eq!(pool.peek(), None);
    }
}
