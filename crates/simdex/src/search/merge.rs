//! One answer from a base, its structure, and the rows that are newer.

use fixedbitset::FixedBitSet;

use crate::error::{Error, ErrorKind, Result};
use crate::index::{Index, flat};
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
    /// The structure over the newer rows; `None` when there are none.
    pub tail: Option<&'a dyn Index>,
}

impl Layers<'_> {
    /// [`Layers::search`] into what `top` makes; through an exact index where a plugin fails, whose
    /// error is returned beside the rows.
    ///
    /// # Errors
    /// As [`Layers::search`], but for those of plugins.
    pub fn search_or_exact(
        &self,
        query: &Query,
        k: usize,
        filter: &KeyFilter,
        top: impl Fn() -> TopK,
        observer: &dyn Observer,
    ) -> Result<(TopK, Option<Error>)> {
        let mut closest = top();
        let failure = match self.search(query, k, filter, &mut closest, observer) {
            Ok(()) => return Ok((closest, None)),
            Err(error) if error.kind() == ErrorKind::Plugin => error,
            Err(error) => return Err(error),
        };
        let vectors = self.base.vectors();
        let exact =
            vectors.map(|vectors| flat::over(vectors, query.metric(), observer)).transpose()?;
        let layers = Layers { index: exact.as_deref(), ..*self };
        let mut closest = top();
        layers.search(query, k, filter, &mut closest, observer)?;
        Ok((closest, Some(failure)))
    }

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
        let newer = self.delta.tail.as_ref();
        if let (Some(index), Some(tail)) = (self.tail, newer)
            && let Some(vectors) = tail.vectors()
        {
            let nothing_gone = FixedBitSet::with_capacity(tail.rows());
            let allowed = filter.rows_of(tail, &nothing_gone);
            for row in index.candidates(query, k, allowed.as_ref(), observer)? {
                let row = row as usize;
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
