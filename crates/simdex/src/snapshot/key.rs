//! Keys: which source and which id, packed into bytes that sort and compare without decoding.

use crate::error::{Error, ErrorKind, Result};
use crate::matrix::Slab;
use crate::store::Id;

/// Appends the bytes of a key: the source's number (4 bytes, big-endian), a tag, the id.
///
/// Within one source and one type of id, byte order is the order of the ids. FORMAT.md, "Keys".
pub fn encode(source: u32, id: &Id, into: &mut Vec<u8>) {
    into.extend_from_slice(&source.to_be_bytes());
    match id {
        Id::Null => into.push(0),
        Id::Integer(value) => {
            into.push(1);
            into.extend_from_slice(&(*value ^ i64::MIN).to_be_bytes());
        }
        Id::Real(value) => {
            // Negative floats sort backwards by their bits; flip them all.
            let bits = value.to_bits();
            let ordered = if value.is_sign_negative() { !bits } else { bits | (1 << 63) };
            into.push(2);
            into.extend_from_slice(&ordered.to_be_bytes());
        }
        Id::Text(bytes) => {
            into.push(3);
            into.extend_from_slice(bytes);
        }
        Id::Blob(bytes) => {
            into.push(4);
            into.extend_from_slice(bytes);
        }
    }
}

/// The bytes of a key.
pub fn encoded(source: u32, id: &Id) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    encode(source, id, &mut bytes);
    bytes
}

/// Source number and id of a key.
///
/// # Errors
/// `Damaged` when the bytes are no key.
pub fn decode(bytes: &[u8]) -> Result<(u32, Id)> {
    let damaged = || Error::new(ErrorKind::Damaged, format!("{} bytes are not a key", bytes.len()));
    let (source, rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
    let (&tag, payload) = rest.split_first().ok_or_else(damaged)?;
    let word = || payload.try_into().map(u64::from_be_bytes).map_err(|_| damaged());
    let id = match tag {
        0 if payload.is_empty() => Id::Null,
        1 => Id::Integer(word()?.cast_signed() ^ i64::MIN),
        2 => {
            let ordered = word()?;
            let positive = ordered >> 63 == 1;
            Id::Real(f64::from_bits(if positive { ordered ^ (1 << 63) } else { !ordered }))
        }
        3 => Id::Text(payload.to_vec()),
        4 => Id::Blob(payload.to_vec()),
        _ => return Err(damaged()),
    };
    Ok((u32::from_be_bytes(*source), id))
}

/// The keys of a snapshot's rows, and their sorted order.
#[derive(Debug, Clone)]
pub struct Keys {
    /// rows + 1 positions in `bytes`.
    offsets: Slab<u64>,
    bytes: Slab<u8>,
    /// Row numbers, sorted by key, then by row.
    order: Slab<u32>,
}

impl Keys {
    /// Takes arrays that may come from a hostile file; positions are checked where they are used.
    ///
    /// # Errors
    /// `Damaged` when the lengths don't fit together.
    pub fn new(offsets: Slab<u64>, bytes: Slab<u8>, order: Slab<u32>) -> Result<Self> {
        if offsets.len() != order.len() + 1 {
            let message = format!("{} key offsets for {} rows", offsets.len(), order.len());
            return Err(Error::new(ErrorKind::Damaged, message));
        }
        Ok(Self { offsets, bytes, order })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The key of `row`; empty, and so no key, where a damaged file points nowhere.
    pub fn get(&self, row: usize) -> &[u8] {
        let position =
            |index: usize| self.offsets.get(index).and_then(|&at| usize::try_from(at).ok());
        let (Some(start), Some(end)) = (position(row), position(row + 1)) else { return &[] };
        self.bytes.get(start..end).unwrap_or(&[])
    }

    /// The rows with this key, in row order. O(log rows).
    pub fn find<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
        let start = self.order.partition_point(|&row| self.get(row as usize) < key);
        let rows = self.order.get(start..).unwrap_or(&[]).iter().copied();
        rows.take_while(move |&row| self.get(row as usize) == key)
    }
}

impl Keys {
    /// The rows of one source, in key order. O(log rows) to find the first.
    pub fn of_source(&self, source: u32) -> impl Iterator<Item = u32> + '_ {
        let prefix = source.to_be_bytes();
        let start = self.order.partition_point(|&row| self.get(row as usize) < &prefix[..]);
        let rows = self.order.get(start..).unwrap_or(&[]).iter().copied();
        rows.take_while(move |&row| self.get(row as usize).starts_with(&prefix))
    }
}

