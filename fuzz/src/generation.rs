//! A generation that somebody else wrote: manifest, base and delta, opened and searched.

use std::path::PathBuf;
use std::sync::LazyLock;

use simdex::Metric;
use simdex::catalog::Definition;
use simdex::catalog::files::Permissions;
use simdex::catalog::folder::IndexFolder;
use simdex::catalog::generation::Generation;
use simdex::index::plugin::{Limits, Plugins};
use simdex::store::source::Source;

use crate::segment::good;
use crate::segment_file::{from_recipe, recipe};
use crate::{catalog, files, search};

/// The ids of base and delta: one byte, sixteen times.
const IDS: [u8; 2] = [1, 2];

/// A manifest of base and delta.
pub(crate) const MANIFEST: &str = r#"{"generation": 1,
"base": {"file": "base.segment", "id": "01010101010101010101010101010101", "sound": null},
"delta": {"file": "delta.segment", "id": "02020202020202020202020202020202", "sound": null},
"seen": {"main": {"device": 1, "inode": 2, "size": 3, "modified": 4, "changed": 5}, "wal": null},
"skipped": {"null": 0, "not_a_blob": 0, "odd_length": 0, "not_finite": 0, "zero": 0, "other_size": 0},
"built_at": 1, "build_seconds": 0.5}"#;

static SCRATCH: LazyLock<PathBuf> = LazyLock::new(|| files::scratch("generation"));

/// A good base and delta, with the manifest above and with one of its own.
pub fn seed() {
    let norms = [0, 0, 128, 63].repeat(3);
    let head = br#"{"kind":"flat","metric":"cosine","parameters":{},
"sources":[{"store":"collection","name":"posts","model":null}]}"#;
    let base = [("kind.norms".into(), norms), ("index".into(), head.to_vec())];
    let base = good(&["a", "b", "c"], &base);
    let delta_head = br#"{"base":"01010101010101010101010101010101"}"#;
    let gone: [(&str, &[u8]); 2] = [("tombstones", &[1, 0, 0, 0]), ("delta", delta_head)];
    let delta = good(&["b", "d"], &gone.map(|(name, bytes)| (name.into(), bytes.to_vec())));
    let only_gone = recipe(&gone);
    let input = |manifest: &str, delta: &[u8]| {
        let lengths = [manifest.len(), base.len()].map(|length| (length as u16).to_le_bytes());
        [lengths.as_flattened(), manifest.as_bytes(), &base, delta].concat()
    };
    files::seeds(&[input("", &delta), input(MANIFEST, &delta), input("", &only_gone)]);
}

/// Input: lengths of manifest and base (2 bytes each), manifest (empty: the usual one), base,
/// delta.
pub fn run(data: &[u8]) {
    let [a, b, c, d, rest @ ..] = data else { return };
    let (manifest, rest) = rest.split_at(rest.len().min(u16::from_le_bytes([*a, *b]).into()));
    let (base, delta) = rest.split_at(rest.len().min(u16::from_le_bytes([*c, *d]).into()));
    let manifest = if manifest.is_empty() { MANIFEST.as_bytes() } else { manifest };
    write("manifest.json", &catalog::with_header(manifest));
    write("base.segment", &from_recipe(base, IDS[0]));
    write("delta.segment", &from_recipe(delta, IDS[1]));
    let metadata = SCRATCH.metadata().expect("the scratch folder is there");
    let folder = IndexFolder::new(SCRATCH.clone(), Permissions::of(&metadata));
    let source = Source::Collection { name: "posts".into(), model: None };
    let definition =
        Definition::new("i".into(), vec![source], "flat".into(), Metric::Cosine, [].into())
            .expect("the system has random numbers");
    let plugins = Plugins::new(Vec::new(), Limits::default());
    let _ = Generation::open_checked(&definition, &folder, &plugins);
    if let Ok(Some(generation)) = Generation::open(&definition, &folder, &plugins) {
        assert!(generation.rows() >= generation.delta.tail_rows());
        let Generation { base, index, delta, .. } = &generation;
        search::search(base, index.as_deref(), delta, definition.metric);
    }
}

fn write(name: &str, bytes: &[u8]) {
    std::fs::write(SCRATCH.join(name), bytes).expect("the scratch file can be written");
}
