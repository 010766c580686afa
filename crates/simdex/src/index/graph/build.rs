//! Building: nodes join the graph in batches; a batch walks the graph as it was before it.

use rayon::prelude::*;

use crate::error::Result;
use crate::huge::filled;
use crate::kernels::Kernels;
use crate::kernels::nibbles::{Aim, Near};
use crate::observe::Observer;

use super::codes::{Coder, Records};
use super::pool::Stop;
use super::prune::{Candidate, Pruning, sort};
use super::space::Space;
use super::walk::{Field, NO_NODE, Walk};

/// How a graph is built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) pruning: Pruning,
    /// Width of the walk that finds a new node's candidates.
    pub(super) width: usize,
    /// How much longer a list may grow before it is cut again.
    pub(super) slack: f32,
}

/// What is being linked: node `i` is the point `points[order[i]]`.
pub(super) struct Points<'a> {
    pub(super) kernels: Kernels,
    pub(super) space: Space,
    pub(super) values: &'a [f32],
    pub(super) dim: usize,
    pub(super) order: &'a [u32],
    pub(super) coder: &'a Coder,
    pub(super) records: &'a Records,
}

impl<'a> Points<'a> {
    pub(super) fn nodes(&self) -> usize {
        self.order.len()
    }

    /// The point of a node.
    pub(super) fn point(&self, node: u32) -> &'a [f32] {
        &self.values[self.order[node as usize] as usize * self.dim..][..self.dim]
    }
}

impl Points<'_> {
    /// Adds the distances of the codes of a node and of others, as far as the codes tell.
    fn measure(
        &self,
        node: u32,
        others: &[u32],
        aim: &mut Aim,
        near: &mut Near,
        distances: &mut Vec<f32>,
    ) {
        let records = self.records.view(self.coder.shape());
        self.coder.aim_at_code(records, node, aim);
        self.kernels.sift(records.heads, others, aim, f32::INFINITY, near);
        self.kernels.refine(records.heads, records.tails, aim, near);
        let mut measured = near.rows().iter().peekable();
        // What is infinitely far isn't near.
        distances.extend(others.iter().map(|&other| {
            measured.next_if(|row| row.number == other).map_or(f32::INFINITY, |row| row.distance)
        }));
    }
}

/// The reach of walks before it is measured: see [`super::codes::Target::reach`].
pub(super) const REACH: f32 = 0.5;

/// Lists of neighbours that grow: `degree` places a node, [`NO_NODE`] where unused.
pub(super) struct Links {
    pub(super) edges: Vec<u32>,
    pub(super) degree: usize,
}

impl Links {
    /// No links yet, with room for `plan`'s lists.
    pub(super) fn new(nodes: usize, plan: &Plan) -> Self {
        let degree = (plan.pruning.degree as f32 * plan.slack) as usize;
        Self { edges: filled(NO_NODE, nodes * degree), degree }
    }

    fn set(&mut self, node: u32, neighbors: &[u32]) {
        let list = self.list_mut(node);
        list.fill(NO_NODE);
        for (place, &neighbor) in list.iter_mut().zip(neighbors) {
            *place = neighbor;
        }
    }

    pub(super) fn list(&self, node: u32) -> &[u32] {
        &self.edges[node as usize * self.degree..][..self.degree]
    }

    pub(super) fn list_mut(&mut self, node: u32) -> &mut [u32] {
        &mut self.edges[node as usize * self.degree..][..self.degree]
    }

    pub(super) fn field<'a>(&'a self, points: &Points<'a>) -> Field<'a> {
        Field {
            kernels: points.kernels,
            nodes: points.nodes() as u32,
            records: points.records.view(points.coder.shape()),
            reach: REACH,
            edges: &self.edges,
            degree: self.degree,
        }
    }
}

/// Nodes that are linked by comparing all pairs, before there is a graph to walk.
const FIRST: usize = 256;

/// The share of the graph that joins at once: larger batches keep more threads busy, and miss more
/// neighbours within themselves.
const BATCH_SHARE: usize = 40;

/// The most nodes that join at once: also how often progress is told.
const BATCH_LIMIT: usize = 20_000;

/// Links the nodes from `done` up to `until`. O(n · log n) distances; deterministic, whatever the
/// number of threads.
///
/// Vamana (Subramanya et al. 2019) with the batches of ParlayANN (Manohar et al. 2024).
pub(super) fn link(
    points: &Points,
    plan: &Plan,
    links: &mut Links,
    nodes: std::ops::Range<usize>,
    observer: &dyn Observer,
) -> Result<()> {
    let (mut done, until) = (nodes.start, nodes.end);
    while done < until {
        observer.checkpoint()?;
        let share = (points.nodes() / BATCH_SHARE).clamp(FIRST, BATCH_LIMIT);
        let size = if done == 0 { FIRST } else { share.min(done / 2).max(1) };
        let batch = done as u32..until.min(done + size) as u32;
        join(points, plan, links, batch.clone(), done == 0);
        done = batch.end as usize;
        observer.progress("linking", done as u64, Some(points.nodes() as u64));
    }
    Ok(())
}

/// How many nodes walk at a time.
const TURNS: usize = 4;

