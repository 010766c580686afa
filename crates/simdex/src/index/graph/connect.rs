//! Every node can be reached: those that can't are linked from near ones that can.

use fixedbitset::FixedBitSet;

use super::build::{Links, Points};
use super::pool::Stop;
use super::walk::{NO_NODE, Walk};

/// How often links are mended before what is left becomes an entry.
const ROUNDS: usize = 4;

/// How many near nodes are asked for a free place.
const WIDTH: usize = 32;

/// Mends `links` and returns the entries, beginning with `entries`. O(n · degree).
pub(super) fn connect(points: &Points, links: &mut Links, mut entries: Vec<u32>) -> Vec<u32> {
    let mut walk = Walk::default();
    for _ in 0..ROUNDS {
        let reached = reachable(points, links, &entries);
        let lost: Vec<u32> = reached.zeroes().map(|node| node as u32).collect();
        if lost.is_empty() {
            return entries;
        }
        for node in lost {
            walk.aim(points.coder, points.point(node));
            walk.run(&links.field(points), &entries, Stop::width(WIDTH));
            let near: Vec<u32> = walk.pool.nodes().map(|(_, near)| near).collect();
            attach(links, node, near.iter().copied().filter(|&near| near != node));
        }
    }
    let reached = reachable(points, links, &entries);
    entries.extend(reached.zeroes().map(|node| node as u32));
    entries
}

/// Links `node` from the first of `near` with a free place, else in place of the nearest's last.
fn attach(links: &mut Links, node: u32, near: impl Iterator<Item = u32> + Clone) {
    let full = |at: u32, links: &Links| links.list(at).last().is_none_or(|&last| last != NO_NODE);
    let free = near.clone().find(|&at| !full(at, links));
    let Some(at) = free.or_else(|| near.clone().next()) else { return };
    let list = links.list_mut(at);
    if list.contains(&node) {
        return;
    }
    let place = list.iter().position(|&other| other == NO_NODE).unwrap_or(list.len() - 1);
    list[place] = node;
}

/// The nodes that a walk could come to.
pub(super) fn reachable(points: &Points, links: &Links, entries: &[u32]) -> FixedBitSet {
    let field = links.field(points);
    let mut reached = FixedBitSet::with_capacity(points.nodes());
    let mut open: Vec<u32> = Vec::new();
    for &entry in entries {
        if !reached.put(entry as usize) {
            open.push(entry);
        }
    }
    while let Some(node) = open.pop() {
        for neighbor in field.neighbors(node) {
            if !reached.put(neighbor as usize) {
                open.push(neighbor);
            }
        }
    }
    reached
}
