//! The files on disk: those of released versions are read, and FORMAT.md's decoder reads ours.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::*;
use rusqlite::Connection;
use simdex::Metric;
use simdex::engine::api::*;
use simdex::observe::Silent;

const DIM: usize = 8;

/// The query that the fixture is searched with; its answers are the naive model's.
fn query() -> Vec<f32> {
    Random(99).vector(DIM)
}

fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Changes rows behind a built index: one more, one other, one less.
fn change(scene: &Scene, collection: i64) {
    scene.put(collection, "new", &blob(&Random(5).vector(DIM)));
    scene.put(collection, "0003", &blob(&Random(6).vector(DIM)));
    scene.db.execute("delete from embeddings where id = '0001'", []).unwrap();
}

#[test]
fn the_first_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture("v1"), folder.path());
    let path = folder.path().join("embeddings.db");
    let engine = engine(&path);
    let info = engine.index("posts").unwrap();
    let IndexState::Built(built) = info.state else { panic!("{:?}", info.state) };
    assert_eq!((built.rows, built.tail, built.tombstones), (12, 2, 2));
    let verified = engine.verify("posts", &Silent).unwrap();
    assert_eq!((verified.problems, verified.behind), (Vec::new(), 0));
    let db = Connection::open(&path).unwrap();
    let target = Target::Collection("posts".into(), Through::Default);
    let answer = engine.search(&by_vector(target, &query(), 5), &Silent).unwrap();
    assert_eq!(answer.notices, Vec::<String>::new());
    assert_eq!((answer.plan.index.as_deref(), answer.plan.tail), (Some("posts"), 2));
    assert_eq!(rows(&answer), naive(&db, &["posts"], &query(), Metric::Cosine, 5, None));
}

/// Run by `cargo xtask fixture`.
#[test]
#[ignore = "writes the fixture of the format version in the making"]
fn write_fixture() {
    let scene = Scene::with_rows("delete", "posts", 12, DIM);
    let engine = scene.engine();
    define_and_build(&engine, "posts", &["posts"]);
    change(&scene, 1);
    // Long enough that the manifest tells which state of the database it shows.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert_eq!(engine.refresh("posts", &Silent).unwrap().action, Action::Refreshed);
    let _ = std::fs::remove_dir_all(fixture("v1"));
    copy(scene.folder.path(), &fixture("v1"));
}

/// The Python to run the decoder with. CI has one, and says so with `CI=true`.
fn python() -> Option<String> {
    let named = std::env::var("SIMDEX_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let works = Command::new(&named).arg("--version").output().is_ok_and(|o| o.status.success());
    let required = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(works || !required, "`{named}` does not run, and CI=true leaves nothing out");
    works.then_some(named)
}

/// The first block of Python in FORMAT.md.
fn decoder() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../FORMAT.md");
    let text = std::fs::read_to_string(path).unwrap().replace("\r\n", "\n");
    let (_, block) = text.split_once("```python\n").unwrap();
    block.split_once("\n```").unwrap().0.to_owned()
}

/// What the decoder prints of the indexes in `folder`: (index, source, id as JSON, vector).
fn decode(folder: &Path) -> Option<Vec<(String, String, String, Vec<f32>)>> {
    let output = Command::new(python()?).args(["-c", &decoder()]).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let read = |line: &str| {
        let line: (String, String, serde_json::Value, Vec<f32>) = serde_json::from_str(line)?;
        Ok::<_, serde_json::Error>((line.0, line.1, line.2.to_string(), line.3))
    };
    let mut rows: Vec<_> = lines.lines().map(|line| read(line).unwrap()).collect();
    rows.sort_by(|a, b| (&a.0, &a.1, &a.2).cmp(&(&b.0, &b.1, &b.2)));
    Some(rows)
}

#[test]
fn the_decoder_of_format_md_reads_what_we_write() {
    let scene = Scene::with_rows("wal", "posts", 6, DIM);
    let table = "create table t (id, embedding blob);
        insert into t select column1, embedding from (values (null), (-5), (-0.5), (7.25), ('a'),
        (x'00ff')) join (select embedding from embeddings where id = '0002')";
    scene.db.execute_batch(table).unwrap();
    let engine = scene.engine();
    define_and_build(&engine, "c", &["posts"]);
    let source = NewSource::Table {
        table: "t".into(),
        id_column: None,
        embedding_column: None,
        filter: None,
    };
    engine.define(NewIndex { sources: vec![source], ..new_index("t", &[]) }).unwrap();
    engine.build("t", &Silent).unwrap();
    change(&scene, 1);
    engine.refresh("c", &Silent).unwrap();
    let Some(decoded) = decode(&scene.path().with_file_name("embeddings.db.simdex")) else {
        return;
    };
    let sql = "select 'c', 'posts', json_quote(id), embedding from embeddings union all
        select 't', 't', case typeof(id) when 'blob' then '{\"blob\":\"' || lower(hex(id)) || '\"}'
        else json_quote(id) end, embedding from t order by 1, 2, 3";
    let mut statement = scene.db.prepare(sql).unwrap();
    let stored = statement.query_map([], |row| {
        let blob: Vec<u8> = row.get(3)?;
        let (words, _) = blob.as_chunks::<4>();
        let vector = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, vector))
    });
    let stored: Vec<_> = stored.unwrap().map(Result::unwrap).collect();
    assert_eq!(decoded, stored);
}
