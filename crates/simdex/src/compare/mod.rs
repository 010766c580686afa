//! How kinds of index compare on one set of vectors: build time, size, recall and speed.
//!
//! Measures whatever is in [`crate::index::KINDS`], and plugins; recall is counted against exact answers.

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::index::plugin::Plugins;
use crate::index::{AnyKind, KINDS, Parameters};
use crate::matrix::Matrix;
use crate::observe::Observer;
use crate::types::Metric;

mod figures;
mod measure;
mod memory;
mod recall;
mod split;
mod truth;

pub use figures::{Latency, Point, Trial};
pub use split::{default_held_out, hold_out};

/// One kind with parameters, to be measured.
#[derive(Clone)]
pub struct Contender {
    /// The index it is; `None`: it is tried on the fly.
    index: Option<String>,
    metric: Metric,
    kind: AnyKind,
    parameters: Parameters,
}

impl Contender {
    /// A kind, by name, with parameters as a user sets them.
    ///
    /// # Errors
    /// `Invalid`, naming the kinds or the parameters there are; `Plugin`.
    pub fn new(
        kind: &str,
        parameters: Parameters,
        metric: Metric,
        plugins: &Plugins,
    ) -> Result<Self> {
        let kind = AnyKind::named(kind, plugins)?;
        kind.check(metric, &parameters)?;
        Ok(Self { index: None, metric, kind, parameters })
    }

    /// Every built-in kind, without parameters.
    pub fn every_kind(metric: Metric) -> impl Iterator<Item = Self> {
        KINDS.iter().map(move |kind| Self {
            index: None,
            metric,
            kind: AnyKind::BuiltIn(*kind),
            parameters: Parameters::new(),
        })
    }

    /// The same as the index of this name.
    #[must_use]
    pub fn of_index(self, name: &str) -> Self {
        Self { index: Some(name.to_owned()), ..self }
    }

    /// The metric of its searches.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// What progress and errors call it.
    fn label(&self) -> &str {
        self.index.as_deref().unwrap_or(self.kind.name())
    }
}

impl std::fmt::Debug for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Contender({}, {}, {:?})", self.label(), self.kind.name(), self.parameters)
    }
}

/// What [`crate::Engine::compare`] is asked.
#[derive(Debug, Clone)]
pub struct CompareRequest {
    /// A collection, or else an index.
    pub name: String,
    /// Kinds to try besides the indexes there are; with neither, every kind is tried.
    pub tries: Vec<Try>,
    /// How many rows a search asks for.
    pub k: usize,
    /// How many rows are held out as queries; `None`: [`default_held_out`].
    pub queries: Option<usize>,
    /// How many threads work.
    pub threads: Threads,
}

/// How many threads work; `None`: one for each processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Threads {
    /// On a build.
    pub builds: Option<usize>,
    /// On single queries and batches, and on what is measured against.
    pub searches: Option<usize>,
}

impl From<Option<usize>> for Threads {
    /// As many on everything.
    fn from(threads: Option<usize>) -> Self {
        Self { builds: threads, searches: threads }
    }
}

/// A kind to try on the fly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// Its name.
    pub kind: String,
    /// Its parameters.
    pub parameters: Parameters,
}

/// What is measured on what.
#[derive(Debug, Clone)]
pub struct Contest {
    /// The rows to index.
    pub base: Matrix,
    /// The rows to search for.
    pub queries: Matrix,
    /// For each query the numbers of its nearest rows of `base`, nearest first, at least `k` of
    /// them; `None`: found by an exact kind.
    pub truth: Option<Vec<Vec<u32>>>,
    /// Who takes part.
    pub contenders: Vec<Contender>,
    /// How many rows a search asks for.
    pub k: usize,
    /// How many threads work.
    pub threads: Threads,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Rows indexed.
    pub rows: usize,
    /// Their dimension.
    pub dimensions: usize,
    /// Number of queries.
    pub queries: usize,
    /// How many rows each asked for.
    pub k: usize,
    /// Threads that searched.
    pub threads: usize,
    /// Threads that built.
    pub build_threads: usize,
    /// One for each contender that could be measured, in order.
    pub trials: Vec<Trial>,
    /// What the user should know: contenders that could not be measured, rows left out.
    pub notices: Vec<String>,
}

/// Measures every contender, one after the other. Nothing is written.
///
/// # Errors
/// `Invalid` when rows, queries or the given truth don't fit together or have no score, or no
/// contender can be measured; `Cancelled`.
pub fn run(contest: &Contest, observer: &dyn Observer) -> Result<Comparison> {
    check(contest)?;
    let builders = pool(contest.threads.builds)?;
    pool(contest.threads.searches)?.install(|| measure::all(contest, &builders, observer))
}

fn pool(threads: Option<usize>) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .build()
        .map_err(|error| Error::new(ErrorKind::Io, "can't start the threads").source(error))
}

fn check(contest: &Contest) -> Result<()> {
    let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
    let Contest { base, queries, .. } = contest;
    let Threads { builds, searches } = contest.threads;
    let no_thread = builds == Some(0) || searches == Some(0);
    if contest.k == 0 || no_thread || contest.contenders.is_empty() {
        return invalid("a comparison needs at least one result, one thread and one kind".into());
    }
    if base.rows() == 0 || queries.rows() == 0 {
        return invalid("a comparison needs at least one row and one query".into());
    }
    if base.dim() != queries.dim() {
        return invalid(format!(
            "the queries have {} dimensions, the rows {}",
            queries.dim(),
            base.dim()
        ));
    }
    let mut checked = Vec::new();
    for contender in &contest.contenders {
        if !checked.contains(&contender.metric) {
            checked.push(contender.metric);
            for (name, vectors) in [("base", base), ("queries", queries)] {
                crate::bare::check_rows(vectors.values(), vectors.dim(), contender.metric)
                    .map_err(|error| error.with("vectors", name))?;
            }
        }
    }
    Ok(())
}
