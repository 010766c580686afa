//! Searching an opened graph.

use fixedbitset::FixedBitSet;
use rayon::prelude::*;

use crate::error::Result;
use crate::index::{Index, Parameters, Sections};
use crate::kernels::Kernels;
use crate::matrix::Matrix;
use crate::observe::Observer;
use crate::search::query::Query;
use crate::search::rerank::nearest;
use crate::types::{Metric, Neighbor};

use super::codes::{Coder, Target};
use super::layout::Layout;
use super::pool::Stop;
use super::rank::Ranker;
use super::settings::number;
use super::space::Space;
use super::tune::{self, Shortlist, ranked};
use super::walk::{Field, Meanwhile, Walk};

/// An opened graph.
pub(super) struct GraphIndex {
    ranker: Ranker,
    space: Space,
    coder: Coder,
    layout: Layout,
    recall: f64,
    /// What was set, instead of what was measured.
    width: Option<usize>,
    margin: Option<f32>,
}

/// How many walks of a batch take turns: while one computes, the other's memory arrives.
const TURNS: usize = 4;

/// Distances that a walk estimates for each entry of its pool, about.
const COST_OF_WIDTH: f64 = 20.0;

/// How many times the nodes that a walk ranks a sweep keeps.
const SWEPT_WIDTH: usize = 8;

/// What ranking a row costs, in distances that a walk estimates: the row lies anywhere in memory.
/// This and the next two from searches of 100,000 × 384 on an AMD Zen 4.
const COST_OF_ROW: f64 = 3.0;

/// What a sweep costs for each node with allowed rows, and for asking whether a row is allowed.
const COST_OF_SWEPT: f64 = 0.4;
const COST_OF_ASKING: f64 = 0.04;

/// How many queries of a batch are prepared at once.
const AIMED_TOGETHER: usize = 8;

/// Into how many shares each thread's part of a batch is divided, so that none waits for long.
const SHARES: usize = 4;

/// How often queries of a batch ask whether to stop.
const CHECK_EVERY: usize = 64;

/// How a query is answered.
enum Way {
    /// Walk, and end so.
    Walk(Stop),
    /// Look at the codes of all nodes with allowed rows, and rank the closest.
    Sweep,
    /// Rank all rows that are allowed: cheaper, or the only way to be sure.
    Scan,
}

impl GraphIndex {
    pub(super) fn open(
        vectors: Matrix,
        metric: Metric,
        parameters: &Parameters,
        sections: &Sections,
    ) -> Result<Self> {
        let point_dim = Space::new(vectors.dim(), metric, 0.0).point_dim();
        let layout = Layout::read(sections, vectors.rows(), point_dim)?;
        let kernels = Kernels::detect();
        Ok(Self {
            space: Space::new(vectors.dim(), metric, layout.header.radius),
            coder: layout.coder(kernels),
            ranker: Ranker { vectors, metric, kernels },
            layout,
            recall: number(parameters, "recall")?,
            width: Some(number(parameters, "width")? as usize).filter(|&width| width > 0),
            margin: Some(number(parameters, "margin")? as f32).filter(|&margin| margin > 0.0),
        })
    }

    /// The target.
    pub(super) fn recall(&self) -> f64 {
        self.recall
    }

    /// Distances that a search for `k` rows estimates; `None` where no margin reaches the target.
    pub(super) fn distances(&self, k: usize) -> Option<f64> {
        let reached = self.layout.header.curve.margin(self.recall, k);
        reached.map(|(_, distances)| distances)
    }

