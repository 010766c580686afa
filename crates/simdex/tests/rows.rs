//! Which rows are searched: collections and tables as people have them, not as they should be.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use rusqlite::types::Value;
use simdex::engine::api::*;
use simdex::observe::Silent;
use simdex::store::Id;
use simdex::{Engine, ErrorKind, Metric};

fn find(engine: &Engine, request: SearchRequest) -> Vec<(String, Id, f64)> {
    rows(&engine.search(&request, &Silent).unwrap())
}

fn ids(found: &[(String, Id, f64)]) -> Vec<String> {
    found.iter().map(|(_, id, _)| id.to_string()).collect()
}

fn of(collection: &str, through: Through) -> Target {
    Target::Collection(collection.into(), through)
}

/// One row of each defect, beside sound ones.
fn with_defects(scene: &Scene) -> (i64, Skipped) {
    let collection = scene.collection("posts");
    let put = |id: &str, value: Value| {
        let sql = "insert into embeddings (collection_id, id, embedding) values (?, ?, ?)";
        scene.db.execute(sql, (collection, id, value)).unwrap();
    };
    let mut random = Random(3);
    for row in 0..20 {
        put(&format!("sound {row:02}"), Value::Blob(blob(&random.vector(3))));
    }
    put("null", Value::Null);
    put("text", Value::Text("[1.0, 2.0, 3.0]".into()));
    put("integer", Value::Integer(7));
    put("empty", Value::Blob(vec![]));
    put("odd", Value::Blob(vec![1; 13]));
    put("nan", Value::Blob(blob(&[1.0, f32::NAN, 0.0])));
    put("infinite", Value::Blob(blob(&[f32::NEG_INFINITY, 1.0, 0.0])));
    put("zero", Value::Blob(blob(&[0.0, -0.0, 0.0])));
    put("longer", Value::Blob(blob(&[1.0; 4])));
    put("shorter", Value::Blob(blob(&[1.0; 2])));
    let skipped =
        Skipped { null: 1, not_a_blob: 2, odd_length: 2, not_finite: 2, zero: 1, other_size: 2 };
    (collection, skipped)
}

