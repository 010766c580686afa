//! Segments from a fuzzer's bytes, with every checksum right: FORMAT.md, "Segments".

use simdex::matrix::ALIGNMENT;
use simdex::snapshot::segment::{MAGIC, VERSION};
use xxhash_rust::xxh3::xxh3_64;

const HEADER: usize = 4096;
const ENTRY: usize = 64;

/// Names that readers ask for, and one that they don't.
const NAMES: [&str; 27] = [
    "vectors",
    "keys.offsets",
    "keys.bytes",
    "keys.order",
    "fingerprints",
    "snapshot",
    "index",
    "delta",
    "tombstones",
    "kind.norms",
    "kind.codes",
    "kind.center",
    "kind.graph.header",
    "kind.graph.mean",
    "kind.graph.basis",
    "kind.graph.heads",
    "kind.graph.edges",
    "kind.graph.entries",
    "kind.graph.starts",
    "kind.graph.rows",
    "other",
    "kind.graph.tails",
    "kind.auto",
    "kind.remote",
    "kind.ids",
    "kind.order",
    "kind.surplus",
];

/// A segment with the sections of a recipe: number of the name (1 byte), length (2), bytes; and so
/// on. Shorter than a file, so that the fuzzer changes what matters.
pub(crate) fn from_recipe(mut recipe: &[u8], id: u8) -> Vec<u8> {
    let mut file = vec![0; HEADER];
    let mut count = 0_u32;
    while let [name, low, high, rest @ ..] = recipe {
        let (bytes, rest) = rest.split_at(rest.len().min(u16::from_le_bytes([*low, *high]).into()));
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        let at = ENTRY * (count as usize + 1);
        if at == HEADER {
            break;
        }
        let name = NAMES[*name as usize % NAMES.len()];
        file[at..at + name.len()].copy_from_slice(name.as_bytes());
        let start = file.len() as u64;
        file[at + 32..at + 40].copy_from_slice(&start.to_le_bytes());
        file[at + 40..at + 48].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        file.extend_from_slice(bytes);
        count += 1;
        recipe = rest;
    }
    file[12..16].copy_from_slice(&count.to_le_bytes());
    mend(&mut file, id);
    file
}

/// Makes a recipe of sections.
pub(crate) fn recipe(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut recipe = Vec::new();
    for (name, bytes) in sections {
        let number = NAMES.iter().position(|known| known == name).expect("a known name");
        recipe.push(number as u8);
        recipe.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        recipe.extend_from_slice(bytes);
    }
    recipe
}

/// Puts right what a reader checks first: magic, version, length, id, and checksums.
pub(crate) fn mend(file: &mut [u8], id: u8) {
    if file.len() < HEADER {
        return;
    }
    let length = file.len() as u64;
    file[..8].copy_from_slice(&MAGIC);
    file[8..12].copy_from_slice(&VERSION.to_le_bytes());
    file[16..24].copy_from_slice(&length.to_le_bytes());
    file[24..40].fill(id);
    for at in (ENTRY..HEADER).step_by(ENTRY) {
        let word = |at: usize| {
            let bytes = file[at..at + 8].try_into().expect("eight bytes");
            usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX)
        };
        let (start, length) = (word(at + 32), word(at + 40));
        let section = start.checked_add(length).and_then(|end| file.get(start..end));
        let checksum = section.filter(|_| file[at] != 0).map(xxh3_64);
        if let Some(checksum) = checksum {
            file[at + 48..at + 56].copy_from_slice(&checksum.to_le_bytes());
        }
    }
    file[56..64].fill(0);
    let checksum = xxh3_64(&file[..HEADER]);
    file[56..64].copy_from_slice(&checksum.to_le_bytes());
}
