//! Searches through a plugin: what is asked, and what is made of the answer.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use fixedbitset::FixedBitSet;
use serde_json::Value;
use simdex_plugin::{Call, Found, OpenParams, SearchParams};

use crate::error::{Error, ErrorKind, Result};
use crate::index::plugin::call::Failure;
use crate::index::plugin::files;
use crate::index::plugin::kept::{Loaded, Slot, Spec};
use crate::index::plugin::kind::{Plugin, Record, build_call};
use crate::index::plugin::numbers::Numbers;
use crate::index::plugin::scratch::{Scratch, Spool};
use crate::index::{Index, Job, Parameters};
use crate::matrix::Matrix;
use crate::observe::Observer;
use crate::search::query::Query;
use crate::types::Metric;

/// So few allowed rows are compared one by one faster than a plugin is asked.
const FEW: usize = 1000;

/// Plugins that don't filter are not asked when fewer than one row in this many is allowed.
const SELECTIVE: usize = 50;

/// An index that a plugin searches. The process is started by the first search.
pub(super) struct PluginIndex {
    plugin: Plugin,
    vectors: Matrix,
    metric: Metric,
    parameters: Parameters,
    folder: Option<PathBuf>,
    record: Record,
    numbers: Numbers,
    slot: Arc<Mutex<Slot>>,
}

impl PluginIndex {
    pub(super) fn new(plugin: Plugin, job: &Job<'_>, record: Record, numbers: Numbers) -> Self {
        let spec = Spec {
            name: plugin.name().to_owned(),
            vectors: job.vectors.origin().map(|origin| origin.path.clone()),
            metric: job.metric,
            parameters: job.parameters.clone(),
        };
        let slot = plugin.plugins().slot(spec);
        Self {
            plugin,
            vectors: job.vectors.clone(),
            metric: job.metric,
            parameters: job.parameters.clone(),
            folder: job.folder.filter(|_| record.files.is_some()).map(ToOwned::to_owned),
            record,
            numbers,
            slot,
        }
    }

    /// Starts the plugin and makes it ready to search.
    fn load(&self, observer: &dyn Observer) -> Result<Loaded> {
        let mut session = self.plugin.start(observer)?;
        let spool = match &self.folder {
            Some(folder) => {
                let open = OpenParams {
                    folder: folder.clone(),
                    metric: self.metric.into(),
                    options: self.parameters.clone(),
                    threads: rayon::current_num_threads(),
                    rows: self.numbers.bound() as u64,
                    dimensions: self.vectors.dim() as u64,
                };
                session.call::<Value>(Call::Open(open), observer)?;
                None
            }
            None => {
                let spool = Spool::of(&self.vectors)?;
                let build = build_call(&spool, self.metric, &self.parameters, None);
                session.call::<Value>(build, observer)?;
                Some(spool)
            }
        };
        Ok(Loaded { session, scratch: Scratch::new()?, _spool: spool })
    }

