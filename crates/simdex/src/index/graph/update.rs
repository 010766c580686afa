//! Updating: from an earlier graph to one of the rows of now. Nodes that stay keep codes and lists,
//! the gaps that others leave are closed, and new ones join.

use std::ops::RangeInclusive;

use crate::error::Result;
use crate::huge::filled;
use crate::index::{Job, Previous, Sections};
use crate::kernels::Kernels;
use crate::observe::Observer;

use super::build::{self, Links, Points};
use super::codes::{Coder, Records};
use super::connect::reachable;
use super::layout::Layout;
use super::pool::NODE_LIMIT;
use super::search::GraphIndex;
use super::space::Space;
use super::tune::LEAST_DEPTH;
use super::unique::Groups;
use super::walk::{Field, NO_NODE};
use super::{encode, held_out, layout, link, plan};

/// Beyond this share of nodes that came or went since all were linked anew, all are again: codes
/// are along the directions of the rows of then, and lists that were mended often find less.
const MOST_CHANGES: f64 = 1.0;

/// How much of the longest row of then the longest of now must have, where lengths count.
const LENGTHS: RangeInclusive<f64> = 0.8..=1.0;

/// Where more of the nodes that stay can't be reached from the others, too much is gone.
const MOST_LOST: f64 = 0.05;

/// How many times a list's length are looked at to mend it.
const CANDIDATES: usize = 8;

/// The rows of `job` from an earlier graph. `None`: better built anew.
///
/// O(changes · log n + n · degree) distances, and O(n · dim) to look at all rows.
pub(super) fn update(
    job: &Job<'_>,
    previous: &Previous<'_>,
    observer: &dyn Observer,
) -> Result<Option<Sections>> {
    let plan = plan(job.parameters)?;
    let (vectors, metric) = (job.vectors, job.metric);
    let point_dim = Space::new(vectors.dim(), metric, 0.0).point_dim();
    let Ok(before) = Layout::read(previous.sections, previous.rows, point_dim) else {
        return Ok(None);
    };
    let space = Space::new(vectors.dim(), metric, before.header.radius);
    let fits = before.header.degree == plan.pruning.degree && vectors.rows() < NODE_LIMIT;
    if !fits || !space.suits(vectors, LENGTHS) {
        return Ok(None);
    }
    let kernels = Kernels::detect();
    let own = space.points(vectors);
    let (values, dim) = (own.as_deref().unwrap_or(vectors.values()), space.point_dim());
    let groups = Groups::of(values, dim);
    let origins = origins(&groups, &before, previous);
    let Some(heritage) = Heritage::new(&before, origins) else { return Ok(None) };
    observer.checkpoint()?;
    let groups = groups.in_order(&heritage.groups);
    let order = groups.representatives();
    let coder = before.coder(kernels);
    let records = heritage.records(&before, &coder, (values, dim), &order);
    let points =
        Points { kernels, space, values, dim, order: &order, coder: &coder, records: &records };
    let mut links = Links::new(order.len(), &plan);
    let field = before.field(kernels);
    let inherited = |node| heritage.neighbors(&field, node);
    build::inherit(&points, &plan, &mut links, (heritage.heirs, inherited), observer)?;
    let reached = reachable(&points, &links, &[0]).count_ones(..heritage.heirs);
    if (reached as f64) < (1.0 - MOST_LOST) * heritage.heirs as f64 {
        return Ok(None);
    }
    let linked = link(&points, &plan, (links, heritage.heirs), observer)?;
    let history = (heritage.linked, heritage.changed);
    let sections = layout(linked, groups, records, (&coder, space.radius()), history).write()?;
    let after = GraphIndex::open(vectors.clone(), metric, job.parameters, &sections);
    // Where nothing can be measured, nothing can be opened.
    let Ok(after) = after else { return Ok(None) };
    let reached = before.header.curve.margin(after.recall(), LEAST_DEPTH).is_some();
    Ok((after.distances(LEAST_DEPTH).is_some() || !reached).then_some(sections))
}

/// For each group of rows, the node of then whose vector they have, or [`NO_NODE`].
fn origins(groups: &Groups, before: &Layout, previous: &Previous<'_>) -> Vec<u32> {
    let nodes = 0..before.header.nodes as u32;
    let mut node_of = vec![NO_NODE; previous.rows];
    // A hostile file may give the same rows to every node.
    let rows: usize = nodes.clone().map(|node| before.rows_of(node).len()).sum();
    for node in nodes.filter(|_| rows <= previous.rows) {
        for &row in before.rows_of(node) {
            if let Some(place) = node_of.get_mut(row as usize) {
                *place = node;
            }
        }
    }
    let mut taken = vec![false; before.header.nodes];
    let mut origin = |&row: &u32| {
        let then = previous.same.get(row as usize).copied().flatten()?;
        let node = *node_of.get(then as usize)?;
        let taken = taken.get_mut(node as usize)?;
        (!std::mem::replace(taken, true)).then_some(node)
    };
    let of_group = |group| groups.rows_of(group).iter().find_map(&mut origin).unwrap_or(NO_NODE);
    (0..groups.nodes() as u32).map(of_group).collect()
}

/// What became of a node.
enum Fate {
    Gone,
    /// Linked as it was, under this number.
    Stays(u32),
    /// Held out until it has been measured how well such nodes are found.
    JoinsAgain,
}

