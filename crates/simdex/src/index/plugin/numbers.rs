//! Row numbers of a plugin that has taken changes in: no longer the positions in `vectors`.

use bytemuck::cast_slice;

use crate::error::{Error, ErrorKind, Result};
use crate::matrix::Slab;

/// No row has this number.
const NOBODY: u32 = u32::MAX;

/// Which row has which number.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    /// Row → number; `None`: they are the same.
    of_row: Option<Vec<u32>>,
    /// Number → row, or [`NOBODY`]; empty where they are the same.
    row_of: Vec<u32>,
    rows: usize,
}

/// What has changed between two builds, in numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Renumbered {
    /// Of each new row.
    pub(super) numbers: Vec<u32>,
    /// Numbers that no row has any more.
    pub(super) deletes: Vec<u32>,
    /// Rows that are new, and their numbers.
    pub(super) upserts: Vec<(usize, u32)>,
}

impl Numbers {
    /// Those after a build: the positions of `rows` rows.
    pub(super) fn positions(rows: usize) -> Self {
        Self { of_row: None, row_of: Vec::new(), rows }
    }

    /// Those that a section holds, for `rows` rows; all are below `bound`.
    ///
    /// # Errors
    /// `Damaged` unless each row has a number of its own.
    pub(super) fn read(section: &Slab<u8>, rows: usize, bound: usize) -> Result<Self> {
        let damaged =
            || Error::new(ErrorKind::Damaged, "the row numbers of the plugin make no sense");
        let of_row: Slab<u32> = section.cast()?;
        // Numbers are reused, so there are never many more than rows.
        if of_row.len() != rows || bound > u32::MAX as usize || bound / 64 > rows {
            return Err(damaged());
        }
        let mut row_of = vec![NOBODY; bound];
        for (row, &number) in of_row.iter().enumerate() {
            match row_of.get_mut(number as usize) {
                Some(place) if *place == NOBODY => *place = row as u32,
                _ => return Err(damaged()),
            }
        }
        Ok(Self { of_row: Some(of_row.to_vec()), row_of, rows })
    }

    /// All numbers are below this.
    pub(super) fn bound(&self) -> usize {
        if self.of_row.is_some() { self.row_of.len() } else { self.rows }
    }

    /// Whether they are the positions.
    pub(super) fn are_positions(&self) -> bool {
        self.of_row.is_none()
    }

    /// The number of a row.
    pub(super) fn of(&self, row: usize) -> u32 {
        match &self.of_row {
            Some(numbers) => numbers.get(row).copied().unwrap_or(NOBODY),
            None => row as u32,
        }
    }

    /// The row of a number.
    pub(super) fn row(&self, number: u32) -> Option<u32> {
        match &self.of_row {
            Some(_) => self.row_of.get(number as usize).copied().filter(|&row| row != NOBODY),
            None => Some(number).filter(|&row| (row as usize) < self.rows),
        }
    }

    /// Numbers for the rows of a new build, `same[row]` being the row of this one that it is. New
    /// rows take numbers that are free, so that numbers stay dense.
    pub(super) fn renumber(&self, same: &[Option<u32>]) -> Renumbered {
        let mut taken = vec![false; self.bound()];
        for row in same.iter().flatten() {
            if let Some(place) = taken.get_mut(self.of(*row as usize) as usize) {
                *place = true;
            }
        }
        let mut free = (0_u32..).filter(|&number| taken.get(number as usize) != Some(&true));
        let mut upserts = Vec::new();
        let numbers: Vec<u32> = same
            .iter()
            .enumerate()
            .map(|(row, old)| match old {
                Some(old) => self.of(*old as usize),
                None => {
                    let number = free.next().unwrap_or(NOBODY);
                    upserts.push((row, number));
                    number
                }
            })
            .collect();
        for (_, number) in &upserts {
            if let Some(place) = taken.get_mut(*number as usize) {
                *place = true;
            }
        }
        let left = (0..self.bound() as u32).filter(|&number| !taken[number as usize]);
        let deletes = left.filter(|&number| self.row(number).is_some()).collect();
        Renumbered { numbers, deletes, upserts }
    }
}

/// Numbers as a section.
pub(super) fn section(numbers: &[u32]) -> Slab<u8> {
    Slab::from_slice(cast_slice(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(numbers: &[u32], bound: usize) -> Result<Numbers> {
        Numbers::read(&section(numbers), numbers.len(), bound)
    }

    #[test]
    fn numbers_that_are_no_numbering_are_refused() {
        assert_eq!(read(&[2, 0], 3).unwrap().row(2), Some(0));
        assert_eq!(read(&[2, 0], 3).unwrap().row(1), None);
        assert_eq!(read(&[2, 2], 3).unwrap_err().kind(), ErrorKind::Damaged);
        assert_eq!(read(&[3, 0], 3).unwrap_err().kind(), ErrorKind::Damaged);
        assert_eq!(read(&[0], 1 << 30).unwrap_err().kind(), ErrorKind::Damaged);
    }

    proptest! {
        /// After any changes, each number stands for the vector that a plugin was given for it.
        #[test]
        fn a_plugin_holds_what_the_numbers_say(
            start in 0_usize..12,
            rounds in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 1..5),
        ) {
            // Rows are told apart by a serial number; so is what the plugin holds.
            let mut next = start as u32;
            let mut rows: Vec<u32> = (0..next).collect();
            let mut plugin: std::collections::BTreeMap<u32, u32> =
                rows.iter().map(|&row| (row, row)).collect();
            let mut numbers = Numbers::positions(rows.len());
            for round in rounds {
                // Each byte keeps a row by chance, in another order, or adds a new one.
                let mut new: Vec<u32> = Vec::new();
                let mut same = Vec::new();
                for byte in round {
                    let old = usize::from(byte) % (2 * rows.len() + 1);
                    match rows.get(old) {
                        Some(&row) if !new.contains(&row) => {
                            new.push(row);
                            same.push(Some(old as u32));
                        }
                        _ => {
                            new.push(next);
                            same.push(None);
                            next += 1;
                        }
                    }
                }
                let changed = numbers.renumber(&same);
                for number in &changed.deletes {
                    prop_assert!(plugin.remove(number).is_some());
                }
                for (row, number) in &changed.upserts {
                    plugin.insert(*number, new[*row]);
                }
                let bound = changed.numbers.iter().map(|number| number + 1).max().unwrap_or(0);
                let bound = bound.max(numbers.bound() as u32) as usize;
                rows = new;
                prop_assert_eq!(plugin.len(), rows.len());
                if rows.is_empty() {
                    return Ok(());
                }
                numbers = read(&changed.numbers, bound).unwrap();
                for (row, serial) in rows.iter().enumerate() {
                    prop_assert_eq!(plugin.get(&numbers.of(row)), Some(serial));
                    prop_assert_eq!(numbers.row(numbers.of(row)), Some(row as u32));
                }
            }
        }
    }
}
