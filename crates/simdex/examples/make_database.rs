//! Writes a database in llm's schema with made-up vectors: `make_database PATH ROWS DIMENSIONS`.
//!
//! The vectors lie around 1,000 centres, as embeddings do. Collection `made-up`, ids `row-0`, ….
#![allow(clippy::print_stdout)]

use std::error::Error;

use rusqlite::{Connection, params};

const SCHEMA: &str = "
CREATE TABLE collections (id INTEGER PRIMARY KEY, name TEXT, model TEXT);
CREATE UNIQUE INDEX idx_collections_name ON collections (name);
CREATE TABLE embeddings (collection_id INTEGER REFERENCES collections(id), id TEXT, embedding BLOB,
  content TEXT, content_blob BLOB, content_hash BLOB, metadata TEXT, updated INTEGER,
  PRIMARY KEY (collection_id, id));
CREATE INDEX idx_embeddings_content_hash ON embeddings (content_hash);
CREATE TABLE _llm_migrations (name TEXT PRIMARY KEY, applied_at TEXT);
INSERT INTO collections VALUES (1, 'made-up', 'made-up');
";

const CENTRES: u64 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, rows, dimensions] = arguments.as_slice() else {
        println!("usage: make_database PATH ROWS DIMENSIONS");
        return Ok(());
    };
    let (rows, dimensions): (u64, u64) = (rows.parse()?, dimensions.parse()?);
    let mut db = Connection::open(path)?;
    db.execute_batch(SCHEMA)?;
    let transaction = db.transaction()?;
    for row in 0..rows {
        let centre = mix(row) % CENTRES;
        let values = (0..dimensions).map(|at| {
            let around = number(centre * dimensions + at);
            let noise = number((CENTRES + row) * dimensions + at);
            around + 0.7 * noise
        });
        let blob: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        transaction.execute(
            "INSERT INTO embeddings (collection_id, id, embedding, metadata, updated)
             VALUES (1, ?, ?, ?, 1)",
            params![format!("row-{row}"), blob, format!("{{\"row\": {row}}}")],
        )?;
    }
    transaction.commit()?;
    Ok(())
}

/// A number from -1 to 1 that depends on `seed` alone.
fn number(seed: u64) -> f32 {
    (mix(seed) >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// SplitMix64's output function.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