impl Fate {
    fn stays(self) -> Option<u32> {
        if let Self::Stays(node) = self { Some(node) } else { None }
    }
}

/// Which nodes of now are nodes of then.
struct Heritage {
    /// For each node of now, the group of rows that it is: first the heirs, which stay linked.
    groups: Vec<u32>,
    heirs: usize,
    /// For each node of now, the one of then, or [`NO_NODE`].
    origins: Vec<u32>,
    /// For each node of then, the one of now, or [`NO_NODE`].
    nodes: Vec<u32>,
    /// How many nodes there were when all were linked anew.
    linked: usize,
    /// How many came and went since.
    changed: usize,
}

impl Heritage {
    /// From the origins of groups that come in a random order. `None` where too little stays.
    fn new(before: &Layout, origins: Vec<u32>) -> Option<Self> {
        let nodes = origins.len();
        let kept = origins.iter().filter(|&&origin| origin != NO_NODE).count();
        let (came, went) = (nodes - kept, before.header.nodes - kept);
        let changed = before.header.changed.saturating_add(came + went);
        // Absent from earlier files, of graphs that took nothing in.
        let linked = before.header.linked.unwrap_or(before.header.nodes);
        let held_out = held_out(nodes);
        if held_out == 0 || changed as f64 > MOST_CHANGES * linked.min(nodes) as f64 {
            return None;
        }
        // The last are a sample of all. Of the others, those with an origin come first, in the
        // order of these, which is that in which they are walked.
        let mut groups: Vec<u32> = (0..nodes as u32).collect();
        let joined = &mut groups[..nodes - held_out];
        joined.sort_by_key(|&group| origins[group as usize]);
        let heirs = joined.partition_point(|&group| origins[group as usize] != NO_NODE);
        let origins: Vec<u32> = groups.iter().map(|&group| origins[group as usize]).collect();
        let mut numbers = vec![NO_NODE; before.header.nodes];
        for (&origin, node) in origins.iter().zip(0..) {
            if let Some(number) = numbers.get_mut(origin as usize) {
                *number = node;
            }
        }
        (heirs > 0).then_some(Self { groups, heirs, origins, nodes: numbers, linked, changed })
    }

    /// What a node of then is now.
    fn fate(&self, origin: u32) -> Fate {
        match self.nodes.get(origin as usize) {
            None | Some(&NO_NODE) => Fate::Gone,
            Some(&node) if (node as usize) < self.heirs => Fate::Stays(node),
            Some(_) => Fate::JoinsAgain,
        }
    }

    /// What an heir may be linked to: the heirs of its origin's neighbours, and in place of each
    /// neighbour that is gone, heirs of its neighbours.
    ///
    /// Those that join again leave gaps: with their neighbours linked in their place they would be
    /// found more easily than others, and what is measured by them would promise too much.
    fn neighbors(&self, field: &Field, heir: u32) -> Vec<u32> {
        let (mut list, mut gone) = (Vec::new(), Vec::new());
        for neighbor in field.neighbors(self.origins[heir as usize]) {
            match self.fate(neighbor) {
                // A hostile file may repeat itself.
                Fate::Stays(node) if node == heir || list.contains(&node) => {}
                Fate::Stays(node) => list.push(node),
                Fate::Gone => gone.push(neighbor),
                Fate::JoinsAgain => {}
            }
        }
        let each = (CANDIDATES * field.degree).checked_div(gone.len()).unwrap_or(0);
        let beyond = gone.into_iter().flat_map(|gone| {
            field.neighbors(gone).filter_map(|neighbor| self.fate(neighbor).stays()).take(each)
        });
        let mut beyond: Vec<u32> = beyond.filter(|&far| far != heir).collect();
        beyond.sort_unstable();
        beyond.dedup();
        beyond.retain(|far| !list.contains(far));
        list.append(&mut beyond);
        list
    }

    /// The codes of all nodes: those of then, and new ones for new nodes, `rows` being the row of
    /// each node.
    fn records(
        &self,
        before: &Layout,
        coder: &Coder,
        (values, dim): (&[f32], usize),
        rows: &[u32],
    ) -> Records {
        let is_new = |&(&origin, _): &(&u32, &u32)| origin == NO_NODE;
        let new: Vec<u32> =
            self.origins.iter().zip(rows).filter(is_new).map(|(_, &row)| row).collect();
        let encoded = encode(coder, values, dim, &new);
        let (encoded, kept) = (encoded.view(coder.shape()), before.records());
        let [head, tail] = [coder.shape().head_bytes(), coder.shape().tail_bytes()];
        let nodes = rows.len();
        let mut records =
            Records { heads: filled(0, nodes * head), tails: filled(0, nodes * tail) };
        let mut next = 0;
        for (node, &origin) in self.origins.iter().enumerate() {
            let (from, number) = match origin {
                NO_NODE => (encoded, next),
                origin => (kept, origin),
            };
            records.heads[node * head..][..head].copy_from_slice(from.heads.get(number));
            records.tails[node * tail..][..tail].copy_from_slice(from.tails.get(number));
            next += u32::from(origin == NO_NODE);
        }
        records
    }
}

#[cfg(test)]
mod tests;
