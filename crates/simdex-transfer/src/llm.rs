//! llm's tables, as llm 0.36 leaves them after its migrations, which it therefore doesn't run again.

use rusqlite::{Connection, OptionalExtension as _, params};
use simdex::{Context as _, Error, ErrorKind, Result};

/// Every statement as llm's own ends up in `sqlite_schema`.
const SCHEMA: &str = r#"CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE TABLE "collections" (
   "id" INTEGER PRIMARY KEY,
   "name" TEXT,
   "model" TEXT
);
CREATE UNIQUE INDEX "idx_collections_name"
    ON "collections" ("name");
CREATE TABLE "embeddings" (
   "collection_id" INTEGER REFERENCES "collections"("id"),
   "id" TEXT,
   "embedding" BLOB,
   "content" TEXT,
   "content_blob" BLOB,
   "content_hash" BLOB,
   "metadata" TEXT,
   "updated" INTEGER,
   PRIMARY KEY ("collection_id", "id")
);
CREATE INDEX "idx_embeddings_content_hash"
    ON "embeddings" ("content_hash");
"#;

const MIGRATIONS: [&str; 5] = [
    "m001_create_tables",
    "m002_foreign_key",
    "m003_add_updated",
    "m004_store_content_hash",
    "m005_add_content_blob",
];

/// The columns of `embeddings` that a row is stored in.
const COLUMNS: [&str; 8] = [
    "collection_id",
    "id",
    "embedding",
    "content",
    "content_blob",
    "content_hash",
    "metadata",
    "updated",
];

/// Makes llm's tables in a database that has none of them.
///
/// # Errors
/// Those of SQLite.
pub fn create_tables(db: &Connection) -> Result<()> {
    db.execute_batch(SCHEMA)?;
    let applied = "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)
         VALUES ('llm.embeddings', ?, strftime('%Y-%m-%d %H:%M:%f+00:00', 'now'))";
    for name in MIGRATIONS {
        db.execute(applied, [name])?;
    }
    Ok(())
}

/// Makes llm's tables unless they are there.
///
/// # Errors
/// `Invalid` for tables of these names that are not llm's, or those of an older llm.
pub fn ensure_tables(db: &Connection) -> Result<()> {
    let mut found = Vec::new();
    for table in ["collections", "embeddings"] {
        let sql = "SELECT 1 FROM main.sqlite_schema WHERE name = ? COLLATE NOCASE";
        if db.query_row(sql, [table], |_| Ok(())).optional()?.is_some() {
            found.push(table);
        }
    }
    if found.is_empty() {
        return create_tables(db).context("making", "llm's tables");
    }
    let mut columns = db.prepare("SELECT name FROM pragma_table_info('embeddings')")?;
    let columns: Vec<String> =
        columns.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let missing = COLUMNS.iter().find(|name| !columns.iter().any(|known| known == *name));
    match missing {
        None if found.len() == 2 => Ok(()),
        None => Err(not_llms("no table `collections`")),
        Some(column) => Err(not_llms(&format!("no column `embeddings.{column}`"))),
    }
}

fn not_llms(what: &str) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!("the database is not one of llm's, or of an old llm: {what}"),
    )
    .hint("let llm bring it up to date (llm collections list -d DB), or name another database")
}

/// A collection that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its number.
    pub id: i64,
    /// The model of its vectors.
    pub model: Option<String>,
}

/// Finds a collection by name.
///
/// # Errors
/// Those of SQLite.
pub fn find(db: &Connection, name: &str) -> Result<Option<Known>> {
    let sql = "SELECT id, model FROM main.collections WHERE name = ?";
    let known = |row: &rusqlite::Row<'_>| Ok(Known { id: row.get(0)?, model: row.get(1)? });
    Ok(db.query_row(sql, [name], known).optional()?)
}

/// Makes a collection; returns its number.
///
/// # Errors
/// Those of SQLite.
pub fn create(db: &Connection, name: &str, model: &str) -> Result<i64> {
    db.execute("INSERT INTO main.collections (name, model) VALUES (?, ?)", params![name, model])?;
    Ok(db.last_insert_rowid())
}
