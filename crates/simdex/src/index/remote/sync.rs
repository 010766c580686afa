//! Bringing a collection in step with the rows of a generation.
//!
//! Ids are hashes of vectors, so there is nothing to translate: rows whose ids are not there are
//! sent, and what no row has any more is removed. The labels of a collection say whose it is, which
//! state it was last brought to (`sync`), which state that followed (`before`), and whether somebody
//! is at it (`open`). A sync that was cut leaves `open`; the next one then asks which ids are there,
//! and goes on from that. While the state is the one that the generation before recorded, nothing
//! need be asked, and the cost follows the changes.
//!
//! **Readers of the older generation** go on while a newer one is made. New rows don't disturb them:
//! they skip ids that they don't know and ask for more. What they need is removed only after the new
//! manifest is in place (`settle`). A search that is still under way by then began before the rows
//! were found to be gone from the database, or masks them because they are; the one that may miss
//! such a row is that which began before the build did and ends after it. A build that dies before
//! its manifest is in place has removed nothing.

use std::collections::HashSet;

use bytemuck::cast_slice;
use simdex_remote::{Collection, Graph, Labels, Record as Sent, Server, Space, Spec};

use super::attended::attended;
use super::failure;
use super::ids::{self, Id, Ids};
use super::kind::Record;
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::index::{Job, Sections};
use crate::matrix::Slab;
use crate::observe::Observer;
use crate::snapshot::segment::SegmentId;
use crate::types::Metric;

/// The section with ids that are still to be removed.
const SURPLUS: &str = "surplus";

/// Labels of collections.
const OWNER: &str = "simdex_owner";
const SYNC: &str = "simdex_sync";
const BEFORE: &str = "simdex_before";
const OPEN: &str = "simdex_open";

/// How often what is there is compared with what should be, before it is somebody else's fault.
const ROUNDS: usize = 3;

/// A collection to bring in step.
pub(super) struct Target {
    pub(super) server: Box<dyn Server>,
    pub(super) collection: String,
    pub(super) owner: String,
    pub(super) graph: Graph,
}

/// A collection whose requests are attended.
struct Hand<'a> {
    collection: Option<Box<dyn Collection>>,
    observer: &'a dyn Observer,
}

impl Hand<'_> {
    fn ask<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut dyn Collection) -> simdex_remote::Result<T> + Send + 'static,
    ) -> Result<T> {
        let lost = || Error::new(ErrorKind::Internal, "a collection was lost");
        let mut collection = self.collection.take().ok_or_else(lost)?;
        let (collection, done) = attended(self.observer, move || {
            let done = work(&mut *collection);
            (collection, done)
        })?;
        self.collection = Some(collection);
        done.map_err(|error| failure(&error))
    }

    fn largest_batch(&self) -> usize {
        self.collection.as_ref().map_or(1, |collection| collection.largest_batch()).max(1)
    }

    fn all_ids(&mut self) -> Result<HashSet<String>> {
        self.ask(|collection| collection.ids())
    }

    /// Removes ids, in batches.
    fn remove(&mut self, gone: &[String]) -> Result<()> {
        for batch in gone.chunks(self.largest_batch()) {
            let batch = batch.to_vec();
            self.ask(move |collection| collection.delete(&batch))?;
            self.observer.checkpoint()?;
        }
        Ok(())
    }

    fn note(&mut self, labels: &[(&str, &str)]) -> Result<()> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let labels: Labels = labels.iter().map(pair).collect();
        self.ask(move |collection| collection.set_labels(&labels))
    }
}

