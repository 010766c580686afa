//! Kinds of index: structures that find candidate rows for a query among immutable vectors.
//!
//! An index never sees SQLite. It proposes *candidates*; the `search` room recomputes their scores
//! exactly and ranks them, so a kind decides which rows are found and never what they score.
//!
//! To add a kind: one file with a type that implements [`Kind`], and one line in [`KINDS`]. The
//! command line's choices, the contract tests and the benchmarks iterate that list.

use std::collections::BTreeMap;

use fixedbitset::FixedBitSet;

use crate::error::{Error, ErrorKind, Result};
use crate::matrix::{Matrix, Slab};
use crate::observe::Observer;
use crate::search::query::Query;
use crate::types::Metric;

pub mod flat;
pub mod graph;

/// Every built-in kind, in the order they are offered.
pub const KINDS: &[&dyn Kind] = &[&flat::Flat, &graph::Graph];

/// Finds a kind by name.
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

/// Checks what a user set against the parameters of a kind.
///
/// # Errors
/// `Invalid`, with the parameters there are or the reason.
pub fn check_parameters(kind: &dyn Kind, set: &Parameters) -> Result<()> {
    for (name, value) in set {
        let Some(known) = kind.parameters().iter().find(|known| known.name == name) else {
            let names: Vec<_> = kind.parameters().iter().map(|known| known.name).collect();
            let message = format!("kind `{}` has no parameter `{name}`", kind.name());
            let hint = match names.is_empty() {
                true => "it has none".to_owned(),
                false => format!("it has: {}", names.join(", ")),
            };
            return Err(Error::new(ErrorKind::Invalid, message).hint(hint));
        };
        (known.check)(value).map_err(|reason| {
            let message = format!("`{value}` can't be the value of `{name}`: {reason}");
            Error::new(ErrorKind::Invalid, message)
        })?;
    }
    Ok(())
}

/// Parameters by name, as the user set them; unset ones are absent.
pub type Parameters = BTreeMap<String, String>;

/// What a kind keeps beside the vectors: named arrays of bytes, each a section of the index's file.
pub type Sections = BTreeMap<String, Slab<u8>>;

/// A way of indexing vectors.
pub trait Kind: Sync + Send {
    /// The name users type.
    fn name(&self) -> &'static str;

    /// One line for help texts.
    fn about(&self) -> &'static str;

    /// Whether [`Index::candidates`] always holds the true nearest rows.
    fn is_exact(&self) -> bool;

    /// The parameters that `--set` accepts.
    fn parameters(&self) -> &'static [Parameter];

    /// Parameter sets that trade recall for speed in [`Kind::open`] alone, so without building anew;
    /// `compare` sweeps them on top of the user's. Exact kinds have one, the empty set.
    fn sweep(&self) -> Vec<Parameters> {
        vec![Parameters::new()]
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

    /// Facts about the structure for `index show`: (label, value).
    fn facts(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}
