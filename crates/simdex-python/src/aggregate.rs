//! Aggregates of SQL: the rows of a query, closest first.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use simdex::Metric;
use simdex::kernels::Kernels;
use simdex::search::closest::Closest;
use simdex::search::query::Query;
use simdex::search::score::exact_score;
use simdex::store::blob;
use simdex::store::connection::ValueRef;

use crate::blob::floats;
use crate::failure::raise;

/// One use of an aggregate function: SQLite calls `step` with each row, then `finalize`.
///
/// A row costs O(dim); of all rows only the `k` closest are kept.
#[pyclass(module = "simdex._native")]
pub(crate) struct Aggregate {
    /// (query, k, options) → (blob, k, scoring), or `None` where the result is NULL.
    prepare: Py<PyAny>,
    /// (ids, scores) → the result.
    finish: Py<PyAny>,
    /// Hears of every error: SQLite hides them.
    report: Py<PyAny>,
    state: State,
}

enum State {
    New,
    Null,
    Running(Box<Running>),
}

struct Running {
    query: Query,
    /// Whether distances are faiss's.
    scoring: Scoring,
    closest: Closest<(Py<PyAny>, f64)>,
}

#[derive(Clone, Copy)]
enum Scoring {
    Faiss(Kernels),
    Exact,
}

#[pymethods]
impl Aggregate {
    #[new]
    fn new(prepare: Py<PyAny>, finish: Py<PyAny>, report: Py<PyAny>) -> Self {
        Self { prepare, finish, report, state: State::New }
    }

    #[pyo3(signature = (id, embedding, query, k, options=None))]
    fn step(
        &mut self,
        id: Bound<'_, PyAny>,
        embedding: &Bound<'_, PyAny>,
        query: &Bound<'_, PyAny>,
        k: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if let State::New = self.state {
            let begun = self.begin(query, k, options);
            self.state = self.told(query.py(), begun)?;
        }
        if let State::Running(running) = &mut self.state {
            running.take(id, embedding);
        }
        Ok(())
    }

    fn finalize(&mut self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let State::Running(running) = std::mem::replace(&mut self.state, State::Null) else {
            return Ok(None);
        };
        let found = running.closest.finish();
        let (ids, scores): (Vec<_>, Vec<_>) = found.into_iter().map(|(row, _)| row).unzip();
        let finished = self.finish.call1(py, (ids, scores));
        self.told(py, finished).map(Some)
    }
}

impl Aggregate {
    fn begin(
        &self,
        query: &Bound<'_, PyAny>,
        k: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<State> {
        let py = query.py();
        let prepared = self.prepare.bind(py).call1((query, k, options))?;
        if prepared.is_none() {
            return Ok(State::Null);
        }
        let (vector, k, scoring): (Bound<'_, PyBytes>, usize, String) =
            prepared.cast_into::<PyTuple>()?.extract()?;
        let (metric, scoring) = match scoring.as_str() {
            "faiss" => (Metric::L2, Scoring::Faiss(Kernels::detect())),
            metric => (metric.parse().map_err(raise)?, Scoring::Exact),
        };
        let query = Query::from_f32(&floats(vector.as_bytes())?, metric).map_err(raise)?;
        let closest = Closest::new(k);
        Ok(State::Running(Box::new(Running { query, scoring, closest })))
    }

    fn told<T>(&self, py: Python<'_>, result: PyResult<T>) -> PyResult<T> {
        result.inspect_err(|error| {
            // What the listener raises is no reason to lose the error itself.
            let _ = self.report.call1(py, (error.value(py),));
        })
    }
}

impl Running {
    /// Takes a row; one that can't be compared is left out.
    fn take(&mut self, id: Bound<'_, PyAny>, embedding: &Bound<'_, PyAny>) {
        let Ok(embedding) = embedding.cast::<PyBytes>() else { return };
        let (query, metric) = (&self.query, self.query.metric());
        let Ok(bytes) = blob::check(ValueRef::Blob(embedding.as_bytes()), metric) else { return };
        if bytes.len() != query.dim() * 4 {
            return;
        }
        let row = blob::decode(bytes);
        let score = match self.scoring {
            Scoring::Faiss(kernels) => query.distance_of_faiss(kernels, &row),
            Scoring::Exact => exact_score(query, &row),
        };
        let distance = if metric == Metric::L2 { score } else { -score };
        if self.closest.admits(distance) {
            self.closest.push(distance, (id.unbind(), score));
        }
    }
}
