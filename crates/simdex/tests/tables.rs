//! Tables and views as sources: whatever their ids, names and keys are.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use simdex::engine::api::*;
use simdex::observe::Silent;
use simdex::store::Id;
use simdex::{Engine, ErrorKind, Metric};

fn table(name: &str) -> NewSource {
    NewSource::Table { table: name.into(), id_column: None, embedding_column: None, filter: None }
}

/// Defines and builds an index over one source, and returns all rows in order, from the index and
/// from SQLite alike.
fn all_ids(engine: &Engine, source: NewSource, query: &[f32]) -> Vec<Id> {
    engine.define(NewIndex { sources: vec![source], ..new_index("t", &[]) }).unwrap();
    engine.build("t", &Silent).unwrap();
    let found = |target| -> Vec<_> {
        let answer = engine.search(&by_vector(target, query, 1000), &Silent).unwrap();
        answer.matches.into_iter().map(|m| (m.id, m.score)).collect()
    };
    let through = found(Target::Index("t".into()));
    assert_eq!(through, found(Target::IndexExact("t".into())));
    assert!(through.is_sorted_by(|a, b| (a.1, &a.0) <= (b.1, &b.0)), "{through:?}");
    engine.drop_index("t").unwrap();
    through.into_iter().map(|(id, _)| id).collect()
}

fn of_id(id: &str) -> SearchRequest {
    SearchRequest {
        by: QueryBy::Id { source: None, id: id.into() },
        ..by_vector(Target::Index("t".into()), &[], 100)
    }
}

