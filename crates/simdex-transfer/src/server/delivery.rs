//! Rows on their way: what differs there is sent, and what is refused is found.

use std::collections::{HashMap, HashSet};

use simdex::Result;
use simdex_remote::{Collection, Fault, Record};

use super::failed;
use super::sample::Sample;
use crate::tally::{Bad, Tally};

/// About this many bytes go into one request, if one row is not larger.
const BATCH_BYTES: usize = 16 << 20;

/// Rows being sent.
pub(super) struct Delivery<'a> {
    there: &'a mut dyn Collection,
    bad: Bad,
    /// Whether rows can be there that need no sending.
    had_rows: bool,
    delivered: Delivered,
}

/// Rows that were sent, or were there.
#[derive(Default)]
pub(super) struct Delivered {
    /// Rows that are there as they are here.
    pub(super) rows: u64,
    /// Of these, those sent.
    pub(super) sent: u64,
    /// Some of them.
    pub(super) sample: Sample,
    /// The ids of rows that the server refused.
    pub(super) refused: HashSet<String>,
    /// Why.
    pub(super) refusals: Tally,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(there: &'a mut dyn Collection, bad: Bad) -> Result<Self> {
        let had_rows = there.count().map_err(failed)? > 0;
        Ok(Self { there, bad, had_rows, delivered: Delivered::default() })
    }

    /// Sees that these rows are there as they are here, and notes which the server refuses. At most
    /// as many as fit into a batch.
    pub(super) fn bring(&mut self, rows: Vec<Record>) -> Result<()> {
        let (level, differing): (Vec<_>, Vec<_>) = match self.had_rows {
            true => self.split(rows)?,
            false => (Vec::new(), rows),
        };
        level.iter().for_each(|row| self.delivered.add(row));
        let mut rest = differing.as_slice();
        while !rest.is_empty() {
            let (lot, later) = rest.split_at(lot(rest));
            self.send(lot)?;
            rest = later;
        }
        Ok(())
    }

    /// Rows that are there as they are here, and others.
    fn split(&mut self, rows: Vec<Record>) -> Result<(Vec<Record>, Vec<Record>)> {
        let ids: Vec<_> = rows.iter().map(|row| row.id.clone()).collect();
        let found = self.there.get(&ids).map_err(failed)?;
        let found: HashMap<_, _> = found.iter().map(|found| (found.id.as_str(), found)).collect();
        let is_level = |row: &Record| {
            let found = found.get(row.id.as_str());
            found.is_some_and(|found| self.there.is_same(found, row))
        };
        Ok(rows.into_iter().partition(is_level))
    }

    /// Sends rows. A server says of a batch that it can't hold it, and not always which row of it:
    /// halves of it tell.
    fn send(&mut self, rows: &[Record]) -> Result<()> {
        match (self.there.upsert(rows), rows) {
            (Ok(()), _) => {
                rows.iter().for_each(|row| self.delivered.add(row));
                self.delivered.sent += rows.len() as u64;
                Ok(())
            }
            (Err(error), [row]) if error.fault() == Fault::Unfit => {
                self.delivered.refusals.add(&row.id, error.reason(), self.bad)?;
                self.delivered.refused.insert(row.id.clone());
                Ok(())
            }
            (Err(error), [_, _, ..]) if error.fault() == Fault::Unfit => {
                let (first, second) = rows.split_at(rows.len() / 2);
                self.send(first)?;
                self.send(second)
            }
            (Err(error), _) => Err(failed(error)),
        }
    }

    pub(super) fn end(self) -> Delivered {
        self.delivered
    }
}

impl Delivered {
    /// Takes in a row that is there.
    fn add(&mut self, row: &Record) {
        self.sample.add(row);
        self.rows += 1;
    }
}

/// How many of some rows go together.
fn lot(rows: &[Record]) -> usize {
    let size = |row: &Record| {
        let text = row.document.as_ref().map_or(0, String::len);
        let facts = row.metadata.as_ref().map_or(0, |facts| {
            facts.iter().map(|(name, value)| name.len() + value.to_string().len()).sum()
        });
        4 * row.vector.len() + text + facts
    };
    let mut bytes = 0;
    let fits = |row: &&Record| {
        bytes += size(row);
        bytes <= BATCH_BYTES
    };
    rows.iter().take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_rows_go_alone_and_small_ones_together() {
        let row = |bytes: usize| Record::new("a", vec![0.0]).with_document("x".repeat(bytes));
        let (small, large) = (row(10), row(BATCH_BYTES + 1));
        assert_eq!(lot(&vec![small.clone(); 700]), 700);
        assert_eq!(lot(&[large.clone(), small.clone()]), 1);
        assert_eq!(lot(&[small.clone(), large]), 1);
        assert_eq!(lot(&[row(BATCH_BYTES / 2), row(BATCH_BYTES / 3), row(BATCH_BYTES / 2)]), 2);
    }
}
