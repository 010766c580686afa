//! Bare vectors: an exact index without SQLite.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use simdex::{Flat as Index, Metric};

use crate::failure::raise;
use crate::vectors;

/// An exact index over rows in memory.
#[pyclass(frozen, module = "simdex._native")]
pub(crate) struct Flat {
    index: Index,
}

#[pymethods]
impl Flat {
    #[new]
    fn new(py: Python<'_>, rows: &Bound<'_, PyAny>, metric: &str) -> PyResult<Self> {
        let metric: Metric = metric.parse().map_err(raise)?;
        let rows = vectors::many(rows)?;
        let index = py.detach(|| Index::from_matrix(rows, metric)).map_err(raise)?;
        Ok(Self { index })
    }

    fn __len__(&self) -> usize {
        self.index.len()
    }

    #[getter]
    fn dim(&self) -> usize {
        self.index.dim()
    }

    #[getter]
    fn metric(&self) -> &'static str {
        self.index.metric().name()
    }

    /// (row, score), closest first.
    fn search(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        k: usize,
    ) -> PyResult<Vec<(u32, f64)>> {
        let query = vectors::one(query)?;
        let found = py.detach(|| self.index.search(&query, k)).map_err(raise)?;
        Ok(found.into_iter().map(|neighbor| (neighbor.row, neighbor.score)).collect())
    }

    /// Rows as int64 and scores as float64, min(k, n) for each query, as bytes.
    fn search_batch<'py>(
        &self,
        py: Python<'py>,
        queries: &Bound<'_, PyAny>,
        k: usize,
    ) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let queries = vectors::many(queries)?;
        let found = py.detach(|| self.index.search_batch(queries.values(), k)).map_err(raise)?;
        let all = || found.iter().flatten();
        let rows: Vec<u8> = all().flat_map(|n| i64::from(n.row).to_ne_bytes()).collect();
        let scores: Vec<u8> = all().flat_map(|n| n.score.to_ne_bytes()).collect();
        Ok((PyBytes::new(py, &rows), PyBytes::new(py, &scores)))
    }
}
