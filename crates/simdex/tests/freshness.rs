//! An answer is never stale: random changes against a naive model, in both journal modes.
//!
//! Three ways must agree after every change: search without refresh, refresh then search, rebuild
//! then search. Half of the cases run with a clock from the future, so that the files' identity
//! counts as settled at once and searches trust it; there every write waits for the file system's
//! clock to tick, which is what two quiet seconds stand for.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::time::{Duration, SystemTime};

use common::*;
use proptest::prelude::*;
use simdex::engine::api::*;
use simdex::observe::Silent;
use simdex::{Engine, ErrorKind, Metric};

const DIM: usize = 4;

/// What happens to the database between two searches.
#[derive(Debug, Clone)]
enum Change {
    Put { collection: u8, id: u8, vector: u8 },
    Update { collection: u8, id: u8, vector: u8 },
    Bad { collection: u8, id: u8, defect: u8 },
    Delete { collection: u8, id: u8 },
    Clear { collection: u8 },
    Recreate { collection: u8 },
    Swap { a: u8, b: u8 },
    Many { collection: u8, seed: u64 },
    Rename { id: u8, to: u8 },
    Touch,
    Metadata { id: u8 },
    Vacuum,
    Transform,
    Checkpoint,
}

/// How the next answer is reached.
#[derive(Debug, Clone, Copy)]
enum Way {
    Search,
    Refresh,
    Rebuild,
}

fn change() -> impl Strategy<Value = Change> {
    let (collection, id, vector) = (0_u8..2, 0_u8..12, 0_u8..6);
    prop_oneof![
        6 => (collection.clone(), id.clone(), vector.clone())
            .prop_map(|(collection, id, vector)| Change::Put { collection, id, vector }),
        3 => (collection.clone(), id.clone(), vector)
            .prop_map(|(collection, id, vector)| Change::Update { collection, id, vector }),
        2 => (collection.clone(), id.clone(), 0_u8..7)
            .prop_map(|(collection, id, defect)| Change::Bad { collection, id, defect }),
        3 => (collection.clone(), id.clone()).prop_map(|(collection, id)| Change::Delete { collection, id }),
        1 => collection.clone().prop_map(|collection| Change::Clear { collection }),
        1 => collection.clone().prop_map(|collection| Change::Recreate { collection }),
        1 => (id.clone(), id.clone()).prop_map(|(a, b)| Change::Swap { a, b }),
        1 => (collection, any::<u64>()).prop_map(|(collection, seed)| Change::Many { collection, seed }),
        1 => (id.clone(), id.clone()).prop_map(|(id, to)| Change::Rename { id, to }),
        1 => Just(Change::Touch),
        1 => id.prop_map(|id| Change::Metadata { id }),
        1 => Just(Change::Vacuum),
        1 => Just(Change::Transform),
        1 => Just(Change::Checkpoint),
    ]
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![5 => Just(Way::Search), 2 => Just(Way::Refresh), 1 => Just(Way::Rebuild)]
}

/// Few distinct vectors, so that ties are common; 0 is a scaled copy of 1.
fn vector(number: u8) -> Vec<f32> {
    match number {
        0 => vector(1).iter().map(|value| value * 4.0).collect(),
        number => Random(u64::from(number)).vector(DIM),
    }
}

fn name(collection: u8) -> &'static str {
    ["tils", "posts"][collection as usize]
}

