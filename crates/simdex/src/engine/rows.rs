//! The rows of several sources, read one after the other with progress.

use rusqlite::types::ValueRef;

use crate::error::Result;
use crate::observe::Observer;
use crate::snapshot::census::Census;
use crate::snapshot::diff::{Delta, Diff};
use crate::snapshot::{Snapshot, key};
use crate::store::Id;
use crate::store::database::ReadTransaction;
use crate::store::source::{Relation, Source, pair};
use crate::types::Metric;

/// How many rows pass between two reports of progress.
const ROWS_BETWEEN_REPORTS: u64 = 1024;

/// The sources of an index or search, resolved in one transaction.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    read: &'a ReadTransaction<'a>,
    relations: Vec<Relation>,
}

impl<'a> Rows<'a> {
    /// Resolves `sources` as the database is now.
    ///
    /// # Errors
    /// `NotFound` or `Invalid` when one is gone or not what it was.
    pub(super) fn new(sources: &[Source], read: &'a ReadTransaction<'a>) -> Result<Self> {
        let relations =
            sources.iter().map(|source| source.relation(read)).collect::<Result<_>>()?;
        Ok(Self { read, relations })
    }

    /// The rows of one relation.
    pub(super) fn of(relation: Relation, read: &'a ReadTransaction<'a>) -> Self {
        Self { read, relations: vec![relation] }
    }

    /// The transaction they are read in.
    pub(super) fn transaction(&self) -> &'a ReadTransaction<'a> {
        self.read
    }

    /// The SQL of each source, in the order of the definition.
    pub(super) fn relations(&self) -> &[Relation] {
        &self.relations
    }

    /// Hands every row to `visit`: key and embedding. Ids are copied into one buffer, reused.
    ///
    /// # Errors
    /// Those of SQLite and `visit`; `Cancelled` when `observer` says so.
    pub(super) fn each(
        &self,
        stage: &str,
        observer: &dyn Observer,
        mut visit: impl FnMut(&[u8], ValueRef<'_>) -> Result<()>,
    ) -> Result<()> {
        self.read.interruptible(observer, || self.each_of(stage, observer, &mut visit))
    }

    fn each_of(
        &self,
        stage: &str,
        observer: &dyn Observer,
        visit: &mut dyn FnMut(&[u8], ValueRef<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut total = 0;
        for relation in &self.relations {
            total += relation.count(self.read)?;
        }
        let mut done = 0_u64;
        let mut bytes = Vec::new();
        for (relation, source) in self.relations.iter().zip(0_u32..) {
            relation.scan(self.read, observer, |row| {
                let (id, embedding) = pair(row)?;
                bytes.clear();
                key::encode(source, &Id::from_sql(id), &mut bytes);
                visit(&bytes, embedding)?;
                done += 1;
                if done.is_multiple_of(ROWS_BETWEEN_REPORTS) {
                    observer.progress(stage, done, Some(total));
                }
                Ok(())
            })?;
        }
        observer.progress(stage, done, Some(total));
        Ok(())
    }

    /// Compares all rows with a snapshot (see [`Diff`]). About 0.1 s for 100,000 rows.
    ///
    /// # Errors
    /// Those of SQLite; `Cancelled` when `observer` says so.
    pub(super) fn diff(
        &self,
        base: &Snapshot,
        metric: Metric,
        observer: &dyn Observer,
    ) -> Result<(Option<Delta>, Census)> {
        let mut diff = Diff::new(base, metric);
        self.each("comparing", observer, |key, embedding| {
            diff.push(key, embedding);
            Ok(())
        })?;
        self.read.confirm()?;
        diff.finish()
    }
}
