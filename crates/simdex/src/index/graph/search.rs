//! Searching an opened graph.

use fixedbitset::FixedBitSet;

use crate::error::Result;
use crate::index::{Index, Parameters, Sections};
use crate::kernels::Kernels;
use crate::kernels::prefetch::prefetch;
use crate::matrix::Matrix;
use crate::observe::Observer;
use crate::search::query::Query;
use crate::types::Metric;

use super::basis::Basis;
use super::codes::Coder;
use super::layout::Layout;
use super::space::Space;
use super::walk::Walk;

pub(super) struct GraphIndex {
    vectors: Matrix,
    metric: Metric,
    space: Space,
    coder: Coder,
    kernels: Kernels,
    layout: Layout,
    width: usize,
}

/// How many walks of a batch take turns.
const TURNS: usize = 4;

impl GraphIndex {
    pub(super) fn open(
        mut vectors: Matrix,
        metric: Metric,
        parameters: &Parameters,
        sections: &Sections,
    ) -> Result<Self> {
        let point_dim = Space::new(vectors.dim(), metric, 0.0).point_dim();
        let mut layout = Layout::read(sections, &vectors, point_dim)?;
        if std::env::var("HUGE").is_ok() {
            layout.records = super::huge::copy(&layout.records)?;
            layout.edges = super::huge::copy(&layout.edges)?;
        }
        if std::env::var("HUGEV").is_ok() {
            let values = super::huge::copy(&crate::matrix::Slab::from_slice(vectors.values()))?;
            vectors = Matrix::new(values, vectors.dim())?;
        }
        let space = Space::new(vectors.dim(), metric, layout.header.radius);
        let kernels = Kernels::detect();
        let basis = Basis::read(layout.basis.clone(), point_dim);
        let coder = Coder::new(kernels, layout.mean.to_vec(), basis, layout.header.gains.clone());
        let width = parameters.get("width").and_then(|w| w.parse().ok()).unwrap_or(40);
        Ok(Self { vectors, metric, space, coder, kernels, layout, width })
    }

    fn begin(&self, query: &Query, k: usize, walk: &mut Walk, point: &mut Vec<f32>) {
        point.resize(self.space.point_dim(), 0.0);
        self.space.query(query.rounded(), point);
        self.coder.aim(point, &mut walk.target);
        walk.start(&self.layout.field(self.kernels), &self.layout.entries, self.width.max(k));
    }

    /// The closest rows of a finished walk, by float32 distance.
    fn end(&self, query: &Query, k: usize, walk: &Walk) -> Vec<u32> {
        let rows: Vec<u32> = walk
            .pool
            .nodes()
            .take(k + k / 2 + 8)
            .flat_map(|(_, node)| self.layout.rows_of(node))
            .copied()
            .filter(|&row| (row as usize) < self.vectors.rows())
            .collect();
        for &row in rows.iter().take(AHEAD) {
            prefetch(self.vectors.row(row as usize));
        }
        let mut scored: Vec<(f32, u32)> = Vec::with_capacity(rows.len());
        for (at, &row) in rows.iter().enumerate() {
            if let Some(&ahead) = rows.get(at + AHEAD) {
                prefetch(self.vectors.row(ahead as usize));
            }
            scored.push((self.far(query, self.vectors.row(row as usize)), row));
        }
        scored.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        scored.truncate(k + 2);
        scored.into_iter().map(|(_, row)| row).collect()
    }

    fn far(&self, query: &Query, row: &[f32]) -> f32 {
        let query = query.rounded();
        match self.metric {
            Metric::L2 => self.kernels.squared_l2(query, row),
            Metric::Dot => -self.kernels.dot(query, row),
            Metric::Cosine => {
                -self.kernels.dot(query, row)
                    / self.kernels.dot(row, row).max(f32::MIN_POSITIVE).sqrt()
            }
        }
    }
}

/// How many rows ahead of the ranking their values are asked for.
const AHEAD: usize = 4;

impl Index for GraphIndex {
    fn candidates(
        &self,
        query: &Query,
        k: usize,
        _allowed: Option<&FixedBitSet>,
        _observer: &dyn Observer,
    ) -> Result<Vec<u32>> {
        let field = self.layout.field(self.kernels);
        let (mut walk, mut point) = (Walk::default(), Vec::new());
        self.begin(query, k, &mut walk, &mut point);
        walk.score(&field);
        while walk.gather(&field) {
            walk.score(&field);
        }
        Ok(self.end(query, k, &walk))
    }

    fn candidates_batch(
        &self,
        queries: &[Query],
        k: usize,
        _allowed: Option<&FixedBitSet>,
        _observer: &dyn Observer,
    ) -> Result<Vec<Vec<u32>>> {
        let field = self.layout.field(self.kernels);
        let mut found = vec![Vec::new(); queries.len()];
        let mut point = Vec::new();
        let mut waiting = 0..queries.len();
        let mut walks: Vec<(usize, Walk)> = Vec::new();
        let turns: usize =
            std::env::var("TURNS").ok().and_then(|t| t.parse().ok()).unwrap_or(TURNS);
        for at in waiting.by_ref().take(turns) {
            let mut walk = Walk::default();
            self.begin(&queries[at], k, &mut walk, &mut point);
            walks.push((at, walk));
        }
        let mut cost = 0;
        while !walks.is_empty() {
            for (_, walk) in &mut walks {
                walk.score(&field);
            }
            walks.retain_mut(|(at, walk)| {
                if walk.gather(&field) {
                    return true;
                }
                cost += walk.cost();
                found[*at] = self.end(&queries[*at], k, walk);
                let Some(next) = waiting.next() else { return false };
                *at = next;
                self.begin(&queries[next], k, walk, &mut point);
                true
            });
        }
        if std::env::var("COST").is_ok() {
            #[allow(clippy::print_stderr)]
            {
                eprintln!("cost {:.0}", cost as f64 / queries.len() as f64);
            }
        }
        Ok(found)
    }
}
