//! Indexes over bare vectors: no SQLite, ids are numbers.
//!
//! [`Vectors`] does everything; [`Flat`] and [`Graph`] are it with the kind known when compiling.

use std::ops::{Deref, DerefMut};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::index::{self, Kind, Parameters};
use crate::kernels::Kernels;
use crate::matrix::Matrix;
use crate::observe::Silent;
use crate::types::Metric;

mod file;
mod layer;
mod places;
mod vectors;

pub(crate) use layer::check_rows;
pub use vectors::{Ids, Recipe, Vectors};

/// An exact index over vectors in memory: the answer of a float64 scan, several times faster than
/// a float32 one.
///
/// ```
/// use simdex::{Flat, Metric};
///
/// let rows = [1.0, 0.0, /**/ 0.0, 1.0, /**/ 0.6, 0.8];
/// let mut index = Flat::build(&rows, 2, Metric::Cosine)?;
/// let nearest = index.search(&[0.0, 2.0], 2)?;
/// assert_eq!([nearest[0].id, nearest[1].id], [1, 2]);
///
/// // Rows come and go.
/// assert_eq!(index.add(&[0.0, 5.0])?, 3..4);
/// index.remove(&[1])?;
/// assert_eq!(index.search(&[0.0, 2.0], 1)?[0].id, 3);
///
/// // A file is mapped, not read.
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors.simdex");
/// index.save(&path)?;
/// let again = Flat::open(&path)?;
/// assert_eq!(again.search(&[1.0, 0.0], 3)?, index.search(&[1.0, 0.0], 3)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Searches use the current rayon pool: install one of one thread to search on one thread.
#[derive(Debug)]
pub struct Flat(Vectors);

/// An approximate index over vectors in memory: far fewer comparisons than rows. Which rows it
/// finds is approximate, never what they score.
///
/// ```
/// use simdex::index::Parameters;
/// use simdex::{Graph, Metric};
///
/// let rows: Vec<f32> = (0..2000).map(|i| (i as f32 * 0.7).sin()).collect();
/// let mut index = Graph::build(&rows, 4, Metric::L2, &Parameters::new())?;
/// let nearest = index.search(&rows[40..44], 3)?;
/// assert_eq!((nearest[0].id, nearest[0].score), (10, 0.0));
///
/// // More of the true nearest, or faster, without building anew.
/// index.set("recall", "0.99")?;
/// assert_eq!(index.search_batch(&rows[40..48], 3)?.len(), 2);
/// # Ok::<(), simdex::Error>(())
/// ```
///
/// Searches use the current rayon pool: install one of one thread to search on one thread.
#[derive(Debug)]
pub struct Graph(Vectors);

impl Flat {
    /// Copies and indexes `vectors` (n × `dim`, row-major); ids are row numbers. O(n · dim).
    ///
    /// # Errors
    /// `Invalid` when the length is not a multiple of `dim`, or a row is not finite or, under
    /// cosine, zero.
    pub fn build(vectors: &[f32], dim: usize, metric: Metric) -> Result<Self> {
        Self::from_matrix(Matrix::from_slice(vectors, dim)?, metric)
    }

    /// [`Flat::build`] without the copy.
    ///
    /// # Errors
    /// As [`Flat::build`].
    pub fn from_matrix(vectors: Matrix, metric: Metric) -> Result<Self> {
        let recipe = recipe(&index::flat::Flat, metric, &Parameters::new());
        Vectors::build(recipe, vectors, Ids::RowNumbers, &Silent).map(Self)
    }

    /// Maps a file that [`Vectors::save`] wrote. O(1): see [`Vectors::open`].
    ///
    /// # Errors
    /// As [`Vectors::open`]; `Invalid` when it holds another kind.
    pub fn open(path: &Path) -> Result<Self> {
        open(path, &index::flat::Flat).map(Self)
    }

    /// The same index on another instruction set, for tests and measurements; rows added later are
    /// searched as ever.
    #[must_use]
    pub fn with_kernels(self, kernels: Kernels) -> Self {
        Self(self.0.with_kernels(kernels))
    }
}

impl Graph {
    /// Copies and indexes `vectors` (n × `dim`, row-major); ids are row numbers. `parameters` are
    /// those of `--set`, such as `recall`. O(n · log n · dim) or thereabouts.
    ///
    /// # Errors
    /// `Invalid` when the length is not a multiple of `dim`, a row is not finite or, under cosine,
    /// zero, or a parameter can't be used.
    pub fn build(
        vectors: &[f32],
        dim: usize,
        metric: Metric,
        parameters: &Parameters,
    ) -> Result<Self> {
        Self::from_matrix(Matrix::from_slice(vectors, dim)?, metric, parameters)
    }

    /// [`Graph::build`] without the copy.
    ///
    /// # Errors
    /// As [`Graph::build`].
    pub fn from_matrix(vectors: Matrix, metric: Metric, parameters: &Parameters) -> Result<Self> {
        let recipe = recipe(&index::graph::Graph, metric, parameters);
        Vectors::build(recipe, vectors, Ids::RowNumbers, &Silent).map(Self)
    }

    /// Maps a file that [`Vectors::save`] wrote. O(1): see [`Vectors::open`].
    ///
    /// # Errors
    /// As [`Vectors::open`]; `Invalid` when it holds another kind.
    pub fn open(path: &Path) -> Result<Self> {
        open(path, &index::graph::Graph).map(Self)
    }
}

fn recipe(kind: &dyn Kind, metric: Metric, parameters: &Parameters) -> Recipe {
    Recipe { kind: kind.name().to_owned(), metric, parameters: parameters.clone() }
}

fn open(path: &Path, kind: &dyn Kind) -> Result<Vectors> {
    let vectors = Vectors::open(path)?;
    let found = &vectors.recipe().kind;
    if found != kind.name() {
        let message = format!("the file holds an index of kind `{found}`, not `{}`", kind.name());
        let error = Error::new(ErrorKind::Invalid, message).with("path", path.display());
        return Err(error.hint("Vectors::open takes every kind"));
    }
    Ok(vectors)
}

impl Deref for Flat {
    type Target = Vectors;

    fn deref(&self) -> &Vectors {
        &self.0
    }
}

impl DerefMut for Flat {
    fn deref_mut(&mut self) -> &mut Vectors {
        &mut self.0
    }
}

impl Deref for Graph {
    type Target = Vectors;

    fn deref(&self) -> &Vectors {
        &self.0
    }
}

impl DerefMut for Graph {
    fn deref_mut(&mut self) -> &mut Vectors {
        &mut self.0
    }
}
