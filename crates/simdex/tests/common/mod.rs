//! A real database in llm's schema, a naive model of its answers, and an engine over both.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

pub mod child;
pub mod sidecar;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use simdex::engine::api::*;
use simdex::observe::Silent;
use simdex::store::Id;
use simdex::{Engine, Metric};

pub const MODEL: &str = "test-model";

const SCHEMA: &str = r#"
CREATE TABLE "collections" ("id" INTEGER PRIMARY KEY, "name" TEXT, "model" TEXT);
CREATE UNIQUE INDEX "idx_collections_name" ON "collections" ("name");
CREATE TABLE "embeddings" ("collection_id" INTEGER REFERENCES "collections"("id"), "id" TEXT,
  "embedding" BLOB, "content" TEXT, "content_blob" BLOB, "content_hash" BLOB, "metadata" TEXT,
  "updated" INTEGER, PRIMARY KEY ("collection_id", "id"));
CREATE INDEX "idx_embeddings_content_hash" ON "embeddings" ("content_hash");
"#;

/// A folder with a database in it.
pub struct Scene {
    pub folder: tempfile::TempDir,
    pub db: Connection,
}

impl Scene {
    /// An empty database in llm's schema, in the given journal mode.
    pub fn new(journal: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Connection::open(folder.path().join("embeddings.db")).unwrap();
        db.pragma_update(None, "journal_mode", journal).unwrap();
        db.pragma_update(None, "synchronous", "off").unwrap();
        db.execute_batch(SCHEMA).unwrap();
        Self { folder, db }
    }

    /// One with a collection of `rows` random vectors of `dim` values, ids `0000`, `0001`, …
    pub fn with_rows(journal: &str, collection: &str, rows: usize, dim: usize) -> Self {
        let scene = Self::new(journal);
        let id = scene.collection(collection);
        let mut random = Random(42);
        let transaction = scene.db.unchecked_transaction().unwrap();
        for row in 0..rows {
            scene.put(id, &format!("{row:04}"), &blob(&random.vector(dim)));
        }
        transaction.commit().unwrap();
        scene
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("embeddings.db")
    }

    pub fn engine(&self) -> Engine {
        engine(&self.path())
    }

    pub fn collection(&self, name: &str) -> i64 {
        self.db
            .execute("insert into collections (name, model) values (?, ?)", [name, MODEL])
            .unwrap();
        self.db.last_insert_rowid()
    }

    pub fn put(&self, collection: i64, id: &str, embedding: &[u8]) {
        self.db
            .execute(
                "insert or replace into embeddings (collection_id, id, embedding, content, updated)
                 values (?, ?, ?, ?, 1)",
                params![collection, id, embedding, format!("content of {id}")],
            )
            .unwrap();
    }
}

pub fn engine(path: &Path) -> Engine {
    Engine::open(Location { database: path.to_owned(), index_dir: None }).unwrap()
}

pub fn blob(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A small generator, so that a test's data is the same everywhere (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn vector(&mut self, dim: usize) -> Vec<f32> {
        (0..dim).map(|_| (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
    }
}

pub fn new_index(name: &str, collections: &[&str]) -> NewIndex {
    NewIndex {
        name: name.into(),
        sources: collections.iter().map(|name| NewSource::Collection((*name).into())).collect(),
        kind: None,
        metric: None,
        parameters: Default::default(),
        default: MakeDefault::IfNone,
        models: ModelRule::Same,
    }
}

/// The same of another kind than the usual one.
pub fn of_kind(kind: &str, index: NewIndex) -> NewIndex {
    NewIndex { kind: Some(kind.to_owned()), ..index }
}

/// The names of all kinds.
pub fn kinds() -> Vec<&'static str> {
    simdex::index::KINDS.iter().map(|kind| kind.name()).collect()
}

pub fn define_and_build(engine: &Engine, name: &str, collections: &[&str]) -> Report {
    engine.define(new_index(name, collections)).unwrap();
    engine.build(name, &Silent).unwrap()
}

pub fn by_vector(target: Target, vector: &[f32], number: usize) -> SearchRequest {
    SearchRequest {
        target,
        by: QueryBy::Vector(vector.iter().copied().map(f64::from).collect()),
        number: Number::AtMost(number),
        filter: Filter::default(),
        content: Content::Fetch,
    }
}

