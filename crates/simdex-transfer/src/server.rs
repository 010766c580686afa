//! A collection onto a server: Chroma, or Postgres with pgvector.

use std::collections::HashMap;

use serde::Serialize;
use simdex::engine::walk::{Page, Row, Walk, Walked};
use simdex::observe::Observer;
use simdex::store::Id;
use simdex::{Error, ErrorKind, Result};
use simdex_remote::{Collection, Fault, Labels, Metadata, Record, Server, Space, Spec};

use crate::tally::{Bad, Tally};

/// Most rows of a batch.
const TOGETHER: usize = 1000;

/// How many rows are read back.
const SAMPLE: usize = 64;

/// How far a vector may be from itself after rounding to single precision, relative to its length.
const SAME: f64 = 1e-6;

/// Labels of the collection on the server: whose it is, and after which id to go on; without an id
/// all rows were sent.
const SOURCE: &str = "simdex.source";
const AFTER: &str = "simdex.after";

/// What is carried.
#[derive(Debug, Clone)]
pub struct ServerRequest<'a> {
    /// The name of the collection on the server.
    pub name: &'a str,
    /// What becomes of rows that can't be carried.
    pub bad: Bad,
}

/// What was carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CarriedThere {
    /// The collection.
    pub collection: String,
    /// Its name on the server.
    pub name: String,
    /// Rows that the server has now.
    pub rows: u64,
    /// Of these, rows sent by this run; the others an earlier run had sent.
    pub sent: u64,
    /// Their dimensions.
    pub dimensions: usize,
    /// Rows left out.
    pub skipped: u64,
    /// Why, and which.
    pub reasons: Tally,
    /// How many rows were read back and found the same.
    pub verified: u64,
}

/// Sends all rows of a collection to a server, page by page in the order of ids; between pages the
/// database is not locked. A run that was stopped is gone on with: rows are put in place of those with
/// their ids, and how far it got is noted on the server. Memory does not grow with the rows.
///
/// # Errors
/// `AlreadyExists` for a collection on the server that comes from elsewhere; `Invalid`; `Io` for a
/// server that can't be reached; those of reading the database; `Cancelled`.
pub fn to_server(
    walk: &Walk,
    server: &dyn Server,
    request: &ServerRequest<'_>,
    observer: &dyn Observer,
) -> Result<CarriedThere> {
    let outline = walk.begin()?.outline().clone();
    let Some(dimensions) = outline.dimensions else {
        let message = format!("collection `{}` has no row that could be carried", outline.name);
        return Err(Error::new(ErrorKind::Invalid, message));
    };
    let mut there = open(server, request.name, &outline.name, dimensions)?;
    let resumed = there.labels().map_err(failed)?.remove(AFTER).filter(|id| !id.is_empty());
    let most = there.largest_batch().clamp(1, TOGETHER);
    let mut reasons = Tally::default();
    let mut sample = Sample::default();
    let (mut rows, mut sent, mut visited) = (0, 0, 0);
    let mut after: Option<Id> = None;
    loop {
        let mut batch = Vec::new();
        let page = Page { after: after.as_ref(), most };
        let last = walk.page(dimensions, &page, observer, |row| {
            visited += 1;
            match row {
                Walked::Bad(id, fault) => reasons.add(id, fault, request.bad)?,
                Walked::Sound(row) => {
                    rows += 1;
                    let is_there = resumed.as_deref().is_some_and(|after| *row.id <= *after);
                    let record = record(row);
                    sample.add(&record);
                    if !is_there {
                        batch.push(record);
                    }
                }
            }
            Ok(())
        })?;
        let Some(last) = last else { break };
        if let Some(highest) = batch.last() {
            there.upsert(&batch).map_err(failed)?;
            sent += batch.len() as u64;
            let so_far = Labels::from([(AFTER.to_owned(), highest.id.clone())]);
            there.set_labels(&so_far).map_err(failed)?;
        }
        after = Some(last);
        observer.checkpoint()?;
        observer.progress("sending", visited, Some(outline.rows.max(visited)));
    }
    observer.progress("building the server's index", 0, None);
    there.finish().map_err(failed)?;
    let found = there.count().map_err(failed)?;
    if found != rows {
        let message =
            format!("the server has {found} rows in `{}`, sent were {rows}", request.name);
        return Err(Error::new(ErrorKind::Invalid, message).hint(
            "rows were deleted here or added there meanwhile: remove it there and run again",
        ));
    }
    let verified = sample.verify(there.as_mut())?;
    let complete = Labels::from([(AFTER.to_owned(), String::new())]);
    there.set_labels(&complete).map_err(failed)?;
    Ok(CarriedThere {
        collection: outline.name,
        name: request.name.to_owned(),
        rows,
        sent,
        dimensions,
        skipped: reasons.rows(),
        reasons,
        verified,
    })
}

