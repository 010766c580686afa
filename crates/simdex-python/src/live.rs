//! An index kept open, as the functions that a host offers in its SQL search it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};
use simdex::engine::live::{Live as Engine, LiveRequest, Scoring};
use simdex::observe::Observer;
use simdex::store::Id;

use crate::answer::id_to_python;
use crate::blob::floats;
use crate::database::Database;
use crate::failure::{InvalidError, raise};

/// How often the host is asked whether its time is up.
const TICK: Duration = Duration::from_millis(10);

/// An index kept open.
#[pyclass(frozen, module = "simdex._native")]
pub(crate) struct Live {
    live: Engine,
}

/// Ids, scores, whether an index was used, whether a refresh would pay, notices.
type Found = (Vec<Py<PyAny>>, Vec<f64>, bool, bool, Vec<String>);

/// Rows, and rows that can't be searched by reason.
type Rows = (u64, Vec<(&'static str, u64)>);

#[pymethods]
impl Live {
    #[new]
    fn new(database: &Database, name: String) -> Self {
        Self { live: Engine::new(Arc::clone(database.engine()), name) }
    }

    /// The rows closest to `vector`, a blob. `scoring` is `faiss`, a metric, or `None` for the
    /// index's own. `alive` is called now and then, on this thread; what it raises ends the search.
    #[expect(clippy::too_many_arguments, reason = "SQL functions have no structures to pass")]
    fn search(
        &self,
        py: Python<'_>,
        vector: &[u8],
        k: usize,
        scoring: Option<&str>,
        only: Option<Vec<Bound<'_, PyAny>>>,
        without: Vec<Bound<'_, PyAny>>,
        alive: Option<Py<PyAny>>,
    ) -> PyResult<Found> {
        let ids = |ids: Vec<Bound<'_, PyAny>>| ids.iter().map(id).collect::<PyResult<Vec<_>>>();
        let request = LiveRequest {
            vector: floats(vector)?,
            k,
            scoring: match scoring {
                None => Scoring::Exact,
                Some("faiss") => Scoring::LikeFaiss,
                Some(metric) => Scoring::ExactUnder(metric.parse().map_err(raise)?),
            },
            only: only.map(ids).transpose()?,
            without: ids(without)?,
        };
        let watch = Watch::new(alive);
        let answer = py.detach(|| self.live.search(&request, &watch));
        if let Some(error) = watch.raised() {
            return Err(error);
        }
        let answer = answer.map_err(raise)?;
        let (ids, scores): (Vec<_>, Vec<_>) = answer.matches.into_iter().unzip();
        let ids = ids.iter().map(|id| id_to_python(py, id)).collect::<PyResult<_>>()?;
        Ok((ids, scores, answer.plan.index.is_some(), answer.worn, answer.notices))
    }

    /// Rows, and rows that can't be searched by reason, as of now; `None`: nothing is built.
    fn rows(&self, py: Python<'_>) -> PyResult<Option<Rows>> {
        let watch = Watch::new(None);
        let rows = py.detach(|| self.live.rows(&watch)).map_err(raise)?;
        Ok(rows.map(|(rows, skipped)| (rows, skipped.reasons())))
    }

    /// Lets go of what is held, after a build.
    fn forget(&self, py: Python<'_>) {
        py.detach(|| self.live.forget());
    }
}

/// An id as SQLite would store it.
fn id(value: &Bound<'_, PyAny>) -> PyResult<Id> {
    if value.is_none() {
        return Ok(Id::Null);
    }
    if value.is_instance_of::<PyBool>() || value.is_instance_of::<PyInt>() {
        return value.extract().map(Id::Integer);
    }
    if value.is_instance_of::<PyFloat>() {
        return value.extract().map(Id::Real);
    }
    if value.is_instance_of::<PyString>() {
        return value.extract::<String>().map(Id::text);
    }
    if value.is_instance_of::<PyBytes>() {
        return value.extract().map(Id::Blob);
    }
    let found = value.get_type().name()?;
    Err(InvalidError::new_err(format!("an id is a number or a text, not {found}")))
}

/// Asks the host whether to go on, and never from another thread: the connection that the host
/// would ask is in use by this one.
#[derive(Debug)]
struct Watch {
    alive: Option<Py<PyAny>>,
    thread: ThreadId,
    asked: Mutex<Instant>,
    stopped: AtomicBool,
    raised: Mutex<Option<PyErr>>,
}

impl Watch {
    fn new(alive: Option<Py<PyAny>>) -> Self {
        Self {
            alive,
            thread: std::thread::current().id(),
            asked: Mutex::new(Instant::now()),
            stopped: AtomicBool::new(false),
            raised: Mutex::new(None),
        }
    }

    fn raised(&self) -> Option<PyErr> {
        self.raised.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    fn is_time(&self) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_time = asked.elapsed() >= TICK;
        if is_time {
            *asked = Instant::now();
        }
        is_time
    }

    fn ask(&self, alive: &Py<PyAny>) {
        Python::attach(|py| {
            if let Err(error) = alive.call0(py) {
                self.stopped.store(true, Ordering::Relaxed);
                let mut raised =
                    self.raised.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                *raised = Some(error);
            }
        });
    }
}

impl Observer for Watch {
    fn is_cancelled(&self) -> bool {
        if let Some(alive) = &self.alive
            && std::thread::current().id() == self.thread
            && !self.stopped.load(Ordering::Relaxed)
            && self.is_time()
        {
            self.ask(alive);
        }
        self.stopped.load(Ordering::Relaxed)
    }
}