    fn field(&self) -> Field<'_> {
        self.layout.field(self.ranker.kernels)
    }

    /// Picks the cheapest way for `k` of `matches` rows.
    ///
    /// A walk over all rows has to pass n / matches nodes for each that is allowed, so that its
    /// cost grows as the matches get fewer, while that of looking at them all shrinks.
    fn way(&self, k: usize, matches: usize) -> Way {
        let rows = self.ranker.vectors.rows();
        let share = matches.max(1) as f64 / rows.max(1) as f64;
        let curve = &self.layout.header.curve;
        let (stop, walk) = match (self.margin, self.width) {
            (None, Some(width)) => {
                let width = width.max(k) as f64 / share;
                (Stop::width(width as usize), width * COST_OF_WIDTH)
            }
            (Some(margin), width) => {
                let stop = tune::stop(curve, k, share, margin);
                (Stop { width: width.unwrap_or(stop.width), ..stop }, COST_OF_WIDTH / share)
            }
            (None, None) => match curve.margin(self.recall, k) {
                Some((margin, cost)) => (tune::stop(curve, k, share, margin), cost / share),
                // No walk finds enough; a sweep does where it is known how much codes tell.
                None if curve.slip.is_some() => (Stop::default(), f64::INFINITY),
                None => return Way::Scan,
            },
        };
        let (rows, matches) = (rows as f64, matches as f64);
        let sweep = COST_OF_ASKING * rows + COST_OF_SWEPT * matches;
        if matches * COST_OF_ROW <= walk.min(sweep) {
            Way::Scan
        } else if sweep < walk {
            Way::Sweep
        } else {
            Way::Walk(stop)
        }
    }

    /// Prepares queries for walks.
    fn aim(&self, queries: &[Query]) -> Vec<Target> {
        let dim = self.space.point_dim();
        let mut points = vec![0.0; queries.len() * dim];
        for (query, point) in queries.iter().zip(points.chunks_exact_mut(dim)) {
            self.space.query(query.rounded(), point);
        }
        self.coder.aim(&points)
    }

    /// The closest rows that a finished walk found; `None` when it found too few of those allowed.
    fn end(
        &self,
        query: &Query,
        k: usize,
        allowed: Option<&FixedBitSet>,
        walk: &Walk,
    ) -> Option<Vec<u32>> {
        let mut rows = Vec::with_capacity(ranked(k));
        let mut shortlist = Shortlist::new(&self.layout.header.curve, k);
        for (distance, node) in walk.pool.nodes() {
            if !shortlist.has_room(distance) {
                break;
            }
            let before = rows.len();
            let members = self.layout.rows_of(node).iter().copied();
            rows.extend(members.filter(|&row| is_allowed(allowed, row)).take(k));
            if rows.len() > before {
                shortlist.push(distance);
            }
        }
        let found = self.ranker.closest(query, k, &rows);
        (found.len() >= k).then_some(found)
    }

    /// The closest of all allowed rows, from the codes of all: those nodes are ranked that may be
    /// closer than the k-th of the first few, by how far codes slip. O(rows).
    fn sweep(
        &self,
        query: &Query,
        k: usize,
        allowed: Option<&FixedBitSet>,
        walk: &mut Walk,
    ) -> Vec<u32> {
        let is_allowed = |row| is_allowed(allowed, row);
        let closest = |nodes: &[u32]| {
            let rows = nodes.iter().flat_map(|&node| self.layout.rows_of(node)).copied();
            let rows: Vec<u32> = rows.filter(|&row| is_allowed(row)).collect();
            self.ranker.closest(query, k, &rows)
        };
        let field = self.field();
        let nodes = || self.layout.nodes_with(is_allowed);
        walk.target = self.aim(std::slice::from_ref(query)).pop().unwrap_or_default();
        let width = SWEPT_WIDTH * ranked(k);
        walk.sweep(&field, nodes(), width);
        let (distances, first): (Vec<f32>, Vec<u32>) = walk.pool.nodes().unzip();
        let found = closest(&first);
        let kth = found.get(k.saturating_sub(1)).map(|&row| self.distance(query, row));
        let reach = kth.and_then(|kth| self.layout.header.curve.reach_of_codes(kth));
        match (reach, distances.last()) {
            (None, _) => self.scan(query, k, allowed),
            // More may be as close: many copies, or rows that are all far.
            (Some(reach), Some(&last)) if first.len() == width && last <= reach => {
                closest(&walk.within(&field, nodes(), reach))
            }
            _ => found,
        }
    }

    /// What codes estimate: the squared distance of a row's point from the query's. O(dim).
    fn distance(&self, query: &Query, row: u32) -> f32 {
        let mut points = [(); 2].map(|()| vec![0.0; self.space.point_dim()]);
        self.space.query(query.rounded(), &mut points[0]);
        self.space.row(self.ranker.vectors.row(row as usize), &mut points[1]);
        self.ranker.kernels.squared_l2(&points[0], &points[1])
    }

    /// What `finish` makes of each query's closest rows, on all threads of the current pool.
    fn answer<T: Send>(
        &self,
        queries: &[Query],
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
        finish: impl Fn(&Query, Vec<u32>) -> T + Sync,
    ) -> Result<Vec<T>> {
        let rows = self.ranker.vectors.rows();
        let matches = allowed.map_or(rows, |set| set.count_ones(..).min(rows));
        let way = self.way(k, matches);
        let some = |queries: &[Query]| match way {
            Way::Walk(stop) => self.walks(queries, k, allowed, stop, observer, &finish),
            Way::Sweep => {
                let mut walk = Walk::default();
                let sweep = |query| {
                    observer.checkpoint()?;
                    Ok(finish(query, self.sweep(query, k, allowed, &mut walk)))
                };
                queries.iter().map(sweep).collect()
            }
            Way::Scan => {
                let scan = |query| {
                    observer.checkpoint()?;
                    Ok(finish(query, self.scan(query, k, allowed)))
                };
                queries.iter().map(scan).collect()
            }
        };
        let shares = rayon::current_num_threads() * SHARES;
        if shares == SHARES || queries.len() <= TURNS {
            return some(queries);
        }
        let share = queries.len().div_ceil(shares).max(TURNS);
        let answers: Vec<Vec<T>> = queries.par_chunks(share).map(some).collect::<Result<_>>()?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// What `finish` makes of the rows that walks find, several walks at a time.
    fn walks<T>(
        &self,
        queries: &[Query],
        k: usize,
        allowed: Option<&FixedBitSet>,
        stop: Stop,
        observer: &dyn Observer,
        finish: impl Fn(&Query, Vec<u32>) -> T,
    ) -> Result<Vec<T>> {
        let field = self.field();
        let mut answers: Vec<Option<T>> = queries.iter().map(|_| None).collect();
        let mut waiting = queries
            .chunks(AIMED_TOGETHER)
            .flat_map(|queries| queries.iter().zip(self.aim(queries)))
            .zip(&mut answers);
        let mut start = |walk: &mut Walk| {
            let ((query, target), place) = waiting.next()?;
            walk.target = target;
            walk.start(&field, &self.layout.entries, stop);
            Some((query, place))
        };
        let meanwhile = match queries {
            [_] => Meanwhile::Nothing,
            _ => Meanwhile::Others,
        };
        let mut walks = Vec::with_capacity(TURNS);
        for _ in 0..TURNS {
            let mut walk = Walk::new(meanwhile);
            walks.extend(start(&mut walk).map(|goal| (goal, walk)));
        }
        let mut done = 0;
        while !walks.is_empty() {
            for (_, walk) in &mut walks {
                walk.sift(&field);
            }
            for (_, walk) in &mut walks {
                walk.score(&field);
            }
            walks.retain_mut(|((query, place), walk)| {
                if walk.gather(&field) {
                    return true;
                }
                let found = self.end(query, k, allowed, walk);
                let rows = found.unwrap_or_else(|| self.sweep(query, k, allowed, walk));
                **place = Some(finish(query, rows));
                done += 1;
                let Some(goal) = start(walk) else { return false };
                (*query, *place) = goal;
                true
            });
            if done >= CHECK_EVERY {
                observer.checkpoint()?;
                done = 0;
            }
        }
        // No walk is left, so that every place is taken.
        Ok(answers.into_iter().flatten().collect())
    }

    fn scan(&self, query: &Query, k: usize, allowed: Option<&FixedBitSet>) -> Vec<u32> {
        let rows = self.ranker.vectors.rows() as u32;
        let rows: Vec<u32> = (0..rows).filter(|&row| is_allowed(allowed, row)).collect();
        self.ranker.closest(query, k, &rows)
    }
}

