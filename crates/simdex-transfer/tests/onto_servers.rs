//! A collection onto real servers: all of it, once, whatever interrupts and whatever changes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "../../simdex-remote/tests/servers/mod.rs"]
mod servers;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Place, row};
use rusqlite::Connection;
use servers::{ChromaServer, Cutter, PASSWORD, PostgresServer};
use simdex::ErrorKind;
use simdex::observe::{Observer, Silent};
use simdex_remote::chroma::Chroma;
use simdex_remote::pgvector::{Passwords, Postgres};
use simdex_remote::{Address, Patience, Record, Server, Space, Spec};
use simdex_transfer::server::{CarriedThere, Extra, ServerRequest, to_server};
use simdex_transfer::tally::Bad;

const REQUEST: ServerRequest<'_> =
    ServerRequest { name: "posts", bad: Bad::Skip, extra: Extra::Keep };
const ROWS: u64 = 2500;

/// Asks for a stop once some rows were sent.
#[derive(Default)]
struct StopOnTheWay(AtomicBool);

impl Observer for StopOnTheWay {
    fn progress(&self, stage: &str, done: u64, _: Option<u64>) {
        self.0.fetch_or(stage == "sending" && done > 0, Ordering::SeqCst);
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

fn place() -> Place {
    let rows: Vec<_> = (0..ROWS as u16)
        .map(|number| {
            let mut row = row(&format!("row {number:04}"), &[f32::from(number), 1.0, -0.5]);
            row.extras.content = Some(format!("text {number}"));
            let large = u64::from(number) << 40;
            row.extras.metadata = Some(format!(
                "{{\"number\": {number}, \"large\": {large}, \"tenth\": {}, \"in\": [1, 1e3], \"no\": null}}",
                f64::from(number) / 10.0
            ));
            row
        })
        .collect();
    let place = Place::with(&rows);
    change(&place, "INSERT INTO embeddings (collection_id, id) VALUES (1, 'empty')");
    place
}

fn change(place: &Place, sql: &str) {
    Connection::open(place.path("source.db")).unwrap().execute_batch(sql).unwrap();
}

fn carry(place: &Place, server: &dyn Server, extra: Extra) -> CarriedThere {
    to_server(&place.walk(), server, &ServerRequest { extra, ..REQUEST }, &Silent).unwrap()
}

/// The server has these ids and, of some of them, what the collection has: each page of a walk
/// compares all of them.
fn is_level(place: &Place, server: &dyn Server) {
    let mut there = server.open("posts").unwrap().unwrap();
    let db = Connection::open(place.path("source.db")).unwrap();
    let sql = "SELECT id, embedding, content FROM embeddings WHERE embedding IS NOT NULL";
    let mut rows = db.prepare(sql).unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let rows: Vec<(String, Vec<u8>, Option<String>)> = rows.map(Result::unwrap).collect();
    let ids: BTreeSet<_> = rows.iter().map(|(id, ..)| id.clone()).collect();
    assert_eq!(there.ids().unwrap().into_iter().collect::<BTreeSet<_>>(), ids);
    for (id, embedding, content) in rows.iter().step_by(7) {
        let found = there.get(std::slice::from_ref(id)).unwrap().remove(0);
        assert_eq!(found.document, *content, "{id}");
        let values = embedding.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let given = Record { vector: values.collect(), ..found.clone() };
        assert!(there.is_same(&found, &given), "{found:?}");
    }
}

fn check(server: &dyn Server) {
    let place = place();
    let walk = place.walk();
    let stopped = to_server(&walk, server, &REQUEST, &StopOnTheWay::default()).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Cancelled, "{stopped}");
    let partial = server.open("posts").unwrap().unwrap().count().unwrap();
    assert!((1..ROWS).contains(&partial), "it was stopped on the way: {partial}");
    // It goes on, and what has changed before the place where it was is sent as well.
    change(&place, "UPDATE embeddings SET content = 'other' WHERE id = 'row 0007'");
    let carried = carry(&place, server, Extra::Keep);
    assert_eq!((carried.rows, carried.sent), (ROWS, ROWS - partial + 1));
    assert_eq!((carried.skipped, carried.dimensions, carried.refused), (1, 3, 0));
    assert!(carried.verified > 30);
    is_level(&place, server);
    let found = server.open("posts").unwrap().unwrap().get(&["row 0077".to_owned()]).unwrap();
    assert_eq!(found[0].metadata.as_ref().unwrap()["number"], 77);
    // Nothing has changed, nothing is sent: what the server gives back is what was sent.
    let again = carry(&place, server, Extra::Keep);
    assert_eq!((again.rows, again.sent, again.extra.rows), (ROWS, 0, 0));
    changes(&place, server);
    // A collection of somebody else is left alone.
    server.create(&Spec::new("theirs", 3, Space::Cosine)).unwrap();
    let request = ServerRequest { name: "theirs", ..REQUEST };
    let error = to_server(&walk, server, &request, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
}

/// Rows that are new or changed in any way are sent; rows that are gone stay there until one says
/// otherwise.
fn changes(place: &Place, server: &dyn Server) {
    change(
        place,
        "UPDATE embeddings SET embedding = x'0000803f0000000000000000' WHERE id = 'row 0001';
         UPDATE embeddings SET content = NULL WHERE id = 'row 0002';
         UPDATE embeddings SET metadata = '{\"number\": 4}' WHERE id = 'row 0003';
         UPDATE embeddings SET metadata = NULL, content = 'x' WHERE id = 'row 2499';
         UPDATE embeddings SET updated = 7, content_hash = x'00' WHERE id = 'row 0005';
         INSERT INTO embeddings SELECT 1, 'new', embedding, content, content_blob, content_hash,
           metadata, updated FROM embeddings WHERE id = 'row 0009';
         DELETE FROM embeddings WHERE id = 'row 0010';
         UPDATE embeddings SET embedding = NULL WHERE id = 'row 0011'",
    );
    let theirs = Record::new("theirs", vec![1.0, 0.0, 0.0]);
    server.open("posts").unwrap().unwrap().upsert(&[theirs]).unwrap();
    let kept = carry(place, server, Extra::Keep);
    assert_eq!((kept.rows, kept.sent, kept.deleted), (ROWS - 1, 5, 0));
    let mut extra = kept.extra.ids;
    extra.sort();
    assert_eq!(
        (kept.extra.rows, extra),
        (3, vec!["row 0010".into(), "row 0011".into(), "theirs".into()])
    );
    assert_eq!(server.open("posts").unwrap().unwrap().count().unwrap(), ROWS + 2);
    let gone = carry(place, server, Extra::Delete);
    assert_eq!((gone.rows, gone.sent, gone.deleted, gone.extra.rows), (ROWS - 1, 0, 3, 0));
    is_level(place, server);
}

/// Over a network that breaks, by a client that gives up at once and is called again: every row once.
fn survives_cuts(through: impl Fn(u16) -> Box<dyn Server>, port: u16) {
    let place = place();
    for seed in 0..3 {
        let direct = through(port);
        direct.remove("posts").unwrap();
        let cutter = Cutter::before(port, seed, 10, 80_000);
        let server = through(cutter.port);
        let mut runs = 1;
        let carried = loop {
            match to_server(&place.walk(), server.as_ref(), &REQUEST, &Silent) {
                Ok(carried) => break carried,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "{error}"),
            }
            runs += 1;
            // While it is at it, others write.
            let id = runs * 20;
            change(
                &place,
                &format!(
                    "UPDATE embeddings SET content = 'run {runs}' WHERE id = 'row {id:04}';
                     DELETE FROM embeddings WHERE id = 'row {:04}'",
                    id + 1
                ),
            );
        };
        assert!(runs > 5, "the network held too well to test anything: {runs} runs");
        // Rows may have been deleted here after they were sent.
        assert!(carried.extra.rows < runs);
        assert!(carried.verified > 30);
        carry(&place, direct.as_ref(), Extra::Delete);
        is_level(&place, direct.as_ref());
    }
}

/// Rows that the server refuses are named with the reason, and all others are there.
fn refuses(server: &dyn Server, bad: &[(&str, &str, Option<&str>)], reasons: &[(&str, &[&str])]) {
    server.remove("posts").unwrap();
    let place = place();
    let whole = carry(&place, server, Extra::Keep);
    assert_eq!((whole.rows, whole.refused), (ROWS, 0));
    let db = Connection::open(place.path("source.db")).unwrap();
    for (id, content, metadata) in bad {
        let sql = "INSERT OR REPLACE INTO embeddings
            SELECT 1, ?, embedding, ?, NULL, NULL, ?, 1 FROM embeddings WHERE id = 'row 0001'";
        db.execute(sql, (id, content, metadata)).unwrap();
    }
    let count = bad.len() as u64;
    // One of them is a row that the server has, as it was: that stays.
    change(&place, "UPDATE embeddings SET content = 'good' WHERE id = 'row 0100'");
    let carried = carry(&place, server, Extra::Delete);
    assert_eq!((carried.rows, carried.sent, carried.deleted), (ROWS - 1, 1, 0));
    assert_eq!(carried.refused, count, "{:?}", carried.refusals);
    for (reason, ids) in reasons {
        let mut found = carried.refusals.reasons();
        let rows = found.find(|(said, _)| said.contains(reason)).map(|(_, rows)| &rows.ids);
        let ids = ids.iter().map(ToString::to_string).collect();
        assert_eq!(rows, Some(&ids), "{reason}: {:?}", carried.refusals);
    }
    let mut there = server.open("posts").unwrap().unwrap();
    assert_eq!(there.count().unwrap(), ROWS);
    assert_eq!(there.get(&["row 0007".into()]).unwrap()[0].document.as_deref(), Some("text 7"));
    assert_eq!(there.get(&["row 0100".into()]).unwrap()[0].document.as_deref(), Some("good"));
    let strict = ServerRequest { bad: Bad::Refuse, ..REQUEST };
    change(&place, "DELETE FROM embeddings WHERE id = 'empty'");
    let error = to_server(&place.walk(), server, &strict, &Silent).unwrap_err();
    assert!(error.to_string().contains("can't be carried"), "{error}");
}

fn impatient() -> Patience {
    Patience { repeats: 0, pause: Duration::from_millis(1), ..Patience::default() }
}

fn chroma(port: u16, patience: Patience) -> Box<dyn Server> {
    let address = Address::parse(&format!("http://127.0.0.1:{port}")).unwrap();
    Box::new(Chroma::new(&address, None, patience).unwrap())
}

fn postgres(port: u16, patience: Patience) -> Box<dyn Server> {
    let url = format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/postgres");
    let address = Address::parse(&url).unwrap();
    Box::new(Postgres::new(&address, &Passwords::default(), patience).unwrap())
}

#[test]
fn onto_chroma() {
    let Some(server) = ChromaServer::start() else { return };
    let patient = chroma(server.port, Patience::default());
    check(patient.as_ref());
    let large = "x".repeat(41 << 20);
    refuses(
        patient.as_ref(),
        &[
            ("", "x", None),
            ("row 0007", "x", Some(r#"{"$a": 1}"#)),
            ("drops", "x", Some(r#"{"a": 1, "chroma:b": 1}"#)),
            ("too large", &large, None),
        ],
        &[
            ("at least one character", &[""]),
            ("\"$a\"", &["row 0007"]),
            ("\"chroma:b\"", &["drops"]),
            ("41 MB", &["too large"]),
        ],
    );
    survives_cuts(|port| chroma(port, impatient()), server.port);
}

#[test]
fn onto_postgres() {
    let Some(server) = PostgresServer::start() else { return };
    let patient = postgres(server.port, Patience::default());
    check(patient.as_ref());
    // More than a page of its index takes, whatever compression makes of it.
    let mut random = fastrand::Rng::with_seed(1);
    let long: String = std::iter::repeat_with(|| random.alphanumeric()).take(9000).collect();
    refuses(
        patient.as_ref(),
        &[
            ("nul", "a\0b", None),
            ("row 0007", "x", Some(r#"{"a": ["\u0000"]}"#)),
            (&long, "x", None),
        ],
        &[("NUL", &["nul", "row 0007"]), ("index row", &[&long])],
    );
    survives_cuts(|port| postgres(port, impatient()), server.port);
}