/// Sends what the server lacks, and returns the sections of the generation.
///
/// # Errors
/// `Invalid` when the collection is somebody else's; `Unavailable`; `Cancelled`.
pub(super) fn sync(
    target: Target,
    job: &Job<'_>,
    before: Option<(Record, Ids)>,
    observer: &dyn Observer,
) -> Result<Sections> {
    let rows = Ids::new(job.vectors);
    let (mut hand, labels) = open(&target, job, observer)?;
    let label = |name: &str| labels.get(name).map(String::as_str).unwrap_or_default();
    let known = before.as_ref().filter(|(record, _)| {
        record.collection == target.collection
            && record.sync == label(SYNC)
            && label(OPEN).is_empty()
    });
    hand.note(&[(OPEN, "yes")])?;
    let mut present = match known {
        Some((_, old)) => old.distinct().map(|(id, _)| ids::text(&id)).collect(),
        None => hand.all_ids()?,
    };
    for round in 0.. {
        send(&mut hand, job, &rows, &present)?;
        let wanted = rows.distinct().map(|(id, _)| ids::text(&id));
        present.extend(wanted);
        let count = hand.ask(|collection| collection.count())?;
        if count == present.len() as u64 {
            break;
        }
        if round + 1 == ROUNDS {
            let message = format!("the server has {count} rows after {} were sent", present.len());
            return Err(Error::new(ErrorKind::Unavailable, message)
                .with("collection", &target.collection)
                .hint("is somebody else changing it?"));
        }
        present = hand.all_ids()?;
    }
    observer.progress("building on the server", 0, None);
    hand.ask(|collection| collection.finish())?;
    let sync = SegmentId::random()?.to_string();
    let last = before.as_ref().map_or(label(SYNC), |(record, _)| record.sync.as_str());
    hand.note(&[(SYNC, &sync), (BEFORE, last)])?;
    let unknown = |text: &String| ids::parse(text).is_none_or(|id| !rows.holds(&id));
    let surplus: Vec<Id> =
        present.iter().filter(|text| unknown(text)).filter_map(|text| ids::parse(text)).collect();
    let mut sections = Sections::new();
    Record { collection: target.collection, owner: target.owner, sync }.write(&mut sections)?;
    rows.write(&mut sections)?;
    sections.insert(SURPLUS.into(), Slab::from_slice(surplus.as_flattened()));
    Ok(sections)
}

/// The collection, made if need be, and what is noted of it.
fn open<'a>(
    target: &Target,
    job: &Job<'_>,
    observer: &'a dyn Observer,
) -> Result<(Hand<'a>, Labels)> {
    let space = match job.metric {
        Metric::Cosine => Space::Cosine,
        Metric::L2 => Space::L2,
        Metric::Dot => Space::InnerProduct,
    };
    let spec = Spec {
        graph: target.graph,
        labels: Labels::from([(OWNER.to_owned(), target.owner.clone())]),
        ..Spec::new(&target.collection, job.vectors.dim(), space)
    };
    let create = || {
        // One of ours from before the rows changed in size or the index in measure is of no use.
        if let Some(mut old) = target.server.open(&spec.name)?
            && old.labels()?.get(OWNER) == Some(&target.owner)
            && target
                .server
                .create(&spec)
                .is_err_and(|e| e.fault() == simdex_remote::Fault::Refused)
        {
            target.server.remove(&spec.name)?;
        }
        target.server.create(&spec)
    };
    observer.checkpoint()?;
    let collection = create().map_err(|error| failure(&error))?;
    let mut hand = Hand { collection: Some(collection), observer };
    let labels = hand.ask(|collection| collection.labels())?;
    match labels.get(OWNER) {
        Some(owner) if *owner == target.owner => Ok((hand, labels)),
        _ => {
            let message = format!("`{}` on the server is not this index's", target.collection);
            Err(Error::new(ErrorKind::Invalid, message)
                .hint("give the index another with --set name=NAME"))
        }
    }
}

