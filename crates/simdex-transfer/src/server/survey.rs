//! What is on the server in the end, by ids: all of the collection, and what else.

use std::collections::HashSet;

use simdex::Result;
use simdex::engine::walk::Walk;
use simdex::observe::Observer;
use simdex_remote::{Collection, Cursor};

use super::failed;
use crate::tally::Named;

/// What is there.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// How many rows of the collection, without those whose new version was refused.
    pub(super) found: u64,
    /// The ids of rows that the collection doesn't have.
    extra: Vec<String>,
}

impl Survey {
    /// Lists all ids there, and looks for each of them here.
    pub(super) fn of(
        there: &mut dyn Collection,
        walk: &Walk,
        dimensions: usize,
        refused: &HashSet<String>,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let total = there.count().map_err(failed)?;
        let (mut survey, mut done) = (Self::default(), 0);
        let mut next = Some(Cursor::default());
        while let Some(cursor) = next {
            let page = there.page(&cursor).map_err(failed)?;
            let ids: Vec<_> = page.ids.into_iter().filter(|id| !refused.contains(id)).collect();
            done += ids.len() as u64;
            let here = walk.carriable(dimensions, &ids, observer)?;
            survey.found += here.len() as u64;
            survey.extra.extend(ids.iter().filter(|id| !here.contains(id.as_str())).cloned());
            observer.progress("comparing ids", done, Some(total.max(done)));
            next = page.next;
        }
        Ok(survey)
    }

    /// The rows that the collection doesn't have.
    pub(super) fn named(&self) -> Named {
        let mut named = Named::default();
        self.extra.iter().for_each(|id| named.add(id));
        named
    }

    /// Removes them; returns how many.
    pub(super) fn delete(
        &self,
        there: &mut dyn Collection,
        observer: &dyn Observer,
    ) -> Result<u64> {
        let (mut done, total) = (0, self.extra.len() as u64);
        for batch in self.extra.chunks(there.largest_batch().max(1)) {
            observer.checkpoint()?;
            there.delete(batch).map_err(failed)?;
            done += batch.len() as u64;
            observer.progress("deleting", done, Some(total));
        }
        Ok(done)
    }
}
