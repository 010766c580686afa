//! SQL that users pass, names that are SQL, and files that are not what they were.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::sidecar::{home, settle};
use common::*;
use simdex::engine::api::*;
use simdex::observe::{Observer, Silent};

use simdex::{Engine, ErrorKind, Metric};

fn filtered(filter: Filter) -> SearchRequest {
    let target = Target::Collection("posts".into(), Through::Default);
    SearchRequest { filter, ..by_vector(target, &[1.0, 0.5, 0.25, 0.125], 100) }
}

fn with_ids(sql: &str) -> SearchRequest {
    filtered(Filter { ids: Some(sql.into()), ..Filter::default() })
}

fn with_condition(sql: &str) -> SearchRequest {
    filtered(Filter { condition: Some(sql.into()), ..Filter::default() })
}

fn ids(engine: &Engine, request: &SearchRequest) -> Vec<String> {
    let mut ids: Vec<_> = engine
        .search(request, &Silent)
        .unwrap()
        .matches
        .into_iter()
        .map(|found| found.id.to_string())
        .collect();
    ids.sort();
    ids
}

/// Every file below the database's folder but the index's.
fn untouched(scene: &Scene) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = common::sidecar::Copy::of(scene.folder.path()).0;
    // SQLite's shared memory holds locks and read marks, no rows.
    files.retain(|(name, _)| {
        let name = name.to_str().unwrap();
        !name.contains(".simdex/") && !name.ends_with("-shm")
    });
    files
}

#[test]
fn sql_of_users_never_writes() {
    for journal in ["wal", "delete"] {
        let scene = Scene::with_rows(journal, "posts", 20, 4);
        let engine = scene.engine();
        define_and_build(&engine, "i", &["posts"]);
        let before = untouched(&scene);
        for sql in [
            "DELETE FROM embeddings",
            "DELETE FROM embeddings RETURNING id",
            "UPDATE embeddings SET id = 'x' RETURNING id",
            "INSERT INTO embeddings (id) VALUES ('x') RETURNING id",
            "WITH x AS (SELECT 1) DELETE FROM embeddings RETURNING id",
            "SELECT id FROM embeddings; DELETE FROM embeddings",
            "SELECT id FROM embeddings); DELETE FROM embeddings; --",
            "SELECT 1) OR (1",
            "SELECT id FROM embeddings /* ' */ ) OR (1 /* ' */",
            "SELECT id FROM embeddings /*",
            "1; DELETE FROM embeddings",
            "1) OR (1",
            "1 \0 DELETE",
            "PRAGMA user_version = 7",
            "PRAGMA journal_mode = DELETE",
            "PRAGMA writable_schema = 1",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "SELECT * FROM pragma_journal_mode('delete')",
            "ATTACH 'other.db' AS other",
            "DETACH main",
            "VACUUM",
            "VACUUM INTO 'copy.db'",
            "REINDEX",
            "ANALYZE",
            "CREATE TABLE x (y)",
            "CREATE TEMP TABLE x AS SELECT 1",
            "DROP TABLE embeddings",
            "BEGIN; COMMIT",
            "COMMIT",
            "ROLLBACK",
            "SAVEPOINT x",
            "EXPLAIN DELETE FROM embeddings",
            "SELECT load_extension('/tmp/x.so')",
            "load_extension('/tmp/x.so')",
            "SELECT writefile('x', 'y')",
            "SELECT readfile('/etc/passwd')",
            "SELECT fts3_tokenizer('simple', x'00')",
            "?",
            ":name",
            "$x(')",
            "",
            " ",
            ";",
            "'",
            "\"",
            "[",
            "SELECT",
        ] {
            for request in [with_ids(sql), with_condition(sql)] {
                let error = match engine.search(&request, &Silent) {
                    Ok(answer) => panic!("{:?}: {answer:?}", request.filter),
                    Err(error) => error,
                };
                assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
            }
            let source = NewSource::Table {
                table: "embeddings".into(),
                id_column: None,
                embedding_column: None,
                filter: Some(sql.into()),
            };
            // What SQLite refuses only when it runs is defined, and then can't be built.
            let new = NewIndex { sources: vec![source], ..new_index("x", &[]) };
            let defined = engine.define(new);
            let built = defined.is_ok().then(|| engine.build("x", &Silent).unwrap_err());
            let error = built.unwrap_or_else(|| defined.unwrap_err());
            assert!(error.kind().is_user_error(), "{sql}: {error}");
            let _ = engine.drop_index("x");
            assert!(untouched(&scene) == before, "{journal}: {sql}");
        }
    }
}

