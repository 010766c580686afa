//! The walk through the graph: expand the closest node, look at its neighbours, repeat.

use crate::kernels::Kernels;
use crate::kernels::nibbles::{Aim, Near};
use crate::kernels::prefetch::prefetch;

use super::codes::{Coder, RecordsView, Target};
use super::pool::{Pool, Stop};

/// The graph as a walk sees it. Node numbers and lists may come from a hostile file: numbers that
/// are no node end a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) kernels: Kernels,
    pub(super) nodes: u32,
    pub(super) records: RecordsView<'a>,
    /// See [`Target::reach`].
    pub(super) reach: f32,
    /// `nodes` × `degree`: neighbours, then [`NO_NODE`].
    pub(super) edges: &'a [u32],
    pub(super) degree: usize,
}

/// Fills the places of a list of neighbours that aren't used.
pub(super) const NO_NODE: u32 = u32::MAX;

impl<'a> Field<'a> {
    /// The places of a node's list; empty when there are none.
    #[inline(always)]
    fn list(&self, node: u32) -> &'a [u32] {
        self.edges
            .get(node as usize * self.degree..)
            .map_or(&[], |rest| rest.get(..self.degree).unwrap_or(&[]))
    }

    /// The neighbours of a node.
    #[inline(always)]
    pub(super) fn neighbors(&self, node: u32) -> impl Iterator<Item = u32> + use<'a> {
        let nodes = self.nodes;
        self.list(node).iter().copied().take_while(move |&neighbor| neighbor < nodes)
    }
}

/// Which nodes a walk has seen: a bit each, cleared at a cost that follows the bits set.
#[derive(Debug, Default)]
struct Seen {
    words: Vec<u64>,
}

impl Seen {
    fn reset(&mut self, nodes: u32, previous: &[u32]) {
        let words = (nodes as usize).div_ceil(64);
        if self.words.len() == words && previous.len() < words {
            for &node in previous {
                if let Some(word) = self.words.get_mut(node as usize / 64) {
                    *word = 0;
                }
            }
        } else {
            self.words.clear();
            self.words.resize(words, 0);
        }
    }

    /// Marks `node`; 1 when it is a node and wasn't marked before, else 0. A number rather than a
    /// `bool`: what follows must not branch on what can't be predicted.
    #[inline(always)]
    fn insert(&mut self, node: u32) -> usize {
        let Some(word) = self.words.get_mut(node as usize / 64) else { return 0 };
        let shift = node % 64;
        let new = !*word >> shift & 1;
        *word |= 1 << shift;
        new as usize
    }
}

/// How many nodes of a sweep are compared with the same bound.
const SWEPT_TOGETHER: usize = 64;

/// Hands nodes to `work`, [`SWEPT_TOGETHER`] at a time.
fn in_chunks(mut nodes: impl Iterator<Item = u32>, mut work: impl FnMut(&[u32])) {
    let mut chunk = Vec::with_capacity(SWEPT_TOGETHER);
    loop {
        chunk.clear();
        chunk.extend(nodes.by_ref().take(SWEPT_TOGETHER));
        if chunk.is_empty() {
            break;
        }
        work(&chunk);
    }
}

/// Measures nodes by their codes: heads first, tails of those that may be closer than `bound`.
fn measure(field: &Field, nodes: &[u32], aim: &Aim, bound: f32, near: &mut Near) {
    let RecordsView { heads, tails } = field.records;
    field.kernels.sift(heads, nodes, aim, bound, near);
    field.kernels.refine(heads, tails, aim, near);
}

/// What happens while a walk's memory is on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// Other walks compute.
    #[default]
    Others,
    /// Nothing, so that the walk asks for what it will want if nothing closer turns up.
    Nothing,
}

/// How many lists a walk without company asks for early.
const LISTS_AHEAD: usize = 2;

/// The state of one walk; reused from query to query.
///
/// A walk alternates between [`Walk::gather`], [`Walk::sift`] and [`Walk::score`], so that several
/// can take turns and each one's memory arrives while others compute.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) target: Target,
    pub(super) pool: Pool,
    meanwhile: Meanwhile,
    seen: Seen,
    /// Every node that was looked at.
    visited: Vec<u32>,
    /// How many of `visited` wait to be sifted.
    pending: usize,
    near: Near,
}

impl Walk {
    pub(super) fn new(meanwhile: Meanwhile) -> Self {
        Self { meanwhile, ..Self::default() }
    }

    /// Begins at `entries`, for the [`Target`] that was set.
    pub(super) fn start(&mut self, field: &Field, entries: &[u32], stop: Stop) {
        self.pool.reset(stop);
        self.target.reach(field.reach);
        self.seen.reset(field.nodes, &self.visited);
        self.visited.clear();
        self.pending = 0;
        self.look_at(field, entries);
    }

