//! The plain scan: every row's float32 result, at the speed of memory.

use std::ops::Range;

use fixedbitset::FixedBitSet;

use super::best::Best;
use super::bounds::Scorer;
use crate::error::Result;
use crate::matrix::Matrix;
use crate::observe::Observer;

/// The rows to score, and what is stored of them.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) vectors: &'a Matrix,
    /// [`super::bounds::norm_factor`] of each row; empty for L2.
    pub(super) factors: &'a [f32],
    /// Only these may be returned.
    pub(super) allowed: Option<&'a FixedBitSet>,
}

impl Rows<'_> {
    pub(super) fn is_allowed(&self, row: usize) -> bool {
        self.allowed.is_none_or(|set| set.contains(row))
    }

    /// Scores one row in float32 and offers it.
    pub(super) fn offer(&self, row: usize, scorer: &Scorer<'_>, best: &mut Best<'_>) {
        let vector = self.vectors.row(row);
        self.offer_raw(row, scorer.raw(vector), scorer, best);
    }

    fn offer_raw(&self, row: usize, raw: f32, scorer: &Scorer<'_>, best: &mut Best<'_>) {
        let factor = self.factors.get(row).copied().unwrap_or(0.0);
        best.offer(row as u32, scorer.interval(self.vectors.row(row), factor, raw));
    }
}

/// How many rows are scored between two looks at the floor: about 128 KB, which stay in the
/// second cache while a batch of queries passes over them.
pub(super) fn block_rows(dim: usize) -> usize {
    (32 * 1024 / dim).clamp(4, 1024) / 4 * 4
}

/// Scans `range` for several queries, block by block so that each block is read from memory once.
pub(super) fn scan(
    rows: Rows<'_>,
    range: Range<usize>,
    queries: &mut [(Scorer<'_>, Best<'_>)],
    observer: &dyn Observer,
) -> Result<()> {
    let dim = rows.vectors.dim();
    let step = block_rows(dim);
    let mut raw = vec![0.0; step];
    for start in range.clone().step_by(step) {
        observer.checkpoint()?;
        let block = start..(start + step).min(range.end);
        let values = &rows.vectors.values()[block.start * dim..block.end * dim];
        let factors = rows.factors.get(block.clone()).unwrap_or(&[]);
        let raw = &mut raw[..block.len()];
        for (scorer, best) in queries.iter_mut() {
            scorer.raw_rows(values, raw);
            scorer.gate(best.floor()).sift(raw, factors, |position| {
                let row = start + position;
                if rows.is_allowed(row) {
                    rows.offer_raw(row, raw[position], scorer, best);
                }
            });
        }
    }
    Ok(())
}

/// Scores the allowed rows of `range` one by one: faster than a scan when they are few.
pub(super) fn pick(
    rows: Rows<'_>,
    allowed: &FixedBitSet,
    (scorer, best): (&Scorer<'_>, &mut Best<'_>),
    observer: &dyn Observer,
) -> Result<()> {
    let n = rows.vectors.rows();
    for (count, row) in allowed.ones().take_while(|&row| row < n).enumerate() {
        if count % 4096 == 0 {
            observer.checkpoint()?;
        }
        rows.offer(row, scorer, best);
    }
    Ok(())
}
