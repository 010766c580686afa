//! Under which id a vector is kept on a server: a hash of its bytes.
//!
//! An id stands for the same vector at all times, in every generation and for every process. So a
//! batch that is sent twice changes nothing, what is there already needs no sending, and a reader of
//! an older generation never takes a new row for an old one. Rows with equal vectors share an id,
//! and are candidates together. Two vectors of one hash (2⁻¹²⁸ by chance) would cost one of them its
//! place among candidates, and no score its value.

use bytemuck::cast_slice;
use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, ErrorKind, Result};
use crate::index::Sections;
use crate::matrix::{Matrix, Slab};

/// The section with the id of each row, 16 bytes in big-endian order.
const IDS: &str = "ids";
/// The section with all rows, sorted by their ids.
const ORDER: &str = "order";

/// An id, as the bytes of its number in big-endian order.
pub(super) type Id = [u8; 16];

/// The id of a vector.
pub(super) fn of(vector: &[f32]) -> Id {
    xxh3_128(cast_slice(vector)).to_be_bytes()
}

/// An id as servers know it: 32 hexadecimal digits.
pub(super) fn text(id: &Id) -> String {
    format!("{:032x}", u128::from_be_bytes(*id))
}

/// The id of such a text; `None`: it is no id of ours.
pub(super) fn parse(text: &str) -> Option<Id> {
    let plain = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes))?
}

/// The ids of the rows of a generation.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    of_row: Slab<u8>,
    order: Slab<u32>,
}

impl Ids {
    /// Those of a matrix. O(rows · dim).
    pub(super) fn new(vectors: &Matrix) -> Self {
        let of_row: Vec<Id> = (0..vectors.rows()).map(|row| of(vectors.row(row))).collect();
        let mut order: Vec<u32> = (0..vectors.rows() as u32).collect();
        order.sort_unstable_by_key(|&row| (of_row[row as usize], row));
        Self { of_row: Slab::from_slice(of_row.as_flattened()), order: Slab::from_slice(&order) }
    }

    /// Those that sections hold, of so many rows. O(1).
    ///
    /// # Errors
    /// `Damaged`.
    pub(super) fn read(sections: &Sections, rows: usize) -> Result<Self> {
        let damaged = |what: &str| Error::new(ErrorKind::Damaged, what);
        let section = |name| sections.get(name).ok_or_else(|| damaged("ids of rows are missing"));
        let (of_row, order) = (section(IDS)?.clone(), section(ORDER)?.cast::<u32>()?);
        match of_row.len() == 16 * rows && order.len() == rows {
            true => Ok(Self { of_row, order }),
            false => Err(damaged("the ids belong to another number of rows")),
        }
    }

    /// As sections.
    pub(super) fn write(&self, sections: &mut Sections) -> Result<()> {
        sections.insert(IDS.into(), self.of_row.clone());
        sections.insert(ORDER.into(), self.order.cast()?);
        Ok(())
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.order.len()
    }

    /// The id of a row.
    pub(super) fn of_row(&self, row: usize) -> Id {
        self.of_row.as_chunks::<16>().0.get(row).copied().unwrap_or_default()
    }

    /// The rows of an id; none for one that is unknown here. O(log rows).
    pub(super) fn rows_of(&self, id: &Id) -> &[u32] {
        let first = self.order.partition_point(|&row| self.of_row(row as usize) < *id);
        let rest = self.order.get(first..).unwrap_or_default();
        let count = rest.iter().take_while(|&&row| self.of_row(row as usize) == *id).count();
        &rest[..count]
    }

    /// Whether a row has this id.
    pub(super) fn holds(&self, id: &Id) -> bool {
        !self.rows_of(id).is_empty()
    }

    /// One row of each id, in the order of ids.
    pub(super) fn distinct(&self) -> impl Iterator<Item = (Id, usize)> {
        let mut last = None;
        let rows = self.order.iter().map(|&row| row as usize).filter(|&row| row < self.rows());
        rows.map(|row| (self.of_row(row), row))
            .filter(move |(id, _)| last.replace(*id) != Some(*id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_equal_vectors_share_an_id() {
        let vectors = Matrix::from_slice(&[1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 5.0, 6.0], 2).unwrap();
        let mut sections = Sections::new();
        Ids::new(&vectors).write(&mut sections).unwrap();
        let ids = Ids::read(&sections, 4).unwrap();
        assert_eq!(ids.rows_of(&of(&[1.0, 2.0])), [0, 2]);
        assert_eq!(ids.rows_of(&of(&[5.0, 6.0])), [3]);
        assert!(ids.rows_of(&of(&[7.0, 8.0])).is_empty());
        assert_eq!(ids.distinct().count(), 3);
        for (id, row) in ids.distinct() {
            assert_eq!(parse(&text(&id)), Some(of(vectors.row(row))));
        }
        assert!(Ids::read(&sections, 5).is_err());
    }

    #[test]
    fn sections_of_an_attacker_name_no_rows_that_are_not_there() {
        let hostile = Sections::from([
            (IDS.to_owned(), Slab::from_slice(&[0_u8; 32])),
            (ORDER.to_owned(), Slab::from_slice(cast_slice(&[7_u32, u32::MAX]))),
        ]);
        let ids = Ids::read(&hostile, 2).unwrap();
        assert_eq!(ids.distinct().count(), 0);
        assert_eq!(parse("+0000000000000000000000000000001"), None);
        assert_eq!(parse(""), None);
    }
}
