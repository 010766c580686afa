//! `flat`: compares the query with every row.
//!
//! A float32 scan bounds each row's exact score; every row whose best case reaches the k-th best
//! worst case is a candidate, so the exact re-ranking sees all rows of a naive float64 scan's
//! answer, ties included.

use fixedbitset::FixedBitSet;
use rayon::prelude::*;

use crate::error::{Error, ErrorKind, Result};
use crate::index::{Index, Kind, Parameter, Parameters, Sections};
use crate::kernels::Kernels;
use crate::matrix::{Matrix, Slab};
use crate::observe::Observer;
use crate::search::query::Query;
use crate::types::Metric;

mod best;
mod bounds;
mod plain;
#[cfg(test)]
mod tests;

use best::{Best, Floor};
use bounds::Scorer;
use plain::Rows;

/// The section with one float32 a row, see [`bounds::norm_factor`].
const NORMS: &str = "norms";

/// Below this many values, starting threads takes longer than the scan.
const WORTH_THREADS: usize = 1 << 20;

/// Queries of a batch that share one pass over the rows.
const TOGETHER: usize = 256;

/// The exact kind.
#[derive(Debug, Clone, Copy)]
pub struct Flat;

impl Kind for Flat {
    fn name(&self) -> &'static str {
        "flat"
    }

    fn about(&self) -> &'static str {
        "exact: compares the query with every row"
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[]
    }

    fn build(
        &self,
        vectors: &Matrix,
        metric: Metric,
        _: &Parameters,
        observer: &dyn Observer,
    ) -> Result<Sections> {
        let mut sections = Sections::new();
        if metric != Metric::L2 {
            observer.checkpoint()?;
            let rows = vectors.values().par_chunks(vectors.dim());
            let norms: Vec<f32> = rows.map(|row| bounds::norm_factor(metric, row)).collect();
            sections.insert(NORMS.into(), Slab::from_slice(bytemuck::cast_slice(&norms)));
        }
        Ok(sections)
    }

    fn open(
        &self,
        vectors: Matrix,
        metric: Metric,
        _: &Parameters,
        sections: &Sections,
    ) -> Result<Box<dyn Index>> {
        Ok(Box::new(FlatIndex::open(Kernels::detect(), vectors, metric, sections)?))
    }
}

/// An opened flat index.
pub(crate) struct FlatIndex {
    kernels: Kernels,
    vectors: Matrix,
    metric: Metric,
    factors: Slab<f32>,
}

impl FlatIndex {
    pub(crate) fn open(
        kernels: Kernels,
        vectors: Matrix,
        metric: Metric,
        sections: &Sections,
    ) -> Result<Self> {
        let factors = match sections.get(NORMS) {
            Some(section) => section.cast()?,
            None => Slab::from_slice(&[]),
        };
        let expected = if metric == Metric::L2 { 0 } else { vectors.rows() };
        if factors.len() != expected {
            let message = format!("{} norms, expected {expected}", factors.len());
            return Err(Error::new(ErrorKind::Damaged, message).with("section", NORMS));
        }
        Ok(Self { kernels, vectors, metric, factors })
    }

    /// The same index on another instruction set.
    pub(crate) fn with_kernels(self, kernels: Kernels) -> Self {
        Self { kernels, ..self }
    }

    pub(crate) fn vectors(&self) -> &Matrix {
        &self.vectors
    }

    pub(crate) fn metric(&self) -> Metric {
        self.metric
    }

    fn rows<'a>(&'a self, allowed: Option<&'a FixedBitSet>) -> Rows<'a> {
        Rows { vectors: &self.vectors, factors: &self.factors, allowed }
    }

