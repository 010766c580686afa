//! kill -9 at any moment of define, build, refresh and drop, with every kind of index: the next operation works and answers
//! right, nothing stays behind, and the database is never touched.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::child::{READY, Worker, command, role, tell, variable};
use common::sidecar::home;
use common::*;
use simdex::engine::api::*;
use simdex::observe::Silent;
use simdex::{Engine, ErrorKind, Metric};

/// Enough for a build of some 20 ms, so that kills hit all of its steps.
const ROWS: usize = 3000;
const DIM: usize = 128;
const KILLS: u64 = 300;
const DATABASE: &str = "SIMDEX_TEST_DATABASE";
const KIND: &str = "SIMDEX_TEST_KIND";

/// Does what it is told, over and over, until it is killed.
fn work(role: &str) -> ! {
    let (path, kind) = (variable(DATABASE), variable(KIND));
    let engine = engine(Path::new(&path));
    tell(READY);
    loop {
        match role {
            // The index is not there yet at times, or there already.
            "build" => drop(engine.build("i", &Silent)),
            "refresh" => drop(engine.refresh("i", &Silent)),
            "search" => drop(engine.search(&by_id("posts", "0001", 3), &Silent)),
            _ => {
                let _ = engine.define(of_kind(&kind, new_index("i", &["posts"])));
                let _ = engine.build("i", &Silent);
                let _ = engine.drop_index("i");
            }
        }
    }
}

/// What is beside the database and in its folder of indexes, below index folders too.
fn leftovers(database: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![database.parent().unwrap().to_owned(), home(database)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && folder == home(database) {
                folders.push(path.clone());
            }
            found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn killed_at_any_moment() {
    if let Some(role) = role() {
        work(&role);
    }
    let scene = Scene::with_rows("delete", "posts", ROWS, DIM);
    let (path, engine) = (scene.path(), scene.engine());
    let mut random = Random(2);
    let query = random.vector(DIM);
    let request = by_vector(Target::Collection("posts".into(), Through::Default), &query, 5);
    for kill in 0..KILLS {
        let role = ["life", "build", "refresh", "search"][kill as usize % 4];
        let kinds = kinds();
        let kind = kinds[kill as usize / 4 % kinds.len()];
        if role != "life" {
            // For these there has to be an index, and something to take in.
            match engine.define(of_kind(kind, new_index("i", &["posts"]))) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                defined => drop(defined.unwrap()),
            }
            if kill.is_multiple_of(3) {
                engine.build("i", &Silent).unwrap();
            }
        }
        for _ in 0..5 {
            let id = format!("{:04}", random.below(1 << 12));
            scene.put(1, &id, &blob(&random.vector(DIM)));
        }
        let before = std::fs::read(&path).unwrap();
        let mut command = command("killed_at_any_moment", role);
        let mut worker = Worker::start(command.env(DATABASE, &path).env(KIND, kind));
        worker.wait_for(READY);
        // From the first system calls to the second or third round. Short delays are the likelier
        // ones, since the first steps are the quicker ones.
        let most = 1 << (6 + random.below(11));
        let delay = Duration::from_micros(random.below(most));
        let started = Instant::now();
        while started.elapsed() < delay {
            std::hint::spin_loop();
        }
        worker.kill();

        let case = format!("kill {kill}, {role} after {delay:?}");
        assert!(std::fs::read(&path).unwrap() == before, "{case}: the database was changed");
        // A search alone must do, whatever is left: it is what a user is likely to run next.
        let expected = naive(&scene.db, &["posts"], &query, Metric::Cosine, 5, None);
        let answer = engine.search(&request, &Silent).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(rows(&answer), expected, "{case}: {:?}", answer.notices);
        let catalog = engine.indexes().unwrap_or_else(|e| panic!("{case}: {e}"));
        assert!(catalog.len() <= 1, "{case}");
        let Some(index) = catalog.first() else { continue };
        assert!(!matches!(index.state, IndexState::Damaged { .. }), "{case}: {:?}", index.state);
        let refreshed = engine.refresh("i", &Silent).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert!(refreshed.rows >= ROWS as u64, "{case}: {refreshed:?}");
        let answer = engine.search(&request, &Silent).unwrap();
        assert_eq!(rows(&answer), expected, "{case}: after refresh");
        let verified = engine.verify("i", &Silent).unwrap();
        assert_eq!(verified.problems, [""; 0], "{case}");
    }
    // One successful write of each kind leaves nothing of all those deaths.
    let _ = engine.define(of_kind("flat", new_index("i", &["posts"])));
    engine.build("i", &Silent).unwrap();
    engine.define(new_index("other", &["posts"])).unwrap();
    engine.drop_index("other").unwrap();
    let mut left = leftovers(&path);
    left.sort();
    let segment = left.iter().position(|name| name.ends_with(".segment")).unwrap();
    left.remove(segment);
    let folder = left.iter().position(|name| name.starts_with("index-")).unwrap();
    left.remove(folder);
    let expected = [
        "catalog.backup.json",
        "catalog.json",
        "embeddings.db",
        "embeddings.db.simdex",
        "lock",
        "lock",
        "manifest.json",
    ];
    assert_eq!(left, expected);
    let intact: String = scene.db.query_row("pragma integrity_check", [], |r| r.get(0)).unwrap();
    assert_eq!(intact, "ok");
}

/// In WAL mode a killed reader must not take the log along: rows that are only there stay.
#[test]
fn killed_while_the_log_holds_rows() {
    if let Some(role) = role() {
        work(&role);
    }
    let scene = Scene::with_rows("wal", "posts", 200, 8);
    define_and_build(&scene.engine(), "i", &["posts"]);
    scene.db.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    scene.put(1, "only in the log", &blob(&Random(1).vector(8)));
    let log = scene.folder.path().join("embeddings.db-wal");
    let files = || [std::fs::read(scene.path()).unwrap(), std::fs::read(&log).unwrap()];
    let before = files();
    let mut random = Random(3);
    for kill in 0..40 {
        let role = ["build", "refresh", "search", "life"][kill % 4];
        let mut command = command("killed_while_the_log_holds_rows", role);
        let mut worker = Worker::start(
            command.env(DATABASE, scene.path()).env(KIND, kinds()[kill % kinds().len()]),
        );
        worker.wait_for(READY);
        let (started, delay) = (Instant::now(), Duration::from_micros(random.below(20_000)));
        while started.elapsed() < delay {
            std::hint::spin_loop();
        }
        worker.kill();
        assert!(files() == before, "kill {kill}");
    }
    let engine: Engine = scene.engine();
    let found = engine.search(&by_id("posts", "only in the log", 3), &Silent).unwrap();
    assert_eq!(found.matches.len(), 3);
}
