//! One answer from a base, its structure, and the rows that are newer.

use crate::error::Result;
use crate::index::Index;
use crate::observe::Observer;
use crate::search::filter::KeyFilter;
use crate::search::query::Query;
use crate::search::score::exact_score;
use crate::search::topk::{Scored, TopK};
use crate::snapshot::diff::Delta;
use crate::snapshot::{Snapshot, key};

/// The rows of a generation as a search sees them.
pub struct Layers<'a> {
    /// The rows as of the build.
    pub base: &'a Snapshot,
    /// The structure over them; `None` when there were none.
    pub index: Option<&'a dyn Index>,
    /// What has changed since.
    pub delta: &'a Delta,
}

impl Layers<'_> {
    /// Puts the closest of all rows that `filter` admits into `top`, which keeps `k`.
    ///
    /// # Errors
    /// Those of the index; `Cancelled`.
    pub fn search(
        &self,
        query: &Query,
        k: usize,
        filter: &KeyFilter,
        top: &mut TopK,
        observer: &dyn Observer,
    ) -> Result<()> {
        if let (Some(index), Some(vectors)) = (self.index, self.base.vectors()) {
            let allowed = filter.rows_of(self.base, &self.delta.tombstones);
            for row in index.candidates(query, k, allowed.as_ref(), observer)? {
                let row = row as usize;
                push(top, exact_score(query, vectors.row(row)), self.base.keys().get(row))?;
            }
        }
        if let Some((tail, vectors)) =
            self.delta.tail.as_ref().and_then(|t| Some((t, t.vectors()?)))
        {
            observer.checkpoint()?;
            for row in (0..tail.rows()).filter(|&row| filter.admits(tail.keys().get(row))) {
                push(top, exact_score(query, vectors.row(row)), tail.keys().get(row))?;
            }
        }
        Ok(())
    }
}

fn push(top: &mut TopK, score: f64, key: &[u8]) -> Result<()> {
    if top.admits(score) {
        let (source, id) = key::decode(key)?;
        top.push(Scored { score, source, id });
    }
    Ok(())
}
