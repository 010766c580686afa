//! Numbering nodes so that those that are walked together lie together.

use super::build::Links;
use super::codes::{Records, Shape};
use super::unique::Groups;
use super::walk::NO_NODE;

/// Renumbers the nodes in the order in which a breadth-first search from the entries comes to
/// them, so that the neighbours of a node share pages of memory. O(n · degree).
pub(super) fn reorder(
    links: &mut Links,
    entries: &mut [u32],
    groups: &mut Groups,
    records: &mut Records,
    shape: Shape,
) {
    let nodes = groups.nodes();
    let order = breadth_first(links, entries, nodes);
    let mut number = vec![NO_NODE; nodes];
    for (new, &old) in order.iter().enumerate() {
        number[old as usize] = new as u32;
    }
    let renumber = |old: u32| number.get(old as usize).copied().unwrap_or(NO_NODE);
    entries.iter_mut().for_each(|entry| *entry = renumber(*entry));
    let lists = order.iter().flat_map(|&old| links.list(old)).map(|&old| renumber(old));
    links.edges = lists.collect();
    records.heads = moved(&records.heads, shape.head_bytes(), &order);
    records.tails = moved(&records.tails, shape.tail_bytes(), &order);
    *groups = groups.in_order(&order);
}

/// `codes` of `bytes` each, in `order`.
fn moved(codes: &[u8], bytes: usize, order: &[u32]) -> Vec<u8> {
    order.iter().flat_map(|&old| &codes[old as usize * bytes..][..bytes]).copied().collect()
}

/// Every node once, reachable ones first and in the order they are come to.
fn breadth_first(links: &Links, entries: &[u32], nodes: usize) -> Vec<u32> {
    let mut reached = vec![false; nodes];
    let mut order: Vec<u32> = Vec::with_capacity(nodes);
    for start in entries.iter().copied().chain(0..nodes as u32) {
        let mut next = order.len();
        if !std::mem::replace(&mut reached[start as usize], true) {
            order.push(start);
        }
        while let Some(&node) = order.get(next) {
            next += 1;
            for &neighbor in links.list(node).iter().take_while(|&&other| other != NO_NODE) {
                if !std::mem::replace(&mut reached[neighbor as usize], true) {
                    order.push(neighbor);
                }
            }
        }
    }
    order
}
