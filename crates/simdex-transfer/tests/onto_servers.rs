//! A collection onto real servers: all of it, once, whatever interrupts.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "../../simdex-remote/tests/servers/mod.rs"]
mod servers;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{Place, row};
use rusqlite::Connection;
use servers::{ChromaServer, PostgresServer};
use simdex::ErrorKind;
use simdex::observe::{Observer, Silent};
use simdex_remote::chroma::Chroma;
use simdex_remote::pgvector::{Passwords, Postgres};
use simdex_remote::{Address, Patience, Server, Space, Spec};
use simdex_transfer::server::{ServerRequest, to_server};
use simdex_transfer::tally::Bad;

const REQUEST: ServerRequest<'_> = ServerRequest { name: "posts", bad: Bad::Skip };

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
    let rows: Vec<_> = (0..2500_u16)
        .map(|number| {
            let mut row = row(&format!("row {number}"), &[f32::from(number), 1.0, -0.5]);
            row.extras.content = Some(format!("text {number}"));
            row.extras.metadata = Some(format!("{{\"number\": {number}}}"));
            row
        })
        .collect();
    let place = Place::with(&rows);
    let db = Connection::open(place.path("source.db")).unwrap();
    db.execute_batch("INSERT INTO embeddings (collection_id, id) VALUES (1, 'empty')").unwrap();
    place
}

fn check(server: &dyn Server) {
    let place = place();
    let walk = place.walk();
    let stopped = to_server(&walk, server, &REQUEST, &StopOnTheWay::default()).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Cancelled, "{stopped}");
    let partial = server.open("posts").unwrap().unwrap().count().unwrap();
    assert!((1..2500).contains(&partial), "it was stopped on the way: {partial}");
    let carried = to_server(&walk, server, &REQUEST, &Silent).unwrap();
    assert_eq!((carried.rows, carried.sent), (2500, 2500 - partial), "it goes on");
    assert_eq!((carried.skipped, carried.dimensions), (1, 3));
    assert!(carried.verified > 30);
    let mut there = server.open("posts").unwrap().unwrap();
    let found = there.get(&["row 77".to_owned()]).unwrap();
    assert_eq!(found[0].document.as_deref(), Some("text 77"));
    for (found, sent) in found[0].vector.iter().zip([77.0, 1.0, -0.5]) {
        assert!((found - sent).abs() < 1e-4, "{found} for {sent}");
    }
    assert_eq!(found[0].metadata.as_ref().unwrap()["number"], 77);
    // Again: everything is put in place of itself.
    let again = to_server(&walk, server, &REQUEST, &Silent).unwrap();
    assert_eq!((again.rows, again.sent), (2500, 2500));
    // A collection of somebody else is left alone.
    server.create(&Spec::new("theirs", 3, Space::Cosine)).unwrap();
    let request = ServerRequest { name: "theirs", ..REQUEST };
    let error = to_server(&walk, server, &request, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
}

#[test]
fn onto_chroma() {
    let Some(server) = ChromaServer::start() else { return };
    let address = Address::parse(&server.url()).unwrap();
    check(&Chroma::new(&address, None, Patience::default()).unwrap());
}

#[test]
fn onto_postgres() {
    let Some(server) = PostgresServer::start() else { return };
    let address = Address::parse(&server.url()).unwrap();
    check(&Postgres::new(&address, &Passwords::default(), Patience::default()).unwrap());
}
