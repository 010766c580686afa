//! The types of numbers that files may hold, and how each is read.

use half::f16;

/// One type of number.
#[derive(Debug)]
pub(super) struct Element<T> {
    /// What NumPy calls it in a file.
    pub(super) name: &'static str,
    /// Its size.
    pub(super) bytes: usize,
    /// Reads one from as many bytes.
    pub(super) decode: fn(&[u8]) -> T,
}

/// The types of vectors.
pub(super) const FLOATS: &[Element<f32>] = &[
    Element { name: "<f2", bytes: 2, decode: |bytes| f16::from_le_bytes(array(bytes)).to_f32() },
    Element { name: "<f4", bytes: 4, decode: |bytes| f32::from_le_bytes(array(bytes)) },
    Element { name: "<f8", bytes: 8, decode: |bytes| f64::from_le_bytes(array(bytes)) as f32 },
];

/// The types of row numbers.
pub(super) const INTEGERS: &[Element<i64>] = &[
    Element { name: "<i4", bytes: 4, decode: |bytes| i32::from_le_bytes(array(bytes)).into() },
    Element { name: "<i8", bytes: 8, decode: |bytes| i64::from_le_bytes(array(bytes)) },
];

/// The bytes as an array; callers cut them to the size of their element.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}
