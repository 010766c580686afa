//! Databases to carry rows out of and into.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rusqlite::Connection;
use simdex::Engine;
use simdex::engine::api::Location;
use simdex::engine::walk::{Extras, Row, Walk};
use simdex_transfer::export::FileRequest;
use simdex_transfer::files::{FileFormat, Overwrite};
use simdex_transfer::import::{Existing, ImportRequest};
use simdex_transfer::llm;
use simdex_transfer::tally::Bad;
use tempfile::TempDir;

pub const MODEL: &str = "test-model";

/// A folder with a database of one collection, `posts`.
pub struct Place {
    pub folder: TempDir,
}

impl Place {
    pub fn with(rows: &[Row]) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let db = Connection::open(place.path("source.db")).unwrap();
        let transaction = db.unchecked_transaction().unwrap();
        llm::create_tables(&db).unwrap();
        let collection = llm::create(&db, "posts", MODEL).unwrap();
        rows.iter().for_each(|row| insert(&db, collection, row));
        transaction.commit().unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn walk(&self) -> Walk {
        let location = Location { database: self.path("source.db"), index_dir: None };
        Engine::open(location).unwrap().walk("posts").unwrap()
    }

    /// Names of all files in the folder but the source.
    pub fn files(&self) -> Vec<String> {
        let entries = self.folder.path().read_dir().unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with("source.db")).collect();
        names.sort();
        names
    }
}

pub fn to_file(format: FileFormat, path: &Path) -> FileRequest<'_> {
    let permissions = path.parent().unwrap().join("source.db").metadata().unwrap().permissions();
    FileRequest { format, path, overwrite: Overwrite::No, permissions, bad: Bad::Skip }
}

pub fn into(database: &Path) -> ImportRequest<'_> {
    ImportRequest {
        database,
        collection: "posts",
        model: Some(MODEL),
        existing: Existing::Refuse,
        bad: Bad::Skip,
    }
}

pub fn insert(db: &Connection, collection: i64, row: &Row) {
    let Row { id, vector, extras } = row;
    let blob: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    let Extras { content, content_blob, content_hash, metadata, updated } = extras;
    db.execute(
        "INSERT INTO embeddings VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        rusqlite::params![
            collection,
            id,
            blob,
            content,
            content_blob,
            content_hash,
            metadata,
            updated
        ],
    )
    .unwrap();
}

/// Every row of the collection, by id, with the bits of its vector.
pub fn stored(database: &Path) -> Vec<(String, Vec<u8>, Extras)> {
    let db = Connection::open(database).unwrap();
    let sql = "SELECT id, embedding, content, content_blob, content_hash, metadata, updated
        FROM embeddings ORDER BY id";
    let mut rows = db.prepare(sql).unwrap();
    let rows = rows.query_map([], |row| {
        let extras = Extras {
            content: row.get(2)?,
            content_blob: row.get(3)?,
            content_hash: row.get(4)?,
            metadata: row.get(5)?,
            updated: row.get(6)?,
        };
        Ok((row.get(0)?, row.get(1)?, extras))
    });
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

/// A row as llm writes it: it has a hash and a time.
pub fn row(id: &str, vector: &[f32]) -> Row {
    let extras = Extras {
        content_hash: Some(vec![7; 16]),
        updated: Some(1_750_000_000),
        ..Extras::default()
    };
    Row { id: id.to_owned(), vector: vector.to_vec(), extras }
}

/// Text in which everything occurs that lines, JSON and terminals treat specially.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\\\\"\n\r\t\u{0}-\u{1f}\u{2028}é😀{}\\[\\], ]{0,12}",
        Just(String::new()),
    ]
}

fn any_metadata() -> impl Strategy<Value = String> {
    prop_oneof![
        any_text(),
        Just(
            r#"{"a": 1.50, "a": 1E-7, "b": [123456789012345678901234567890, "\ud83d"]}"#.to_owned()
        ),
        Just("{\"pretty\":\n  1}".to_owned()),
        Just("null".to_owned()),
        Just(" {} ".to_owned()),
        Just("\"text\"".to_owned()),
        Just("[NaN]".to_owned()),
    ]
}

/// Rows of one dimension, with ids that differ.
pub fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    let value = prop_oneof![
        4 => any::<f32>().prop_filter("finite", |value| value.is_finite()),
        1 => prop::sample::select(vec![0.0, -0.0, f32::MIN_POSITIVE / 8.0, f32::MAX, -f32::MAX]),
    ];
    (1_usize..9).prop_flat_map(move |dim| {
        let vector = prop::collection::vec(value.clone(), dim);
        let extras = (
            prop::option::of(any_text()),
            prop::option::of(prop::collection::vec(any::<u8>(), 0..9)),
            prop::collection::vec(any::<u8>(), 0..17),
            prop::option::of(any_metadata()),
            any::<i64>(),
        );
        let extras = extras.prop_map(|(content, content_blob, hash, metadata, updated)| Extras {
            content,
            content_blob,
            content_hash: Some(hash),
            metadata,
            updated: Some(updated),
        });
        prop::collection::btree_map(any_text(), (vector, extras), 1..30).prop_map(|rows| {
            let row = |(id, (vector, extras))| Row { id, vector, extras };
            rows.into_iter().map(row).collect()
        })
    })
}