/// Collects keys in row order.
#[derive(Debug, Default)]
pub struct KeysBuilder {
    offsets: Vec<u64>,
    bytes: Vec<u8>,
}

impl KeysBuilder {
    /// Adds the next row's key.
    pub fn push(&mut self, key: &[u8]) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.bytes.extend_from_slice(key);
        self.offsets.push(self.bytes.len() as u64);
    }

    fn rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Sorts. O(n log n).
    ///
    /// # Errors
    /// `Invalid` beyond 2³² − 1 rows.
    pub fn finish(mut self) -> Result<Keys> {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        let rows = u32::try_from(self.rows())
            .map_err(|_| Error::new(ErrorKind::Invalid, "more than 4,294,967,295 rows"))?;
        let key = |row: u32| {
            let row = row as usize;
            &self.bytes[self.offsets[row] as usize..self.offsets[row + 1] as usize]
        };
        let mut order: Vec<u32> = (0..rows).collect();
        order.sort_unstable_by(|&a, &b| key(a).cmp(key(b)).then(a.cmp(&b)));
        Keys::new(
            Slab::from_slice(&self.offsets),
            Slab::from_slice(&self.bytes),
            Slab::from_slice(&order),
        )
    }
}

impl Keys {
    /// The three arrays, as a file keeps them: offsets, bytes, order.
    pub fn parts(&self) -> (&[u64], &[u8], &[u32]) {
        (&self.offsets, &self.bytes, &self.order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_id() -> impl Strategy<Value = Id> {
        prop_oneof![
            Just(Id::Null),
            any::<i64>().prop_map(Id::Integer),
            any::<f64>().prop_filter("SQLite stores no NaN", |v| !v.is_nan()).prop_map(Id::Real),
            "\\PC{0,4}".prop_map(Id::text),
            prop::collection::vec(any::<u8>(), 0..4).prop_map(Id::Blob),
        ]
    }

    fn any_pair() -> impl Strategy<Value = (Id, Id)> {
        let real = || any::<f64>().prop_filter("SQLite stores no NaN", |v| !v.is_nan());
        prop_oneof![
            any::<(i64, i64)>().prop_map(|(a, b)| (Id::Integer(a), Id::Integer(b))),
            (real(), real()).prop_map(|(a, b)| (Id::Real(a), Id::Real(b))),
            ("\\PC{0,4}", "\\PC{0,4}").prop_map(|(a, b)| (Id::text(a), Id::text(b))),
        ]
    }

    fn same_type(a: &Id, b: &Id) -> bool {
        std::mem::discriminant(a) == std::mem::discriminant(b)
    }

    proptest! {
        #[test]
        fn keys_survive_the_round_trip(source in any::<u32>(), id in any_id()) {
            let (decoded_source, decoded) = decode(&encoded(source, &id)).unwrap();
            prop_assert_eq!(decoded_source, source);
            prop_assert!(same_type(&decoded, &id) && decoded == id);
        }

        #[test]
        fn byte_order_is_id_order_within_a_type((a, b) in any_pair()) {
            prop_assert_eq!(encoded(1, &a).cmp(&encoded(1, &b)), a.cmp(&b));
        }

        #[test]
        fn decoding_anything_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn finds_every_row_of_a_key(ids in prop::collection::vec(0_i64..8, 0..40), wanted in 0_i64..8) {
            let mut builder = KeysBuilder::default();
            for id in &ids {
                builder.push(&encoded(0, &Id::Integer(*id)));
            }
            let keys = builder.finish().unwrap();
            let found: Vec<u32> = keys.find(&encoded(0, &Id::Integer(wanted))).collect();
            let expected: Vec<u32> =
                (0..ids.len() as u32).filter(|&row| ids[row as usize] == wanted).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