#[test]
fn filters_find_what_sql_finds() {
    let scene = Scene::with_rows("wal", "posts", 30, 4);
    let engine = scene.engine();
    let posts = 1;
    for id in ["Case", "CASE two", "case%three", "case_four", "\u{c9}t\u{e9}", "\u{e9}t\u{e9}"] {
        scene.put(posts, id, &blob(&Random(id.len() as u64).vector(4)));
    }
    // An id that only another collection has, and one that both have.
    let other = scene.collection("tils");
    scene.put(other, "tils only", &blob(&[1.0; 4]));
    scene.put(other, "0003", &blob(&[1.0; 4]));
    let prefix = |text: &str| filtered(Filter { prefix: Some(text.into()), ..Filter::default() });
    for built in [false, true] {
        if built {
            define_and_build(&engine, "i", &["posts"]);
        }
        for (request, expected) in [
            (prefix("case"), vec!["CASE two", "Case", "case%three", "case_four"]),
            (prefix("case_"), vec!["CASE two", "case%three", "case_four"]),
            (prefix("%two"), vec!["CASE two"]),
            (prefix("\u{e9}"), vec!["\u{e9}t\u{e9}"]),
            (prefix("' OR 1 --"), vec![]),
            (with_condition("id = '0003' OR id = 'tils only'"), vec!["0003"]),
            (with_condition("id in ('0001') -- the first"), vec!["0001"]),
            (with_condition("id = '0001' /* it's (one */"), vec!["0001"]),
            (with_condition("id = ')' or id = '0002'"), vec!["0002"]),
            (with_condition("updated is null"), vec![]),
            (
                with_ids("select '0004' union select '0005' union select 'tils only';"),
                vec!["0004", "0005"],
            ),
            (
                with_ids(
                    "with recursive c(x) as (select 1 union all select x + 1 from c limit 3)
                       select '000' || x from c",
                ),
                vec!["0001", "0002", "0003"],
            ),
            (with_ids("select id from embeddings where collection_id = 2 -- theirs"), vec!["0003"]),
            (with_ids("select null"), vec![]),
            (
                filtered(Filter {
                    prefix: Some("000".into()),
                    condition: Some("id > '0003'".into()),
                    ids: Some("select '0003' union select '0004' union select '0015'".into()),
                    attach: vec![],
                }),
                vec!["0004"],
            ),
        ] {
            assert_eq!(ids(&engine, &request), expected, "{:?}", request.filter);
        }
    }
}

#[test]
fn attached_databases_are_read_and_left_alone() {
    // No log of its own, which would keep SQLite from copying any.
    let scene = Scene::with_rows("delete", "posts", 20, 4);
    let engine = scene.engine();
    define_and_build(&engine, "i", &["posts"]);
    let path = scene.folder.path().join("it's \"other\".db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch(
            "pragma journal_mode = wal; pragma wal_autocheckpoint = 0;
             create table picks (id); insert into picks values ('0001'), (2), ('0003');",
        )
        .unwrap();
    // The last to close a log copies it into its database: here nobody may.
    let config = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    other.set_db_config(config, true).unwrap();
    drop(other);
    let before = untouched(&scene);
    let with = |alias: &str, sql: &str| {
        filtered(Filter {
            ids: Some(sql.into()),
            attach: vec![(alias.into(), path.clone())],
            ..Filter::default()
        })
    };
    let found = ids(&engine, &with("a \"b\"]", "select id from \"a \"\"b\"\"]\".picks"));
    assert_eq!(found, ["0001", "0003"]);
    for (alias, sql) in [
        ("other", "delete from other.picks returning id"),
        ("other", "select 1 from other.nothing"),
        ("main", "select 1"),
        ("a\0b", "select 1"),
    ] {
        assert!(engine.search(&with(alias, sql), &Silent).unwrap_err().kind().is_user_error());
    }
    let missing = scene.folder.path().join("missing.db");
    let request = filtered(Filter {
        ids: Some("select 1".into()),
        attach: vec![("m".into(), missing.clone())],
        ..Filter::default()
    });
    assert_eq!(engine.search(&request, &Silent).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!missing.exists());
    assert!(untouched(&scene) == before);
}

