//! A collection onto a server: Chroma, or Postgres with pgvector.
//!
//! ```text
//! each page of rows ──> what the server has of them ──> what differs is sent     delivery.rs
//! all ids there     ──> which of them are here        ──> the others are extra   survey.rs
//! some of the rows  ──> read back and compared                                   sample.rs
//! ```
//!
//! What is there is compared by reading it, so that nothing need be remembered of an earlier run: one
//! that was stopped, one after changes and one after nothing are all the same to it.

mod delivery;
mod sample;
mod survey;

use serde::Serialize;
use simdex::engine::walk::{Page, Row, Walk, Walked};
use simdex::observe::Observer;
use simdex::store::Id;
use simdex::{Error, ErrorKind, Result};
use simdex_remote::{Collection, Fault, Labels, Metadata, Record, Server, Space, Spec};

use crate::tally::{Bad, Named, Tally};
use delivery::Delivery;
use survey::Survey;

/// Most rows of a page.
const TOGETHER: usize = 1000;

/// The label of the collection on the server that says whose it is.
const SOURCE: &str = "simdex.source";

/// What is carried.
#[derive(Debug, Clone)]
pub struct ServerRequest<'a> {
    /// The name of the collection on the server.
    pub name: &'a str,
    /// What becomes of rows that can't be carried, or that the server refuses.
    pub bad: Bad,
    /// What becomes of rows there that are not here.
    pub extra: Extra,
}

/// What becomes of rows on the server that the collection doesn't have: those that were deleted here,
/// have no usable vector any more, or were put there by somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// They stay, are counted and named.
    Keep,
    /// They are removed.
    Delete,
}

/// What was carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CarriedThere {
    /// The collection.
    pub collection: String,
    /// Its name on the server.
    pub name: String,
    /// Rows that are on the server as they are here.
    pub rows: u64,
    /// Of these, rows sent by this run; the others were there already.
    pub sent: u64,
    /// Their dimensions.
    pub dimensions: usize,
    /// Rows left out.
    pub skipped: u64,
    /// Why, and which.
    pub reasons: Tally,
    /// Rows that the server refused. What it had of them before is still there.
    pub refused: u64,
    /// Why, and which.
    pub refusals: Tally,
    /// Rows there that are not here, and were not removed.
    pub extra: Named,
    /// Rows that were removed there.
    pub deleted: u64,
    /// How many rows were read back and found the same.
    pub verified: u64,
}

/// Brings a collection on a server level with one here, page by page in the order of ids; between pages
/// the database is not locked. Rows that are there and the same but for rounding are not sent. Memory
/// does not grow with the rows, but with those that are refused or to be removed.
///
/// # Errors
/// `AlreadyExists` for a collection on the server that comes from elsewhere; `Invalid`; `Io` for a
/// server that can't be reached; those of reading the database; `Cancelled`. What was sent by then is
/// there, and another run goes on.
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
    let most = there.largest_batch().clamp(1, TOGETHER);
    let mut delivery = Delivery::new(there.as_mut(), request.bad)?;
    let mut reasons = Tally::default();
    let mut visited = 0;
    let mut after: Option<Id> = None;
    loop {
        let mut rows: Vec<Record> = Vec::new();
        let page = Page { after: after.as_ref(), most };
        let last = walk.page(dimensions, &page, observer, |row| {
            visited += 1;
            match row {
                Walked::Bad(id, fault) => reasons.add(id, fault, request.bad),
                // Tables that others made need not have llm's key.
                Walked::Sound(row) if rows.last().is_some_and(|last| last.id == row.id) => {
                    reasons.add(row.id, "an id that another row has", request.bad)
                }
                Walked::Sound(row) => {
                    rows.push(record(row));
                    Ok(())
                }
            }
        })?;
        let Some(last) = last else { break };
        delivery.bring(rows)?;
        after = Some(last);
        observer.checkpoint()?;
        observer.progress("sending", visited, Some(outline.rows.max(visited)));
    }
    let delivered = delivery.end();
    observer.progress("building the server's index", 0, None);
    there.finish().map_err(failed)?;
    let survey = Survey::of(there.as_mut(), walk, dimensions, &delivered.refused, observer)?;
    if survey.found < delivered.rows {
        let (found, rows) = (survey.found, delivered.rows);
        let message = format!("the server has {found} of {rows} rows in `{}`", request.name);
        return Err(Error::new(ErrorKind::Invalid, message)
            .hint("rows were deleted here or there meanwhile: run the command again"));
    }
    let verified = delivered.sample.verify(there.as_mut())?;
    let (extra, deleted) = match request.extra {
        Extra::Keep => (survey.named(), 0),
        Extra::Delete => (Named::default(), survey.delete(there.as_mut(), observer)?),
    };
    Ok(CarriedThere {
        collection: outline.name,
        name: request.name.to_owned(),
        rows: delivered.rows,
        sent: delivered.sent,
        dimensions,
        skipped: reasons.rows(),
        reasons,
        refused: delivered.refusals.rows(),
        refusals: delivered.refusals,
        extra,
        deleted,
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
