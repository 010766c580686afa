//! From a target recall to the width of the walk.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::build::{Links, Points};
use super::prune::Candidate;
use super::walk::Walk;

/// Recall against the width of walks, measured while building on rows that had not joined yet:
/// they are to the graph what queries will be, which rows that are in it are not.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Curve {
    pub(super) points: Vec<Point>,
}

/// Recall@k and cost at one width.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) k: usize,
    pub(super) width: usize,
    /// Mean recall@k.
    pub(super) recall: f64,
    /// The standard error of that mean.
    pub(super) error: f64,
    /// Distances estimated a query.
    pub(super) distances: f64,
}

/// How many rows are held out.
pub(super) const HELD_OUT: usize = 256;

/// Below this many nodes there is nothing to tune: walks see them all.
pub(super) const LEAST: usize = 16 * HELD_OUT;

/// The numbers of neighbours that recall is measured for.
const DEPTHS: [usize; 2] = [10, 100];

/// The widths that are measured: about √2 apart.
const WIDTHS: [usize; 15] = [10, 14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 452, 640, 905, 1280];

/// Enough: wider walks aren't measured.
const COMPLETE: f64 = 0.998;

/// How many nodes of a walk are ranked by float32 values, for `k` rows.
pub(super) fn ranked(k: usize) -> usize {
    k.saturating_add(k / 2).saturating_add(8)
}

impl Curve {
    /// Measures walks for the nodes from `joined` on among those before. O(held out · n · dim).
    pub(super) fn measure(points: &Points, links: &Links, joined: u32, entries: &[u32]) -> Self {
        let queries: Vec<u32> = (joined..points.nodes() as u32).take(HELD_OUT).collect();
        let truth = nearest(points, &queries, joined);
        let field = links.field(points);
        let mut curve = Self::default();
        for width in WIDTHS {
            let outcomes: Vec<Outcome> = queries
                .par_iter()
                .zip(&truth)
                .map_init(Walk::default, |walk, (&query, truth)| {
                    walk.aim(points.coder, points.point(query));
                    walk.run(&field, entries, width);
                    let recalls = DEPTHS.map(|k| recall(points, query, walk, truth, k));
                    Outcome { recalls, cost: walk.cost() }
                })
                .collect();
            for (depth, k) in DEPTHS.into_iter().enumerate().filter(|&(_, k)| k <= width) {
                curve.points.push(Point::of(k, width, depth, &outcomes));
            }
            if curve.points.last().is_some_and(|p| p.k == DEPTHS[1] && p.recall >= COMPLETE) {
                break;
            }
        }
        curve
    }

    /// The width that reaches `recall` for `k` rows; `None` where none was seen to.
    pub(super) fn width(&self, recall: f64, k: usize) -> Option<usize> {
        let [few, many] = DEPTHS;
        let narrow = self.width_at(recall, few)?;
        if k <= few {
            return Some(narrow);
        }
        let wide = self.width_at(recall, many)?.max(narrow) as f64;
        if k >= many {
            return Some((wide * k as f64 / many as f64) as usize);
        }
        let share = (k - few) as f64 / (many - few) as f64;
        Some((narrow as f64 + share * (wide - narrow as f64)).ceil() as usize)
    }

    fn width_at(&self, recall: f64, k: usize) -> Option<usize> {
        let recall = recall.min(COMPLETE);
        let mut before: Option<Point> = None;
        for &point in self.points.iter().filter(|point| point.k == k) {
            if point.surely() >= recall {
                let Some(before) = before else { return Some(point.width) };
                let share = (recall - before.surely()) / (point.surely() - before.surely());
                let (low, high) = (before.width as f64, point.width as f64);
                return Some((low + share.clamp(0.0, 1.0) * (high - low)).ceil() as usize);
            }
            before = Some(point);
        }
        None
    }
}

impl Point {
    fn of(k: usize, width: usize, depth: usize, outcomes: &[Outcome]) -> Self {
        let count = outcomes.len().max(1) as f64;
        let recalls = || outcomes.iter().map(|outcome| outcome.recalls[depth]);
        let recall = recalls().sum::<f64>() / count;
        let variance = recalls().map(|r| (r - recall).powi(2)).sum::<f64>() / count;
        let distances = outcomes.iter().map(|outcome| outcome.cost as f64).sum::<f64>() / count;
        Self { k, width, recall, error: (variance / count).sqrt(), distances }
    }

    /// What recall is likely not below.
    fn surely(&self) -> f64 {
        self.recall - self.error
    }
}

/// How one walk ended.
struct Outcome {
    /// For each of [`DEPTHS`].
    recalls: [f64; DEPTHS.len()],
    cost: usize,
}

/// The share of the first `k` of `truth` that a walk found.
fn recall(points: &Points, query: u32, walk: &Walk, truth: &[Candidate], k: usize) -> f64 {
    let near = walk.pool.nodes().take(ranked(k)).map(|(_, node)| node);
    let mut near: Vec<Candidate> = near.map(|node| (points.between(query, node), node)).collect();
    near.sort_unstable_by(by_distance);
    near.truncate(k);
    let truth = &truth[..k.min(truth.len())];
    let hits = near.iter().filter(|(_, node)| truth.iter().any(|(_, other)| other == node)).count();
    hits as f64 / truth.len().max(1) as f64
}

fn by_distance(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// Nodes that are compared with all queries before the nearest are picked.
const CHUNK: usize = 2048;

/// The nodes before `joined` nearest to each query, nearest first, as many as are needed.
///
/// Every node is read once and compared with all queries. O(queries · n · dim).
fn nearest(points: &Points, queries: &[u32], joined: u32) -> Vec<Vec<Candidate>> {
    let block: Vec<f32> = queries.iter().flat_map(|&query| points.point(query)).copied().collect();
    let starts: Vec<u32> = (0..joined).step_by(CHUNK).collect();
    let chunk = |&start: &u32| {
        let nodes = start..joined.min(start + CHUNK as u32);
        let mut found = vec![Vec::with_capacity(nodes.len()); queries.len()];
        let mut distances = vec![0.0; queries.len()];
        for node in nodes {
            points.kernels.squared_l2_rows(points.point(node), &block, &mut distances);
            for (found, &distance) in found.iter_mut().zip(&distances) {
                found.push((distance, node));
            }
        }
        found.iter_mut().for_each(keep_nearest);
        found
    };
    let merge = |mut all: Vec<Vec<Candidate>>, more: Vec<Vec<Candidate>>| {
        for (all, more) in all.iter_mut().zip(more) {
            all.extend(more);
            keep_nearest(all);
        }
        all
    };
    starts.par_iter().map(chunk).reduce(|| vec![Vec::new(); queries.len()], merge)
}

/// Keeps the nearest candidates, nearest first.
fn keep_nearest(candidates: &mut Vec<Candidate>) {
    let depth = DEPTHS[1];
    if depth < candidates.len() {
        candidates.select_nth_unstable_by(depth, by_distance);
        candidates.truncate(depth);
    }
    candidates.sort_unstable_by(by_distance);
}
