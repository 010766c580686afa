//! Times of the engine on a database: `database_figures DATABASE COLLECTION ID`.
//!
//! Works on a copy; prints one line a figure, `name seconds`. `cargo xtask bench` runs it.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;
use simdex::Engine;
use simdex::engine::api::*;
use simdex::observe::Silent;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, collection, id] = arguments.as_slice() else {
        println!("usage: database_figures DATABASE COLLECTION ID");
        std::process::exit(1);
    };
    let folder = tempfile::tempdir_in(Path::new(database).parent().unwrap()).unwrap();
    let copy = folder.path().join("embeddings.db");
    std::fs::copy(database, &copy).unwrap();
    // The copy was written just now; a clock an hour ahead lets it count as settled.
    let ahead = || SystemTime::now() + Duration::from_secs(3600);
    let location = Location { database: copy.clone(), index_dir: None };
    let engine = Engine::open(location).unwrap().with_clock(ahead);
    let request = |through| SearchRequest {
        target: Target::Collection(collection.clone(), through),
        by: QueryBy::Id { source: None, id: id.clone() },
        number: Number::AtMost(10),
        filter: Filter::default(),
        content: Content::Fetch,
    };

    let scan = best(3, || engine.search(&request(Through::Exact), &Silent).unwrap());
    report("scan_without_index", scan);

    let start = Instant::now();
    engine.define(definition(collection)).unwrap();
    engine.build("bench", &Silent).unwrap();
    report("define_and_build", start.elapsed());

    let search = best(20, || engine.search(&request(Through::Default), &Silent).unwrap());
    report("search_through_index", search);
    report("no_change_check", best(20, || engine.refresh("bench", &Silent).unwrap()));

    let db = Connection::open(&copy).unwrap();
    let changed = db
        .execute(
            "update embeddings set embedding = (select embedding from embeddings e
             where e.rowid = embeddings.rowid + 1) where rowid in
             (select rowid from embeddings where rowid % 997 = 5 limit 100)",
            [],
        )
        .unwrap();
    drop(db);
    let start = Instant::now();
    let refreshed = engine.refresh("bench", &Silent).unwrap();
    report("refresh_after_100_changes", start.elapsed());
    assert_eq!((refreshed.upserts, changed), (100, 100));
    let start = Instant::now();
    engine.search(&request(Through::Default), &Silent).unwrap();
    report("search_after_refresh", start.elapsed());
}

fn definition(collection: &str) -> NewIndex {
    NewIndex {
        name: "bench".into(),
        sources: vec![NewSource::Collection(collection.into())],
        kind: None,
        metric: None,
        parameters: Default::default(),
        default: MakeDefault::Yes,
        models: ModelRule::Same,
    }
}

fn best<T>(times: usize, mut work: impl FnMut() -> T) -> Duration {
    (0..times)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

fn report(name: &str, elapsed: Duration) {
    println!("{name} {:.6}", elapsed.as_secs_f64());
}
