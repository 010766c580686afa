//! Arrays: they travel as ranges of files, never through the pipe.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use bytemuck::Pod;
use serde::{Deserialize, Serialize};

/// Where an array is: little-endian values, row-major, without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array {
    /// The file.
    pub path: PathBuf,
    /// Where the values begin, in bytes; a multiple of 64.
    pub offset: u64,
    /// What the values are.
    #[serde(rename = "type")]
    pub element: ElementType,
    /// How many there are in each direction.
    pub shape: Vec<u64>,
}

/// What an array's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ElementType {
    /// IEEE 754, four bytes.
    Float32,
    /// Four bytes.
    Uint32,
    /// A bit each: number i is bit i mod 8 (the least significant is 0) of byte i div 8.
    Bits,
}

impl Array {
    /// Bytes that it covers, unless no file could hold them.
    fn bytes(&self) -> Option<u64> {
        let values = self.shape.iter().try_fold(1_u64, |product, &n| product.checked_mul(n))?;
        match self.element {
            ElementType::Float32 | ElementType::Uint32 => values.checked_mul(4),
            ElementType::Bits => Some(values.div_ceil(8)),
        }
    }

    /// Maps it. One without values needs no file.
    ///
    /// # Errors
    /// Those of the file; `InvalidData` when it is shorter than the array or of another type.
    #[allow(unsafe_code)]
    pub fn map(&self, element: ElementType) -> io::Result<Mapped> {
        let invalid = |message: &str| io::Error::new(io::ErrorKind::InvalidData, message);
        if self.element != element {
            return Err(invalid("an array of another type was expected"));
        }
        let bytes = self.bytes().ok_or_else(|| invalid("the array is larger than any file"))?;
        let length = usize::try_from(bytes).map_err(|_| invalid("the array is too large"))?;
        let last = |at: usize| self.shape.get(at).copied().unwrap_or(1);
        let width = usize::try_from(last(1)).map_err(|_| invalid("the array is too wide"))?;
        if length == 0 {
            return Ok(Mapped { map: None, width });
        }
        let file = File::open(&self.path)?;
        let end = self.offset.checked_add(bytes);
        if end.is_none_or(|end| file.metadata().is_ok_and(|metadata| metadata.len() < end)) {
            return Err(invalid("the file is shorter than the array"));
        }
        // SAFETY: simdex leaves the file alone until this request is answered, and the map does not
        // outlive the answer.
        let map =
            unsafe { memmap2::MmapOptions::new().offset(self.offset).len(length).map(&file)? };
        Ok(Mapped { map: Some(map), width })
    }
}

/// A mapped array.
#[derive(Debug)]
pub struct Mapped {
    map: Option<memmap2::Mmap>,
    width: usize,
}

impl Mapped {
    fn values<T: Pod>(&self) -> &[T] {
        // Maps begin at a multiple of a page, plus an offset that is one of 64.
        self.map.as_ref().map_or(&[], |map| bytemuck::try_cast_slice(map).unwrap_or(&[]))
    }

    /// The values as vectors.
    pub fn vectors(&self) -> Vectors<'_> {
        Vectors { values: self.values(), dim: self.width }
    }

    /// The values as row numbers.
    pub fn numbers(&self) -> &[u32] {
        self.values()
    }

    /// The values as a set of rows.
    pub fn row_set(&self) -> RowSet<'_> {
        RowSet { bytes: self.values() }
    }
}

/// Vectors of one size, row-major.
#[derive(Debug, Clone, Copy)]
pub struct Vectors<'a> {
    values: &'a [f32],
    dim: usize,
}

impl<'a> Vectors<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Dimensions of each.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.dim.max(1))
    }
}

/// A set of rows.
#[derive(Debug, Clone, Copy)]
pub struct RowSet<'a> {
    bytes: &'a [u8],
}

impl RowSet<'_> {
    /// Whether it has the row of this number.
    pub fn contains(&self, row: u32) -> bool {
        let byte = self.bytes.get(row as usize / 8).copied().unwrap_or(0);
        byte >> (row % 8) & 1 == 1
    }
}