/// Links a batch of nodes both ways.
fn join(points: &Points, plan: &Plan, links: &mut Links, batch: std::ops::Range<u32>, first: bool) {
    let field = links.field(points);
    let nodes: Vec<u32> = batch.collect();
    let lists: Vec<(u32, Vec<u32>)> = nodes
        .par_chunks(TURNS)
        .map_init(Scratch::default, |scratch, joining| {
            if first {
                let lists = joining.iter().map(|&node| {
                    let others = nodes.iter().copied().filter(|&other| other != node);
                    scratch.measure(points, node, &others.collect::<Vec<u32>>());
                    (node, scratch.choose(points, plan))
                });
                return lists.collect();
            }
            let mut walks = std::mem::take(&mut scratch.walks);
            walks.resize_with(joining.len(), Walk::default);
            let targets = joining.iter().flat_map(|&node| points.point(node)).copied();
            let targets = points.coder.aim(&targets.collect::<Vec<f32>>());
            walks.iter_mut().zip(targets).for_each(|(walk, target)| walk.target = target);
            Walk::run_all(&mut walks, &field, &[0], Stop::width(plan.width));
            let lists = joining.iter().zip(&walks).map(|(&node, walk)| {
                scratch.candidates.clear();
                scratch.candidates.extend(walk.pool.nodes());
                (node, scratch.choose(points, plan))
            });
            let lists: Vec<_> = lists.collect();
            scratch.walks = walks;
            lists
        })
        .flatten_iter()
        .collect();
    let mut back: Vec<(u32, u32)> =
        lists.iter().flat_map(|(node, list)| list.iter().map(|&other| (other, *node))).collect();
    back.par_sort_unstable();
    for (node, list) in &lists {
        links.set(*node, list);
    }
    let groups: Vec<&[(u32, u32)]> = back.chunk_by(|a, b| a.0 == b.0).collect();
    let field = links.field(points);
    let lists: Vec<(u32, Vec<u32>)> = groups
        .into_par_iter()
        .map_init(Scratch::default, |scratch, group| {
            let node = group[0].0;
            let mut list: Vec<u32> = field.neighbors(node).collect();
            for &(_, source) in group {
                if !list.contains(&source) {
                    list.push(source);
                }
            }
            if list.len() > field.degree {
                cut(points, plan, node, &mut list, scratch);
            }
            (node, list)
        })
        .collect();
    for (node, list) in &lists {
        links.set(*node, list);
    }
}

/// Cuts a list to the final degree.
fn cut(points: &Points, plan: &Plan, node: u32, list: &mut Vec<u32>, scratch: &mut Scratch) {
    scratch.measure(points, node, list);
    *list = scratch.choose(points, plan);
}

/// Cuts every list to the final degree.
pub(super) fn finish(points: &Points, plan: &Plan, links: &mut Links) {
    let degree = plan.pruning.degree;
    let field = links.field(points);
    let mut edges = vec![NO_NODE; points.nodes() * degree];
    edges.par_chunks_exact_mut(degree.max(1)).enumerate().for_each_init(
        Scratch::default,
        |scratch, (node, places)| {
            let node = node as u32;
            let mut list: Vec<u32> = field.neighbors(node).collect();
            if list.len() > degree {
                cut(points, plan, node, &mut list, scratch);
            }
            for (place, neighbor) in places.iter_mut().zip(list) {
                *place = neighbor;
            }
        },
    );
    *links = Links { edges, degree };
}

/// How many nodes inherit between two looks at the observer.
const HEIRS_TOGETHER: usize = 1 << 14;

/// Links the first nodes to what they inherit from an earlier graph, cut to the final degree.
///
/// With neighbours of lost neighbours among it, this is the repair of FreshDiskANN (Singh et al.
/// 2021, arXiv:2105.09613, Alg. 4).
pub(super) fn inherit(
    points: &Points,
    plan: &Plan,
    links: &mut Links,
    (heirs, inherited): (usize, impl Fn(u32) -> Vec<u32> + Sync),
    observer: &dyn Observer,
) -> Result<()> {
    let degree = links.degree.max(1);
    for (at, edges) in links.edges[..heirs * degree].chunks_mut(HEIRS_TOGETHER * degree).enumerate()
    {
        observer.checkpoint()?;
        let first = at * HEIRS_TOGETHER;
        let lists = edges.par_chunks_exact_mut(degree).enumerate();
        lists.for_each_init(Scratch::default, |scratch, (at, places)| {
            let node = (first + at) as u32;
            let mut list = inherited(node);
            if list.len() > plan.pruning.degree {
                cut(points, plan, node, &mut list, scratch);
            }
            for (place, neighbor) in places.iter_mut().zip(list) {
                *place = neighbor;
            }
        });
        observer.progress("mending", first as u64, Some(heirs as u64));
    }
    Ok(())
}

#[derive(Default)]
struct Scratch {
    walks: Vec<Walk>,
    candidates: Vec<Candidate>,
    aim: Aim,
    near: Near,
    numbers: Vec<u32>,
}

impl Scratch {
    /// Makes `others` the candidates for neighbours of `node`.
    fn measure(&mut self, points: &Points, node: u32, others: &[u32]) {
        let mut distances = Vec::with_capacity(others.len());
        let Self { aim, near, .. } = self;
        points.measure(node, others, aim, near, &mut distances);
        self.candidates.clear();
        self.candidates.extend(distances.into_iter().zip(others.iter().copied()));
    }

    /// Chooses among the candidates.
    fn choose(&mut self, points: &Points, plan: &Plan) -> Vec<u32> {
        let Self { candidates, aim, near, numbers, .. } = self;
        sort(candidates);
        plan.pruning.choose(candidates, |node, others, distances| {
            numbers.clear();
            numbers.extend(others.iter().map(|&(_, other)| other));
            points.measure(node, numbers, aim, near, distances);
        })
    }
}
