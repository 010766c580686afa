//! From a target recall to the margin at which walks end.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::kernels::Kernels;

use super::build::{Links, Points};
use super::pool::Stop;
use super::prune::Candidate;
use super::walk::{Field, Walk};

/// Recall against the margin of walks, measured while building on rows that had not joined yet,
/// and on points between two of them: they are to the graph what queries will be, which rows that
/// are in it are not.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Curve {
    /// See [`Stop`].
    pub(super) floor: f32,
    /// How far beyond the distance d that codes tell of the k-th nearest node they may put a node
    /// that is nearer: d + slip · (d + `floor`), but for one in [`ONE_IN`]. `None`: not measured.
    pub(super) slip: Option<f32>,
    pub(super) points: Vec<Point>,
}

/// Recall@k and cost at one margin.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) k: usize,
    pub(super) margin: f32,
    /// Mean recall@k.
    pub(super) recall: f64,
    /// The standard error of that mean.
    pub(super) error: f64,
    /// Nodes that a walk looked at.
    pub(super) distances: f64,
}

/// How many rows are held out.
pub(super) const HELD_OUT: usize = 512;

/// One query in so many lies between two rows that were held out: not all queries are like rows,
/// and of those that are not more is missed.
const ONE_BETWEEN: usize = 4;

/// Below this many nodes there is nothing to tune: walks see them all.
pub(super) const LEAST: usize = 8 * HELD_OUT;

/// The numbers of neighbours that recall is measured for.
const DEPTHS: [usize; 2] = [10, 100];

/// The least of them.
pub(super) const LEAST_DEPTH: usize = DEPTHS[0];

/// How many walks tell recall@`k`: the more rows each looks for, the more it tells.
fn walks_for(k: usize) -> usize {
    if k == DEPTHS[0] { HELD_OUT } else { HELD_OUT / 4 }
}

/// The margins that are measured.
const MARGINS: [f32; 14] =
    [0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.17, 0.22, 0.28, 0.36, 0.46, 0.6, 0.8];

/// The least rank whose distance ends a walk: the first few are too near to tell.
const LEAST_RANK: usize = 10;

/// The most nodes that a walk keeps, whatever the margin: bounds its cost.
pub(super) const WIDEST: usize = 2000;

/// Enough: longer walks aren't measured.
const COMPLETE: f64 = 0.998;

/// What a margin is added to, beside the distance itself: this share of the mean distance of the
/// tenth nearest. Else walks would end at once among rows that are nearly the query.
const FLOOR: f32 = 0.5;

/// Where walks look at one in so many nodes, longer ones aren't measured: a scan is as good.
const MOST_SHARE: f64 = 4.0;

/// Beyond this margin, one that gains less than [`LEAST_GAIN`] in recall is the last.
const STEEP: f32 = 0.1;

const LEAST_GAIN: f64 = 0.0005;

/// The margin of the walks on which codes are compared with the truth.
const SLIP_MARGIN: f32 = 0.13;

/// One in so many of the nearest may slip farther than [`Curve::slip`] says.
const ONE_IN: usize = 500;

/// Beyond so many times as many nodes as usual no more are ranked.
const MOST_RANKED: usize = 8;

/// How many nodes of a walk are ranked by float32 values for `k` rows, at least.
pub(super) fn ranked(k: usize) -> usize {
    k.saturating_add(k / 2).saturating_add(8)
}

/// Which of the nearest nodes of a walk are ranked by float32 values: those that codes can't tell
/// from the `k` nearest.
#[derive(Debug)]
pub(super) struct Shortlist<'a> {
    curve: &'a Curve,
    k: usize,
    nodes: usize,
    reach: f32,
}

impl<'a> Shortlist<'a> {
    pub(super) fn new(curve: &'a Curve, k: usize) -> Self {
        Self { curve, k, nodes: 0, reach: f32::INFINITY }
    }

