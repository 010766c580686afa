//! `migrate` and `import`: what goes out comes in again, and the real llm reads it.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::path::Path;
use std::process::Command;

use common::Sandbox;
use insta::assert_snapshot;
use rusqlite::Connection;
use rusqlite::types::Value;

/// Everything that a database holds of llm's: statements, migrations without their times, rows.
fn contents(sandbox: &Sandbox, name: &str) -> Vec<Vec<Value>> {
    let db = Connection::open(sandbox.path(name)).unwrap();
    let all = [
        "SELECT id, migration_set, name FROM _sqlite_migrations ORDER BY id",
        "SELECT name, model FROM collections ORDER BY name",
        "SELECT id, embedding, content, content_blob, content_hash, metadata, updated
         FROM embeddings ORDER BY id",
    ];
    let mut found = Vec::new();
    for sql in all {
        let mut rows = db.prepare(sql).unwrap();
        let columns = rows.column_count();
        let rows = rows.query_map([], |row| (0..columns).map(|column| row.get(column)).collect());
        found.extend(rows.unwrap().map(|row| row.unwrap()));
    }
    found
}

fn only_posts(sandbox: &Sandbox) {
    let db = Connection::open(sandbox.path("embeddings.db")).unwrap();
    db.execute_batch(
        "DELETE FROM embeddings WHERE collection_id = 2; DELETE FROM collections WHERE id = 2;
         UPDATE embeddings SET content_blob = x'00ff0a', content_hash = zeroblob(16)
          WHERE id = 'cat';",
    )
    .unwrap();
}

#[test]
fn what_goes_out_comes_in_again() {
    let sandbox = Sandbox::new();
    only_posts(&sandbox);
    let before = std::fs::read(sandbox.path("embeddings.db")).unwrap();
    for format in ["parquet", "npy", "fvecs"] {
        let file = format!("{format}.{format}");
        let said = sandbox.stdout(&["migrate", "posts", "--to", format, &file]);
        assert!(said.contains("6 rows of 3 dimensions from posts"), "{said}");
        let database = format!("{format}.db");
        let import =
            ["import", &file, "posts", "--into", &database, "--model", common::MODEL, "--json"];
        let report: serde_json::Value = serde_json::from_str(&sandbox.stdout(&import)).unwrap();
        assert_eq!(report["rows"], 6);
        // llm always sets a hash; where the source has none, the texts' is made.
        let without_hash = |name| {
            let db = Connection::open(sandbox.path(name)).unwrap();
            db.execute_batch("UPDATE embeddings SET content_hash = NULL WHERE id <> 'cat'")
                .unwrap();
            contents(&sandbox, name)
        };
        assert_eq!(without_hash(&database), contents(&sandbox, "embeddings.db"), "{format}");
    }
    assert_eq!(std::fs::read(sandbox.path("embeddings.db")).unwrap(), before, "only read");
    assert_snapshot!(
        "migrate_json",
        sandbox.stdout(&["migrate", "posts", "--to", "npy", "x.npy", "--json"])
    );
    assert_snapshot!("lines_beside", std::fs::read_to_string(sandbox.path("x.jsonl")).unwrap());
}

#[test]
fn mistakes_are_explained() {
    let sandbox = Sandbox::new();
    let migrate = |to: [&str; 2]| sandbox.refusal(&["migrate", "posts", "--to", to[0], to[1]]);
    assert_snapshot!("migrate_kind", migrate(["xls", "posts.xls"]));
    sandbox.stdout(&["migrate", "posts", "--to", "parquet", "posts.parquet"]);
    assert_snapshot!("migrate_taken", migrate(["parquet", "posts.parquet"]));
    sandbox.stdout(&["migrate", "posts", "--to", "parquet", "posts.parquet", "--force"]);
    assert_snapshot!("migrate_folder", migrate(["parquet", "."]));
    assert_snapshot!("migrate_unknown", sandbox.refusal(&["migrate", "x", "--to", "npy", "x.npy"]));
    let import = |args: &[&str]| sandbox.refusal(&[&["import"], args].concat());
    assert_snapshot!("import_suffix", import(&["x.csv", "posts", "--into", "new.db"]));
    assert_snapshot!("import_missing", import(&["x.npy", "posts", "--into", "new.db"]));
    assert_snapshot!(
        "import_taken",
        import(&["posts.parquet", "posts", "--into", "embeddings.db"])
    );
    assert_snapshot!(
        "import_d",
        import(&["posts.parquet", "posts", "--into", "new.db", "-d", "x"])
    );
    std::fs::write(sandbox.path("text"), "hello, I am text, and not a database at all").unwrap();
    assert_snapshot!("import_no_database", import(&["posts.parquet", "posts", "--into", "text"]));
    assert!(!sandbox.path("new.db").exists());
}

