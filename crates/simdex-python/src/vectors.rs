//! Vectors from whatever Python holds them in: numpy arrays and other buffers, blobs, sequences.
//!
//! Buffers are read through `memoryview`: Python's stable interface has no buffers before 3.11.

use half::f16;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};
use simdex::matrix::Matrix;

use crate::blob::floats;
use crate::failure::{InvalidError, raise};

/// Bytes copied out of a buffer at a time, so that no second copy of all of it is needed.
const PIECE: usize = 4 << 20;

/// One vector: a blob (`bytes`), a buffer of float16, float32 or float64, or a sequence of numbers.
pub(crate) fn one(vector: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    if let Ok(blob) = vector.cast::<PyBytes>() {
        return floats(blob.as_bytes());
    }
    if let Some(buffer) = Buffer::of(vector)? {
        if buffer.shape.len() != 1 {
            let message = format!("a vector has 1 dimension, not {}", buffer.shape.len());
            return Err(InvalidError::new_err(message));
        }
        return buffer.read();
    }
    let values: Vec<f64> = vector.extract().map_err(|_| not_a_vector(vector))?;
    Ok(values.into_iter().map(|value| value as f32).collect())
}

/// One vector with the precision it came with: queries are compared in float64.
pub(crate) fn query(vector: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    let is_buffer = vector.is_instance_of::<PyBytes>() || Buffer::of(vector)?.is_some();
    if is_buffer {
        return Ok(one(vector)?.into_iter().map(f64::from).collect());
    }
    vector.extract().map_err(|_| not_a_vector(vector))
}

/// Rows: a buffer of 2 dimensions, or a sequence of vectors of one size.
pub(crate) fn many(vectors: &Bound<'_, PyAny>) -> PyResult<Matrix> {
    if let Some(buffer) = Buffer::of(vectors)? {
        let &[_, dim] = buffer.shape.as_slice() else {
            let message = format!("rows have 2 dimensions (n, dim), not {}", buffer.shape.len());
            return Err(InvalidError::new_err(message));
        };
        return Matrix::from_slice(&buffer.read()?, dim).map_err(raise);
    }
    let mut values = Vec::new();
    let mut dim = None;
    for (number, vector) in vectors.try_iter()?.enumerate() {
        let vector = one(&vector?)?;
        let expected = *dim.get_or_insert(vector.len());
        if vector.len() != expected {
            let found = vector.len();
            let message = format!("row {number} has {found} values, the rows before it {expected}");
            return Err(InvalidError::new_err(message));
        }
        values.extend(vector);
    }
    Matrix::from_slice(&values, dim.unwrap_or(1)).map_err(raise)
}

fn not_a_vector(value: &Bound<'_, PyAny>) -> PyErr {
    let found = value.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
    PyTypeError::new_err(format!(
        "a vector is a blob, an array of floats or a sequence of numbers, not {found}"
    ))
}

/// A contiguous buffer of floats.
struct Buffer<'py> {
    bytes: Bound<'py, PyAny>,
    shape: Vec<usize>,
    element: Element,
}

#[derive(Clone, Copy)]
enum Element {
    F16,
    F32,
    F64,
}

impl Element {
    fn size(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

impl<'py> Buffer<'py> {
    /// `None`: the object has no buffer, or one of other things than floats.
    fn of(object: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let Ok(view) = PyMemoryView::from(object) else { return Ok(None) };
        let format: String = view.getattr("format")?.extract()?;
        let element = match format.trim_start_matches(['<', '=', '@']) {
            "e" => Element::F16,
            "f" => Element::F32,
            "d" => Element::F64,
            _ => return Ok(None),
        };
        let shape: Vec<usize> = view.getattr("shape")?.extract()?;
        let contiguous: bool = view.getattr("c_contiguous")?.extract()?;
        let empty = shape.contains(&0);
        let bytes = match contiguous && !empty {
            true => view.call_method1("cast", ("B",))?,
            // A slice with steps, or a transposed array: Python copies it in order.
            false => view.call_method0("tobytes")?,
        };
        Ok(Some(Self { bytes, shape, element }))
    }

    fn read(&self) -> PyResult<Vec<f32>> {
        let py = self.bytes.py();
        let total = self.bytes.len()?;
        let mut values = Vec::with_capacity(total / self.element.size());
        let mut start = 0;
        while start < total {
            let end = (start + PIECE).min(total);
            let slice = pyo3::types::PySlice::new(py, start as isize, end as isize, 1);
            let piece = self.bytes.get_item(slice)?;
            let piece = match piece.cast_into::<PyBytes>() {
                Ok(bytes) => bytes,
                Err(view) => view.into_inner().call_method0("tobytes")?.cast_into()?,
            };
            self.append(piece.as_bytes(), &mut values);
            start = end;
        }
        Ok(values)
    }

    fn append(&self, bytes: &[u8], values: &mut Vec<f32>) {
        match self.element {
            Element::F16 => {
                let halves = bytes.as_chunks::<2>().0.iter();
                values.extend(halves.map(|bytes| f16::from_le_bytes(*bytes).to_f32()));
            }
            Element::F32 => {
                let floats = bytes.as_chunks::<4>().0.iter();
                values.extend(floats.map(|bytes| f32::from_le_bytes(*bytes)));
            }
            Element::F64 => {
                let doubles = bytes.as_chunks::<8>().0.iter();
                values.extend(doubles.map(|bytes| f64::from_le_bytes(*bytes) as f32));
            }
        }
    }
}
