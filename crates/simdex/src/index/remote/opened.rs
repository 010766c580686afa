//! Searches through a server: what is asked, and what is made of the answer.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fixedbitset::FixedBitSet;
use simdex_remote::{Collection, Only, Patience, Query as Asked};

use super::attended::attended;
use super::ids::{self, Ids};
use super::kind::{Engine, OnFailure, Record, patience_of_searches};
use super::{failure, sync};
use crate::error::{Error, ErrorKind, Hint, Result};
use crate::index::{Index, Job, Parameters};
use crate::matrix::Matrix;
use crate::observe::Observer;
use crate::search::query::Query;
use crate::types::Metric;

/// So few allowed rows are compared one by one faster than a server is asked.
const FEW: usize = 1000;

/// Up to so many allowed rows are named to the server. Beyond that naming them takes longer than
/// asking for more rows.
const MOST_NAMED: usize = 20_000;

/// When more rows than this are wanted, all are compared.
const MOST_WANTED: usize = 10_000;

/// Queries of one request.
const QUERIES: usize = 100;

/// How long a server that has failed is left alone. Searches don't each wait for it meanwhile.
const REST: Duration = Duration::from_secs(30);

/// An index that a server searches. The first search connects.
pub(super) struct RemoteIndex {
    engine: &'static Engine,
    vectors: Matrix,
    metric: Metric,
    parameters: Parameters,
    record: Record,
    ids: Ids,
    slot: Mutex<Slot>,
}

/// A connection.
enum Slot {
    Empty,
    Ready(Box<dyn Collection>),
    Failed { at: Instant, message: String },
}

impl RemoteIndex {
    pub(super) fn new(engine: &'static Engine, job: &Job<'_>, record: Record, ids: Ids) -> Self {
        Self {
            engine,
            vectors: job.vectors.clone(),
            metric: job.metric,
            parameters: job.parameters.clone(),
            record,
            ids,
            slot: Mutex::new(Slot::Empty),
        }
    }

    /// Asks the server, with what there is of a connection.
    fn ask(
        &self,
        queries: &[Vec<f32>],
        k: usize,
        allowed: Option<Vec<String>>,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<u32>>> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = match std::mem::replace(&mut *slot, Slot::Empty) {
            Slot::Ready(collection) => Some(collection),
            Slot::Failed { at, message } if at.elapsed() < REST => {
                let rest =
                    format!("{message} (it will be tried again {} s after that)", REST.as_secs());
                *slot = Slot::Failed { at, message };
                return Err(Error::new(ErrorKind::Unavailable, rest));
            }
            _ => None,
        };
        let (engine, parameters, record) =
            (self.engine, self.parameters.clone(), self.record.clone());
        let queries = queries.to_vec();
        let patience = patience_of_searches(&self.parameters);
        let asked = attended(observer, move || {
            let mut collection = match kept {
                Some(collection) => collection,
                None => connect(engine, &parameters, &record, patience)?,
            };
            let only = allowed.as_deref().map_or(Only::All, Only::Ids);
            let hits = collection.query(&Asked::new(&queries, k).among(only));
            let hits = hits.map_err(|error| failure(&error))?;
            Ok::<_, Error>((collection, hits))
        })?;
        match asked {
            Ok((collection, hits)) => {
                *slot = Slot::Ready(collection);
                let rows = |id: &str| ids::parse(id).map(|id| self.ids.rows_of(&id).to_vec());
                let list = |hits: Vec<simdex_remote::Hit>| {
                    // Ids that are not known here are of a newer generation.
                    let found = hits.iter().filter_map(|hit| rows(&hit.id)).flatten();
                    let mut found: Vec<_> =
                        found.filter(|&row| (row as usize) < self.vectors.rows()).collect();
                    found.sort_unstable();
                    found.dedup();
                    found
                };
                Ok(hits.into_iter().map(list).collect())
            }
            Err(error) => {
                *slot = Slot::Failed { at: Instant::now(), message: error.to_string() };
                Err(error)
            }
        }
    }