/// The collection on the server: made now, or by an earlier run.
fn open(
    server: &dyn Server,
    name: &str,
    source: &str,
    dimensions: usize,
) -> Result<Box<dyn Collection>> {
    let mine = |there: &mut dyn Collection| -> Result<bool> {
        Ok(there.labels().map_err(failed)?.get(SOURCE).is_some_and(|known| known == source))
    };
    if let Some(mut there) = server.open(name).map_err(failed)?
        && !mine(there.as_mut())?
    {
        let message = format!("the server has a collection `{name}` that is not of `{source}`");
        return Err(Error::new(ErrorKind::AlreadyExists, message)
            .hint("choose another name with --as NAME"));
    }
    let mut spec = Spec::new(name, dimensions, Space::Cosine);
    spec.labels = Labels::from([(SOURCE.to_owned(), source.to_owned())]);
    server.create(&spec).map_err(failed)
}

/// What the server is given of a row. Metadata that is no object goes under a name of its own.
fn record(row: Row) -> Record {
    let metadata = row.extras.metadata.map(|text| match serde_json::from_str(&text) {
        Ok(serde_json::Value::Object(facts)) => facts,
        _ => Metadata::from_iter([("metadata".to_owned(), text.into())]),
    });
    let metadata = metadata.filter(|facts| !facts.is_empty());
    Record { id: row.id, vector: row.vector, document: row.extras.content, metadata }
}

/// Rows spread over all that pass: once there are too many, every other one goes.
#[derive(Default)]
struct Sample {
    kept: Vec<Record>,
    passed: u64,
    /// Every so many are kept: 2 to this power.
    spread: u32,
}

impl Sample {
    fn add(&mut self, record: &Record) {
        if self.passed.trailing_zeros() >= self.spread || self.passed == 0 {
            if self.kept.len() == SAMPLE {
                let mut number = 0;
                self.kept.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
                self.spread += 1;
            }
            if self.passed.trailing_zeros() >= self.spread || self.passed == 0 {
                self.kept.push(record.clone());
            }
        }
        self.passed += 1;
    }

    /// Reads them back; returns how many.
    fn verify(&self, there: &mut dyn Collection) -> Result<u64> {
        let ids: Vec<_> = self.kept.iter().map(|record| record.id.clone()).collect();
        let found = there.get(&ids).map_err(failed)?;
        let found: HashMap<_, _> =
            found.iter().map(|record| (record.id.as_str(), record)).collect();
        for sent in &self.kept {
            let wrong = match found.get(sent.id.as_str()) {
                None => "is not on the server",
                Some(found) if !same_vector(&found.vector, &sent.vector) => {
                    "has another vector on the server"
                }
                Some(found) if found.document != sent.document => "has another text on the server",
                Some(_) => continue,
            };
            let message = format!("row `{}` {wrong}", sent.id);
            return Err(Error::new(ErrorKind::Invalid, message)
                .hint("if it changed meanwhile, run the command again"));
        }
        Ok(self.kept.len() as u64)
    }
}

/// Whether vectors are the same but for rounding: under cosine, Chroma gives back some whose last bits
/// differ.
fn same_vector(a: &[f32], b: &[f32]) -> bool {
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
    let difference = squares(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let length = squares(&mut a.iter().map(|a| f64::from(*a)));
    a.len() == b.len() && difference.sqrt() <= SAME * length.sqrt()
}

fn failed(error: simdex_remote::Error) -> Error {
    let kind = match error.fault() {
        Fault::Unreachable => ErrorKind::Io,
        Fault::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Invalid,
    };
    let said = Error::new(kind, error.to_string());
    match error.next_step() {
        Some(hint) => said.hint(hint),
        None => said,
    }
}