#[test]
fn rows_that_cant_be_searched_are_skipped_and_counted_everywhere() {
    let scene = Scene::new("wal");
    let (collection, skipped) = with_defects(&scene);
    let engine = scene.engine();
    let query = [0.3, -0.2, 0.9];
    let expected = naive(&scene.db, &["posts"], &query, Metric::Cosine, 100, None);
    assert_eq!(expected.len(), 20);
    let scan = by_vector(of("posts", Through::Exact), &query, 100);
    assert_eq!(find(&engine, scan), expected);
    let info = &engine.collections(&Silent).unwrap()[0];
    assert_eq!((info.rows, info.dimensions, info.skipped), (30, Some(3), skipped));
    let report = define_and_build(&engine, "i", &["posts"]);
    assert_eq!((report.rows, report.skipped), (20, skipped));
    let search = by_vector(of("posts", Through::Default), &query, 100);
    assert_eq!(find(&engine, search.clone()), expected);

    // Mended and broken rows change sides, in the search at once and in the counts of refresh.
    scene.put(collection, "null", &blob(&[1.0, 2.0, 3.0]));
    scene.put(collection, "sound 00", &[1]);
    let expected = naive(&scene.db, &["posts"], &query, Metric::Cosine, 100, None);
    assert_eq!(find(&engine, search), expected);
    let report = engine.refresh("i", &Silent).unwrap();
    assert_eq!(report.rows, 20);
    assert_eq!(report.skipped, Skipped { null: 0, odd_length: 3, ..skipped });
    match engine.index("i").unwrap().state {
        IndexState::Built(built) => assert_eq!(built.skipped, report.skipped),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_that_cant_be_searched_is_no_query() {
    let scene = Scene::new("wal");
    with_defects(&scene);
    let engine = scene.engine();
    for (id, words) in [
        ("null", "NULL"),
        ("text", "not a blob"),
        ("integer", "not a blob"),
        ("empty", "multiple of 4"),
        ("odd", "multiple of 4"),
        ("nan", "NaN"),
        ("infinite", "NaN or infinite"),
        ("zero", "zeros"),
        ("longer", "has 4 dimensions, the rows of `posts` have 3"),
    ] {
        for built in [false, true] {
            if built && engine.index("i").is_err() {
                define_and_build(&engine, "i", &["posts"]);
            }
            let error = engine.search(&by_id("posts", id, 3), &Silent).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{id}: {error}");
            assert!(error.to_string().contains(words), "{id}: {error}");
        }
        engine.drop_index("i").unwrap();
    }
}

#[test]
fn zero_is_a_point_under_l2_and_dot() {
    let scene = Scene::new("delete");
    with_defects(&scene);
    let engine = scene.engine();
    for metric in [Metric::L2, Metric::Dot] {
        let new = NewIndex { metric: Some(metric), ..new_index(metric.name(), &["posts"]) };
        engine.define(new).unwrap();
        let report = engine.build(metric.name(), &Silent).unwrap();
        assert_eq!((report.rows, report.skipped.zero), (21, 0));
        for query in [[0.3, -0.2, 0.9], [0.0; 3]] {
            let expected = naive(&scene.db, &["posts"], &query, metric, 100, None);
            for target in
                [Target::Index(metric.name().into()), Target::IndexExact(metric.name().into())]
            {
                assert_eq!(find(&engine, by_vector(target, &query, 100)), expected, "{metric}");
            }
        }
    }
    let error =
        engine.search(&by_vector(of("posts", Through::Exact), &[0.0; 3], 1), &Silent).unwrap_err();
    assert!(error.to_string().contains("zero"), "{error}");
}

#[test]
fn nothing_to_find_is_not_an_error() {
    let scene = Scene::new("wal");
    let engine = scene.engine();
    scene.collection("empty");
    let bad = scene.collection("bad");
    scene.put(bad, "a", &[1, 2, 3]);
    for name in ["empty", "bad"] {
        let query = by_vector(of(name, Through::Default), &[1.0, 2.0], 5);
        assert_eq!(find(&engine, query.clone()), []);
        let report = define_and_build(&engine, name, &[name]);
        assert_eq!((report.rows, report.dimensions), (0, 0));
        let answer = engine.search(&query, &Silent).unwrap();
        assert_eq!((answer.matches.len(), answer.plan.index.as_deref()), (0, Some(name)));
        assert_eq!(engine.refresh(name, &Silent).unwrap().rows, 0);
    }
    // The first rows of a collection decide its dimension only now.
    scene.put(bad, "b", &blob(&[1.0, 0.0]));
    let found = find(&engine, by_vector(of("bad", Through::Default), &[1.0, 2.0], 5));
    assert_eq!(ids(&found), ["b"]);
    // And all of them may go again.
    assert_eq!(engine.refresh("bad", &Silent).unwrap().rows, 1);
    scene.db.execute("delete from embeddings", []).unwrap();
    assert_eq!(find(&engine, by_vector(of("bad", Through::Default), &[1.0, 2.0], 5)), []);
    assert_eq!(engine.refresh("bad", &Silent).unwrap().rows, 0);
}

#[test]
fn any_number_of_results() {
    let scene = Scene::with_rows("wal", "posts", 40, 6);
    let engine = scene.engine();
    let query = Random(4).vector(6);
    let all = naive(&scene.db, &["posts"], &query, Metric::Cosine, 40, None);
    define_and_build(&engine, "i", &["posts"]);
    for through in [Through::Default, Through::Exact] {
        for (number, expected) in [
            (Number::AtMost(0), 0),
            (Number::AtMost(1), 1),
            (Number::AtMost(39), 39),
            (Number::AtMost(41), 40),
            (Number::AtMost(usize::MAX), 40),
            (Number::All, 40),
        ] {
            let request =
                SearchRequest { number, ..by_vector(of("posts", through.clone()), &query, 0) };
            assert_eq!(find(&engine, request), all[..expected], "{number:?}");
        }
    }
}

/// Rows that score alike come in the order of collection name, then id, wherever the cut falls.
#[test]
fn ties_go_by_collection_then_id() {
    let scene = Scene::new("wal");
    let engine = scene.engine();
    // Names in another order than ids, and defined in yet another.
    for name in ["zebra", "Apple", "apple", "\u{e4}pfel"] {
        let collection = scene.collection(name);
        for id in ["b", "a", "B", "aa", "\u{e9}", "10", "9"] {
            scene.put(collection, id, &blob(&[2.0, 0.0]));
        }
    }
    let names = ["apple", "zebra", "\u{e4}pfel", "Apple"];
    define_and_build(&engine, "i", &names);
    for number in 0..=28 {
        let expected = naive(&scene.db, &names, &[1.0, 0.0], Metric::Cosine, number, None);
        for target in [Target::Index("i".into()), Target::IndexExact("i".into())] {
            assert_eq!(find(&engine, by_vector(target, &[1.0, 0.0], number)), expected);
        }
    }
}

#[test]
fn several_collections_in_one_index() {
    let scene = Scene::new("wal");
    let engine = scene.engine();
    let mut random = Random(8);
    let (posts, tils) = (scene.collection("posts"), scene.collection("tils"));
    for row in 0..30 {
        scene.put(posts, &format!("{row}"), &blob(&random.vector(5)));
        scene.put(tils, &format!("{}", row + 15), &blob(&random.vector(5)));
    }
    define_and_build(&engine, "both", &["posts", "tils"]);
    let query = random.vector(5);
    let expected = naive(&scene.db, &["posts", "tils"], &query, Metric::Cosine, 60, None);
    assert_eq!(find(&engine, by_vector(Target::Index("both".into()), &query, 60)), expected);
    // The default of each collection, but only its own rows.
    for name in ["posts", "tils"] {
        let answer = engine.search(&by_vector(of(name, Through::Default), &query, 60), &Silent);
        let answer = answer.unwrap();
        assert_eq!(answer.plan.index.as_deref(), Some("both"));
        let expected = naive(&scene.db, &[name], &query, Metric::Cosine, 60, None);
        assert_eq!(rows(&answer), expected);
    }
    // By id: 3 is only in posts, 20 in both, 99 in none.
    let by = |id: &str, source: Option<&str>| SearchRequest {
        by: QueryBy::Id { source: source.map(str::to_owned), id: id.into() },
        ..by_vector(Target::Index("both".into()), &[], 60)
    };
    assert_eq!(find(&engine, by("3", None)).len(), 59);
    let error = engine.search(&by("20", None), &Silent).unwrap_err();
    assert!(error.to_string().contains("the id `20` is in `posts` and `tils`"), "{error}");
    let found = find(&engine, by("20", Some("tils")));
    assert!(found.contains(&("posts".into(), Id::text("20"), found[0].2)) || found.len() == 59);
    assert!(!found.iter().any(|(name, id, _)| name == "tils" && *id == Id::text("20")));
    assert!(found.iter().any(|(name, id, _)| name == "posts" && *id == Id::text("20")));
    assert_eq!(engine.search(&by("99", None), &Silent).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        engine.search(&by("3", Some("x")), &Silent).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

/// A collection whose rows are of another size than most rows of the index it shares is searched
/// as it would be alone.
#[test]
fn collections_of_different_sizes_in_one_index() {
    let scene = Scene::new("wal");
    let engine = scene.engine();
    let mut random = Random(8);
    let (posts, tils) = (scene.collection("posts"), scene.collection("tils"));
    for row in 0..30 {
        scene.put(posts, &format!("{row}"), &blob(&random.vector(5)));
    }
    for row in 0..10 {
        scene.put(tils, &format!("{row}"), &blob(&random.vector(3)));
    }
    define_and_build(&engine, "both", &["posts", "tils"]);
    for (name, dim) in [("posts", 5), ("tils", 3)] {
        let query = random.vector(dim);
        let expected = naive(&scene.db, &[name], &query, Metric::Cosine, 60, None);
        let found = find(&engine, by_vector(of(name, Through::Default), &query, 60));
        assert_eq!(found, expected, "{name}");
        assert_eq!(find(&engine, by_id(name, "3", 60)).len(), expected.len() - 1);
    }
}

/// Rows of `collections` that llm would not write hide no other collection.
#[test]
fn odd_collections_hide_no_others() {
    let scene = Scene::with_rows("delete", "posts", 5, 3);
    let engine = scene.engine();
    scene
        .db
        .execute_batch(
            "pragma foreign_keys = off;
             insert into collections (name, model) values (null, 'm'), (x'ff00', 'm'),
               (cast(x'fffe' as text), 'm'), ('model is a blob', x'00'), ('no model', null), ('', '');
             insert into embeddings (collection_id, id, embedding) values (null, 'orphan', x'0000803f'),
               (99, 'stray', x'0000803f'), (1, null, x'0000803f0000803f0000803f'),
               (1, x'00ff', x'0000803f000000000000803f');",
        )
        .unwrap();
    let names: Vec<_> =
        engine.collections(&Silent).unwrap().into_iter().map(|info| info.name).collect();
    for name in ["posts", "no model", ""] {
        assert!(names.iter().any(|known| known == name), "{names:?}");
    }
    let query = [1.0, 0.5, 0.2];
    let expected = naive(&scene.db, &["posts"], &query, Metric::Cosine, 10, None);
    assert_eq!(expected.len(), 7);
    let request = by_vector(of("posts", Through::Default), &query, 10);
    assert_eq!(find(&engine, request.clone()), expected);
    define_and_build(&engine, "i", &["posts"]);
    assert_eq!(find(&engine, request), expected);
    let error = engine.search(&by_id("posts", "nan", 1), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "a NaN must not find the row without an id");
}
