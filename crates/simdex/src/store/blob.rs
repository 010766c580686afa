//! A stored embedding: little-endian float32 values, as llm's `encode` writes them.

use rusqlite::types::ValueRef;

use crate::engine::api::Skipped;
use crate::types::Metric;

/// Why a stored value can't be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// NULL.
    Null,
    /// Text or a number.
    NotABlob,
    /// No bytes, or not a multiple of four.
    OddLength,
    /// NaN or infinite.
    NotFinite,
    /// All zero, under cosine.
    Zero,
}

impl Defect {
    /// Counts one row with this defect.
    pub fn count(self, skipped: &mut Skipped) {
        let counter = match self {
            Self::Null => &mut skipped.null,
            Self::NotABlob => &mut skipped.not_a_blob,
            Self::OddLength => &mut skipped.odd_length,
            Self::NotFinite => &mut skipped.not_finite,
            Self::Zero => &mut skipped.zero,
        };
        *counter += 1;
    }

    /// What to tell a user about one such row.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Null => "its embedding is NULL",
            Self::NotABlob => "its embedding is not a blob",
            Self::OddLength => "the length of its embedding is not a multiple of 4 bytes",
            Self::NotFinite => "its embedding holds a NaN or infinite value",
            Self::Zero => "its embedding is all zeros, which has no cosine similarity to anything",
        }
    }
}

/// The bytes of a stored value, if it is an embedding that `metric` can compare. O(dim).
///
/// # Errors
/// The first defect, in the order of [`Defect`].
pub fn check(value: ValueRef<'_>, metric: Metric) -> Result<&[u8], Defect> {
    let bytes = match value {
        ValueRef::Blob(bytes) => bytes,
        ValueRef::Null => return Err(Defect::Null),
        _ => return Err(Defect::NotABlob),
    };
    if bytes.is_empty() || !bytes.len().is_multiple_of(4) {
        return Err(Defect::OddLength);
    }
    const EXPONENT: u32 = 0x7f80_0000;
    const MAGNITUDE: u32 = 0x7fff_ffff;
    let mut finite = true;
    let mut magnitude = 0;
    for bits in words(bytes) {
        finite &= bits & EXPONENT != EXPONENT;
        magnitude |= bits & MAGNITUDE;
    }
    match (finite, magnitude, metric) {
        (false, ..) => Err(Defect::NotFinite),
        (_, 0, Metric::Cosine) => Err(Defect::Zero),
        _ => Ok(bytes),
    }
}

/// The values of a blob; bytes after the last whole value are left out.
pub fn decode(bytes: &[u8]) -> Vec<f32> {
    words(bytes).map(f32::from_bits).collect()
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().copied().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn says_why_a_row_cant_be_searched() {
        fn check(value: ValueRef<'_>) -> Result<usize, Defect> {
            super::check(value, Metric::Cosine).map(<[u8]>::len)
        }
        assert_eq!(check(ValueRef::Null), Err(Defect::Null));
        assert_eq!(check(ValueRef::Integer(1)), Err(Defect::NotABlob));
        assert_eq!(check(ValueRef::Text(b"[1, 2]")), Err(Defect::NotABlob));
        assert_eq!(check(ValueRef::Blob(b"")), Err(Defect::OddLength));
        assert_eq!(check(ValueRef::Blob(b"12345")), Err(Defect::OddLength));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN] {
            assert_eq!(check(ValueRef::Blob(&blob(&[1.0, bad]))), Err(Defect::NotFinite));
        }
        assert_eq!(check(ValueRef::Blob(&blob(&[0.0, -0.0]))), Err(Defect::Zero));
        assert_eq!(check(ValueRef::Blob(&blob(&[0.0, f32::MIN_POSITIVE / 8.0]))), Ok(8));
    }

    #[test]
    fn zero_is_a_point_to_the_other_metrics() {
        let zero = blob(&[0.0; 3]);
        assert_eq!(check(ValueRef::Blob(&zero), Metric::L2), Ok(&zero[..]));
        assert_eq!(check(ValueRef::Blob(&zero), Metric::Dot), Ok(&zero[..]));
    }

    #[test]
    fn decodes_little_endian() {
        assert_eq!(decode(&[0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 9]), [1.0, 2.0]);
    }
}
