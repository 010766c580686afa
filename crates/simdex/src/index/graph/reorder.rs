//! Numbering nodes so that those that are walked together lie together.

use super::build::Links;
use super::unique::Groups;
use super::walk::NO_NODE;

/// Renumbers the nodes in the order in which a breadth-first search from the entries comes to
/// them, so that the neighbours of a node share pages of memory. O(n · degree).
pub(super) fn reorder(
    links: &mut Links,
    entries: &mut [u32],
    groups: &mut Groups,
    records: &mut Vec<u8>,
    record_bytes: usize,
) {
    let nodes = groups.starts.len() - 1;
    let order = breadth_first(links, entries, nodes);
    let mut number = vec![NO_NODE; nodes];
    for (new, &old) in order.iter().enumerate() {
        number[old as usize] = new as u32;
    }
    let renumber = |old: u32| number.get(old as usize).copied().unwrap_or(NO_NODE);
    entries.iter_mut().for_each(|entry| *entry = renumber(*entry));
    let lists = order.iter().flat_map(|&old| links.list(old)).map(|&old| renumber(old));
    links.edges = lists.collect();
    let mut moved = Vec::with_capacity(records.len());
    let (mut starts, mut rows) = (vec![0], Vec::with_capacity(groups.rows.len()));
    for &old in &order {
        let old = old as usize;
        moved.extend_from_slice(&records[old * record_bytes..][..record_bytes]);
        rows.extend_from_slice(
            &groups.rows[groups.starts[old] as usize..groups.starts[old + 1] as usize],
        );
        starts.push(rows.len() as u32);
    }
    *records = moved;
    *groups = Groups { starts, rows };
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
