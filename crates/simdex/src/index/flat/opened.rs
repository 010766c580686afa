//! An opened flat index: chooses, for each query, among the ways to the same answer.

use std::ops::Range;

use fixedbitset::FixedBitSet;
use rayon::prelude::*;

use super::NORMS;
use super::best::{Best, Floor};
use super::bounds::Scorer;
use super::coded::{self, Search};
use super::plain::{self, Rows};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Index, Sections};
use crate::kernels::Kernels;
use crate::kernels::codes::BLOCK_ROWS;
use crate::matrix::{Matrix, Slab};
use crate::observe::Observer;
use crate::quant::{CodedQuery, Codes};
use crate::search::query::Query;
use crate::types::Metric;

/// Below this many values, starting threads takes longer than the scan.
const WORTH_THREADS: usize = 1 << 20;

/// How many codes are scanned in the time in which one row of float32 is picked out of order:
/// eight times the bytes, and an eighth to a third of the speed of memory. 22 to 28 were measured
/// (384 dimensions, AMD Zen 4).
const PICKED_TO_CODED: usize = 24;

/// The same of rows that are scanned as float32.
const PICKED_TO_PLAIN: usize = 2;

/// Queries of a batch that share one pass over the rows.
const TOGETHER: usize = 256;

/// An opened flat index.
pub(crate) struct FlatIndex {
    kernels: Kernels,
    vectors: Matrix,
    metric: Metric,
    factors: Slab<f32>,
    codes: Option<Codes>,
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
        let codes = Codes::open(sections, vectors.rows(), vectors.dim())?;
        Ok(Self { kernels, vectors, metric, factors, codes })
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
        let cost = match self.codes.is_some() && self.uses_codes() {
            true => PICKED_TO_CODED,
            false => PICKED_TO_PLAIN,
        };
        allowed.count_ones(..) < self.vectors.rows() / cost
    }

    /// One query over every row, in parts that the current thread pool shares.
    fn scan(
        &self,
        rows: Rows<'_>,
        query: &Query,
        k: usize,
        observer: &dyn Observer,
    ) -> Result<(Vec<u32>, usize)> {
        let floor = Floor::new();
        let tile = std::slice::from_ref(query);
        let floors = std::slice::from_ref(&floor);
        let n = self.vectors.rows();
        let threads = rayon::current_num_threads();
        let part = if threads == 1 || self.vectors.values().len() < WORTH_THREADS {
            n
        } else {
            n.div_ceil(4 * threads).next_multiple_of(BLOCK_ROWS)
        };
        let parts: Vec<_> = (0..n).step_by(part.max(1)).map(|i| i..(i + part).min(n)).collect();
        let scan = |range| self.scan_part(rows, range, (tile, floors), k, observer);
        let found: Vec<(Best<'_>, usize)> = match parts.as_slice() {
            [all] => scan(all.clone())?,
            _ => {
                let parts: Vec<_> = parts.into_par_iter().map(scan).collect::<Result<_>>()?;
                parts.into_iter().flatten().collect()
            }
        };
        let joined = found.into_iter().reduce(|(a, n), (b, m)| (a.merge(b), n + m));
        Ok(joined.map(|(best, scored)| (sorted(best), scored)).unwrap_or_default())
    }

    /// A tile of queries over a range of rows that starts at a block: what each found, and how many
    /// rows it scored in float32.
    fn scan_part<'a>(
        &self,
        rows: Rows<'_>,
        range: Range<usize>,
        (tile, floors): (&'a [Query], &'a [Floor]),
        k: usize,
        observer: &dyn Observer,
    ) -> Result<Vec<(Best<'a>, usize)>> {
        let scorers = tile.iter().map(|query| Scorer::new(self.kernels, query));
        let Some(scorers) = scorers.collect::<Option<Vec<_>>>() else {
            return Err(Error::new(ErrorKind::Internal, "a query that float32 can't score"));
        };
        let states = scorers.into_iter().zip(floors.iter().map(|floor| Best::new(k, floor)));
        let prepare = |codes: &Codes| {
            let coded: Option<Vec<_>> = tile.iter().map(|q| CodedQuery::new(codes, q)).collect();
            coded
        };
        if let Some(codes) = self.codes.as_ref().filter(|_| self.uses_codes())
            && let Some(coded) = prepare(codes)
        {
            let searches = states.zip(coded).map(|((s, best), coded)| Search::new(s, coded, best));
            let mut searches: Vec<_> = searches.collect();
            let blocks = range.start / BLOCK_ROWS..range.end.div_ceil(BLOCK_ROWS);
            coded::scan(self.kernels, (rows, codes), blocks, &mut searches, observer)?;
            return Ok(searches.into_iter().map(|search| search.finish(rows)).collect());
        }
        let mut states: Vec<_> = states.collect();
        let scored = range.len();
        plain::scan(rows, range, &mut states, observer)?;
        Ok(states.into_iter().map(|(_, best)| (best, scored)).collect())
    }

    /// Plain Rust unpacks codes slower than it multiplies floats; tests compare the two anyway.
    fn uses_codes(&self) -> bool {
        cfg!(test) || !matches!(self.kernels, Kernels::Scalar(_))
    }

    /// How many rows a search for the `k` closest to `query` scores in float32, all told.
    pub(super) fn rows_scored(
        &self,
        query: &Query,
        k: usize,
        observer: &dyn Observer,
    ) -> Result<usize> {
        if Scorer::new(self.kernels, query).is_none() {
            return Ok(self.vectors.rows());
        }
        Ok(self.scan(self.rows(None), query, k, observer)?.1)
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
        Ok(self.scan(rows, query, k, observer)?.0)
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
                let all = 0..self.vectors.rows();
                let found =
                    self.scan_part(self.rows(allowed), all, (tile, &floors), k, observer)?;
                Ok(found.into_iter().map(|(best, _)| sorted(best)).collect())
            })
            .collect::<Result<_>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn facts(&self) -> Vec<(String, String)> {
        let scan = if self.codes.is_some() && self.uses_codes() {
            "4-bit codes, then float32"
        } else {
            "float32"
        };
        vec![("scan".into(), scan.into()), ("instructions".into(), self.kernels.name().into())]
    }
}
