//! What the tests share: a folder with a small llm database, and simdex run in it.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use rusqlite::{Connection, params};
use tempfile::TempDir;

pub const MODEL: &str = "test-model";

/// A folder of its own for every test.
pub struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    /// Without a database.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With `embeddings.db`, made by [`write_database`].
    pub fn new() -> Self {
        let sandbox = Self::empty();
        write_database(&sandbox.path("embeddings.db"));
        sandbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// simdex with nothing of the user's around it; `embeddings.db` is found as llm's.
    pub fn simdex(&self, args: &[&str]) -> Command {
        let mut command = assert_cmd::cargo::cargo_bin_cmd!("simdex");
        command.args(args).current_dir(self.folder.path());
        command.env_clear().env("HOME", self.folder.path()).env("PATH", self.path("bin"));
        command.env("LLM_USER_PATH", ".").env("SIMDEX_CONFIG_DIR", self.path("settings"));
        command
    }

    /// (status, stdout, stderr), with this folder's path written as `[DIR]` and the program's as `simdex`.
    pub fn run(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.simdex(args).output().unwrap();
        let status = output.status.code().unwrap();
        (status, self.text(&output.stdout), self.text(&output.stderr))
    }

    /// What a successful run prints.
    pub fn stdout(&self, args: &[&str]) -> String {
        let (status, stdout, stderr) = self.run(args);
        assert_eq!(status, 0, "{args:?}: {stderr}");
        stdout
    }

    /// What a run that fails by the user's fault says; it must print no data.
    pub fn refusal(&self, args: &[&str]) -> String {
        let (status, stdout, stderr) = self.run(args);
        assert_eq!((status, stdout.as_str()), (1, ""), "{args:?}: {stderr}");
        stderr
    }

    fn text(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let program = assert_cmd::cargo::cargo_bin!("simdex");
        text.replace(&*program.to_string_lossy(), "simdex")
            .replace(&*self.folder.path().to_string_lossy(), "[DIR]")
            .replace(&*self.folder.path().canonicalize().unwrap().to_string_lossy(), "[DIR]")
    }

    /// Puts an executable script on the PATH of [`Sandbox::simdex`].
    #[cfg(unix)]
    pub fn script(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::create_dir_all(self.path("bin")).unwrap();
        let file = self.path("bin").join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn blob(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Two collections with all that is awkward to print, and a table with a primary key of its own.
pub fn write_database(path: &Path) {
    let db = Connection::open(path).unwrap();
    db.execute_batch(
        r#"CREATE TABLE "_sqlite_migrations" (
             "id" INTEGER PRIMARY KEY, "migration_set" TEXT, "name" TEXT, "applied_at" TEXT);
           CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
             ON "_sqlite_migrations" ("migration_set", "name");
           CREATE TABLE "collections" ("id" INTEGER PRIMARY KEY, "name" TEXT, "model" TEXT);
           CREATE UNIQUE INDEX "idx_collections_name" ON "collections" ("name");
           CREATE TABLE "embeddings" (
             "collection_id" INTEGER REFERENCES "collections"("id"), "id" TEXT, "embedding" BLOB,
             "content" TEXT, "content_blob" BLOB, "content_hash" BLOB, "metadata" TEXT,
             "updated" INTEGER, PRIMARY KEY ("collection_id", "id"));
           CREATE INDEX "idx_embeddings_content_hash" ON "embeddings" ("content_hash");
           CREATE TABLE products (sku INTEGER PRIMARY KEY, embedding BLOB, active INTEGER);"#,
    )
    .unwrap();
    for name in [
        "m001_create_tables",
        "m002_foreign_key",
        "m003_add_updated",
        "m004_store_content_hash",
        "m005_add_content_blob",
    ] {
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)
             VALUES ('llm.embeddings', ?, '2026-01-01')",
            [name],
        )
        .unwrap();
    }
    let add = |collection: i64,
               id: &str,
               vector: &[f32],
               content: Option<&str>,
               metadata: Option<&str>| {
        db.execute(
            "INSERT INTO embeddings VALUES (?, ?, ?, ?, NULL, NULL, ?, 1)",
            params![collection, id, blob(vector), content, metadata],
        )
        .unwrap();
    };
    for (id, name) in [(1, "posts"), (2, "tils")] {
        db.execute("INSERT INTO collections VALUES (?, ?, ?)", params![id, name, MODEL]).unwrap();
    }
    add(1, "cat", &[1.0, 0.0, 0.0], Some("I like cats"), None);
    add(
        1,
        "kitten",
        &[0.9, 0.1, 0.0],
        Some("two\n\n  \nlines \u{1f600} é\r\n\u{2028}x"),
        Some(
            r#"{"tags": ["a", 1, 2.50, 1e-7, 123456789012345678901234567890], "é": "\ud83d\ude00"}"#,
        ),
    );
    add(1, "Kit_x", &[0.9, 0.1, 0.0], Some(""), Some("{}"));
    add(1, "dog", &[0.1, 0.9, 0.3], None, Some("[NaN, Infinity, -0, -0.0, 1E5]"));
    add(1, "d%g", &[0.2, -0.3, 0.7], Some("\u{1b}[31mred\u{1b}[0m \u{7f}"), Some("\"text\""));
    add(
        1,
        "anti",
        &[-1.0, 1e-7, 0.0],
        Some("tab\tback\\slash \"quote\""),
        Some("{\"a\":1,\"a\":2}"),
    );
    add(2, "cat", &[0.5, 0.5, 0.5], Some("the other cat"), None);
    add(2, "note", &[0.9, 0.2, 0.1], Some("a note"), None);
    for (sku, vector) in [(7, [0.0, 1.0]), (8, [0.0, 3.0]), (9, [1.0, 1.0])] {
        db.execute("INSERT INTO products VALUES (?, ?, ?)", params![sku, blob(&vector), sku % 2])
            .unwrap();
    }
}
