//! Bare vectors: indexes without SQLite.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rayon::{ThreadPool, ThreadPoolBuilder};
use simdex::bare::{Ids, Recipe, Vectors as Index};

use crate::failure::{InvalidError, SimdexError, raise};
use crate::{observer, vectors};

/// (ids, scores): int64 and float64, native order, row-major.
type Table<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// Vectors under an index of any kind. The package's `Flat` and `Graph` are the ones for people.
#[pyclass(frozen, module = "simdex._native")]
pub(crate) struct Vectors {
    index: RwLock<Index>,
    /// `None`: as many threads as there are processors.
    pool: Option<ThreadPool>,
}

#[pymethods]
impl Vectors {
    #[staticmethod]
    #[pyo3(signature = (rows, ids, recipe, threads, progress))]
    fn build(
        py: Python<'_>,
        rows: &Bound<'_, PyAny>,
        ids: Option<Vec<u64>>,
        recipe: (String, String, BTreeMap<String, String>),
        threads: Option<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let (kind, metric, parameters) = recipe;
        let recipe = Recipe { kind, metric: metric.parse().map_err(raise)?, parameters };
        let rows = vectors::many(rows)?;
        let pool = pool(threads)?;
        let ids = ids.as_deref().map_or(Ids::RowNumbers, Ids::Given);
        let index = observer::run(py, progress, |watch| {
            install(pool.as_ref(), || Index::build(recipe, rows, ids, watch))
        })?;
        Ok(Self { index: RwLock::new(index), pool })
    }

    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf, threads: Option<usize>) -> PyResult<Self> {
        let index = py.detach(|| Index::open(&path)).map_err(raise)?;
        Ok(Self { index: RwLock::new(index), pool: pool(threads)? })
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.read().save(&path)).map_err(raise)
    }

    fn verify(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.read().verify()).map_err(raise)
    }

    fn __len__(&self) -> usize {
        self.read().len()
    }

    #[getter]
    fn dim(&self) -> usize {
        self.read().dim()
    }

    #[getter]
    fn metric(&self) -> &'static str {
        self.read().metric().name()
    }

    #[getter]
    fn kind(&self) -> String {
        self.read().recipe().kind.clone()
    }

    #[getter]
    fn facts(&self) -> Vec<(String, String)> {
        self.read().facts()
    }

    /// Adds rows; the ids they got.
    fn add(
        &self,
        py: Python<'_>,
        rows: &Bound<'_, PyAny>,
        ids: Option<Vec<u64>>,
    ) -> PyResult<Vec<u64>> {
        let rows = vectors::many(rows)?;
        self.check_size(&rows)?;
        let added = py.detach(|| {
            install(self.pool.as_ref(), || {
                let mut index = self.write();
                match ids {
                    Some(ids) => index.add_with_ids(rows.values(), &ids).map(|()| ids),
                    None => index.add(rows.values()).map(Iterator::collect),
                }
            })
        });
        added.map_err(raise)
    }

    /// Removes rows; how many there were.
    fn remove(&self, py: Python<'_>, ids: Vec<u64>) -> PyResult<usize> {
        py.detach(|| install(self.pool.as_ref(), || self.write().remove(&ids))).map_err(raise)
    }

    fn set(&self, py: Python<'_>, name: &str, value: &str) -> PyResult<()> {
        py.detach(|| self.write().set(name, value)).map_err(raise)
    }

    /// (id, score), closest first.
    fn search(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        k: usize,
    ) -> PyResult<Vec<(u64, f64)>> {
        let query = vectors::one(query)?;
        let found = py.detach(|| install(self.pool.as_ref(), || self.read().search(&query, k)));
        Ok(found.map_err(raise)?.into_iter().map(|hit| (hit.id, hit.score)).collect())
    }

    /// The number of queries, and `min(k, n)` results for each of them.
    fn search_batch<'py>(
        &self,
        py: Python<'py>,
        queries: &Bound<'py, PyAny>,
        k: usize,
    ) -> PyResult<(usize, Table<'py>)> {
        let queries = vectors::many(queries)?;
        self.check_size(&queries)?;
        let found = py.detach(|| {
            install(self.pool.as_ref(), || self.read().search_batch(queries.values(), k))
        });
        let found = found.map_err(raise)?;
        let all = || found.iter().flatten();
        let ids: Vec<u8> = all().flat_map(|hit| hit.id.to_ne_bytes()).collect();
        let scores: Vec<u8> = all().flat_map(|hit| hit.score.to_ne_bytes()).collect();
        Ok((found.len(), (PyBytes::new(py, &ids), PyBytes::new(py, &scores))))
    }
}

impl Vectors {
    // A panic elsewhere leaves the vectors as they were: changes are made whole.
    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_size(&self, rows: &simdex::matrix::Matrix) -> PyResult<()> {
        let (found, expected) = (rows.dim(), self.read().dim());
        if found == expected || rows.rows() == 0 {
            return Ok(());
        }
        Err(InvalidError::new_err(format!("vectors of {found} dimensions, expected {expected}")))
    }
}

fn pool(threads: Option<usize>) -> PyResult<Option<ThreadPool>> {
    let Some(threads) = threads else { return Ok(None) };
    let pool = ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
    pool.map(Some).map_err(|error| SimdexError::new_err(error.to_string()))
}

fn install<T: Send>(pool: Option<&ThreadPool>, work: impl FnOnce() -> T + Send) -> T {
    match pool {
        Some(pool) => pool.install(work),
        None => work(),
    }
}
