//! A segment that somebody else wrote: header, sections, the snapshot in it, searches, a diff.

use std::path::PathBuf;
use std::sync::LazyLock;

use rusqlite::types::ValueRef;
use simdex::Metric;
use simdex::index::Sections;
use simdex::matrix::Slab;
use simdex::snapshot::diff::Diff;
use simdex::snapshot::key::{self, KeysBuilder};
use simdex::snapshot::segment::Segment;
use simdex::snapshot::{Snapshot, fingerprint};
use simdex::store::Id;

use crate::segment_file::{from_recipe, mend, recipe};
use crate::{files, search};

static SCRATCH: LazyLock<PathBuf> = LazyLock::new(|| files::scratch("segment").join("segment"));

/// First byte of an input whose rest is a file; other inputs are recipes.
const FILE: u8 = 0xff;

/// A good segment, as a recipe and as a file.
pub fn seed() {
    let recipe = good(&["a", "b", "c"], &[("kind.norms", &[0, 0, 128, 63].repeat(3))]);
    let file = from_recipe(&recipe, 1);
    files::seeds(&[recipe, [&[FILE][..], &file].concat(), good(&[], &[])]);
}

/// A recipe with rows of two dimensions, seed 7, and more sections.
pub(crate) fn good(ids: &[&str], more: &[(&str, &[u8])]) -> Vec<u8> {
    let rows = ids.len() as u32;
    let mut keys = KeysBuilder::default();
    ids.iter().for_each(|id| keys.push(&key::encoded(0, &Id::text(*id))));
    let keys = keys.finish().expect("few rows");
    let (offsets, bytes, order) = keys.parts();
    let vector = |row| [1.0, row as f32].into_iter().flat_map(f32::to_le_bytes).collect::<Vec<_>>();
    let vectors: Vec<Vec<u8>> = (0..rows).map(vector).collect();
    let fingerprints: Vec<u64> = vectors.iter().map(|blob| fingerprint(blob, 7)).collect();
    let words = |values: &[u64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
    let order: Vec<u8> = order.iter().flat_map(|row| row.to_le_bytes()).collect();
    let dim = if rows == 0 { 0 } else { 2 };
    let meta = format!(r#"{{"rows":{rows},"dim":{dim},"seed":7}}"#);
    let mut sections: Vec<(&str, &[u8])> = Vec::new();
    let (vectors, offsets, fingerprints) = (vectors.concat(), words(offsets), words(&fingerprints));
    sections.push(("vectors", &vectors));
    sections.push(("keys.offsets", &offsets));
    sections.push(("keys.bytes", bytes));
    sections.push(("keys.order", &order));
    sections.push(("fingerprints", &fingerprints));
    sections.push(("snapshot", meta.as_bytes()));
    sections.extend_from_slice(more);
    recipe(&sections)
}

/// Opens the bytes as a segment and does with it all that the engine does, also where a check has
/// failed: what passes for proven is searched unchecked.
pub fn run(data: &[u8]) {
    let file = match data.split_first() {
        Some((&FILE, file)) => {
            let mut file = file.to_vec();
            mend(&mut file, 1);
            file
        }
        _ => from_recipe(data, 1),
    };
    std::fs::write(&*SCRATCH, file).expect("the scratch file can be written");
    let Ok(segment) = Segment::open(&SCRATCH) else { return };
    let _ = segment.check();
    for name in segment.names() {
        let _ = (segment.section::<u8>(name), segment.section::<u32>(name));
        let _ = (segment.section::<u64>(name), segment.section::<f32>(name));
    }
    let Ok(base) = Snapshot::open(&segment) else { return };
    let _ = base.check(Metric::Cosine);
    search::every_way(&base, &sections(&segment));
    compare(&base);
}

fn sections(segment: &Segment) -> Sections {
    let section = |name: &str| -> Option<(String, Slab<u8>)> {
        Some((name.strip_prefix("kind.")?.to_owned(), segment.section(name).ok()?))
    };
    segment.names().filter_map(section).collect()
}

/// A database that holds some of the rows, one of them twice, and one row more.
fn compare(base: &Snapshot) {
    let mut diff = Diff::new(base, Metric::L2);
    let blob = |row: usize| -> Vec<u8> {
        let values = base.vectors().filter(|_| row < base.rows()).map(|vectors| vectors.row(row));
        values.unwrap_or(&[1.0]).iter().flat_map(|value| value.to_le_bytes()).collect()
    };
    for row in [1, 0, 0, base.rows() / 2, usize::MAX - 1] {
        diff.push(base.keys().get(row), ValueRef::Blob(&blob(row)));
    }
    diff.push(b"no key", ValueRef::Null);
    if let Ok((Some(delta), census)) = diff.finish() {
        assert_eq!(census.rows(), 6);
        assert!(delta.gone() <= base.rows() as u64 && delta.tail_rows() <= 5);
    }
}