    /// Whether a node at `distance` is ranked, too; nodes come closest first.
    pub(super) fn has_room(&self, distance: f32) -> bool {
        self.nodes < ranked(self.k)
            || distance <= self.reach && self.nodes < MOST_RANKED * ranked(self.k)
    }

    /// Adds a node.
    pub(super) fn push(&mut self, distance: f32) {
        self.nodes += 1;
        if self.nodes == self.k {
            self.reach = self.curve.reach_of_codes(distance).unwrap_or(distance);
        }
    }
}

/// A walk for `k` rows that goes on by `margin`; `share` of the rows are wanted.
pub(super) fn stop(curve: &Curve, k: usize, share: f64, margin: f32) -> Stop {
    let rank = (k.max(LEAST_RANK) as f64 / share).ceil() as usize;
    Stop { width: rank.saturating_mul(2).max(WIDEST), rank, margin, floor: curve.floor }
}

impl Curve {
    /// Measures walks for the nodes from `joined` on among those before. O(held out · n · dim).
    pub(super) fn measure(points: &Points, links: &Links, joined: u32, entries: &[u32]) -> Self {
        let queries = Queries::of(points, joined);
        let truth = queries.nearest(points, joined);
        let field = links.field(points);
        let tenth = |truth: &Vec<Candidate>| truth.get(LEAST_RANK - 1).map_or(0.0, |t| t.0);
        let floor = FLOOR * truth.iter().map(tenth).sum::<f32>() / truth.len().max(1) as f32;
        let mut curve = Self { floor, slip: None, points: Vec::new() };
        curve.slip = curve.measure_slip(points, &field, entries, (&queries, &truth));
        for k in DEPTHS {
            let mut best = 0.0;
            for margin in MARGINS {
                let stop = stop(&curve, k, 1.0, margin);
                let outcomes: Vec<Outcome> = queries
                    .par_iter()
                    .zip(&truth)
                    .take(walks_for(k))
                    .map_init(Walk::default, |walk, (query, truth)| {
                        walk.aim(points.coder, query);
                        walk.run(&field, entries, stop);
                        let recall = recall(&curve, points, query, walk, truth, k);
                        Outcome { recall, cost: walk.cost() }
                    })
                    .collect();
                let point = Point::of(k, margin, &outcomes);
                curve.points.push(point);
                let most = f64::from(joined) / MOST_SHARE;
                let before = std::mem::replace(&mut best, point.recall);
                let is_flat = margin > STEEP && point.recall < before + LEAST_GAIN;
                if point.recall >= COMPLETE || point.distances > most || is_flat {
                    break;
                }
            }
        }
        curve
    }

    /// Compares codes with the truth on long walks.
    fn measure_slip(
        &self,
        points: &Points,
        field: &Field,
        entries: &[u32],
        (queries, truth): (&Queries, &[Vec<Candidate>]),
    ) -> Option<f32> {
        let stop = stop(self, LEAST_RANK, 1.0, SLIP_MARGIN);
        let slips =
            queries.par_iter().zip(truth).map_init(Walk::default, |walk, (query, truth)| {
                walk.aim(points.coder, query);
                walk.run(field, entries, stop);
                let nearest = &truth[..truth.len().min(LEAST_RANK)];
                let (last, _) = walk.pool.nodes().nth(LEAST_RANK - 1)?;
                let is_near =
                    |&(_, node): &Candidate| nearest.iter().any(|&(_, near)| near == node);
                let slip = |(distance, _)| (distance - last) / (last.max(0.0) + self.floor);
                Some(walk.pool.nodes().filter(is_near).map(slip).collect::<Vec<f32>>())
            });
        let mut slips: Vec<f32> = slips.flatten().flatten_iter().collect();
        let place = slips.len().checked_sub(1 + slips.len() / ONE_IN)?;
        let slip = *slips.select_nth_unstable_by(place, f32::total_cmp).1;
        slip.is_finite().then_some(slip.max(0.0))
    }

    /// Up to which distance nodes must be ranked, if codes put the k-th nearest at `distance`.
    pub(super) fn reach_of_codes(&self, distance: f32) -> Option<f32> {
        self.slip.map(|slip| distance + slip * (distance.max(0.0) + self.floor))
    }

