//! JSON files of a sidecar folder that somebody else wrote.

use simdex::catalog::Catalog;
use simdex::catalog::files;
use simdex::catalog::folder::Manifest;
use xxhash_rust::xxh3::xxh3_64;

const CATALOG: &str = r#"{"indexes": [{"name": "posts", "folder": "index-00112233445566778899aabbccddeeff",
"sources": [{"store": "collection", "name": "posts", "model": "m"},
{"store": "table", "name": "t", "id": "id", "embedding": "e", "filter": null}],
"kind": "flat", "metric": "cosine", "parameters": {"a": "b"}}], "defaults": {"posts": "posts"}}"#;

/// A catalog and a manifest, with and without their headers.
pub fn seed() {
    let manifest = crate::generation::MANIFEST;
    let files = [CATALOG, manifest].map(|body| with_header(body.as_bytes()));
    let bodies = [CATALOG, manifest].map(|body| body.as_bytes().to_vec());
    crate::files::seeds(&files.into_iter().chain(bodies).collect::<Vec<_>>());
}

/// Reads the bytes as they are, and as the body of a file whose checksum is right.
pub fn run(data: &[u8]) {
    for bytes in [data, &with_header(data)] {
        if let Ok(manifest) = files::parse_json::<Manifest>(bytes) {
            let _ = manifest.skipped.total();
        }
        let Ok(catalog) = files::parse_json::<Catalog>(bytes).and_then(Catalog::checked) else {
            continue;
        };
        for definition in catalog.definitions() {
            let _ = catalog.get(&definition.name).map(|found| found.covers("posts"));
            let _ = catalog.default_for(&definition.name);
        }
        let _ = catalog.default_of("posts");
    }
}

/// `body` as a file of ours holds it: FORMAT.md, "JSON files".
pub(crate) fn with_header(body: &[u8]) -> Vec<u8> {
    let line = format!("{{\"simdex\":1,\"xxh3\":\"{:016x}\"}}\n", xxh3_64(body));
    [line.as_bytes(), body].concat()
}
