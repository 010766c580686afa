//! Indexes over bare vectors: rows in memory, numbered from 0, without SQLite.

use rayon::prelude::*;

use crate::error::{Error, ErrorKind, Result};
use crate::index::flat::{self, FlatIndex};
use crate::index::{Index, Kind, Parameters};
use crate::kernels::Kernels;
use crate::matrix::Matrix;
use crate::observe::Silent;
use crate::search::query::Query;
use crate::search::rerank::nearest;
use crate::types::{Metric, Neighbor};

/// An exact index over vectors in memory: the answer of a float64 scan, several times faster than
/// a float32 one.
///
/// ```
/// use simdex::{Flat, Metric};
///
/// let rows = [1.0, 0.0, /**/ 0.0, 1.0, /**/ 0.6, 0.8];
/// let index = Flat::build(&rows, 2, Metric::Cosine)?;
/// let nearest = index.search(&[0.0, 2.0], 2)?;
/// assert_eq!(nearest[0].row, 1);
/// assert_eq!(nearest[1].row, 2);
/// # Ok::<(), simdex::Error>(())
/// ```
///
/// Searches use the current rayon pool: install one of one thread to search on one thread.
pub struct Flat {
    index: FlatIndex,
}

impl Flat {
    /// Copies and indexes `vectors` (n × `dim`, row-major). O(n · dim).
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
        check_rows(&vectors, metric)?;
        let sections = flat::Flat.build(&vectors, metric, &Parameters::new(), &Silent)?;
        let index = FlatIndex::open(Kernels::detect(), vectors, metric, &sections)?;
        Ok(Self { index })
    }

    /// The same index on another instruction set, for tests and measurements.
    #[must_use]
    pub fn with_kernels(self, kernels: Kernels) -> Self {
        Self { index: self.index.with_kernels(kernels) }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.index.vectors().rows()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of dimensions.
    pub fn dim(&self) -> usize {
        self.index.vectors().dim()
    }

    /// The metric.
    pub fn metric(&self) -> Metric {
        self.index.metric()
    }

    /// Facts about the structure: (label, value).
    pub fn facts(&self) -> Vec<(String, String)> {
        self.index.facts()
    }

    /// The `k` rows closest to `query`, closest first, ties by row number; fewer where there are
    /// fewer rows. O(n · dim).
    ///
    /// # Errors
    /// `Invalid` when the query has another number of dimensions, is not finite or, under cosine,
    /// is zero.
    pub fn search(&self, query: &[f32], k: usize) -> Result<Vec<Neighbor>> {
        let query = Query::from_f32(query, self.metric())?;
        let rows = self.index.candidates(&query, k, None, &Silent)?;
        Ok(nearest(&query, self.index.vectors(), &rows, k))
    }

    /// [`Flat::search`] for several queries (q × `dim`, row-major), which share each pass over
    /// the rows.
    ///
    /// # Errors
    /// As [`Flat::search`].
    pub fn search_batch(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<Neighbor>>> {
        if !queries.len().is_multiple_of(self.dim()) {
            let message = format!("{} values are not queries of {}", queries.len(), self.dim());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let queries: Vec<Query> = queries
            .chunks(self.dim())
            .map(|query| Query::from_f32(query, self.metric()))
            .collect::<Result<_>>()?;
        let found = self.index.candidates_batch(&queries, k, None, &Silent)?;
        let vectors = self.index.vectors();
        let pairs = queries.par_iter().zip(&found);
        Ok(pairs.map(|(query, rows)| nearest(query, vectors, rows, k)).collect())
    }
}

impl std::fmt::Debug for Flat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flat({} × {}, {})", self.len(), self.dim(), self.metric())
    }
}

/// Refuses rows that have no score.
pub(crate) fn check_rows(vectors: &Matrix, metric: Metric) -> Result<()> {
    for (number, row) in vectors.values().chunks(vectors.dim()).enumerate() {
        let fault = if !row.iter().all(|value| value.is_finite()) {
            "holds a value that is not finite"
        } else if metric == Metric::Cosine && row.iter().all(|&value| value == 0.0) {
            "is zero, which has no cosine similarity to anything"
        } else {
            continue;
        };
        return Err(Error::new(ErrorKind::Invalid, format!("row {number} {fault}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closest_first_and_ties_by_row() {
        let index = Flat::build(&[3.0, 1.0, 1.0, -1.0, 1.0], 1, Metric::L2).unwrap();
        let rows = |k| index.search(&[0.0], k).unwrap().iter().map(|n| n.row).collect::<Vec<_>>();
        assert_eq!(rows(3), [1, 2, 3]);
        assert_eq!(rows(9), [1, 2, 3, 4, 0]);
        assert_eq!(index.search(&[2.5], 1).unwrap(), [Neighbor { row: 0, score: 0.25 }]);
        let batch = index.search_batch(&[0.0, 2.5], 1).unwrap();
        assert_eq!((batch[0][0].row, batch[1][0].row), (1, 0));
    }

    #[test]
    fn what_has_no_score_is_refused() {
        let message = |result: Result<Flat>| result.unwrap_err().to_string();
        let zero = Flat::build(&[1.0, 0.0, 0.0, 0.0], 2, Metric::Cosine);
        assert_eq!(message(zero), "row 1 is zero, which has no cosine similarity to anything");
        let nan = Flat::build(&[f32::NAN], 1, Metric::Dot);
        assert_eq!(message(nan), "row 0 holds a value that is not finite");
        let index = Flat::build(&[1.0, 2.0], 2, Metric::Dot).unwrap();
        assert!(index.search(&[1.0], 1).is_err());
        assert!(index.search_batch(&[1.0, 2.0, 3.0], 1).is_err());
    }
}