    /// Notes the nodes that weren't seen, up to the end of a list, and asks for their heads.
    #[inline(always)]
    fn look_at(&mut self, field: &Field, nodes: &[u32]) {
        let first = self.visited.len();
        self.visited.resize(first + nodes.len(), 0);
        let mut end = first;
        for &node in nodes.iter().take_while(|&&node| node < field.nodes) {
            self.visited[end] = node;
            end += self.seen.insert(node);
        }
        self.visited.truncate(end);
        for &node in &self.visited[first..] {
            prefetch(field.records.heads.get(node));
        }
        self.pending += end - first;
    }

    /// Expands the closest node and asks for its neighbours' heads; `false` when the walk is over.
    #[inline]
    pub(super) fn gather(&mut self, field: &Field) -> bool {
        let Some(node) = self.pool.expand() else { return false };
        self.look_at(field, field.list(node));
        if self.meanwhile == Meanwhile::Nothing {
            self.pool.waiting().take(LISTS_AHEAD).for_each(|next| prefetch(field.list(next)));
        }
        true
    }

    /// Looks at the heads of what was gathered, and asks for the tails of what may be close.
    #[inline]
    pub(super) fn sift(&mut self, field: &Field) {
        let first = self.visited.len() - self.pending;
        self.pending = 0;
        let (nodes, bound) = (&self.visited[first..], self.pool.bound());
        let RecordsView { heads, tails } = field.records;
        field.kernels.sift(heads, nodes, &self.target.aim, bound, &mut self.near);
        for row in self.near.rows() {
            prefetch(tails.get(row.number));
        }
    }

    /// Puts what may be close into the pool, and asks for the next list.
    #[inline]
    pub(super) fn score(&mut self, field: &Field) {
        let RecordsView { heads, tails } = field.records;
        if self.meanwhile == Meanwhile::Nothing {
            let next = self.pool.waiting().next().into_iter();
            next.flat_map(|next| field.neighbors(next)).for_each(|node| prefetch(heads.get(node)));
        }
        field.kernels.refine(heads, tails, &self.target.aim, &mut self.near);
        self.pool.insert_all(self.near.rows());
        if let Some(next) = self.pool.waiting().next() {
            prefetch(field.list(next));
        }
    }

    /// Sets the point that the next walk goes to.
    pub(super) fn aim(&mut self, coder: &Coder, point: &[f32]) {
        self.target = coder.aim(point).pop().unwrap_or_default();
    }

    /// Walks to the end, several at a time, so that the memory of each arrives while the others
    /// compute.
    pub(super) fn run_all(walks: &mut [Self], field: &Field, entries: &[u32], stop: Stop) {
        walks.iter_mut().for_each(|walk| walk.start(field, entries, stop));
        let mut running: Vec<&mut Self> = walks.iter_mut().collect();
        while !running.is_empty() {
            running.iter_mut().for_each(|walk| walk.sift(field));
            running.iter_mut().for_each(|walk| walk.score(field));
            running.retain_mut(|walk| walk.gather(field));
        }
    }

    /// Walks to the end.
    pub(super) fn run(&mut self, field: &Field, entries: &[u32], stop: Stop) {
        self.start(field, entries, stop);
        loop {
            self.sift(field);
            self.score(field);
            if !self.gather(field) {
                break;
            }
        }
    }

    /// Looks at the codes of all of `nodes` instead of walking, and keeps the closest `width`.
    pub(super) fn sweep(&mut self, field: &Field, nodes: impl Iterator<Item = u32>, width: usize) {
        self.pool.reset(Stop::width(width));
        self.target.reach(field.reach);
        let Self { target, pool, near, .. } = self;
        in_chunks(nodes, |chunk| {
            measure(field, chunk, &target.aim, pool.bound(), near);
            pool.insert_all(near.rows());
        });
    }

    /// Those of `nodes` whose codes are no farther than `reach` from the target of the last sweep.
    pub(super) fn within(
        &mut self,
        field: &Field,
        nodes: impl Iterator<Item = u32>,
        reach: f32,
    ) -> Vec<u32> {
        let Self { target, near, .. } = self;
        let mut found = Vec::new();
        in_chunks(nodes, |chunk| {
            measure(field, chunk, &target.aim, reach.next_up(), near);
            let rows = near.rows().iter().filter(|row| row.distance <= reach);
            found.extend(rows.map(|row| row.number));
        });
        found
    }

    /// How many nodes were looked at.
    pub(super) fn cost(&self) -> usize {
        self.visited.len()
    }
}
