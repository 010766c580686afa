//! A segment that somebody else wrote: header, sections, the snapshot in it, searches, a diff.

use std::path::PathBuf;
use std::sync::LazyLock;

use rusqlite::types::ValueRef;
use simdex::Metric;
use simdex::index::{KINDS, Kind, Parameters, Sections};
use simdex::matrix::{Matrix, Slab};
use simdex::observe::Silent;
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

/// Good segments of every kind, as recipes, and one as a file.
pub fn seed() {
    let ids = ["a", "b", "c"];
    let mut seeds: Vec<_> = KINDS.iter().map(|kind| good(&ids, &built(*kind))).collect();
    seeds.push([&[FILE][..], &from_recipe(&seeds[0], 1)].concat());
    // One block of codes: a group for two dimensions, then factors. No kind makes it so small.
    let codes = [[0x78; 64], [0x3c; 64], [0x3f; 64], [0x40; 64]].concat();
    let mut coded = built(KINDS[0]);
    coded.extend([("kind.codes".into(), codes), ("kind.center".into(), vec![0; 8])]);
    seeds.extend([good(&ids, &coded), good(&[], &[])]);
    files::seeds(&seeds);
}

/// What a kind makes of the rows of [`good`].
fn built(kind: &dyn Kind) -> Vec<(String, Vec<u8>)> {
    let vectors = Matrix::from_slice(&[1.0, 0.0, 1.0, 1.0, 1.0, 2.0], 2).expect("three rows");
    let sections = kind.build(&vectors, Metric::Cosine, &Parameters::new(), &Silent);
    let sections = sections.expect("good rows make an index");
    sections.iter().map(|(name, bytes)| (format!("kind.{name}"), bytes.to_vec())).collect()
}

/// A recipe with rows of two dimensions, seed 7, and more sections.
pub(crate) fn good(ids: &[&str], more: &[(String, Vec<u8>)]) -> Vec<u8> {
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
    sections.extend(more.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
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