/// Integer ids and text ids compare as SQLite compares them, by the column's affinity.
#[test]
fn numbers_and_texts_in_filters() {
    let scene = Scene::new("wal");
    scene
        .db
        .execute_batch(
            "create table numbers (id integer primary key, embedding);
             create table texts (id text primary key, embedding);
             insert into numbers values (1, x'0000803f'), (2, x'0000803f'), (10, x'0000803f');
             insert into texts values ('1', x'0000803f'), ('2', x'0000803f'), ('01', x'0000803f');",
        )
        .unwrap();
    let engine = scene.engine();
    for (name, sql, expected) in [
        ("numbers", "select 1", vec!["1"]),
        ("numbers", "select '1'", vec!["1"]),
        ("texts", "select '1'", vec!["1"]),
        ("texts", "select 1", vec!["1"]),
    ] {
        let source = NewSource::Table {
            table: name.into(),
            id_column: None,
            embedding_column: None,
            filter: None,
        };
        if engine.index(name).is_err() {
            engine.define(NewIndex { sources: vec![source], ..new_index(name, &[]) }).unwrap();
            engine.build(name, &Silent).unwrap();
        }
        let by_sqlite: Vec<String> = scene
            .db
            .prepare(&format!("select cast(id as text) from {name} where id in ({sql})"))
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for target in [Target::Index(name.into()), Target::IndexExact(name.into())] {
            let filter = Filter { ids: Some(sql.into()), ..Filter::default() };
            let request = SearchRequest { filter, ..by_vector(target, &[1.0], 10) };
            assert_eq!(ids(&engine, &request), by_sqlite, "{name}: {sql}");
        }
        assert!(by_sqlite == expected || name == "texts" || name == "numbers");
    }
    let prefix = Filter { prefix: Some("1".into()), ..Filter::default() };
    let request =
        SearchRequest { filter: prefix, ..by_vector(Target::Index("numbers".into()), &[1.0], 10) };
    assert_eq!(ids(&engine, &request), ["1", "10"]);
}

/// Asks for a stop once it was asked a few times.
struct Impatient(AtomicBool);

impl Observer for Impatient {
    fn is_cancelled(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }
}