fn apply(scene: &Scene, change: &Change) {
    let db = &scene.db;
    let id_of = |collection: u8| -> i64 {
        let sql = "select id from collections where name = ?";
        db.query_row(sql, [name(collection)], |row| row.get(0)).unwrap()
    };
    let run = |sql: &str| db.execute_batch(sql).unwrap();
    match change {
        Change::Put { collection, id, vector: v } => {
            scene.put(id_of(*collection), &format!("id{id}"), &blob(&vector(*v)));
        }
        Change::Update { collection, id, vector: v } => {
            db.execute(
                "update embeddings set embedding = ?, updated = null where collection_id = ? and id = ?",
                rusqlite::params![blob(&vector(*v)), id_of(*collection), format!("id{id}")],
            )
            .unwrap();
        }
        Change::Bad { collection, id, defect } => {
            use rusqlite::types::Value;
            let bad = match defect {
                0 => Value::Null,
                1 => Value::Blob(vec![]),
                2 => Value::Blob(vec![1; 7]),
                3 => Value::Blob(blob(&[0.0; DIM])),
                4 => Value::Blob(blob(&[1.0, f32::NAN, 0.0, 0.0])),
                5 => Value::Blob(blob(&[1.0; DIM + 1])),
                _ => Value::Text("[1, 2, 3, 4]".into()),
            };
            db.execute(
                "insert or replace into embeddings (collection_id, id, embedding) values (?, ?, ?)",
                rusqlite::params![id_of(*collection), format!("id{id}"), bad],
            )
            .unwrap();
        }
        Change::Delete { collection, id } => {
            db.execute(
                "delete from embeddings where collection_id = ? and id = ?",
                rusqlite::params![id_of(*collection), format!("id{id}")],
            )
            .unwrap();
        }
        Change::Clear { collection } => {
            db.execute("delete from embeddings where collection_id = ?", [id_of(*collection)])
                .unwrap();
        }
        Change::Recreate { collection } => {
            // As llm's Collection.delete(); SQLite gives the id to the next collection.
            let id = id_of(*collection);
            db.execute("delete from embeddings where collection_id = ?", [id]).unwrap();
            db.execute("delete from collections where id = ?", [id]).unwrap();
            let id = scene.collection(name(*collection));
            scene.put(id, "id1", &blob(&vector(3)));
            scene.put(id, "id2", &blob(&vector(4)));
        }
        Change::Swap { a, b } => {
            let swap = format!(
                "update embeddings set id = 'swap' where collection_id = 1 and id = 'id{a}';
                 update or replace embeddings set id = 'id{a}' where collection_id = 1 and id = 'id{b}';
                 update or replace embeddings set id = 'id{b}' where collection_id = 1 and id = 'swap';"
            );
            run(&swap);
        }
        Change::Many { collection, seed } => {
            let mut random = Random(*seed);
            let id = id_of(*collection);
            for row in 0..random.below(40) {
                scene.put(id, &format!("many{row}"), &blob(&random.vector(DIM)));
            }
        }
        Change::Rename { id, to } => {
            run(&format!("update or replace embeddings set id = 'id{to}' where id = 'id{id}'"))
        }
        Change::Touch => run("update embeddings set updated = 2000000000"),
        Change::Metadata { id } => run(&format!(
            "update embeddings set metadata = '{{}}', content = 'new' where id = 'id{id}'"
        )),
        Change::Vacuum => run("vacuum"),
        // What sqlite-utils' transform() does: copy, drop, rename.
        Change::Transform => {
            run("begin; create table new as select * from embeddings where 0; drop table new;
             alter table embeddings rename to old;
             create table embeddings (collection_id integer, id text, embedding blob, content text,
               content_blob blob, content_hash blob, metadata text, updated integer,
               primary key (collection_id, id));
             insert into embeddings select * from old order by id desc; drop table old; commit;")
        }
        Change::Checkpoint => run("pragma wal_checkpoint(truncate)"),
    }
}

fn from_the_future() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3600)
}

/// Waits until a file written now has a later time than the database's files have.
fn wait_for_a_tick(folder: &Path) {
    let times = |file: &str| folder.join(file).metadata().and_then(|m| m.modified()).ok();
    let youngest =
        ["embeddings.db", "embeddings.db-wal"].iter().filter_map(|file| times(file)).max();
    loop {
        std::fs::write(folder.join("tick"), "").unwrap();
        if times("tick") > youngest {
            return;
        }
    }
}

/// Searches as the way says and compares with the naive model, by vector and by id.
fn check(scene: &Scene, engine: &Engine, way: Way) {
    for index in ["both", "one"] {
        match way {
            Way::Search => {}
            Way::Refresh => drop(engine.refresh(index, &Silent).unwrap()),
            Way::Rebuild => drop(engine.build(index, &Silent).unwrap()),
        }
    }
    let query = Random(99).vector(DIM);
    for (target, collections) in [
        (Target::Index("both".into()), &["posts", "tils"][..]),
        (Target::Collection("posts".into(), Through::Default), &["posts"]),
        (Target::Collection("tils".into(), Through::Index("both".into())), &["tils"]),
    ] {
        for number in [3, 1000] {
            let answer = engine.search(&by_vector(target.clone(), &query, number), &Silent);
            if naive_size(&scene.db, collections).is_some_and(|size| size != DIM) {
                assert_eq!(answer.unwrap_err().kind(), ErrorKind::Invalid, "{target:?} {way:?}");
                continue;
            }
            let answer = answer.unwrap();
            let expected = naive(&scene.db, collections, &query, Metric::Cosine, number, None);
            assert_eq!(rows(&answer), expected, "{target:?} {way:?} {answer:?}");
        }
    }
    let sql = "select embedding from embeddings join collections c on c.id = collection_id
               where c.name = 'posts' and embeddings.id = 'id1' and length(embedding) = 16";
    if let Ok(bytes) = scene.db.query_row(sql, [], |row| row.get::<_, Vec<u8>>(0)) {
        let query: Vec<f32> =
            bytes.chunks_exact(4).map(|w| f32::from_le_bytes(w.try_into().unwrap())).collect();
        if naive_size(&scene.db, &["posts"]) == Some(DIM)
            && let Ok(answer) = engine.search(&by_id("posts", "id1", 5), &Silent)
        {
            let skip = Some(("posts", "id1"));
            let expected = naive(&scene.db, &["posts"], &query, Metric::Cosine, 5, skip);
            assert_eq!(rows(&answer), expected);
        }
    }
}