    /// Lets `work` ask the process, which is started if need be, and once more if it has ended by
    /// itself since the last search.
    fn with_process<T>(
        &self,
        observer: &dyn Observer,
        mut work: impl FnMut(&mut Loaded) -> Result<T, Failure>,
    ) -> Result<T> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = slot.resting() {
            return Err(error);
        }
        let mut kept = match std::mem::take(&mut *slot) {
            Slot::Ready(loaded) => Some(loaded),
            _ => None,
        };
        loop {
            let reused = kept.is_some();
            let mut loaded = match kept.take() {
                Some(loaded) => loaded,
                None => match self.load(observer) {
                    Ok(loaded) => Box::new(loaded),
                    Err(error) => return Err(remember(&mut slot, error)),
                },
            };
            match work(&mut loaded) {
                Ok(result) => {
                    *slot = Slot::Ready(loaded);
                    return Ok(result);
                }
                Err(Failure::Ended(_)) if reused => {}
                Err(failure) => return Err(remember(&mut slot, failure.into())),
            }
        }
    }

    /// Up to `k` rows for each query, all of them rows that exist; of `allowed`, if the plugin can
    /// tell. Says whether it can.
    fn ask(
        &self,
        loaded: &mut Loaded,
        queries: &[Query],
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<u32>>, Failure> {
        loaded.scratch.clear();
        let rows = queries.iter().map(Query::rounded);
        let queries_array =
            loaded.scratch.floats(rows, self.vectors.dim()).map_err(Failure::Other)?;
        let allowed_array = match allowed {
            Some(set) => {
                let set = self.numbers_of(set);
                Some(loaded.scratch.row_set(&set).map_err(Failure::Other)?)
            }
            None => None,
        };
        let search = SearchParams { queries: queries_array, k: k as u64, allowed: allowed_array };
        let found: Found = loaded.session.call(Call::Search(search), observer)?;
        match self.checked(found, queries.len(), k, allowed) {
            Ok(rows) => Ok(rows),
            Err(what) => Err(Failure::Other(loaded.session.misbehaved("search", &what))),
        }
    }

    /// The numbers of a set of rows.
    fn numbers_of<'a>(&self, set: &'a FixedBitSet) -> Cow<'a, FixedBitSet> {
        if self.numbers.are_positions() {
            return Cow::Borrowed(set);
        }
        let mut numbers = FixedBitSet::with_capacity(self.numbers.bound());
        let rows = set.ones().take_while(|&row| row < self.vectors.rows());
        numbers.extend(rows.map(|row| self.numbers.of(row) as usize));
        Cow::Owned(numbers)
    }

    /// The rows of an answer, or what is wrong with it.
    fn checked(
        &self,
        found: Found,
        queries: usize,
        k: usize,
        allowed: Option<&FixedBitSet>,
    ) -> Result<Vec<Vec<u32>>, String> {
        if found.rows.len() != queries {
            return Err(format!("{} answers to {queries} queries", found.rows.len()));
        }
        let mut answers = found.rows;
        for rows in &mut answers {
            if rows.len() > k {
                return Err(format!("{} rows where {k} were asked for", rows.len()));
            }
            for number in rows.iter_mut() {
                match self.numbers.row(*number) {
                    Some(row) => *number = row,
                    None => return Err(format!("row {number} of {}", self.vectors.rows())),
                }
            }
            if let Some(set) = allowed
                && let Some(row) = rows.iter().find(|&&row| !set.contains(row as usize))
            {
                return Err(format!("row {row}, which is not allowed"));
            }
            rows.sort_unstable();
            rows.dedup();
        }
        Ok(answers)
    }

    /// Asks until every query has `want` rows of `allowed`; for those that don't get them, all rows
    /// are candidates.
    fn gather(
        &self,
        loaded: &mut Loaded,
        queries: &[Query],
        want: usize,
        allowed: Option<(&FixedBitSet, usize)>,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<u32>>, Failure> {
        let all = self.vectors.rows();
        let generous = (2 * want).max(want + 10);
        let (pushed_down, kept, mut fetch) = match allowed {
            None => (None, None, generous.min(all)),
            Some((set, count)) if loaded.session.description().filters => {
                (Some(set), None, generous.min(count))
            }
            Some((set, count)) if count.saturating_mul(SELECTIVE) < all => {
                let rows = rows_of(Some(set), all);
                return Ok(vec![rows; queries.len()]);
            }
            Some((set, count)) => {
                let share = all as f64 / count.max(1) as f64;
                (None, Some(set), ((generous as f64 * share * 1.1) as usize + 10).min(all))
            }
        };
        loop {
            let mut answers = self.ask(loaded, queries, fetch, pushed_down, observer)?;
            if let Some(set) = kept {
                answers.iter_mut().for_each(|rows| rows.retain(|&row| set.contains(row as usize)));
            }
            let short = answers.iter().any(|rows| rows.len() < want);
            if !short {
                return Ok(answers);
            }
            // More of everything helps only against a filter of ours.
            if kept.is_some() && fetch < all / 4 {
                fetch = (fetch * 4).min(all);
                continue;
            }
            tracing::debug!(plugin = self.plugin.name(), want, "too few rows: comparing all");
            let rows = rows_of(allowed.map(|(set, _)| set), all);
            let short = answers.iter_mut().filter(|found| found.len() < want);
            short.for_each(|found| found.clone_from(&rows));
            return Ok(answers);
        }
    }
}

impl Index for PluginIndex {
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
            let message = format!(
                "the query has {} dimensions, the rows have {}",
                query.dim(),
                self.vectors.dim()
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let all = self.vectors.rows();
        let count = allowed.map_or(all, |set| set.count_ones(..all.min(set.len())));
        let want = k.min(count);
        if want == 0 || queries.is_empty() {
            return Ok(vec![Vec::new(); queries.len()]);
        }
        let few = if allowed.is_some() { FEW } else { 0 };
        if count <= few.max(2 * want) {
            return Ok(vec![rows_of(allowed, all); queries.len()]);
        }
        let allowed = allowed.filter(|_| count < all).map(|set| (set, count));
        self.with_process(observer, |loaded| self.gather(loaded, queries, want, allowed, observer))
    }

    fn facts(&self) -> Vec<(String, String)> {
        let mut facts =
            vec![("plugin".to_owned(), format!("{} {}", self.plugin.name(), self.record.version))];
        if let Some(kept) = &self.record.files {
            facts.push(("bytes of its files".to_owned(), files::bytes(kept).to_string()));
        }
        facts.extend(self.record.facts.clone());
        facts
    }
}

/// Keeps a failure in mind, unless the caller only lost interest.
fn remember(slot: &mut Slot, error: Error) -> Error {
    let error = match error.kind() {
        ErrorKind::Cancelled => {
            *slot = Slot::Empty;
            return error;
        }
        ErrorKind::Plugin => error,
        // Whatever kept the plugin from answering, it need not keep the search from it.
        _ => Error::new(ErrorKind::Plugin, error.to_string()),
    };
    slot.fail(&error);
    error
}

/// The numbers of all rows, or of those in a set.
fn rows_of(allowed: Option<&FixedBitSet>, all: usize) -> Vec<u32> {
    match allowed {
        None => (0..all as u32).collect(),
        Some(set) => set.ones().take_while(|&row| row < all).map(|row| row as u32).collect(),
    }
}
