//! Readers, refreshers and a writer as processes of their own, on one database, for a while.
//!
//! How a reader knows that an answer is right: the writer counts its transactions in a table, and
//! each transaction puts the count into vectors. `post N`s hold (1, 0, 0) while their round is even
//! and (0, 1, 0) while it is odd; the row `clock` holds (0, 0, count), so under dot the query
//! (0, 0, 1) scores exactly the count of the state that the search saw. A reader looks at the count
//! before and after each search: an answer between them is neither stale nor from the future, and
//! an answer whose rows are not of one count is mixed.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::child::{READY, Worker, command, role, tell, variable};
use common::sidecar::home;
use common::*;
use rusqlite::Connection;
use simdex::Metric;
use simdex::engine::api::*;
use simdex::observe::Silent;

const POSTS: u64 = 50;
const DATABASE: &str = "SIMDEX_TEST_DATABASE";
const READERS: usize = 4;
const REFRESHERS: usize = 2;

/// How long each test lasts; the contract's minute is `SIMDEX_TEST_SECONDS=60`.
fn duration() -> Duration {
    let seconds = std::env::var("SIMDEX_TEST_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

fn connect(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.busy_timeout(Duration::from_secs(60)).unwrap();
    db.pragma_update(None, "synchronous", "off").unwrap();
    db
}

fn count(db: &Connection) -> u64 {
    let n: i64 = db.query_row("select n from counter", [], |row| row.get(0)).unwrap();
    n.unsigned_abs()
}

/// One transaction of the writer: rows of round `n`, one that comes and goes, and the count.
fn write(db: &Connection, collection: i64, n: u64) {
    let transaction = db.unchecked_transaction().unwrap();
    let put = |id: &str, vector: [f32; 3]| {
        let sql =
            "insert or replace into embeddings (collection_id, id, embedding) values (?, ?, ?)";
        db.execute(sql, (collection, id, blob(&vector))).unwrap();
    };
    let post = n % POSTS;
    let side = if (n / POSTS).is_multiple_of(2) { [1.0, 0.0, 0.0] } else { [0.0, 1.0, 0.0] };
    put(&format!("post {post:03}"), side);
    put("clock", [0.0, 0.0, n as f32]);
    let guest = "delete from embeddings where id = 'guest'";
    match n % 3 {
        0 => put("guest", [1.0, 1.0, 0.0]),
        _ => drop(db.execute(guest, []).unwrap()),
    }
    db.execute("update counter set n = ?", [n.cast_signed()]).unwrap();
    transaction.commit().unwrap();
}

/// What a search for (1, 0, 0) scores over all rows in state `n`, closest first, ids ignored.
fn expected_side(n: u64) -> usize {
    let first = |post: u64| {
        // The last round in which this post was written, as of n.
        let round = (n - post) / POSTS;
        round.is_multiple_of(2)
    };
    (0..POSTS).filter(|&post| first(post)).count() + usize::from(n.is_multiple_of(3))
}

fn work(role: &str) {
    let path = variable(DATABASE);
    let path = Path::new(&path);
    let end = Instant::now() + duration();
    let engine = engine(path);
    tell(READY);
    match role {
        "writer" => {
            let db = connect(path);
            let mut n = count(&db);
            while Instant::now() < end {
                n += 1;
                write(&db, 1, n);
                if n.is_multiple_of(500) {
                    let _ = db.execute_batch("vacuum");
                }
            }
        }
        "refresher" => {
            let mut round = 0_u64;
            while Instant::now() < end {
                round += 1;
                match round.is_multiple_of(20) {
                    true => drop(engine.build("i", &Silent).unwrap()),
                    false => drop(engine.refresh("i", &Silent).unwrap()),
                }
            }
        }
        _ => {
            let db = connect(path);
            let mut searches = 0;
            while Instant::now() < end {
                searches += 1;
                read(&db, &engine);
            }
            assert!(searches > 3, "{searches} searches only");
        }
    }
    tell("done");
}

/// One search through the index, checked against the count before and after it.
fn read(db: &Connection, engine: &simdex::Engine) {
    // The clock scores the count under this query, and is the closest: a tenth of the side's score
    // leaves room, since float64 holds both exactly.
    let query = [0.125, 0.0, 1.0];
    let request =
        SearchRequest { number: Number::All, ..by_vector(Target::Index("i".into()), &query, 0) };
    let before = count(db);
    let answer = engine.search(&request, &Silent).unwrap_or_else(|error| panic!("{error}"));
    let after = count(db);
    assert_eq!(answer.notices, [""; 0]);
    assert_eq!(answer.plan.index.as_deref(), Some("i"));
    let clock = answer.matches.iter().find(|m| m.id.to_string() == "clock").unwrap();
    let n = clock.score as u64;
    assert!(before <= n && n <= after, "stale: count {before}, answer {n}, count {after}");
    // All other rows must be those of state n.
    let guest = answer.matches.iter().filter(|m| m.id.to_string() == "guest").count();
    assert_eq!(guest, usize::from(n.is_multiple_of(3)), "mixed at {n}");
    assert_eq!(answer.matches.len(), POSTS as usize + 1 + guest, "mixed at {n}");
    let side = answer.matches.iter().filter(|m| m.score == 0.125).count();
    assert_eq!(side, expected_side(n), "mixed at {n}");
    let mut seen = std::collections::BTreeSet::new();
    assert!(answer.matches.iter().all(|m| seen.insert(m.id.to_string())), "a row twice at {n}");
}

fn many_processes(test: &str, journal: &str) {
    if let Some(role) = role() {
        return work(&role);
    }
    let scene = Scene::new(journal);
    scene.db.busy_timeout(Duration::from_secs(60)).unwrap();
    let collection = scene.collection("posts");
    assert_eq!(collection, 1);
    scene
        .db
        .execute_batch("create table counter (n integer); insert into counter values (0)")
        .unwrap();
    // One whole round first, so that every post is there.
    (0..2 * POSTS).for_each(|n| write(&scene.db, collection, n));
    let engine = scene.engine();
    engine.define(NewIndex { metric: Some(Metric::Dot), ..new_index("i", &["posts"]) }).unwrap();
    engine.build("i", &Silent).unwrap();

    let roles = std::iter::repeat_n("reader", READERS)
        .chain(std::iter::repeat_n("refresher", REFRESHERS))
        .chain(["writer"]);
    let mut workers: Vec<_> = roles
        .map(|role| (role, Worker::start(command(test, role).env(DATABASE, scene.path()))))
        .collect();
    workers.iter_mut().for_each(|(_, worker)| worker.wait_for(READY));
    for (role, worker) in workers {
        let (succeeded, output) = worker.finish();
        assert!(succeeded && output.contains("done"), "{role}: {output}");
    }

    assert!(count(&scene.db) > 2 * POSTS, "the writer did not get to write");
    read(&scene.db, &engine);
    let intact: String = scene.db.query_row("pragma integrity_check", [], |r| r.get(0)).unwrap();
    assert_eq!(intact, "ok");
    assert_eq!(engine.verify("i", &Silent).unwrap().problems, [""; 0]);
    engine.build("i", &Silent).unwrap();
    let (path, folder) = (scene.path(), scene.folder);
    drop(scene.db);
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(folder.path()), ["embeddings.db", "embeddings.db.simdex"]);
    let index = engine.index("i").unwrap().folder;
    let index_name = index.file_name().unwrap().to_str().unwrap();
    assert_eq!(names(&home(&path)), ["catalog.backup.json", "catalog.json", index_name, "lock"]);
    let files = names(&index);
    assert_eq!(files.len(), 3, "{files:?}");
}

#[test]
fn in_wal_mode() {
    many_processes("in_wal_mode", "wal");
}

#[test]
fn with_a_rollback_journal() {
    many_processes("with_a_rollback_journal", "delete");
}
