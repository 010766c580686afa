//! The files beside a database: listing, copying, putting back.

use std::path::{Path, PathBuf};

use simdex::Engine;
use simdex::engine::api::*;
use simdex::observe::Silent;

/// Every file below a folder: path within it, and bytes. Sorted.
#[derive(Clone)]
pub struct Copy(pub Vec<(PathBuf, Vec<u8>)>);

impl Copy {
    pub fn of(folder: &Path) -> Self {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(&next).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let name = path.strip_prefix(folder).unwrap().to_owned();
                        found.push((name, std::fs::read(&path).unwrap()));
                    }
                }
            }
        }
        found.sort();
        Self(found)
    }

    /// Makes `folder` hold exactly these files again.
    pub fn restore(&self, folder: &Path) {
        std::fs::remove_dir_all(folder).unwrap();
        for (name, bytes) in &self.0 {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// The bytes of the file whose path ends like this.
    pub fn get(&self, end: &str) -> &[u8] {
        &self.0[self.position(end)].1
    }

    /// The path of the file that ends like this.
    pub fn name(&self, end: &str) -> &Path {
        &self.0[self.position(end)].0
    }

    fn position(&self, end: &str) -> usize {
        let ends = |(name, _): &(PathBuf, Vec<u8>)| name.to_str().unwrap().ends_with(end);
        self.0.iter().position(ends).unwrap()
    }
}

/// The folder of a database's indexes, where it lies beside the database.
pub fn home(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".simdex");
    name.into()
}

/// A JSON file of ours with a checksum that fits: what a hostile hand, not an accident, makes.
pub fn signed_json(body: &str) -> Vec<u8> {
    let checksum = xxhash_rust::xxh3::xxh3_64(body.as_bytes());
    format!("{{\"simdex\":1,\"xxh3\":\"{checksum:016x}\"}}\n{body}").into_bytes()
}

/// The JSON text in a file of ours.
pub fn json_body(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap().split_once('\n').unwrap().1
}

/// Searches until the files' identity is trusted, so that later searches read the index alone: what
/// is wrong in it then shows in the answers. (A database is trusted once it was quiet for 2 s.)
pub fn settle(engine: &Engine, request: &SearchRequest) {
    while engine.search(request, &Silent).unwrap().plan.diffed {
        std::thread::yield_now();
    }
    assert!(!engine.search(request, &Silent).unwrap().plan.diffed);
}

/// A segment with one section replaced and every checksum made to fit (FORMAT.md, "Segments").
pub fn with_section(segment: &[u8], name: &str, content: &[u8]) -> Vec<u8> {
    const HEADER: usize = 4096;
    let checksum = xxhash_rust::xxh3::xxh3_64;
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let mut bytes = segment.to_vec();
    let named = |entry: &usize| bytes[*entry..].starts_with(format!("{name}\0").as_bytes());
    let entry = (64..HEADER).step_by(64).find(named).unwrap();
    let (start, length) = (word(&bytes, entry + 32) as usize, word(&bytes, entry + 40) as usize);
    bytes[start..start + length].fill(0);
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    let place = bytes.len() as u64;
    bytes.extend_from_slice(content);
    let total = bytes.len() as u64;
    for (at, value) in [
        (entry + 32, place),
        (entry + 40, content.len() as u64),
        (entry + 48, checksum(content)),
        (16, total),
        (56, 0),
    ] {
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    let header = checksum(&bytes[..HEADER]);
    bytes[56..64].copy_from_slice(&header.to_le_bytes());
    bytes
}
