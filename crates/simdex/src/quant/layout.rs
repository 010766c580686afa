//! Where the codes lie: blocks of 16 rows, each with its factors, read as one stream.
//!
//! A block is ⌈dim / 8⌉ groups of 64 bytes, then 192 bytes of factors. Byte 4i + j of group g
//! belongs to row i of the block: its low nibble codes dimension 8g + j, its high nibble 8g + 4 + j
//! (j < 4), so a 32-bit lane holds a row and no sum has to cross lanes. The factors are three times
//! 16 little-endian words: the offset A and the scale s of each row as float32, then ‖e‖ (high
//! half) and ‖x̂‖ (low half) as bfloat16, rounded up.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::index::Sections;
use crate::kernels::codes::{BLOCK_ROWS, FACTOR_BYTES, GROUP_BYTES, GROUP_DIMS};
use crate::matrix::Slab;

use super::rotation::Rotation;

/// The section of blocks.
pub(super) const CODES: &str = "codes";

/// The section of μ: `dim` float32.
pub(super) const CENTER: &str = "center";

/// Beyond this, 32-bit sums of products could overflow.
pub(super) const MOST_DIMENSIONS: usize = 1 << 16;

/// Opened codes.
#[derive(Debug, Clone)]
pub(crate) struct Codes {
    blocks: Slab<u8>,
    center: Slab<f32>,
    pub(super) rotation: Rotation,
    stride: usize,
}

/// Bytes of a block of rows of `dim` dimensions.
pub(super) fn stride(dim: usize) -> usize {
    dim.div_ceil(GROUP_DIMS) * GROUP_BYTES + FACTOR_BYTES
}

impl Codes {
    /// Opens the codes of `rows` rows, or `None` where `sections` has none. O(dim).
    ///
    /// # Errors
    /// `Damaged` when the sections are not of the size that `rows` and `dim` ask for.
    pub(crate) fn open(sections: &Sections, rows: usize, dim: usize) -> Result<Option<Self>> {
        let (blocks, center) = match (sections.get(CODES), sections.get(CENTER)) {
            (None, None) => return Ok(None),
            (Some(blocks), Some(center)) => (blocks.clone(), center.cast::<f32>()?),
            _ => {
                return Err(Error::new(
                    ErrorKind::Damaged,
                    "codes without center, or without codes",
                ));
            }
        };
        let expected = rows.div_ceil(BLOCK_ROWS).checked_mul(stride(dim));
        if Some(blocks.len()) != expected || center.len() != dim || dim > MOST_DIMENSIONS {
            let message = format!(
                "{} bytes of codes do not fit {rows} rows of {dim} dimensions",
                blocks.len()
            );
            return Err(Error::new(ErrorKind::Damaged, message).with("section", CODES));
        }
        Ok(Some(Self { blocks, center, rotation: Rotation::new(dim), stride: stride(dim) }))
    }

    /// Bytes of a block.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// The blocks of a range, as far as there are any.
    pub(crate) fn run(&self, range: Range<usize>) -> impl Iterator<Item = &[u8]> {
        self.blocks.chunks_exact(self.stride).skip(range.start).take(range.len())
    }

    /// μ, unrotated.
    pub(super) fn center(&self) -> &[f32] {
        &self.center
    }
}