    /// The margin that reaches `recall` for `k` rows, and about how many nodes walks look at;
    /// `None` where none was seen to.
    pub(super) fn margin(&self, recall: f64, k: usize) -> Option<(f32, f64)> {
        let [few, many] = DEPTHS;
        let narrow = self.margin_at(recall, few)?;
        if k <= few {
            return Some(narrow);
        }
        let wide = self.margin_at(recall, many)?;
        let share = ((k - few) as f64 / (many - few) as f64).min(1.0);
        let margin = narrow.0 + share as f32 * (wide.0 - narrow.0);
        let cost = wide.1.max(narrow.1) * (k as f64 / many as f64).max(1.0);
        Some((margin.max(0.0), cost))
    }

    fn margin_at(&self, recall: f64, k: usize) -> Option<(f32, f64)> {
        let recall = recall.min(COMPLETE);
        let mut before: Option<Point> = None;
        for &point in self.points.iter().filter(|point| point.k == k) {
            if point.surely() >= recall {
                let Some(before) = before else { return Some((point.margin, point.distances)) };
                let share = (recall - before.surely()) / (point.surely() - before.surely());
                let share = share.clamp(0.0, 1.0);
                let margin = before.margin + share as f32 * (point.margin - before.margin);
                return Some((margin, point.distances));
            }
            before = Some(point);
        }
        None
    }
}

impl Point {
    fn of(k: usize, margin: f32, outcomes: &[Outcome]) -> Self {
        let count = outcomes.len().max(1) as f64;
        let recall = outcomes.iter().map(|outcome| outcome.recall).sum::<f64>() / count;
        let variance = outcomes.iter().map(|outcome| (outcome.recall - recall).powi(2));
        let error = (variance.sum::<f64>() / count / count).sqrt();
        let distances = outcomes.iter().map(|outcome| outcome.cost as f64).sum::<f64>() / count;
        Self { k, margin, recall, error, distances }
    }

    /// What recall is not below, but for one of forty samples.
    fn surely(&self) -> f64 {
        self.recall - 2.0 * self.error
    }
}

/// How one walk ended.
struct Outcome {
    recall: f64,
    cost: usize,
}

/// The share of the first `k` of `truth` that a walk found.
fn recall(
    curve: &Curve,
    points: &Points,
    query: &[f32],
    walk: &Walk,
    truth: &[Candidate],
    k: usize,
) -> f64 {
    let mut shortlist = Shortlist::new(curve, k);
    let near = walk.pool.nodes().take_while(|&(distance, _)| {
        let room = shortlist.has_room(distance);
        shortlist.push(distance);
        room
    });
    let near = near.map(|(_, node)| node);
    let distance = |node| points.kernels.squared_l2(query, points.point(node));
    let mut near: Vec<Candidate> = near.map(|node| (distance(node), node)).collect();
    near.sort_unstable_by(by_distance);
    near.truncate(k);
    let truth = &truth[..k.min(truth.len())];
    let hits = near.iter().filter(|(_, node)| truth.iter().any(|(_, other)| other == node)).count();
    hits as f64 / truth.len().max(1) as f64
}