#[test]
fn ids_of_every_type() {
    let scene = Scene::new("wal");
    scene
        .db
        .execute_batch(
            "create table t (id, embedding blob);
             insert into t values (2, x'0000803f'), ('2', x'0000803f'), (2.5, x'0000803f'),
               (null, x'0000803f'), (x'32', x'0000803f'), (-9223372036854775808, x'0000803f'),
               (9e999, x'0000803f'), ('', x'0000803f'), ('a' || char(0) || 'b', x'0000803f'),
               ('\u{e9}', x'0000803f'), (2, x'00000040'), (null, x'00000040');",
        )
        .unwrap();
    let engine = scene.engine();
    // By distance, then in SQLite's order of values: NULL, numbers, text, blobs.
    let near = vec![
        Id::Null,
        Id::Integer(i64::MIN),
        Id::Integer(2),
        Id::Real(2.5),
        Id::Real(f64::INFINITY),
        Id::text(""),
        Id::text("2"),
        Id::text("a\0b"),
        Id::text("\u{e9}"),
        Id::Blob(b"2".to_vec()),
    ];
    let far = vec![Id::Null, Id::Integer(2)];
    assert_eq!(all_ids(&engine, table("t"), &[1.0]), [near, far].concat());
    // Typed ids: the text comes first, else the number it spells; all rows of an id are left out.
    engine.define(NewIndex { sources: vec![table("t")], ..new_index("t", &[]) }).unwrap();
    engine.build("t", &Silent).unwrap();
    for (typed, left) in [("2", 11), ("2.5", 11), ("-9223372036854775808", 11), ("inf", 11)] {
        assert_eq!(engine.search(&of_id(typed), &Silent).unwrap().matches.len(), left, "{typed}");
    }
    for unknown in ["nan", "NULL", "3", "x'32'", "a", "' or 1 --"] {
        let error = engine.search(&of_id(unknown), &Silent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{unknown}");
    }
}

/// A typed number finds a number, and a text of digits finds the text, by the column's affinity.
#[test]
fn typed_ids_follow_the_columns_affinity() {
    for (kind, value, typed) in [
        ("integer primary key", "7", "7"),
        ("integer primary key", "7", "07"),
        ("text primary key", "'7'", "7"),
        ("real", "7.0", "7"),
        ("numeric", "'7'", "7.0"),
        ("blob", "7", "7"),
        ("", "7.25", "7.25"),
    ] {
        let scene = Scene::new("wal");
        let sql = format!(
            "create table t (id {kind}, embedding blob);
             insert into t values ({value}, x'0000803f'), (8, x'0000803f');"
        );
        scene.db.execute_batch(&sql).unwrap();
        let engine = scene.engine();
        engine.define(NewIndex { sources: vec![table("t")], ..new_index("t", &[]) }).unwrap();
        engine.build("t", &Silent).unwrap();
        let found = engine.search(&of_id(typed), &Silent);
        assert_eq!(found.unwrap().matches.len(), 1, "{kind} {value} {typed}");
    }
}

#[test]
fn tables_of_every_shape() {
    let rows = "values (3, x'0000803f'), (1, x'00000040'), (2, x'00004040')";
    let integers = [3, 1, 2].map(Id::Integer).to_vec();
    let (rowid, condition) = (Some("rowid".to_owned()), Some("id <> 1".to_owned()));
    let plain = |name: &str| table(name);
    for (what, sql, source, expected) in [
        ("rowid", "create table t (id integer primary key, embedding)", plain("t"), &integers[..]),
        (
            "no rowid",
            "create table t (id integer primary key, embedding) without rowid",
            plain("t"),
            &integers,
        ),
        (
            "a key of another name",
            "create table t (number integer primary key, embedding)",
            plain("t"),
            &integers,
        ),
        ("case", "create table T (ID integer primary key, Embedding)", plain("t"), &integers),
        (
            "no key",
            "create table t (embedding_of, embedding)",
            NewSource::Table {
                table: "t".into(),
                id_column: rowid,
                embedding_column: None,
                filter: None,
            },
            &[1, 2, 3].map(Id::Integer),
        ),
        (
            "a condition",
            "create table t (id, embedding)",
            NewSource::Table {
                table: "t".into(),
                id_column: None,
                embedding_column: None,
                filter: condition,
            },
            &[3, 2].map(Id::Integer),
        ),
    ] {
        let scene = Scene::new("delete");
        scene.db.execute_batch(&format!("{sql}; insert into t {rows};")).unwrap();
        assert_eq!(all_ids(&scene.engine(), source, &[1.0]), expected, "{what}");
    }
}

#[test]
fn names_of_every_spelling() {
    for name in [
        "a]b",
        "a[b",
        "a\"b",
        "a'b",
        "a`b",
        "a;b",
        "a b",
        "select",
        "\u{30c6}\u{30fc}",
        "a--b",
        "a/*b",
        "1",
        "(",
        "%",
        "?",
        "rowid_",
        "main.t",
    ] {
        let quoted = name.replace('"', "\"\"");
        let scene = Scene::new("delete");
        let sql = format!(
            "create table \"{quoted}\" (\"{quoted}\" text, \"e{quoted}\" blob);
             insert into \"{quoted}\" values ('x', x'0000803f'), ('y', x'00000040');
             create view \"v{quoted}\" as select * from \"{quoted}\";"
        );
        scene.db.execute_batch(&sql).unwrap();
        for prefix in ["", "v"] {
            let source = NewSource::Table {
                table: format!("{prefix}{name}"),
                id_column: Some(name.into()),
                embedding_column: Some(format!("e{name}")),
                filter: None,
            };
            let found = all_ids(&scene.engine(), source, &[1.0]);
            assert_eq!(found, [Id::text("x"), Id::text("y")], "{name}");
        }
    }
}

#[test]
fn views_and_what_they_lack() {
    let scene = Scene::with_rows("wal", "posts", 10, 4);
    scene
        .db
        .execute_batch(
            "create view with_id as select id, embedding from embeddings where id < '0005';
             create view computed as select 'x' || id as id, embedding from embeddings;
             create view without as select content, embedding from embeddings;",
        )
        .unwrap();
    let engine = scene.engine();
    let query = Random(1).vector(4);
    assert_eq!(all_ids(&engine, table("with_id"), &query).len(), 5);
    assert_eq!(all_ids(&engine, table("computed"), &query).len(), 10);
    let new = NewIndex { sources: vec![table("without")], ..new_index("v", &[]) };
    let error = engine.define(new).unwrap_err();
    assert!(error.next_step().unwrap().to_string().contains("--id-column"), "{error}");
    assert_eq!(engine.indexes().unwrap().len(), 0);
}

#[test]
fn what_is_missing_is_named() {
    let scene = Scene::new("wal");
    scene.db.execute_batch("create table t (a, b, primary key (a, b))").unwrap();
    let engine = scene.engine();
    let error = |id: Option<&str>, embedding: Option<&str>, filter: Option<&str>, name: &str| {
        let source = NewSource::Table {
            table: name.into(),
            id_column: id.map(str::to_owned),
            embedding_column: embedding.map(str::to_owned),
            filter: filter.map(str::to_owned),
        };
        let new = NewIndex { sources: vec![source], ..new_index("x", &[]) };
        let error = engine.define(new).unwrap_err();
        assert!(error.kind().is_user_error(), "{error}");
        format!("{error} {}", error.next_step().map(ToString::to_string).unwrap_or_default())
    };
    assert!(error(None, None, None, "nope").contains("no table `nope`"));
    assert!(error(None, None, None, "t").contains("--id-column"));
    assert!(error(Some("c"), None, None, "t").contains("columns: a, b"));
    assert!(error(Some("a"), None, None, "t").contains("--embedding-column"));
    assert!(error(Some("a"), Some("b"), Some("c = 1"), "t").contains("c = 1"));
    assert!(error(Some("a"), Some("b"), Some(""), "t").contains("empty"));
}

/// Rows that share an id are rows of their own: each is found, and each can come and go.
#[test]
fn ids_that_repeat() {
    let scene = Scene::new("wal");
    scene.db.execute_batch("create table t (id, embedding)").unwrap();
    let put = |count: usize, value: f32| {
        for _ in 0..count {
            let row = (1, blob(&[value]));
            scene.db.execute("insert into t values (?, ?)", row).unwrap();
        }
    };
    put(3, 1.0);
    put(2, 2.0);
    let engine = scene.engine();
    engine.define(NewIndex { sources: vec![table("t")], ..new_index("t", &[]) }).unwrap();
    engine.build("t", &Silent).unwrap();
    let distances = || -> Vec<f64> {
        let request = by_vector(Target::Index("t".into()), &[1.0], 100);
        engine.search(&request, &Silent).unwrap().matches.iter().map(|m| m.score).collect()
    };
    assert_eq!(distances(), [0.0, 0.0, 0.0, 1.0, 1.0]);
    scene.db.execute("delete from t where rowid in (1, 5)", []).unwrap();
    put(2, 3.0);
    assert_eq!(distances(), [0.0, 0.0, 1.0, 4.0, 4.0]);
    let report = engine.refresh("t", &Silent).unwrap();
    assert_eq!((report.rows, distances().len()), (5, 5));
    assert_eq!(engine.index("t").unwrap().metric, Metric::L2);
}
