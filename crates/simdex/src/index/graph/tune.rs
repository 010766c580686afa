//! From a target recall to the width of the walk.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::build::{Links, Points};
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
        let truth: Vec<Vec<u32>> =
            queries.par_iter().map(|&query| nearest(points, query, joined)).collect();
        let field = links.field(points);
        let mut curve = Self::default();
        for k in DEPTHS {
            for width in WIDTHS.into_iter().filter(|&width| width >= k) {
                let outcomes: Vec<(f64, usize)> = queries
                    .par_iter()
                    .zip(&truth)
                    .map_init(Walk::default, |walk, (&query, truth)| {
                        points.coder.aim(points.point(query), &mut walk.target);
                        walk.run(&field, entries, width);
                        let near = walk.pool.nodes().take(ranked(k)).map(|(_, node)| node);
                        let mut near: Vec<(f32, u32)> =
                            near.map(|node| (points.between(query, node), node)).collect();
                        near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                        near.truncate(k);
                        let truth = &truth[..k.min(truth.len())];
                        let hits = near.iter().filter(|(_, node)| truth.contains(node)).count();
                        (hits as f64 / truth.len().max(1) as f64, walk.cost())
                    })
                    .collect();
                let point = Point::of(k, width, &outcomes);
                curve.points.push(point);
                if point.recall >= COMPLETE {
                    break;
                }
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
    fn of(k: usize, width: usize, outcomes: &[(f64, usize)]) -> Self {
        let count = outcomes.len().max(1) as f64;
        let recall = outcomes.iter().map(|(recall, _)| recall).sum::<f64>() / count;
        let variance = outcomes.iter().map(|(r, _)| (r - recall).powi(2)).sum::<f64>() / count;
        let distances = outcomes.iter().map(|&(_, cost)| cost as f64).sum::<f64>() / count;
        Self { k, width, recall, error: (variance / count).sqrt(), distances }
    }

    /// What recall is likely not below.
    fn surely(&self) -> f64 {
        self.recall - 0.5 * self.error
    }
}

/// The nodes before `joined` nearest to `query`, as many as are needed.
fn nearest(points: &Points, query: u32, joined: u32) -> Vec<u32> {
    let mut all: Vec<(f32, u32)> =
        (0..joined).map(|node| (points.between(query, node), node)).collect();
    let depth = DEPTHS[1].min(all.len());
    let by_distance = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if depth < all.len() {
        all.select_nth_unstable_by(depth, by_distance);
    }
    all.truncate(depth);
    all.sort_unstable_by(by_distance);
    all.into_iter().map(|(_, node)| node).collect()
}