    /// Asks until every query has `want` rows of `allowed`; for those that don't get them, all rows
    /// are candidates.
    fn gather(
        &self,
        queries: &[Vec<f32>],
        want: usize,
        allowed: Option<(&FixedBitSet, usize)>,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<u32>>> {
        let all = self.vectors.rows();
        let generous = (2 * want).max(want + 10);
        let (named, mut fetch) = match allowed {
            None => (None, generous),
            Some((set, count)) if count <= MOST_NAMED => {
                let rows = rows_of(Some(set), all).into_iter();
                let ids = rows.map(|row| ids::text(&self.ids.of_row(row as usize)));
                (Some(ids.collect::<Vec<_>>()), generous)
            }
            Some((_, count)) => {
                let share = all as f64 / count.max(1) as f64;
                (None, (generous as f64 * share * 1.1) as usize + 10)
            }
        };
        loop {
            let mut answers = self.ask(queries, fetch.min(all), named.clone(), observer)?;
            if answers.len() != queries.len() {
                let message = "the server answers another number of queries";
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            if let Some((set, _)) = allowed {
                answers.iter_mut().for_each(|rows| rows.retain(|&row| set.contains(row as usize)));
            }
            if answers.iter().all(|rows| rows.len() >= want) {
                return Ok(answers);
            }
            // Rows of a newer generation, or those that a filter rules out, took their places.
            if fetch < MOST_WANTED.min(all) {
                fetch = (fetch * 4).min(MOST_WANTED);
                continue;
            }
            tracing::debug!(kind = self.engine.name, want, "too few rows: comparing all");
            let rows = rows_of(allowed.map(|(set, _)| set), all);
            let short = answers.iter_mut().filter(|found| found.len() < want);
            short.for_each(|found| found.clone_from(&rows));
            return Ok(answers);
        }
    }

    /// An error as the user wants it: one that leads to the exact answer, or one that stands.
    fn as_wanted(&self, error: Error) -> Error {
        match (error.kind(), OnFailure::of(&self.parameters)) {
            (ErrorKind::Cancelled, _) | (_, OnFailure::Error) => error,
            _ => {
                let hint = error.next_step().cloned();
                let error = Error::new(ErrorKind::Plugin, error.to_string());
                hint.into_iter().fold(error, Error::hint)
            }
        }
    }
}

fn connect(
    engine: &Engine,
    parameters: &Parameters,
    record: &Record,
    patience: Patience,
) -> Result<Box<dyn Collection>> {
    let server = (engine.server)(parameters, patience)?;
    let found = server.open(&record.collection).map_err(|error| failure(&error))?;
    let mut collection = found.ok_or_else(|| {
        Error::new(ErrorKind::Unavailable, "the collection is gone from the server")
            .with("collection", &record.collection)
            .hint(Hint::command("make it anew", ["index", "build", "NAME"]))
    })?;
    let labels = collection.labels().map_err(|error| failure(&error))?;
    sync::check(&labels, record)?;
    Ok(collection)
}

impl Index for RemoteIndex {
    fn candidates(
        &self,
        query: &Query,
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<u32>> {
        let queries = std::slice::from_ref(query);
        let mut found = self.candidates_batch(queries, k, allowed, observer)?;
        Ok(found.pop().unwrap_or_default())
    }

    fn candidates_batch(
        &self,
        queries: &[Query],
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<u32>>> {
        if let Some(query) = queries.iter().find(|query| query.dim() != self.vectors.dim()) {
            let (found, wanted) = (query.dim(), self.vectors.dim());
            let message = format!("the query has {found} dimensions, the rows have {wanted}");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let all = self.vectors.rows();
        let count = allowed.map_or(all, |set| set.count_ones(..all.min(set.len())));
        let want = k.min(count);
        if want == 0 {
            return Ok(vec![Vec::new(); queries.len()]);
        }
        let few = if allowed.is_some() { FEW } else { 0 };
        if count <= few.max(2 * want) || want > MOST_WANTED / 4 {
            return Ok(vec![rows_of(allowed, all); queries.len()]);
        }
        let allowed = allowed.filter(|_| count < all).map(|set| (set, count));
        let vectors: Vec<_> = queries.iter().map(|query| self.prepared(query)).collect();
        let mut found = Vec::with_capacity(queries.len());
        for some in vectors.chunks(QUERIES) {
            let answers = self.gather(some, want, allowed, observer);
            found.extend(answers.map_err(|error| self.as_wanted(error))?);
        }
        Ok(found)
    }

    fn facts(&self) -> Vec<(String, String)> {
        let fact = |label: &str, value: &str| (label.to_owned(), value.to_owned());
        let mut facts = vec![fact("collection on the server", &self.record.collection)];
        if let Some(url) = self.parameters.get("url") {
            facts.push(fact("server", url));
        }
        facts
    }
}

impl RemoteIndex {
    fn prepared(&self, query: &Query) -> Vec<f32> {
        sync::prepared(query.rounded(), self.metric)
    }
}

/// The numbers of all rows, or of those in a set.
fn rows_of(allowed: Option<&FixedBitSet>, all: usize) -> Vec<u32> {
    match allowed {
        None => (0..all as u32).collect(),
        Some(set) => set.ones().take_while(|&row| row < all).map(|row| row as u32).collect(),
    }
}
