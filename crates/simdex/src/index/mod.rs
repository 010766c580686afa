//! Kinds of index: structures that find candidate rows for a query among immutable vectors.
//!
//! An index never sees SQLite. It proposes *candidates*; the `search` room recomputes their scores
//! exactly and ranks them, so a kind decides which rows are found and never what they score.
//!
//! To add a kind: one file with a type that implements [`Kind`], and one line in [`KINDS`]. The
//! command line's choices, the contract tests and the benchmarks iterate that list. Kinds that are
//! not in it are engines on other machines ([`remote::REMOTE`]), and [`plugin`]s: programs of their
//! own, in any language.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use fixedbitset::FixedBitSet;

use crate::error::{Error, ErrorKind, Result};
use crate::matrix::{Matrix, Slab};
use crate::observe::Observer;
use crate::search::query::Query;
use crate::search::rerank::nearest;
use crate::types::{Metric, Neighbor};

pub mod auto;
pub mod flat;
pub mod graph;
pub mod plugin;
pub mod remote;
pub(crate) mod tail;

/// Every built-in kind, in the order they are offered.
pub const KINDS: &[&dyn Kind] = &[&flat::Flat, &graph::Graph, &auto::Auto];

/// A kind: built in, or a plugin.
#[derive(Clone)]
pub enum AnyKind {
    /// One of [`KINDS`] or [`remote::REMOTE`].
    BuiltIn(&'static dyn Kind),
    /// A program, which need not be installed.
    Plugin(plugin::Plugin),
}

impl AnyKind {
    /// The kind of this name: a plugin, unless it is built in.
    ///
    /// # Errors
    /// `Invalid` for what can't be the name of a kind.
    pub fn named(name: &str, plugins: &plugin::Plugins) -> Result<Self> {
        match KINDS.iter().chain(remote::REMOTE).find(|kind| kind.name() == name) {
            Some(kind) => Ok(Self::BuiltIn(*kind)),
            None => plugins.get(name).map(Self::Plugin),
        }
    }
}

impl Deref for AnyKind {
    type Target = dyn Kind;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::BuiltIn(kind) => *kind,
            Self::Plugin(plugin) => plugin,
        }
    }
}

/// Finds a built-in kind by name.
///
/// # Errors
/// `Invalid`, naming the kinds there are.
pub fn kind(name: &str) -> Result<&'static dyn Kind> {
    KINDS.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
        let known: Vec<_> = KINDS.iter().map(|kind| kind.name()).collect();
        Error::new(ErrorKind::Invalid, format!("unknown kind of index `{name}`"))
            .hint(format!("kinds: {}", known.join(", ")))
    })
}

/// One parameter of a kind, set with `--set NAME=VALUE`.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// The value used when it isn't set.
    pub default: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// Rejects a value that can't be used, with the reason.
    pub check: fn(&str) -> Result<(), String>,
}

/// Checks what a user set against the parameters of the kind `name`.
fn check_parameters(parameters: &[Parameter], name: &str, set: &Parameters) -> Result<()> {
    for (key, value) in set {
        let Some(known) = parameters.iter().find(|known| known.name == key) else {
            let names: Vec<_> = parameters.iter().map(|known| known.name).collect();
            let message = format!("kind `{name}` has no parameter `{key}`");
            let hint = match names.is_empty() {
                true => "it has none".to_owned(),
                false => format!("it has: {}", names.join(", ")),
            };
            return Err(Error::new(ErrorKind::Invalid, message).hint(hint));
        };
        (known.check)(value).map_err(|reason| {
            let message = format!("`{value}` can't be the value of `{key}`: {reason}");
            Error::new(ErrorKind::Invalid, message)
        })?;
    }
    Ok(())
}

/// Parameters by name, as the user set them; unset ones are absent.
pub type Parameters = BTreeMap<String, String>;

/// What a kind keeps beside the vectors: named arrays of bytes, each a section of the index's file.
pub type Sections = BTreeMap<String, Slab<u8>>;