/// Queries that never end, with and without rows, end when the caller says so.
#[test]
fn endless_sql_can_be_stopped() {
    let scene = Scene::with_rows("wal", "posts", 20, 4);
    let engine = scene.engine();
    let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)";
    let without_rows = format!("{endless} SELECT count(*) FROM c");
    let with_rows = format!("{endless} SELECT x FROM c");
    let in_condition = format!("id = ({without_rows})");
    for request in [with_ids(&without_rows), with_ids(&with_rows), with_condition(&in_condition)] {
        let error = engine.search(&request, &Impatient(AtomicBool::new(false))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    }
    // As the condition of a table source: defining does not run it, building and searching do.
    let source = NewSource::Table {
        table: "embeddings".into(),
        id_column: None,
        embedding_column: None,
        filter: Some(in_condition),
    };
    engine.define(NewIndex { sources: vec![source], ..new_index("x", &[]) }).unwrap();
    let error = engine.build("x", &Impatient(AtomicBool::new(false))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    let request = by_vector(Target::Index("x".into()), &[1.0; 4], 3);
    let error = engine.search(&request, &Impatient(AtomicBool::new(false))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
}

#[test]
fn names_are_names() {
    let scene = Scene::new("delete");
    let engine = scene.engine();
    let long = "x".repeat(1 << 20);
    for name in [
        "a\"b",
        "a'b",
        "a]b",
        "a;b",
        "a`b",
        "' or 1 --",
        "); drop table embeddings; --",
        "\u{1f600}",
        "\u{202e}abc",
        "../../x",
        "a\0b",
        "%",
        "_",
        " ",
        "--default",
        &long,
    ] {
        let collection = scene.collection(name);
        scene.put(collection, name, &blob(&[1.0, 2.0]));
        scene.put(collection, "other", &blob(&[2.0, 1.0]));
        let target = || Target::Collection(name.into(), Through::Default);
        let by = QueryBy::Id { source: None, id: name.into() };
        let request = SearchRequest { by, ..by_vector(target(), &[], 5) };
        let expected =
            naive(&scene.db, &[name], &[1.0, 2.0], Metric::Cosine, 5, Some((name, name)));
        assert_eq!(rows(&engine.search(&request, &Silent).unwrap()), expected);
        define_and_build(&engine, "i", &[name]);
        assert_eq!(rows(&engine.search(&request, &Silent).unwrap()), expected);
        engine.drop_index("i").unwrap();
        // The same as the name of an index: taken as it is, or refused, and never a path.
        match engine.define(new_index(name, &[name])) {
            Ok(_) => {
                engine.build(name, &Silent).unwrap();
                engine.drop_index(name).unwrap();
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "{error}"),
        }
    }
    for name in ["", "a\nb", "-x", "\u{7f}", &long] {
        assert_eq!(engine.define(new_index(name, &["_"])).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(engine.index(name).unwrap_err().kind(), ErrorKind::NotFound);
    }
    let beside: Vec<_> = std::fs::read_dir(scene.folder.path()).unwrap().collect();
    assert_eq!(beside.len(), 2);
}

#[cfg(unix)]
#[test]
fn sidecar_files_follow_the_databases_mode() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::with_rows("delete", "posts", 20, 4);
    let engine = scene.engine();
    let set = |mode| {
        std::fs::set_permissions(scene.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o644);
    define_and_build(&engine, "i", &["posts"]);
    for (mode, file, folder) in
        [(0o600, 0o600, 0o700), (0o640, 0o640, 0o750), (0o644, 0o644, 0o755), (0o600, 0o600, 0o700)]
    {
        // Whoever may no longer read the database may no longer read its index, once it is written.
        set(mode);
        engine.build("i", &Silent).unwrap();
        engine.define(new_index("other", &["posts"])).unwrap();
        engine.drop_index("other").unwrap();
        let bits = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let home = home(&scene.path());
        let index = engine.index("i").unwrap().folder;
        assert_eq!((bits(&home), bits(&index)), (folder, folder), "{mode:o}");
        for (name, _) in common::sidecar::Copy::of(&home).0 {
            let lock = name.ends_with("lock");
            // A lock holds nothing.
            assert!(lock || bits(&home.join(&name)) == file, "{mode:o} {}", name.display());
        }
    }
}

/// The rows of one query through an index of `path`, and whether they are those of the database.
fn assert_right(engine: &Engine, path: &Path, case: &str) {
    let db = rusqlite::Connection::open(path).unwrap();
    let query = [0.5, -0.5, 0.25, 1.0];
    let target = Target::Collection("posts".into(), Through::Default);
    let answer = engine.search(&by_vector(target, &query, 1000), &Silent).unwrap();
    let expected = naive(&db, &["posts"], &query, Metric::Cosine, 1000, None);
    assert_eq!(rows(&answer), expected, "{case}");
}

#[cfg(unix)]
#[test]
fn databases_that_are_moved_linked_and_replaced() {
    use std::time::{Duration, SystemTime};
    let scene = Scene::with_rows("delete", "posts", 40, 4);
    let (path, engine) = (scene.path(), scene.engine());
    let folder = scene.folder.path();
    let build = |engine: &Engine| {
        define_and_build(engine, "i", &["posts"]);
        let target = Target::Collection("posts".into(), Through::Default);
        settle(engine, &by_vector(target, &[1.0; 4], 5));
    };
    build(&engine);
    std::fs::copy(&path, folder.join("backup.db")).unwrap();

    // A symbolic link names the same database, and so the same index.
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let linked = common::engine(&link);
    assert_eq!(linked.indexes().unwrap().len(), 1);
    assert_right(&linked, &path, "through a link");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 1);

    // Another file takes its place: one of another content and the same size, and older.
    let other = Scene::with_rows("delete", "posts", 40, 4);
    other.put(1, "0007", &blob(&[9.0, 1.0, 1.0, 1.0]));
    std::fs::copy(other.path(), folder.join("other.db")).unwrap();
    let old = SystemTime::now() - Duration::from_secs(1_000_000);
    let set_times = |path: &Path, time| {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_times(std::fs::FileTimes::new().set_modified(time).set_accessed(time)).unwrap();
    };
    set_times(&folder.join("other.db"), old);
    std::fs::rename(folder.join("other.db"), &path).unwrap();
    assert_right(&engine, &path, "replaced by a file that is older");

    // The backup is restored, with its old times.
    let target = Target::Collection("posts".into(), Through::Default);
    settle(&engine, &by_vector(target.clone(), &[1.0; 4], 5));
    set_times(&folder.join("backup.db"), old);
    std::fs::rename(folder.join("backup.db"), &path).unwrap();
    assert_right(&engine, &path, "restored from a backup");
    settle(&engine, &by_vector(target, &[1.0; 4], 5));

    // A change whose time is set back to what it was, through a hard link even.
    let time = path.metadata().unwrap().modified().unwrap();
    let hard = folder.join("hard.db");
    std::fs::hard_link(&path, &hard).unwrap();
    let change = |path: &Path, id: &str| {
        let db = rusqlite::Connection::open(path).unwrap();
        let sql = "update embeddings set embedding = ? where id = ?";
        assert_eq!(db.execute(sql, (blob(&[-5.0, 3.0, 0.5, 2.0]), id)).unwrap(), 1);
    };
    change(&hard, "0009");
    set_times(&path, time);
    assert_right(&engine, &path, "changed and dated back");

    // The clock was ahead when the file was written.
    for ahead in [Duration::from_secs(3600), Duration::from_secs(1 << 32)] {
        set_times(&path, SystemTime::now() + ahead);
        assert_right(&engine, &path, "from the future");
        change(&path, "0011");
        set_times(&path, SystemTime::now() + ahead);
        assert_right(&engine, &path, "changed in the future");
    }
    set_times(&path, SystemTime::UNIX_EPOCH);
    assert_right(&engine, &path, "from 1970");
    assert_eq!(engine.verify("i", &Silent).unwrap().problems, [""; 0]);
    assert_eq!(engine.refresh("i", &Silent).unwrap().rows, 40);
    assert!(matches!(engine.index("i").unwrap().state, IndexState::Built(_)));
}