pub fn by_id(collection: &str, id: &str, number: usize) -> SearchRequest {
    SearchRequest {
        by: QueryBy::Id { source: None, id: id.into() },
        ..by_vector(Target::Collection(collection.into(), Through::Default), &[], number)
    }
}

pub fn rows(answer: &Answer) -> Vec<(String, Id, f64)> {
    answer.matches.iter().map(|m| (m.source.clone(), m.id.clone(), m.score)).collect()
}

/// The answer by plain SQL and a float64 loop: every row of the collections whose blob is sound and
/// of the most common size, closest first, ties by (collection, id).
pub fn naive(
    db: &Connection,
    collections: &[&str],
    query: &[f32],
    metric: Metric,
    number: usize,
    skip: Option<(&str, &str)>,
) -> Vec<(String, Id, f64)> {
    let sound = sound_rows(db, collections, metric);
    let size = most_common_size(&sound);
    let mut scored: Vec<(String, Id, f64)> = sound
        .into_iter()
        .filter(|(.., vector)| Some(vector.len()) == size)
        .filter(|(name, id, _)| skip.is_none_or(|(n, i)| n != name || *id != Id::text(i)))
        .map(|(name, id, vector)| {
            let score = naive_score(&vector, query, metric);
            (name, id, score)
        })
        .collect();
    scored.sort_by(|a, b| {
        let by_score = match metric {
            Metric::L2 => a.2.partial_cmp(&b.2),
            Metric::Cosine | Metric::Dot => b.2.partial_cmp(&a.2),
        };
        by_score.unwrap().then_with(|| (&a.0, &a.1).cmp(&(&b.0, &b.1)))
    });
    scored.truncate(number);
    scored
}

type SoundRow = (String, Id, Vec<f32>);

/// The number of dimensions of the rows that can be searched under cosine.
pub fn naive_size(db: &Connection, collections: &[&str]) -> Option<usize> {
    most_common_size(&sound_rows(db, collections, Metric::Cosine))
}

fn most_common_size(sound: &[SoundRow]) -> Option<usize> {
    let mut sizes = std::collections::BTreeMap::new();
    for (.., vector) in sound {
        *sizes.entry(vector.len()).or_insert(0) += 1;
    }
    sizes.iter().max_by_key(|(size, rows)| (**rows, **size)).map(|(size, _)| *size)
}

fn sound_rows(db: &Connection, collections: &[&str], metric: Metric) -> Vec<SoundRow> {
    let mut sound: Vec<SoundRow> = Vec::new();
    for name in collections {
        let mut statement = db
            .prepare(
                "select e.id, e.embedding from embeddings e join collections c
                 on c.id = e.collection_id where c.name = ?",
            )
            .unwrap();
        let mut rows = statement.query([name]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let Ok(bytes) = row.get_ref(1).unwrap().as_blob() else { continue };
            let vector: Vec<f32> = bytes
                .chunks_exact(4)
                .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
                .collect();
            let zero = vector.iter().all(|value| *value == 0.0);
            if bytes.is_empty()
                || bytes.len() % 4 != 0
                || vector.iter().any(|value| !value.is_finite())
                || (zero && metric == Metric::Cosine)
            {
                continue;
            }
            sound.push(((*name).into(), Id::from_sql(row.get_ref(0).unwrap()), vector));
        }
    }
    sound
}

fn naive_score(row: &[f32], query: &[f32], metric: Metric) -> f64 {
    let (mut dot, mut rows, mut queries, mut distance) = (0.0, 0.0, 0.0, 0.0);
    for (x, q) in row.iter().zip(query) {
        let (x, q) = (f64::from(*x), f64::from(*q));
        dot += x * q;
        rows += x * x;
        queries += q * q;
        distance += (x - q) * (x - q);
    }
    // As llm does it: Python's `** 0.5` is a power, not a square root.
    let half = std::hint::black_box(0.5);
    match metric {
        Metric::Cosine => dot / (rows.powf(half) * queries.powf(half)),
        Metric::Dot => dot,
        Metric::L2 => distance,
    }
}
