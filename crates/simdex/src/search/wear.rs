//! When changes beside a built structure call for a new one.

/// Changes beyond this share of the base are folded into a new one.
const MOST_CHANGES: f64 = 0.10;

/// Below this many changed rows the base is kept whatever their share: comparing a few thousand
/// rows one by one costs less than a millisecond.
const FEW_CHANGES: u64 = 4096;

/// Whether so many rows added and gone call for a new base.
pub(crate) fn is_worn(base_rows: u64, changes: u64) -> bool {
    changes > FEW_CHANGES && changes as f64 > MOST_CHANGES * base_rows as f64
}