    fn check(&self, query: &Query) -> Result<()> {
        if query.dim() != self.vectors.dim() {
            let (got, expected) = (query.dim(), self.vectors.dim());
            let message = format!("a query of {got} dimensions, expected {expected}");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if query.metric() != self.metric {
            let (got, expected) = (query.metric(), self.metric);
            let message = format!("a query prepared for {got}, expected {expected}");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }

    /// Every allowed row.
    fn all(&self, allowed: Option<&FixedBitSet>) -> Vec<u32> {
        let n = self.vectors.rows();
        match allowed {
            None => (0..n as u32).collect(),
            Some(set) => set.ones().take_while(|&row| row < n).map(|row| row as u32).collect(),
        }
    }

    /// Whether so few rows are allowed that picking them beats a scan of all.
    fn is_sparse(&self, allowed: &FixedBitSet) -> bool {
        allowed.count_ones(..) < self.vectors.rows() / 8
    }

    /// One query over every row, in parts that the current thread pool shares.
    fn scan(
        &self,
        rows: Rows<'_>,
        query: &Query,
        k: usize,
        observer: &dyn Observer,
    ) -> Result<Vec<u32>> {
        let floor = Floor::new();
        let scan = |range| -> Result<Best<'_>> {
            let Some(scorer) = Scorer::new(self.kernels, query) else {
                return Ok(Best::new(k, &floor));
            };
            let mut queries = [(scorer, Best::new(k, &floor))];
            plain::scan(rows, range, &mut queries, observer)?;
            let [(_, best)] = queries;
            Ok(best)
        };
        let n = self.vectors.rows();
        let threads = rayon::current_num_threads();
        if threads == 1 || self.vectors.values().len() < WORTH_THREADS {
            return scan(0..n).map(sorted);
        }
        let part = n.div_ceil(4 * threads);
        let found: Vec<Best<'_>> = (0..n.div_ceil(part))
            .into_par_iter()
            .map(|i| scan(i * part..((i + 1) * part).min(n)))
            .collect::<Result<_>>()?;
        Ok(found.into_iter().reduce(Best::merge).map(sorted).unwrap_or_default())
    }
}

/// The rows found, in order.
fn sorted(best: Best<'_>) -> Vec<u32> {
    let mut rows: Vec<u32> = best.into_rows().collect();
    rows.sort_unstable();
    rows
}

impl Index for FlatIndex {
    fn candidates(
        &self,
        query: &Query,
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<u32>> {
        self.check(query)?;
        if k == 0 {
            return Ok(Vec::new());
        }
        let Some(scorer) = Scorer::new(self.kernels, query).filter(|_| k < self.vectors.rows())
        else {
            return Ok(self.all(allowed));
        };
        let rows = self.rows(allowed);
        if let Some(allowed) = allowed.filter(|allowed| self.is_sparse(allowed)) {
            let floor = Floor::new();
            let mut best = Best::new(k, &floor);
            plain::pick(rows, allowed, (&scorer, &mut best), observer)?;
            return Ok(sorted(best));
        }
        self.scan(rows, query, k, observer)
    }

    fn candidates_batch(
        &self,
        queries: &[Query],
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<u32>>> {
        let one = |query| self.candidates(query, k, allowed, observer);
        let threads = rayon::current_num_threads();
        let sparse = allowed.is_some_and(|allowed| self.is_sparse(allowed));
        let scans = queries
            .iter()
            .all(|query| self.check(query).is_ok() && Scorer::new(self.kernels, query).is_some());
        if queries.len() < 2 * threads || sparse || !scans || k == 0 || k >= self.vectors.rows() {
            return queries.iter().map(one).collect();
        }
        let together = queries.len().div_ceil(threads).min(TOGETHER);
        let tiles = queries.par_chunks(together);
        let found: Vec<Vec<Vec<u32>>> = tiles
            .map(|tile| {
                let floors: Vec<Floor> = tile.iter().map(|_| Floor::new()).collect();
                let mut states: Vec<_> = tile
                    .iter()
                    .zip(&floors)
                    .filter_map(|(query, floor)| {
                        Some((Scorer::new(self.kernels, query)?, Best::new(k, floor)))
                    })
                    .collect();
                plain::scan(self.rows(allowed), 0..self.vectors.rows(), &mut states, observer)?;
                Ok(states.into_iter().map(|(_, best)| sorted(best)).collect())
            })
            .collect::<Result<_>>()?;
        Ok(found.into_iter().flatten().collect())
    }
}
