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
    /// `Invalid` for two records of one id, for vectors of another size, for values that the
    /// server can't hold, and for too many records; then nothing is changed.
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

    /// All ids, in any order. O(records) in time and memory.
    ///
    /// # Errors
    /// Those of the server.
    fn ids(&mut self) -> Result<HashSet<String>>;

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
    let invalid = |message: String| Err(Error::new(Fault::Invalid, message));
    if records.len() > most {
        return invalid(format!("{} records in one batch, where {most} fit", records.len()));
    }
    let mut seen = HashSet::with_capacity(records.len());
    for record in records {
        if record.vector.len() != dimensions {
            let found = record.vector.len();
            let id = &record.id;
            return invalid(format!("id `{id}`: {found} dimensions, expected {dimensions}"));
        }
        if let Some(value) = record.vector.iter().find(|value| !value.is_finite()) {
            return invalid(format!("id `{}`: a vector with {value} in it", record.id));
        }
        if !seen.insert(record.id.as_str()) {
            return invalid(format!("id `{}` is twice in a batch", record.id));
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
