//! What searches give.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyInt, PyString};
use simdex::engine::api;
use simdex::store::Id;

/// One row found.
#[pyclass(frozen, module = "simdex", get_all)]
pub(crate) struct Match {
    /// The row's id, as stored.
    id: Py<PyAny>,
    /// Its score under the index's metric.
    score: f64,
    /// The text that was embedded, where stored.
    content: Option<String>,
    /// JSON text, where stored.
    metadata: Option<String>,
    /// The collection or table that holds the row.
    source: String,
}

impl Match {
    pub(crate) fn new(py: Python<'_>, found: api::Match) -> PyResult<Self> {
        let api::Match { id, score, content, metadata, source } = found;
        Ok(Self { id: id_to_python(py, &id)?, score, content, metadata, source })
    }
}

#[pymethods]
impl Match {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let id = self.id.bind(py).repr()?;
        Ok(format!("Match(id={id}, score={}, source={:?})", self.score, self.source))
    }
}

pub(crate) fn id_to_python(py: Python<'_>, id: &Id) -> PyResult<Py<PyAny>> {
    Ok(match id {
        Id::Null => py.None(),
        Id::Integer(value) => PyInt::new(py, *value).into_any().unbind(),
        Id::Real(value) => PyFloat::new(py, *value).into_any().unbind(),
        Id::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => PyString::new(py, text).into_any().unbind(),
            Err(_) => {
                let bytes = PyBytes::new(py, bytes);
                bytes.call_method1("decode", ("utf-8", "surrogateescape"))?.unbind()
            }
        },
        Id::Blob(bytes) => PyBytes::new(py, bytes).into_any().unbind(),
    })
}