/// Sends the rows whose ids are not `present`, each vector once.
fn send(hand: &mut Hand<'_>, job: &Job<'_>, rows: &Ids, present: &HashSet<String>) -> Result<()> {
    let lacking = |(id, row): (Id, usize)| {
        let text = ids::text(&id);
        (!present.contains(&text)).then_some((row, text))
    };
    let mut missing: Vec<_> = rows.distinct().filter_map(lacking).collect();
    // As they are in the file, so that it is read from front to back.
    missing.sort_unstable();
    let total = missing.len() as u64;
    let mut done = 0;
    for batch in missing.chunks(hand.largest_batch()) {
        let record = |(row, id): &(usize, String)| {
            Sent::new(id.clone(), prepared(job.vectors.row(*row), job.metric))
        };
        let records: Vec<_> = batch.iter().map(record).collect();
        hand.ask(move |collection| collection.upsert(&records))?;
        done += batch.len() as u64;
        hand.observer.progress("sending", done, Some(total));
        hand.observer.checkpoint()?;
    }
    Ok(())
}

/// A vector as servers get it: of length one under cosine, where servers would lose very small and
/// very large ones in float32.
pub(super) fn prepared(vector: &[f32], metric: Metric) -> Vec<f32> {
    if metric != Metric::Cosine {
        return vector.to_vec();
    }
    let length = vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    vector.iter().map(|&value| (f64::from(value) / length) as f32).collect()
}

/// Removes what no row of the generation has, now that it is the one that is searched.
///
/// # Errors
/// `Unavailable`; `Cancelled`. Then the next sync does it.
pub(super) fn settle(
    target: Target,
    record: &Record,
    rows: Ids,
    sections: &Sections,
    observer: &dyn Observer,
) -> Result<()> {
    let collection = target.server.open(&record.collection).map_err(|error| failure(&error))?;
    let gone = || Error::new(ErrorKind::Unavailable, "the collection is gone from the server");
    let mut hand = Hand { collection: Some(collection.ok_or_else(gone)?), observer };
    let labels = hand.ask(|collection| collection.labels())?;
    if labels.get(OWNER) != Some(&target.owner) || labels.get(SYNC) != Some(&record.sync) {
        return Err(Error::new(ErrorKind::Unavailable, "the collection is no longer this index's"));
    }
    let surplus = sections.get(SURPLUS).map_or(&[][..], |section| section);
    let surplus: Vec<_> = cast_slice::<u8, u8>(surplus).as_chunks::<16>().0.iter().collect();
    // A section is bytes from a file: what a row has is never removed.
    let surplus = surplus.into_iter().filter(|id| !rows.holds(id)).map(ids::text);
    hand.remove(&surplus.collect::<Vec<_>>())?;
    let wanted = rows.distinct().count() as u64;
    if hand.ask(|collection| collection.count())? != wanted {
        let all = hand.all_ids()?;
        let unknown = |text: &String| ids::parse(text).is_none_or(|id| !rows.holds(&id));
        let others: Vec<_> = all.into_iter().filter(unknown).collect();
        hand.remove(&others)?;
        if hand.ask(|collection| collection.count())? != wanted {
            let message = "the server has not the rows that were sent";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
    }
    hand.note(&[(OPEN, "")])
}

/// Removes the collection of an index, if there is one.
///
/// # Errors
/// `Unavailable`.
pub(super) fn forget(server: &dyn Server, collection: &str, owner: &str) -> Result<()> {
    let removed = || -> simdex_remote::Result<()> {
        let Some(mut found) = server.open(collection)? else { return Ok(()) };
        match found.labels()?.get(OWNER).is_some_and(|known| known == owner) {
            true => server.remove(collection).map(|_| ()),
            false => Ok(()),
        }
    };
    removed().map_err(|error| failure(&error))
}

/// Refuses a collection that does not hold the rows of a generation.
///
/// # Errors
/// `Unavailable`.
pub(super) fn check(labels: &Labels, record: &Record) -> Result<()> {
    let is = |name: &str, value: &str| labels.get(name).is_some_and(|known| known == value);
    // A build that is under way, or has just ended, keeps what the generation before it needs.
    if is(OWNER, &record.owner) && (is(SYNC, &record.sync) || is(BEFORE, &record.sync)) {
        return Ok(());
    }
    let message = "the collection on the server has been changed from elsewhere";
    Err(Error::new(ErrorKind::Unavailable, message)
        .with("collection", &record.collection)
        .hint(Hint::command("bring it in step", ["index", "build", "NAME"])))
}
