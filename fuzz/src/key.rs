//! Keys, and arrays of keys from a file that somebody else wrote.

use simdex::matrix::Slab;
use simdex::snapshot::key::{self, Keys};
use simdex::store::Id;

/// A key of each type.
pub fn seed() {
    let ids = [Id::Null, Id::Integer(-7), Id::Real(-0.5), Id::text("id"), Id::Blob(vec![0, 255])];
    crate::files::seeds(&ids.map(|id| key::encoded(1, &id)));
}

/// Bytes that decode are the bytes that encoding gives; arrays lead nowhere outside themselves.
pub fn run(data: &[u8]) {
    if let Ok((source, id)) = key::decode(data) {
        assert_eq!(key::encoded(source, &id), data);
        let _ = (id.to_string(), id.as_text(), id.cmp(&id));
    }
    let (words, _) = data.as_chunks::<8>();
    let offsets: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word) % 64).collect();
    let order: Vec<u32> = offsets.iter().skip(1).map(|&offset| offset as u32).collect();
    let slabs = (Slab::from_slice(&offsets), Slab::from_slice(data), Slab::from_slice(&order));
    if let Ok(keys) = Keys::new(slabs.0, slabs.1, slabs.2) {
        (0..keys.len() + 2).for_each(|row| drop(keys.get(row).to_vec()));
        assert!(keys.find(data).count() <= keys.len());
        assert!(keys.of_source(0).count() <= keys.len());
    }
}
