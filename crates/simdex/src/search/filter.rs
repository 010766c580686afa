//! Which rows may be answers, as sets of keys that SQL found.

use std::collections::HashSet;

use fixedbitset::FixedBitSet;

use crate::snapshot::Snapshot;

/// Conditions on keys.
#[derive(Debug, Default)]
pub struct KeyFilter {
    /// Keys that may be answers; `None`: all may.
    pub allowed: Option<HashSet<Vec<u8>>>,
    /// The key left out: the row that was searched by.
    pub skipped: Option<Vec<u8>>,
    /// The one source whose rows may be answers; `None`: all.
    pub source: Option<u32>,
}

impl KeyFilter {
    /// Whether the row with this key may be an answer.
    pub fn admits(&self, key: &[u8]) -> bool {
        self.source.is_none_or(|source| key.starts_with(&source.to_be_bytes()))
            && self.skipped.as_deref() != Some(key)
            && self.allowed.as_ref().is_none_or(|allowed| allowed.contains(key))
    }

    /// The rows of `base` that may be answers and are not gone; `None`: all of them. Allowed keys
    /// are of the one source, where there is one. O(keys · log rows).
    pub fn rows_of(&self, base: &Snapshot, gone: &FixedBitSet) -> Option<FixedBitSet> {
        let rows_with =
            |key: &[u8]| base.keys().find(key).map(|row| row as usize).collect::<Vec<_>>();
        let skipped = self.skipped.as_deref().map(rows_with).unwrap_or_default();
        let everything = self.allowed.is_none() && self.source.is_none();
        if everything && skipped.is_empty() && gone.is_clear() {
            return None;
        }
        let mut rows = FixedBitSet::with_capacity(base.rows());
        match (&self.allowed, self.source) {
            (None, None) => rows.insert_range(..),
            (None, Some(source)) => {
                let found = base.keys().of_source(source).map(|row| row as usize);
                found.filter(|&row| row < base.rows()).for_each(|row| rows.insert(row));
            }
            (Some(allowed), _) => {
                let found = allowed.iter().flat_map(|key| rows_with(key));
                found.filter(|&row| row < base.rows()).for_each(|row| rows.insert(row));
            }
        }
        rows.difference_with(gone);
        skipped.into_iter().filter(|&row| row < base.rows()).for_each(|row| rows.set(row, false));
        Some(rows)
    }
}
