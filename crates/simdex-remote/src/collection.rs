//! What every server can do.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use crate::error::{Error, Fault, Result};
use crate::record::{Hit, Query, Record, Spec};

/// Short texts that a collection carries, for whoever made it.
pub type Labels = BTreeMap<String, String>;

/// A server with collections.
pub trait Server: fmt::Debug + Send + Sync {
    /// What it is and which version, as it says: proof that it can be reached.
    ///
    /// # Errors
    /// `Unreachable`, `Denied`.
    fn version(&self) -> Result<String>;

    /// Makes a collection; the one that there is, if it fits the spec. Labels are noted only if it
    /// is made.
    ///
    /// # Errors
    /// `Refused` when there is one of another size or measure; `Invalid` for names that the server
    /// doesn't take.
    fn create(&self, spec: &Spec) -> Result<Box<dyn Collection>>;

    /// The collection of this name, if there is one.
    ///
    /// # Errors
    /// `Refused` when something else has that name.
    fn open(&self, name: &str) -> Result<Option<Box<dyn Collection>>>;

    /// Removes a collection; says whether there was one.
    ///
    /// # Errors
    /// `Refused` when something else has that name.
    fn remove(&self, name: &str) -> Result<bool>;
}

/// A collection of records on a server.
pub trait Collection: fmt::Debug + Send {
    /// At most this many records or ids go into one request.
    fn largest_batch(&self) -> usize;

    /// Puts records in, in place of those with the same ids.
    ///
    /// # Errors
    /// `Invalid` for two records of one id, for vectors of another size and for too many records;
    /// `Unfit` for what the server can't hold. Then nothing is changed.
    fn upsert(&mut self, records: &[Record]) -> Result<()>;

    /// Removes the records with these ids, of which some may not exist.
    ///
    /// # Errors
    /// Those of the server.
    fn delete(&mut self, ids: &[String]) -> Result<()>;

    /// How many records there are.
    ///
    /// # Errors
    /// Those of the server.
    fn count(&mut self) -> Result<u64>;

    /// The records with these ids, in any order.
    ///
    /// # Errors
    /// Those of the server.
    fn get(&mut self, ids: &[String]) -> Result<Vec<Record>>;

    /// Some ids, and where to go on. Records that are put in or removed meanwhile may be missed, or
    /// make others be missed.
    ///
    /// # Errors
    /// Those of the server.
    fn page(&mut self, from: &Cursor) -> Result<Page>;

    /// All ids, in any order. O(records) in time and memory.
    ///
    /// # Errors
    /// Those of the server.
    fn ids(&mut self) -> Result<HashSet<String>> {
        let mut all = HashSet::new();
        let mut next = Some(Cursor::default());
        while let Some(from) = next {
            let page = self.page(&from)?;
            all.extend(page.ids);
            next = page.next;
        }
        Ok(all)
    }

    /// Whether a record that was read is what putting `given` in leaves, but for rounding: of the
    /// vector to single precision, of numbers in metadata to double precision.
    fn is_same(&self, read: &Record, given: &Record) -> bool {
        read.is_nearly(given)
    }

    /// The closest records, closest first, for each vector of a query. Fewer than wanted are found
    /// where the server's graph finds no more.
    ///
    /// # Errors
    /// `Invalid` for vectors of another size; those of the server.
    fn query(&mut self, query: &Query<'_>) -> Result<Vec<Vec<Hit>>>;

    /// What is noted of the collection.
    ///
    /// # Errors
    /// Those of the server.
    fn labels(&mut self) -> Result<Labels>;

    /// Notes these labels in place of those of the same names.
    ///
    /// # Errors
    /// Those of the server.
    fn set_labels(&mut self, labels: &Labels) -> Result<()>;

    /// Makes the server's index if it needs one made: to be called after the first bulk of records,
    /// which is faster then. Can take long.
    ///
    /// # Errors
    /// Those of the server.
    fn finish(&mut self) -> Result<()>;
}

/// Where in the listing of a collection's ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor(pub(crate) Position);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Position {
    #[default]
    First,
    /// After so many.
    Skipping(usize),
    /// After an id.
    After(String),
}

/// Some of a collection's ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Them.
    pub ids: Vec<String>,
    /// Where the others are; `None`: these were the last.
    pub next: Option<Cursor>,
}

/// Hands `items` over in the largest batches that a collection takes.
///
/// # Errors
/// Those of `send`, which gets no more batches then.
pub fn in_batches<T>(
    collection: &mut dyn Collection,
    items: &[T],
    mut send: impl FnMut(&mut dyn Collection, &[T]) -> Result<()>,
) -> Result<()> {
    let largest = collection.largest_batch().max(1);
    items.chunks(largest).try_for_each(|batch| send(collection, batch))
}

/// Refuses a batch that no server can take.
///
/// # Errors
/// `Invalid`.
pub(crate) fn check_batch(records: &[Record], dimensions: usize, most: usize) -> Result<()> {
    if records.len() > most {
        let message = format!("{} records in one batch, where {most} fit", records.len());
        return Err(Error::new(Fault::Invalid, message));
    }
    let mut seen = HashSet::with_capacity(records.len());
    for record in records {
        let invalid = |message: String| Err(Error::new(Fault::Invalid, message).about(&record.id));
        if record.vector.len() != dimensions {
            let found = record.vector.len();
            return invalid(format!("{found} dimensions, expected {dimensions}"));
        }
        if let Some(value) = record.vector.iter().find(|value| !value.is_finite()) {
            return invalid(format!("a vector with {value} in it"));
        }
        if !seen.insert(record.id.as_str()) {
            return invalid("twice in a batch".into());
        }
    }
    Ok(())
}

/// Refuses queries of another size.
///
/// # Errors
/// `Invalid`.
pub(crate) fn check_query(query: &Query<'_>, dimensions: usize) -> Result<()> {
    match query.vectors.iter().find(|vector| vector.len() != dimensions) {
        None => Ok(()),
        Some(vector) => {
            let found = vector.len();
            let message = format!("the query has {found} dimensions, expected {dimensions}");
            Err(Error::new(Fault::Invalid, message))
        }
    }
}
