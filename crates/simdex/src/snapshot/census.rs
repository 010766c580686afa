//! Which rows can be searched: counts by defect and by size, and the dimension they decide.

use std::collections::BTreeMap;

use crate::engine::api::Skipped;
use crate::store::blob::Defect;

/// Counts the rows of one look at the database.
#[derive(Debug, Clone, Default)]
pub struct Census {
    defects: Skipped,
    /// Sound rows by number of dimensions.
    sizes: BTreeMap<usize, u64>,
}

impl Census {
    /// Counts a row that can't be searched.
    pub fn defect(&mut self, defect: Defect) {
        defect.count(&mut self.defects);
    }

    /// Counts a sound row of `dim` dimensions.
    pub fn sound(&mut self, dim: usize) {
        *self.sizes.entry(dim).or_default() += 1;
    }

    /// The dimension of the collection: the most common one among sound rows, the larger of equals.
    pub fn dimension(&self) -> Option<usize> {
        self.sizes.iter().max_by_key(|(dim, rows)| (**rows, **dim)).map(|(dim, _)| *dim)
    }

    /// Rows that can be searched.
    pub fn searchable(&self) -> u64 {
        self.sizes.values().max().copied().unwrap_or(0)
    }

    /// Rows that can't, by reason.
    pub fn skipped(&self) -> Skipped {
        let sound: u64 = self.sizes.values().sum();
        Skipped { other_size: sound - self.searchable(), ..self.defects }
    }

    /// All rows.
    pub fn rows(&self) -> u64 {
        self.searchable() + self.skipped().total()
    }
}