fn by_distance(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// Nodes that are compared with every query in turn: they stay in the second level of caches.
const CHUNK: usize = 128;

/// Queries that nodes are compared with at once.
const TOGETHER: usize = 32;

/// What recall is measured on: n × dim, row-major.
struct Queries {
    values: Vec<f32>,
    dim: usize,
}

impl Queries {
    /// The nodes from `joined` on, one in [`ONE_BETWEEN`] of them moved halfway to the next.
    fn of(points: &Points, joined: u32) -> Self {
        let held_out = joined..points.nodes() as u32;
        let mut values = Vec::with_capacity(held_out.len() * points.dim);
        for (at, node) in held_out.clone().enumerate() {
            let point = points.point(node);
            if at % ONE_BETWEEN == 0 && held_out.contains(&(node + 1)) {
                values.extend(between(points.kernels, point, points.point(node + 1)));
            } else {
                values.extend_from_slice(point);
            }
        }
        let queries = values.chunks_exact_mut(points.dim);
        queries.for_each(|query| points.space.turn_into_query(query));
        Self { values, dim: points.dim }
    }

    fn par_iter(&self) -> impl IndexedParallelIterator<Item = &[f32]> {
        self.values.par_chunks_exact(self.dim)
    }

    /// The nodes before `joined` nearest to each query, nearest first, as many as are needed.
    /// O(queries · n · dim).
    fn nearest(&self, points: &Points, joined: u32) -> Vec<Vec<Candidate>> {
        let starts: Vec<u32> = (0..joined).step_by(CHUNK).collect();
        let blocks: Vec<Vec<f32>> =
            self.values.chunks(TOGETHER * self.dim).map(|block| self.columns(block)).collect();
        let none = || vec![Nearest::default(); self.values.len() / self.dim];
        let look = |mut all: Vec<Nearest>, &start: &u32| {
            let nodes = start..joined.min(start + CHUNK as u32);
            let rows: Vec<f32> =
                nodes.clone().flat_map(|node| points.point(node)).copied().collect();
            let mut distances = [0.0; CHUNK * TOGETHER];
            for (block, nearest) in blocks.iter().zip(all.chunks_mut(TOGETHER)) {
                points.kernels.squared_l2_columns(&rows, block, self.dim, &mut distances);
                for (node, distances) in nodes.clone().zip(distances.chunks_exact(nearest.len())) {
                    for (nearest, &distance) in nearest.iter_mut().zip(distances) {
                        nearest.push((distance, node));
                    }
                }
            }
            all
        };
        let merge = |mut all: Vec<Nearest>, more: Vec<Nearest>| {
            for (all, more) in all.iter_mut().zip(more) {
                more.candidates.into_iter().for_each(|candidate| all.push(candidate));
            }
            all
        };
        let all = starts.par_iter().fold(none, look).reduce(none, merge);
        all.into_iter().map(Nearest::finish).collect()
    }

    /// Turns n × dim into dim × n.
    fn columns(&self, rows: &[f32]) -> Vec<f32> {
        (0..self.dim).flat_map(|at| rows[at..].iter().step_by(self.dim)).copied().collect()
    }
}

/// The nearest of the candidates that were pushed.
#[derive(Clone)]
struct Nearest {
    candidates: Vec<Candidate>,
    /// What is farther isn't among them.
    bound: f32,
}

impl Default for Nearest {
    fn default() -> Self {
        Self { candidates: Vec::new(), bound: f32::INFINITY }
    }
}

impl Nearest {
    const DEPTH: usize = DEPTHS[1];

    #[inline(always)]
    fn push(&mut self, candidate: Candidate) {
        if candidate.0 <= self.bound {
            self.candidates.push(candidate);
            if self.candidates.len() == 2 * Self::DEPTH {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if Self::DEPTH < self.candidates.len() {
            let (_, last, _) = self.candidates.select_nth_unstable_by(Self::DEPTH - 1, by_distance);
            self.bound = last.0;
            self.candidates.truncate(Self::DEPTH);
        }
    }

    /// Nearest first.
    fn finish(mut self) -> Vec<Candidate> {
        self.cut();
        self.candidates.sort_unstable_by(by_distance);
        self.candidates
    }
}

/// The point halfway, as long as the two are on average: among unit vectors, one of them.
fn between(kernels: Kernels, a: &[f32], b: &[f32]) -> Vec<f32> {
    let sum: Vec<f32> = a.iter().zip(b).map(|(a, b)| a + b).collect();
    let length = |point: &[f32]| kernels.dot(point, point).sqrt();
    let factor = (length(a) + length(b)) / (2.0 * length(&sum));
    let factor = if factor.is_finite() { factor } else { 0.5 };
    sum.into_iter().map(|value| value * factor).collect()
}