/// What an index is made from, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The rows.
    pub vectors: &'a Matrix,
    /// The metric of searches.
    pub metric: Metric,
    /// What the user set.
    pub parameters: &'a Parameters,
    /// A folder for a kind that keeps files of its own: empty at the build, and later wherever the
    /// index is. `None`: there is no place for files.
    pub folder: Option<&'a Path>,
    /// A name that no other index has, the same at each build, for a kind that keeps something
    /// elsewhere: up to 40 letters and digits. `None`: the index is none of a database's.
    pub name: Option<&'a str>,
}

/// An earlier build of an index, which has become too different from the rows.
#[derive(Debug, Clone, Copy)]
pub struct Previous<'a> {
    /// What it made.
    pub sections: &'a Sections,
    /// The folder with its files, which other processes may be reading; `None`: the kind kept none.
    pub folder: Option<&'a Path>,
    /// How many rows it had.
    pub rows: usize,
    /// For each row of now, the row of then that it is: same key, same vector.
    pub same: &'a [Option<u32>],
}

/// Builds of an index that are no longer needed.
#[derive(Debug, Clone, Copy)]
pub struct Gone<'a> {
    /// Folders with files of theirs, or copies; those of builds that were cut may hold anything.
    pub folders: &'a [PathBuf],
    /// The folder of the build that stays in use, if there is one.
    pub kept: Option<&'a Path>,
    /// What the user set.
    pub parameters: &'a Parameters,
    /// What a build of this index made, where that is known.
    pub made: Option<&'a Sections>,
}

/// How [`Kind::release`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// Nothing is left elsewhere.
    Done,
    /// Something is, for this reason, and the folders may help to remove it later.
    NotYet(String),
    /// Something is, for this reason, and will stay.
    Never(String),
}

/// A way of indexing vectors.
pub trait Kind: Sync + Send {
    /// The name users type.
    fn name(&self) -> &str;

    /// One line for help texts.
    fn about(&self) -> &str;

    /// Whether [`Index::candidates`] always holds the true nearest rows.
    fn is_exact(&self) -> bool;

    /// The parameters that `--set` accepts.
    fn parameters(&self) -> &'static [Parameter];

    /// Parameter sets that trade recall for speed in [`Kind::open`] alone, so without building anew;
    /// `compare` sweeps them on top of the user's. Exact kinds have one, the empty set.
    fn sweep(&self) -> Vec<Parameters> {
        vec![Parameters::new()]
    }

    /// Whether an index of this metric can be made with what a user set.
    ///
    /// # Errors
    /// `Invalid`, with what there is or the reason; for a plugin also `Plugin`.
    fn check(&self, metric: Metric, set: &Parameters) -> Result<()> {
        let _ = metric;
        check_parameters(self.parameters(), self.name(), set)
    }

    /// Builds the structure over `vectors`; the sections are stored and handed to [`Kind::open`].
    ///
    /// Every row is finite and, under cosine, not zero.
    ///
    /// # Errors
    /// `Invalid` for parameters that can't be used, `Cancelled` when `observer` says so.
    fn build(
        &self,
        vectors: &Matrix,
        metric: Metric,
        parameters: &Parameters,
        observer: &dyn Observer,
    ) -> Result<Sections>;

    /// Opens what [`Kind::build`] made. Must be cheap: it runs once per process and search.
    ///
    /// # Errors
    /// `Damaged` when the sections don't fit the vectors. Sections may come from a hostile file:
    /// everything that is later used as a position must be checked here or at its use.
    fn open(
        &self,
        vectors: Matrix,
        metric: Metric,
        parameters: &Parameters,
        sections: &Sections,
    ) -> Result<Box<dyn Index>>;

    /// [`Kind::build`], for kinds that keep files of their own.
    ///
    /// # Errors
    /// As [`Kind::build`].
    fn build_in(&self, job: &Job<'_>, observer: &dyn Observer) -> Result<Sections> {
        self.build(job.vectors, job.metric, job.parameters, observer)
    }

    /// [`Kind::build_in`] from an earlier build, at a cost that follows the changes but for looking
    /// at all rows; `None` where it can't, and then the folder is as empty as it was.
    ///
    /// # Errors
    /// As [`Kind::build`].
    fn update_in(
        &self,
        job: &Job<'_>,
        previous: &Previous<'_>,
        observer: &dyn Observer,
    ) -> Result<Option<Sections>> {
        let _ = (job, previous, observer);
        Ok(None)
    }

