//! The engine on one database.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pythonize::pythonize;
use serde::Serialize;
use simdex::Engine;
use simdex::engine::api::*;
use simdex::observe::Silent;

use crate::answer::Match;
use crate::connection::PythonConnect;
use crate::failure::raise;
use crate::observer;
use crate::options::{Contest, Creation, Query};

/// A database and its indexes. The package's `Database` is the one for people.
#[pyclass(frozen, module = "simdex._native")]
pub(crate) struct Database {
    engine: Arc<Engine>,
}

impl Database {
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
}

#[pymethods]
impl Database {
    /// `connect` opens connections: path → (connection, whether it is immutable).
    #[new]
    fn new(path: PathBuf, index_dir: Option<PathBuf>, connect: Py<PyAny>) -> PyResult<Self> {
        let location = Location { database: path, index_dir };
        let connect = Arc::new(PythonConnect { connect });
        Ok(Self { engine: Arc::new(Engine::over(location, connect).map_err(raise)?) })
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.engine.location().database.clone()
    }

    fn collections<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let found = observer::run(py, None, |watch| self.engine.collections(watch))?;
        plain(py, &found)
    }

    fn indexes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let found = py.detach(|| self.engine.indexes()).map_err(raise)?;
        plain(py, &found)
    }

    fn index<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let found = py.detach(|| self.engine.index(name)).map_err(raise)?;
        plain(py, &found)
    }

    fn define<'py>(&self, py: Python<'py>, creation: Creation) -> PyResult<Bound<'py, PyAny>> {
        let new = creation.request()?;
        let defined = py.detach(|| self.engine.define(new)).map_err(raise)?;
        plain(py, &defined)
    }

    fn build<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let report = observer::run(py, progress, |watch| self.engine.build(name, watch))?;
        plain(py, &report)
    }

    fn refresh<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let report = observer::run(py, progress, |watch| self.engine.refresh(name, watch))?;
        plain(py, &report)
    }

    fn verify<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let found = observer::run(py, progress, |watch| self.engine.verify(name, watch))?;
        plain(py, &found)
    }

    fn drop_index(&self, py: Python<'_>, name: &str) -> PyResult<Vec<String>> {
        py.detach(|| self.engine.drop_index(name)).map_err(raise)
    }

    fn set_default(
        &self,
        py: Python<'_>,
        name: &str,
        collections: Vec<String>,
    ) -> PyResult<Vec<String>> {
        py.detach(|| self.engine.set_default(name, &collections)).map_err(raise)
    }

    fn clear_default(&self, py: Python<'_>, collection: &str) -> PyResult<Option<String>> {
        py.detach(|| self.engine.clear_default(collection)).map_err(raise)
    }

    /// The default index of a collection; reads the definitions only.
    fn default_of(&self, py: Python<'_>, collection: &str) -> PyResult<Option<String>> {
        py.detach(|| self.engine.default_of(collection)).map_err(raise)
    }

    /// The rows found, how, and notices.
    fn search<'py>(
        &self,
        py: Python<'py>,
        query: Query<'py>,
    ) -> PyResult<(Vec<Match>, Bound<'py, PyAny>, Vec<String>)> {
        let request = query.request()?;
        let answer = match is_quick(&request) {
            true => py.detach(|| self.engine.search(&request, &Silent)).map_err(raise)?,
            false => observer::run(py, None, |watch| self.engine.search(&request, watch))?,
        };
        let found = answer.matches.into_iter().map(|found| Match::new(py, found));
        Ok((found.collect::<PyResult<_>>()?, plain(py, &answer.plan)?, answer.notices))
    }

    /// The model whose vectors a collection or, without one, an index holds.
    fn model(
        &self,
        py: Python<'_>,
        collection: Option<String>,
        index: Option<String>,
    ) -> PyResult<Option<String>> {
        let target = match (collection, index) {
            (Some(collection), _) => Target::Collection(collection, Through::Exact),
            (None, index) => Target::Index(index.unwrap_or_default()),
        };
        py.detach(|| self.engine.model(&target)).map_err(raise)
    }

    fn compare<'py>(
        &self,
        py: Python<'py>,
        contest: Contest,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let request = contest.request();
        let found = observer::run(py, progress, |watch| self.engine.compare(&request, watch))?;
        plain(py, &found)
    }
}

/// Whether a search runs SQL of the user's, which may take any time.
fn is_quick(request: &SearchRequest) -> bool {
    request.filter.condition.is_none() && request.filter.ids.is_none()
}

/// Plain dicts, lists, strings and numbers.
fn plain<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    Ok(pythonize(py, value)?)
}
