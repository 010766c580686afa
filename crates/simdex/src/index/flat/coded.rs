//! The scan over codes: an eighth of the memory is read, and only rows whose bound reaches the
//! floor are scored in float32 (filter and refine, Seidl & Kriegel 1998).

use std::ops::Range;

use super::best::Best;
use super::bounds::Scorer;
use super::plain::Rows;
use crate::error::Result;
use crate::kernels::Kernels;
use crate::kernels::codes::BLOCK_ROWS;
use crate::observe::Observer;
use crate::quant::{CodedQuery, Codes};

/// Queries that the kernels take together: as many sums as the registers hold.
const TOGETHER: usize = 4;

/// Bytes of codes scanned between two looks at the floor; they stay in the second cache while a
/// batch of queries passes over them.
const RUN_BYTES: usize = 128 * 1024;

/// One query's state.
pub(super) struct Search<'a> {
    scorer: Scorer<'a>,
    coded: CodedQuery,
    best: Best<'a>,
    /// Rows that may still be close enough but are not likely to be, with their best case: most
    /// are ruled out by the time the floor has risen.
    deferred: Vec<(f64, u32)>,
    /// Length of `deferred` at which those below the floor are dropped.
    crowded: usize,
    /// Rows scored in float32.
    scored: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(scorer: Scorer<'a>, coded: CodedQuery, best: Best<'a>) -> Self {
        Self { scorer, coded, best, deferred: Vec::new(), crowded: 4096, scored: 0 }
    }

    fn limit(&self) -> f32 {
        self.coded.limit(self.best.floor())
    }

    /// Takes the rows of a block that passed the kernel's test.
    fn take(&mut self, rows: Rows<'_>, found: Found<'_>) {
        let mut mask = found.mask;
        while mask != 0 {
            let i = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let row = found.number * BLOCK_ROWS + i;
            if row >= rows.vectors.rows() || !rows.is_allowed(row) {
                continue;
            }
            let estimate = self.coded.estimate(found.block, i, found.sums[i]);
            let floor = self.best.floor();
            if estimate.best < floor {
                continue;
            }
            if estimate.likely >= floor {
                self.scored += 1;
                rows.offer(row, &self.scorer, &mut self.best);
            } else {
                self.defer(estimate.best, row as u32);
            }
        }
    }

    fn defer(&mut self, best: f64, row: u32) {
        self.deferred.push((best, row));
        if self.deferred.len() >= self.crowded {
            let floor = self.best.floor();
            self.deferred.retain(|&(best, _)| may_reach(best, floor));
            self.crowded = 2 * self.deferred.len() + 4096;
        }
    }

    /// Scores what was deferred. Returns the rows found and how many were scored in float32.
    pub(super) fn finish(mut self, rows: Rows<'_>) -> (Best<'a>, usize) {
        for (best, row) in self.deferred {
            if may_reach(best, self.best.floor()) {
                self.scored += 1;
                rows.offer(row as usize, &self.scorer, &mut self.best);
            }
        }
        (self.best, self.scored)
    }
}

/// Whether a row with this best case can reach the floor; where nothing is known (NaN) it can.
fn may_reach(best: f64, floor: f64) -> bool {
    best.is_nan() || best >= floor
}

/// What the kernel says of a block.
struct Found<'a> {
    number: usize,
    block: &'a [u8],
    mask: u16,
    sums: &'a [i32; BLOCK_ROWS],
}

/// Scans a range of blocks for several queries, run by run.
pub(super) fn scan(
    kernels: Kernels,
    (rows, codes): (Rows<'_>, &Codes),
    blocks: Range<usize>,
    searches: &mut [Search<'_>],
    observer: &dyn Observer,
) -> Result<()> {
    let step = (RUN_BYTES / codes.stride()).max(1);
    for start in blocks.clone().step_by(step) {
        observer.checkpoint()?;
        let run = start..(start + step).min(blocks.end);
        for searches in searches.chunks_mut(TOGETHER) {
            if let Ok(searches) = <&mut [Search<'_>; TOGETHER]>::try_from(&mut *searches) {
                pass(kernels, (rows, codes), run.clone(), searches);
            } else {
                for search in searches {
                    pass(kernels, (rows, codes), run.clone(), std::array::from_mut(search));
                }
            }
        }
    }
    Ok(())
}

/// Passes over one run for `Q` queries at once.
fn pass<const Q: usize>(
    kernels: Kernels,
    (rows, codes): (Rows<'_>, &Codes),
    run: Range<usize>,
    searches: &mut [Search<'_>; Q],
) {
    let mut sums = [[0; BLOCK_ROWS]; Q];
    let mut limits = searches.each_ref().map(Search::limit);
    for (number, block) in run.clone().zip(codes.run(run)) {
        let queries = searches.each_ref().map(|search| &search.coded.code);
        let masks = kernels.code_block(block, queries, limits, &mut sums);
        for q in 0..Q {
            if masks[q] != 0 {
                let found = Found { number, block, mask: masks[q], sums: &sums[q] };
                searches[q].take(rows, found);
                limits[q] = searches[q].limit();
            }
        }
    }
}
