//! Updating: from an earlier graph to one of the rows of now. Nodes that stay keep codes and lists,
//! the gaps that others leave are closed, and new ones join.

use crate::error::Result;
use crate::index::{Job, Previous, Sections};
use crate::kernels::Kernels;
use crate::observe::Observer;

use super::build::{self, Links, Points};
use super::codes::{Coder, Records};
use super::layout::Layout;
use super::space::Space;
use super::unique::Groups;
use super::walk::NO_NODE;
use super::{encode, held_out, layout, link, plan};

/// Beyond this share of nodes that came or went since all were linked anew, all are again: codes
/// are along the directions of the rows of then, and lists that were mended often find less.
const MOST_CHANGES: f64 = 1.0;

/// The rows of `job` from an earlier graph. `None`: better built anew.
///
/// O(changes · log n) distances, and O(n · dim) to look at all rows.
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
    if before.header.degree != plan.pruning.degree || !space.has_room_for(vectors) {
        return Ok(None);
    }
    let kernels = Kernels::detect();
    let own = space.points(vectors);
    let (values, dim) = (own.as_deref().unwrap_or(vectors.values()), space.point_dim());
    let groups = Groups::of(values, dim);
    let origins = origins(&groups, &before, previous);
    let Some(heritage) = Heritage::new(&before, origins) else { return Ok(None) };
    observer.checkpoint()?;
    let groups = groups.in_order(&heritage.order);
    let order = groups.representatives();
    let coder = before.coder(kernels);
    let records = heritage.records(&before, &coder, (values, dim), &order);
    let points =
        Points { kernels, space, values, dim, order: &order, coder: &coder, records: &records };
    let mut links = Links::new(order.len(), &plan);
    let field = before.field(kernels);
    let heirs = 0..heritage.heirs as u32;
    build::inherit(&points, &plan, &mut links, heirs, |node, list| {
        let mut gone = Vec::new();
        for neighbor in field.neighbors(heritage.origin(node)) {
            match heritage.heir(neighbor) {
                Some(heir) => list.push(heir),
                None => gone.push(neighbor),
            }
        }
        let beyond = gone.into_iter().flat_map(|gone| field.neighbors(gone));
        list.extend(beyond.filter_map(|neighbor| heritage.heir(neighbor)));
        list.sort_unstable();
        list.dedup();
        list.retain(|&neighbor| neighbor != node);
    });
    observer.checkpoint()?;
    let linked = link(&points, &plan, (links, heritage.heirs), observer)?;
    layout(linked, groups, records, (&coder, space.radius()), heritage.changed).write().map(Some)
}

/// For each group of rows, the node of then whose vector they have, or [`NO_NODE`].
fn origins(groups: &Groups, before: &Layout, previous: &Previous<'_>) -> Vec<u32> {
    let mut node_of = vec![NO_NODE; previous.rows];
    for node in 0..before.header.nodes as u32 {
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

/// Which nodes of now are nodes of then.
struct Heritage {
    /// The groups in the order in which they are nodes: those that stay linked, then others.
    order: Vec<u32>,
    /// How many nodes stay linked.
    heirs: usize,
    /// For each node of now, the one of then, or [`NO_NODE`].
    origins: Vec<u32>,
    /// For each node of then, the one of now that stays linked in its place, or [`NO_NODE`].
    heir_of: Vec<u32>,
    /// Nodes that came and went since all were linked anew.
    changed: usize,
}

impl Heritage {
    /// `None` where too little stays.
    fn new(before: &Layout, origins: Vec<u32>) -> Option<Self> {
        let nodes = origins.len();
        let kept = origins.iter().filter(|&&origin| origin != NO_NODE).count();
        let (came, went) = (nodes - kept, before.header.nodes - kept);
        let changed = before.header.changed.saturating_add(came + went);
        // Groups come in a random order, so that the last are a sample of all.
        let held_out = held_out(nodes);
        if held_out == 0 || changed as f64 > MOST_CHANGES * nodes as f64 {
            return None;
        }
        let mut order: Vec<u32> = (0..nodes as u32).collect();
        let origin = |group: u32| origins[group as usize];
        order[..nodes - held_out].sort_by_key(|&group| origin(group));
        let is_heir = |&&group: &&u32| origin(group) != NO_NODE;
        let heirs = order[..nodes - held_out].iter().take_while(is_heir).count();
        let origins: Vec<u32> = order.iter().map(|&group| origin(group)).collect();
        let mut heir_of = vec![NO_NODE; before.header.nodes];
        for (node, &origin) in origins[..heirs].iter().enumerate() {
            heir_of[origin as usize] = node as u32;
        }
        (heirs > 0).then_some(Self { order, heirs, origins, heir_of, changed })
    }

    fn origin(&self, node: u32) -> u32 {
        self.origins[node as usize]
    }

    fn heir(&self, before: u32) -> Option<u32> {
        self.heir_of.get(before as usize).copied().filter(|&heir| heir != NO_NODE)
    }

    /// The codes of all nodes: those of then, and new ones for new nodes.
    fn records(
        &self,
        before: &Layout,
        coder: &Coder,
        (values, dim): (&[f32], usize),
        order: &[u32],
    ) -> Records {
        let new = |&(&origin, _): &(&u32, &u32)| origin == NO_NODE;
        let rows: Vec<u32> =
            self.origins.iter().zip(order).filter(new).map(|(_, &row)| row).collect();
        let encoded = encode(coder, values, dim, &rows);
        let (encoded, before) = (encoded.view(coder.shape()), before.records());
        let mut records = Records::default();
        let mut next = 0;
        for &origin in &self.origins {
            let (from, number) = match origin {
                NO_NODE => (encoded, next),
                origin => (before, origin),
            };
            records.heads.extend_from_slice(from.heads.get(number));
            records.tails.extend_from_slice(from.tails.get(number));
            next += u32::from(origin == NO_NODE);
        }
        records
    }
}

#[cfg(test)]
mod tests;
