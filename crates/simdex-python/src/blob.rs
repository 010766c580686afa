//! Embeddings as blobs: little-endian float32, as llm and datasette-faiss store them.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::failure::InvalidError;
use crate::vectors;

/// The blob of a vector: 4 bytes a value, little-endian float32.
#[pyfunction]
pub(crate) fn encode<'py>(vector: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let values = vectors::one(vector)?;
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Ok(PyBytes::new(vector.py(), &bytes))
}

/// The vector in a blob.
#[pyfunction]
pub(crate) fn decode<'py>(py: Python<'py>, blob: &[u8]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, floats(blob)?)
}

/// The float32 values in `blob`.
pub(crate) fn floats(blob: &[u8]) -> PyResult<Vec<f32>> {
    let (values, rest) = blob.as_chunks::<4>();
    if !rest.is_empty() {
        let message = format!("a blob of {} bytes is no vector: 4 bytes a value", blob.len());
        return Err(InvalidError::new_err(message));
    }
    Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