#[test]
fn rows_left_out_are_named_or_refused() {
    let sandbox = Sandbox::new();
    let db = Connection::open(sandbox.path("embeddings.db")).unwrap();
    db.execute_batch("INSERT INTO embeddings (collection_id, id) VALUES (1, 'empty')").unwrap();
    let (status, _, stderr) = sandbox.run(&["migrate", "posts", "--to", "npy", "x.npy"]);
    assert_eq!(status, 0);
    assert_snapshot!("left_out", stderr);
    assert_snapshot!(
        "strict",
        sandbox.refusal(&["migrate", "posts", "--to", "npy", "y.npy", "--strict"])
    );
    assert!(!sandbox.path("y.npy").exists());
}

#[test]
fn targets_refuse_options_of_the_others() {
    let sandbox = Sandbox::new();
    let refused = |args: &[&str]| {
        let said = sandbox.refusal(&[&["migrate", "posts", "--to"], args].concat());
        assert!(!said.contains("hunter2"), "{said}");
        said
    };
    assert!(refused(&["npy", "x.npy", "--as", "y"]).contains("--as"));
    assert!(!sandbox.path("x.npy").exists());
    let url = "http://me:hunter2@127.0.0.1:9";
    assert!(refused(&["chroma", url, "--force"]).contains("--force"));
    assert!(refused(&["pgvector", url]).contains("postgres://"));
    assert!(refused(&["milvus", url]).contains("chroma, pgvector"));
}

/// The schema is the one that the real llm makes, and llm's own commands read what was imported.
#[test]
fn llm_reads_it() {
    let llm = std::env::var("SIMDEX_TEST_LLM").ok().filter(|path| !path.is_empty());
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(llm.is_some() || !in_ci, "SIMDEX_TEST_LLM must name an llm executable in CI");
    let Some(llm) = llm else { return eprintln!("skipped: SIMDEX_TEST_LLM names no llm") };
    let sandbox = Sandbox::new();
    only_posts(&sandbox);
    let run = |args: &[&str]| {
        let mut command = Command::new(&llm);
        command.args(args).current_dir(sandbox.path("")).env("LLM_USER_PATH", sandbox.path("llm"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "llm {args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    };
    // No command of llm's makes tables without a model. Its own Python is beside it.
    let make = "import sqlite_utils; from llm.embeddings_migrations import embeddings_migrations
embeddings_migrations.apply(sqlite_utils.Database('llms.db'))";
    let python = Path::new(&llm).with_file_name(format!("python{}", std::env::consts::EXE_SUFFIX));
    let mut python = Command::new(python);
    assert!(python.args(["-c", make]).current_dir(sandbox.path("")).status().unwrap().success());
    sandbox.stdout(&["migrate", "posts", "--to", "parquet", "posts.parquet"]);
    sandbox.stdout(&["import", "posts.parquet", "posts", "--into", "ours.db"]);
    let schema = |name| {
        let db = Connection::open(sandbox.path(name)).unwrap();
        let sql = "SELECT type, name, sql FROM sqlite_schema ORDER BY name";
        let mut rows = db.prepare(sql).unwrap();
        let rows = rows.query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Option<String>>(2)?,
            ))
        });
        rows.unwrap().collect::<rusqlite::Result<Vec<_>>>().unwrap()
    };
    assert_eq!(schema("ours.db"), schema("llms.db"));
    // Into a database that llm made, too.
    sandbox.stdout(&["import", "posts.parquet", "posts", "--into", "llms.db"]);
    for args in [
        &["collections", "list", "--json"][..],
        &["similar", "posts", "cat"],
        &["similar", "posts", "kitten", "-n", "2"],
    ] {
        let on = |database| run(&[args, &["-d", database]].concat());
        assert_eq!(on("ours.db"), on("embeddings.db"), "{args:?}");
        assert_eq!(on("llms.db"), on("embeddings.db"), "{args:?}");
    }
}

#[test]
fn a_table_of_related_rows() {
    let sandbox = Sandbox::new();
    let related = |args: &[&str]| {
        sandbox.stdout(&[&["related", "posts", "--output", "related.db", "-k", "2"], args].concat())
    };
    assert_snapshot!("related", related(&[]));
    let db = Connection::open(sandbox.path("embeddings.db")).unwrap();
    db.execute_batch("DELETE FROM embeddings WHERE id = 'anti'").unwrap();
    assert_snapshot!("related_again", related(&["--json"]));
    let output = Connection::open(sandbox.path("related.db")).unwrap();
    let mut rows = output.prepare("SELECT * FROM similarities").unwrap();
    let rows = rows.query_map([], |row| {
        let (id, other): (String, String) = (row.get(0)?, row.get(1)?);
        Ok((id, other, row.get::<_, f64>(2)?))
    });
    for row in rows.unwrap() {
        let (id, other, score) = row.unwrap();
        // The scores are those of a search.
        let found = sandbox.stdout(&["similar", "posts", &id, "-n", "2"]);
        assert!(found.contains(&format!("{{\"id\": \"{other}\", \"score\": {score}")), "{found}");
    }
    assert_snapshot!(
        "related_same",
        sandbox.refusal(&["related", "posts", "--output", "embeddings.db"])
    );
}