fn is_allowed(allowed: Option<&FixedBitSet>, row: u32) -> bool {
    allowed.is_none_or(|set| set.contains(row as usize))
}

impl Index for GraphIndex {
    fn candidates(
        &self,
        query: &Query,
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<u32>> {
        let found = self.candidates_batch(std::slice::from_ref(query), k, allowed, observer)?;
        Ok(found.into_iter().flatten().collect())
    }

    fn candidates_batch(
        &self,
        queries: &[Query],
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<u32>>> {
        self.answer(queries, k, allowed, observer, |_, rows| rows)
    }

    fn nearest_batch(
        &self,
        queries: &[Query],
        vectors: &Matrix,
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<Neighbor>>> {
        // At once, while the rows are in the processor's caches.
        self.answer(queries, k, allowed, observer, |query, rows| {
            nearest(query, vectors, &rows, rows.len())
        })
    }

    fn facts(&self) -> Vec<(String, String)> {
        let header = &self.layout.header;
        let mut facts = vec![
            ("nodes".into(), header.nodes.to_string()),
            ("degree".into(), header.degree.to_string()),
            ("target recall".into(), self.recall.to_string()),
        ];
        let measured = header.curve.margin(self.recall, 10).map(|(margin, _)| margin);
        let end = match (self.margin.or(measured), self.width) {
            (None, None) if header.curve.slip.is_some() => {
                ("walks".into(), "none: the codes of all rows are compared".into())
            }
            (None, None) => ("walks".into(), "none: every row is ranked".into()),
            (_, Some(width)) if self.margin.is_none() => ("width".into(), width.to_string()),
            (margin, _) => {
                ("margin for 10 rows".into(), format!("{:.3}", margin.unwrap_or_default()))
            }
        };
        facts.push(end);
        if header.changed > 0 {
            let label = "nodes that came or went since all were linked";
            facts.push((label.into(), header.changed.to_string()));
        }
        facts.extend(header.curve.points.iter().map(|point| {
            let label = format!("recall@{} at margin {}", point.k, point.margin);
            let error = 2.0 * point.error;
            (label, format!("{:.4} ± {error:.4}, {:.0} looked at", point.recall, point.distances))
        }));
        facts
    }
}
