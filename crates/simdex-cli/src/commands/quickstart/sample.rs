//! The sample data, compiled into the program, and the database that is written from it.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use half::f16;
use rusqlite::{Connection, OpenFlags, params};
use simdex_transfer::llm;

use crate::failure::UserError;

/// The collection that is written.
pub(super) const COLLECTION: &str = "packages";
/// How many rows it has.
pub(super) const ROWS: usize = 5_000;

const MODEL: &str = "sentence-transformers/all-MiniLM-L6-v2";
const DIMENSIONS: usize = 384;
/// One name a line; see README.md there.
const NAMES: &str = include_str!("../../../sample/packages-5k.txt");
/// `ROWS` × `DIMENSIONS` float16 values, little-endian, row-major.
const VECTORS: &[u8] = include_bytes!("../../../sample/packages-5k-minilm384-f16.bin");

/// SQLite's application id of databases that were written here: "simx".
const MARK: i32 = 0x7369_6d78;

/// Where the database comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It was written just now.
    New,
    /// It was written by an earlier quickstart.
    Ours,
}

/// Writes the sample database at `path`, unless it is there.
///
/// # Errors
/// When something else is there.
pub(super) fn prepare(path: &Path) -> anyhow::Result<Found> {
    if path.try_exists().unwrap_or(true) {
        return if is_ours(path) { Ok(Found::Ours) } else { Err(taken(path).into()) };
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .map_err(|error| UserError::new(format!("can't make {}: {error}", folder.display())))?;
    // Under another name first, so that what stands at `path` is always whole.
    let temporary = tempfile::Builder::new()
        .prefix(".quickstart-")
        .tempfile_in(folder)
        .map_err(|error| UserError::new(format!("can't write to {}: {error}", folder.display())))?;
    write(temporary.path()).with_context(|| format!("writing {}", path.display()))?;
    match temporary.persist_noclobber(path) {
        Ok(_) => Ok(Found::New),
        Err(_) if is_ours(path) => Ok(Found::Ours),
        Err(error) => {
            Err(UserError::new(format!("can't write {}: {}", path.display(), error.error)).into())
        }
    }
}

fn is_ours(path: &Path) -> bool {
    let mark = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(|db| db.query_row("PRAGMA application_id", [], |row| row.get::<_, i32>(0)));
    matches!(mark, Ok(MARK))
}

fn taken(path: &Path) -> UserError {
    UserError::new(format!("{} exists and was not made by quickstart", path.display()))
        .hint("it is left alone; choose another folder with --directory DIR")
}

fn write(path: &Path) -> anyhow::Result<()> {
    let mut db = Connection::open(path)?;
    // The file has no name yet that anybody could read, so it needs no journal.
    db.pragma_update(None, "journal_mode", "OFF")?;
    db.pragma_update(None, "application_id", MARK)?;
    let transaction = db.transaction()?;
    llm::create_tables(&transaction)?;
    llm::create(&transaction, COLLECTION, MODEL)?;
    insert_rows(&transaction)?;
    transaction.commit()?;
    db.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(db.close().map_err(|(_, error)| error)?)
}

/// The texts that were embedded are not part of the sample, so content and its hash are NULL.
fn insert_rows(db: &Connection) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    let mut insert = db.prepare(
        "INSERT INTO embeddings (collection_id, id, embedding, metadata, updated)
         VALUES (1, ?, ?, ?, ?)",
    )?;
    for (name, vector) in NAMES.lines().zip(VECTORS.chunks_exact(DIMENSIONS * 2)) {
        let metadata = format!(r#"{{"url": "https://pypi.org/project/{name}/"}}"#);
        insert.execute(params![name, widened(vector), metadata, now])?;
    }
    Ok(())
}

/// float16 as float32, both little-endian; every value is kept.
fn widened(halves: &[u8]) -> Vec<u8> {
    let (pairs, _) = halves.as_chunks::<2>();
    pairs.iter().flat_map(|pair| f16::from_le_bytes(*pair).to_f32().to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_sample_is_whole() {
        let names: HashSet<_> = NAMES.lines().collect();
        assert_eq!(names.len(), ROWS);
        assert_eq!(VECTORS.len(), ROWS * DIMENSIONS * 2);
        assert!(names.contains(super::super::EXAMPLE) && names.contains("tornado"));
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_graphic() && b != b'"')));
        for vector in VECTORS.chunks_exact(DIMENSIONS * 2) {
            let squares: f32 = widened(vector)
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()).powi(2))
                .sum();
            assert!((squares - 1.0).abs() < 0.01, "{squares}");
        }
    }

    #[test]
    fn the_database_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/embeddings.db");
        assert_eq!(prepare(&path).unwrap(), Found::New);
        let before = fs::read(&path).unwrap();
        assert_eq!(prepare(&path).unwrap(), Found::Ours);
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 1, "no leftover files");
        let db = Connection::open(&path).unwrap();
        let rows: i64 =
            db.query_row("SELECT count(*) FROM embeddings", [], |row| row.get(0)).unwrap();
        assert_eq!(rows as usize, ROWS);
        let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }

    #[test]
    fn a_database_of_the_users_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("embeddings.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
        let before = fs::read(&path).unwrap();
        assert!(prepare(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}