fn run(kind: &str, journal: &str, changes: &[(Change, Way)], clock: fn() -> SystemTime) {
    let scene = Scene::new(journal);
    for collection in [0, 1] {
        let id = scene.collection(name(collection));
        (0..8).for_each(|row| scene.put(id, &format!("id{row}"), &blob(&vector(row))));
    }
    let engine = scene.engine().with_clock(clock);
    let one = NewIndex { default: MakeDefault::Yes, ..new_index("one", &["posts"]) };
    for index in [new_index("both", &["tils", "posts"]), one] {
        let name = index.name.clone();
        engine.define(of_kind(kind, index)).unwrap();
        engine.build(&name, &Silent).unwrap();
    }
    check(&scene, &engine, Way::Search);
    for (change, way) in changes {
        wait_for_a_tick(scene.folder.path());
        apply(&scene, change);
        check(&scene, &engine, *way);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 200, ..Default::default() })]

    /// Some 2,000 changes and 12,000 comparisons, for every kind, both journal modes and both clocks.
    /// Every kind compares so few rows one by one.
    #[test]
    fn every_way_gives_the_naive_answer(
        changes in prop::collection::vec((change(), way()), 1..12),
        journal in prop::sample::select(vec!["wal", "delete"]),
        kind in prop::sample::select(kinds()),
        trusting in any::<bool>(),
    ) {
        run(kind, journal, &changes, if trusting { from_the_future } else { SystemTime::now });
    }
}

/// The identity of the files is what lets a search skip the comparison; if it never did, the
/// property above would prove little of it.
#[test]
fn an_unchanged_database_is_not_compared_again() {
    for journal in ["wal", "delete"] {
        let scene = Scene::with_rows(journal, "posts", 20, DIM);
        let engine = scene.engine().with_clock(from_the_future);
        define_and_build(&engine, "i", &["posts"]);
        let request = by_vector(Target::Index("i".into()), &vector(1), 3);
        let diffed = || engine.search(&request, &Silent).unwrap().plan.diffed;
        assert!(!diffed(), "fresh from the build ({journal})");
        wait_for_a_tick(scene.folder.path());
        scene.put(1, "new", &blob(&vector(2)));
        assert!(diffed(), "after a change ({journal})");
        assert!(!diffed(), "what the search learned was kept ({journal})");
    }
}

/// A search keeps all that it learned, however much that is; a refresh then has nothing to compare.
#[test]
fn a_refresh_folds_what_a_search_learned() {
    const MANY: u32 = 4097;
    let scene = Scene::with_rows("delete", "posts", 20, DIM);
    let engine = scene.engine().with_clock(from_the_future);
    define_and_build(&engine, "i", &["posts"]);
    let transaction = scene.db.unchecked_transaction().unwrap();
    (0..MANY).for_each(|row| scene.put(1, &format!("new {row}"), &blob(&vector(row as u8))));
    transaction.commit().unwrap();
    let request = by_vector(Target::Index("i".into()), &vector(1), 3);
    while engine.search(&request, &Silent).unwrap().plan.diffed {}
    let report = engine.refresh("i", &Silent).unwrap();
    assert_eq!((report.action, report.rows), (Action::Built, u64::from(MANY) + 20));
    assert_eq!(engine.refresh("i", &Silent).unwrap().action, Action::Unchanged);
}

/// What is left of a collection may be rows of another size than the index has, or than the query.
#[test]
fn rows_of_another_size_are_no_answer() {
    let odd = |collection| Change::Bad { collection, id: 0, defect: 5 };
    for kind in kinds() {
        for collection in [0, 1] {
            for way in [Way::Search, Way::Refresh, Way::Rebuild] {
                let changes = [(Change::Clear { collection }, way), (odd(collection), way)];
                run(kind, "wal", &changes, from_the_future);
            }
        }
        let everything = [0, 1].map(|collection| (Change::Clear { collection }, Way::Search));
        let changes = [&everything[..], &[(odd(0), Way::Search)]].concat();
        run(kind, "delete", &changes, SystemTime::now);
    }
}

/// With the real clock a database written a moment ago is compared again and again: a second write
/// in the same moment would leave no trace in its times.
#[test]
fn a_database_written_just_now_is_not_trusted() {
    let scene = Scene::with_rows("delete", "posts", 20, DIM);
    let engine = scene.engine();
    define_and_build(&engine, "i", &["posts"]);
    let request = by_vector(Target::Index("i".into()), &vector(1), 3);
    assert!(engine.search(&request, &Silent).unwrap().plan.diffed);
    assert!(engine.search(&request, &Silent).unwrap().plan.diffed);
}