    /// Whether [`Kind::update_in`] can do anything.
    fn updates(&self) -> bool {
        false
    }

    /// What is left to do elsewhere once the index is the one that is searched. Returns what the
    /// user should know of what could not be done.
    ///
    /// # Errors
    /// `Cancelled`.
    fn settle(
        &self,
        job: &Job<'_>,
        sections: &Sections,
        observer: &dyn Observer,
    ) -> Result<Option<String>> {
        let _ = (job, sections, observer);
        Ok(None)
    }

    /// Whether files of builds may refer to something elsewhere, for [`Kind::release`] to remove.
    /// `made` is as in [`Gone`].
    fn keeps_elsewhere(&self, made: Option<&Sections>) -> bool {
        let _ = made;
        false
    }

    /// Removes what builds keep elsewhere that are no longer needed, before their folders go.
    fn release(&self, gone: &Gone<'_>, observer: &dyn Observer) -> Released {
        let _ = (gone, observer);
        Released::Done
    }

    /// Removes what the kind keeps elsewhere for an index, whose [`Job::name`] this is. Returns what
    /// the user should know of what could not be done.
    ///
    /// # Errors
    /// None of the kinds there are: an index that can't be removed there can be removed here.
    fn forget(&self, name: &str, parameters: &Parameters) -> Result<Option<String>> {
        let _ = (name, parameters);
        Ok(None)
    }

    /// [`Kind::open`], for kinds that keep files of their own.
    ///
    /// # Errors
    /// As [`Kind::open`].
    fn open_in(&self, job: &Job<'_>, sections: &Sections) -> Result<Box<dyn Index>> {
        self.open(job.vectors.clone(), job.metric, job.parameters, sections)
    }

    /// Checks every byte of the files that a kind keeps beside its sections. O(bytes).
    ///
    /// # Errors
    /// `Damaged`.
    fn verify_in(&self, job: &Job<'_>, sections: &Sections) -> Result<()> {
        let _ = (job, sections);
        Ok(())
    }
}

/// An opened index.
pub trait Index: Send + Sync {
    /// Rows among which the `k` closest to `query` are, in no particular order and without repeats.
    ///
    /// `allowed`, where given, has a bit for every row, and only rows whose bit is set may be
    /// returned. An exact kind returns every row that could be among the `k` closest, so also all
    /// that tie with the k-th; an approximate one returns the rows it found (more than `k` lets the
    /// exact re-ranking mend small errors). `k` may exceed the number of rows.
    ///
    /// # Errors
    /// `Cancelled` when `observer` says so; `Damaged` when a hostile file misled it.
    fn candidates(
        &self,
        query: &Query,
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<u32>>;

    /// [`Index::candidates`] for several queries; kinds that gain from batches override it.
    ///
    /// # Errors
    /// As [`Index::candidates`].
    fn candidates_batch(
        &self,
        queries: &[Query],
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<u32>>> {
        queries.iter().map(|query| self.candidates(query, k, allowed, observer)).collect()
    }

    /// [`Index::candidates_batch`] with their exact scores: closest first, ties by row number, and
    /// more than `k` where there are more candidates. `vectors` are the rows that were indexed;
    /// scores are shared among the threads of the current pool.
    ///
    /// # Errors
    /// As [`Index::candidates`].
    fn nearest_batch(
        &self,
        queries: &[Query],
        vectors: &Matrix,
        k: usize,
        allowed: Option<&FixedBitSet>,
        observer: &dyn Observer,
    ) -> Result<Vec<Vec<Neighbor>>> {
        use rayon::prelude::*;
        let found = self.candidates_batch(queries, k, allowed, observer)?;
        let pairs = queries.par_iter().zip(&found);
        Ok(pairs.map(|(query, rows)| nearest(query, vectors, rows, rows.len())).collect())
    }

    /// Facts about the structure for `index show`: (label, value).
    fn facts(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Whether [`Index::candidates`] always holds the true nearest rows.
    fn is_exact(&self) -> bool {
        false
    }

    /// What a kind that picks among others picked, and why.
    fn picked(&self) -> Option<String> {
        None
    }
}
