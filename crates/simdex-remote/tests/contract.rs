//! What every server must do, against real ones: Chroma, Postgres, and Postgres over two nodes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod servers;

use std::collections::HashSet;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use servers::{ChromaServer, Cutter, PASSWORD, PostgresServer};
use simdex_remote::chroma::Chroma;
use simdex_remote::pgvector::{Passwords, Postgres};
use simdex_remote::{
    Address, Collection, Fault, Labels, Metadata, Only, Patience, Query, Record, Server, Space,
    Spec,
};

const DIM: usize = 12;

fn patience() -> Patience {
    Patience { pause: Duration::from_millis(1), ..Patience::default() }
}

fn chroma(url: &str) -> Chroma {
    Chroma::new(&Address::parse(url).unwrap(), None, patience()).unwrap()
}

fn postgres(url: &str) -> Postgres {
    let address = Address::parse(url).unwrap();
    Postgres::new(&address, &Passwords::default(), patience()).unwrap()
}

fn over_nodes(first: &PostgresServer, second: &PostgresServer) -> Postgres {
    let nodes = [first, second].map(|node| Address::parse(&node.url()).unwrap());
    postgres(&first.url()).with_nodes(&nodes, &Passwords::default()).unwrap()
}

fn vectors(count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| (0..DIM).map(|_| random.f32() - 0.5).collect()).collect()
}

fn records(count: usize) -> Vec<Record> {
    let record = |(number, vector)| {
        let metadata = json!({"number": number, "even": number % 2 == 0, "nested": {"a": [1, 2]}});
        Record::new(format!("id {number} ü"), vector)
            .with_document(format!("text 'of' {number} \\ \"quoted\""))
            .with_metadata(metadata.as_object().unwrap().clone())
    };
    vectors(count, 1).into_iter().enumerate().map(record).collect()
}

fn distance(space: Space, a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    match space {
        Space::Cosine => 1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt(),
        Space::L2 => a.iter().zip(b).map(|(x, y)| f64::from(x - y).powi(2)).sum(),
        Space::InnerProduct => -dot(a, b),
    }
}

fn closest(space: Space, records: &[Record], query: &[f32], k: usize) -> Vec<String> {
    let mut order: Vec<_> = records.iter().collect();
    order.sort_by(|a, b| {
        distance(space, &a.vector, query).total_cmp(&distance(space, &b.vector, query))
    });
    order.into_iter().take(k).map(|record| record.id.clone()).collect()
}

fn found(collection: &mut dyn Collection, query: &Query<'_>) -> Vec<Vec<String>> {
    let hits = collection.query(query).unwrap();
    hits.into_iter().map(|hits| hits.into_iter().map(|hit| hit.id).collect()).collect()
}

fn contract(server: &dyn Server, name: &str) {
    assert!(!server.version().unwrap().is_empty());
    for space in [Space::Cosine, Space::L2, Space::InnerProduct] {
        answers_are_the_closest(server, &format!("{name}_{}", space.name()), space);
    }
    records_are_kept_whole(server, &format!("{name}_whole"));
    collections_are_told_apart(server, &format!("{name}_apart"));
}

fn answers_are_the_closest(server: &dyn Server, name: &str, space: Space) {
    let mut collection = server.create(&Spec::new(name, DIM, space)).unwrap();
    let mut all = records(300);
    collection.upsert(&all).unwrap();
    collection.finish().unwrap();
    let queries = vectors(5, 2);
    let check = |collection: &mut dyn Collection, all: &[Record]| {
        let answers = found(collection, &Query::new(&queries, 10));
        let right: Vec<_> = queries.iter().map(|query| closest(space, all, query, 10)).collect();
        assert_eq!(answers, right, "{name}");
    };
    check(&mut *collection, &all);
    // Changed, removed and new.
    let changed = vectors(20, 3).into_iter().zip(&mut all);
    for (vector, record) in changed {
        record.vector = vector;
    }
    collection.upsert(&all[..20]).unwrap();
    let gone: Vec<_> = all.drain(100..130).map(|record| record.id).collect();
    collection.delete(&gone).unwrap();
    collection.delete(&gone).unwrap();
    let new = vectors(10, 4).into_iter().enumerate();
    let new: Vec<_> = new.map(|(n, vector)| Record::new(format!("new {n}"), vector)).collect();
    collection.upsert(&new).unwrap();
    all.extend(new);
    assert_eq!(collection.count().unwrap(), all.len() as u64);
    check(&mut *collection, &all);
    filters(&mut *collection, &all, space, &queries);
    let ids: HashSet<_> = all.iter().map(|record| record.id.clone()).collect();
    assert_eq!(collection.ids().unwrap(), ids);
}

fn filters(collection: &mut dyn Collection, all: &[Record], space: Space, queries: &[Vec<f32>]) {
    for share in [2, 40] {
        let allowed: Vec<_> = all.iter().step_by(share).cloned().collect();
        let ids: Vec<_> = allowed.iter().map(|record| record.id.clone()).collect();
        let answers = found(collection, &Query::new(queries, 5).among(Only::Ids(&ids)));
        let right: Vec<_> = queries.iter().map(|q| closest(space, &allowed, q, 5)).collect();
        assert_eq!(answers, right);
    }
    let nobody = Query::new(queries, 5).among(Only::Ids(&[]));
    assert!(found(collection, &nobody).iter().all(Vec::is_empty));
    let even = json!({"even": true}).as_object().unwrap().clone();
    let has = |record: &&Record| record.metadata.as_ref().is_some_and(|m| m["even"] == json!(true));
    let allowed: Vec<_> = all.iter().filter(has).cloned().collect();
    let answers = found(collection, &Query::new(queries, 5).among(Only::Matching(&even)));
    let right: Vec<_> = queries.iter().map(|query| closest(space, &allowed, query, 5)).collect();
    assert_eq!(answers, right);
}

fn records_are_kept_whole(server: &dyn Server, name: &str) {
    let mut collection = server.create(&Spec::new(name, DIM, Space::L2)).unwrap();
    let mut record = records(1).remove(0);
    collection.upsert(std::slice::from_ref(&record)).unwrap();
    let ids = [record.id.clone(), "nobody".to_owned()];
    let kept = collection.get(&ids).unwrap().remove(0);
    assert_eq!((&kept.vector, &kept.document), (&record.vector, &record.document));
    let metadata = kept.metadata.unwrap();
    assert_eq!((&metadata["number"], &metadata["even"]), (&json!(0), &json!(true)));
    // Chroma holds nested values as text.
    let nested = &metadata["nested"];
    let nested = nested.as_str().map_or(nested.clone(), |text| serde_json::from_str(text).unwrap());
    assert_eq!(nested, json!({"a": [1, 2]}));
    // An upsert replaces all of a record.
    record.document = None;
    record.metadata = Some(json!({"other": "x"}).as_object().unwrap().clone());
    collection.upsert(std::slice::from_ref(&record)).unwrap();
    assert_eq!(collection.get(&ids).unwrap(), std::slice::from_ref(&record));
    record.metadata = None;
    collection.upsert(std::slice::from_ref(&record)).unwrap();
    let kept = collection.get(&ids).unwrap().remove(0);
    assert_eq!(kept.metadata.unwrap_or_default(), Metadata::new());
    assert_eq!(collection.count().unwrap(), 1);
}

fn collections_are_told_apart(server: &dyn Server, name: &str) {
    assert!(server.open(name).unwrap().is_none());
    assert!(!server.remove(name).unwrap());
    let labels = |pairs: &[(&str, &str)]| -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let spec = Spec::new(name, DIM, Space::Cosine);
    let mut made = server.create(&Spec { labels: labels(&[("owner", "it's me")]), ..spec.clone() });
    let made = made.as_mut().unwrap();
    made.upsert(&records(3)).unwrap();
    let mut again = server.create(&spec).unwrap();
    assert_eq!(again.count().unwrap(), 3);
    assert_eq!(again.labels().unwrap()["owner"], "it's me");
    again.set_labels(&labels(&[("state", "done")])).unwrap();
    let kept = server.open(name).unwrap().unwrap().labels().unwrap();
    assert_eq!((kept["owner"].as_str(), kept["state"].as_str()), ("it's me", "done"));
    for other in [Spec::new(name, DIM + 1, Space::Cosine), Spec::new(name, DIM, Space::L2)] {
        assert_eq!(server.create(&other).unwrap_err().fault(), Fault::Refused);
    }
    for bad in [
        vec![Record::new("a", vec![0.0; DIM]), Record::new("a", vec![1.0; DIM])],
        vec![Record::new("a", vec![0.0; DIM + 1])],
        vec![Record::new("a", vec![f32::NAN; DIM])],
    ] {
        assert_eq!(again.upsert(&bad).unwrap_err().fault(), Fault::Invalid);
    }
    assert_eq!(again.count().unwrap(), 3);
    assert!(server.remove(name).unwrap());
    assert!(server.open(name).unwrap().is_none());
}

/// Records go in over a network that breaks, and come out each once.
fn survives_cuts(server: &dyn Server, cutter: &Cutter, direct: &dyn Server, name: &str) {
    let mut collection = server.create(&Spec::new(name, DIM, Space::L2)).unwrap();
    let all = records(1500);
    all.chunks(150).for_each(|batch| collection.upsert(batch).unwrap());
    let (gone, kept) = all.split_at(200);
    let ids: Vec<_> = gone.iter().map(|record| record.id.clone()).collect();
    collection.delete(&ids).unwrap();
    collection.finish().unwrap();
    assert!(cutter.left() < 6, "the network held too well to test anything");
    let mut collection = direct.open(name).unwrap().unwrap();
    assert_eq!(collection.count().unwrap(), kept.len() as u64);
    let ids: HashSet<_> = kept.iter().map(|record| record.id.clone()).collect();
    assert_eq!(collection.ids().unwrap(), ids);
    let some: Vec<_> = kept.iter().step_by(100).map(|record| record.id.clone()).collect();
    for record in collection.get(&some).unwrap() {
        let right = kept.iter().find(|kept| kept.id == record.id).unwrap();
        assert_eq!(
            (record.vector, record.document),
            (right.vector.clone(), right.document.clone())
        );
    }
}

#[test]
fn chroma_keeps_the_contract() {
    let Some(mut server) = ChromaServer::start() else { return };
    contract(&chroma(&server.url()), "contract");
    for seed in 0..3 {
        let cutter = Cutter::before(server.port, seed, 12, 60_000);
        let cut = chroma(&format!("http://127.0.0.1:{}", cutter.port));
        survives_cuts(&cut, &cutter, &chroma(&server.url()), &format!("cut_{seed}"));
    }
    // A restart loses nothing, and a client that has a connection to what was before finds it.
    let client = chroma(&server.url());
    let mut collection = client.open("cut_0").unwrap().unwrap();
    server.restart();
    assert_eq!(collection.count().unwrap(), 1300);
    assert_eq!(found(&mut *collection, &Query::new(&vectors(1, 5), 3))[0].len(), 3);
    server.kill();
    let impatient = Patience { repeats: 1, ..patience() };
    let client = Chroma::new(&Address::parse(&server.url()).unwrap(), None, impatient).unwrap();
    assert_eq!(client.version().unwrap_err().fault(), Fault::Unreachable);
}

#[test]
fn postgres_keeps_the_contract() {
    let Some(server) = PostgresServer::start() else { return };
    contract(&postgres(&server.url()), "contract");
    for seed in 0..3 {
        let cutter = Cutter::before(server.port, seed, 12, 60_000);
        let url = format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres", cutter.port);
        survives_cuts(&postgres(&url), &cutter, &postgres(&server.url()), &format!("cut_{seed}"));
    }
    let client = postgres(&server.url());
    let mut collection = client.open("cut_0").unwrap().unwrap();
    server.restart();
    assert_eq!(collection.count().unwrap(), 1300);
    assert_eq!(found(&mut *collection, &Query::new(&vectors(1, 5), 3))[0].len(), 3);
    server.kill();
    let impatient = Patience { repeats: 1, ..patience() };
    let address = Address::parse(&server.url()).unwrap();
    let client = Postgres::new(&address, &Passwords::default(), impatient).unwrap();
    let error = client.version().unwrap_err();
    assert_eq!(error.fault(), Fault::Unreachable);
    assert!(!format!("{error:?} {client:?} {collection:?}").contains(PASSWORD));
}

#[test]
fn postgres_over_two_nodes_keeps_the_contract() {
    let (Some(first), Some(second)) = (PostgresServer::start(), PostgresServer::start()) else {
        return;
    };
    let server = over_nodes(&first, &second);
    contract(&server, "nodes");
    // Both nodes hold some of the rows, and no row is on both.
    let mut whole = server.open("nodes_l2").unwrap().unwrap();
    let part = |node: &PostgresServer, number: usize| {
        let mut part = postgres(&node.url()).open(&format!("nodes_l2_p{number}")).unwrap().unwrap();
        part.ids().unwrap()
    };
    let (left, right) = (part(&first, 0), part(&second, 1));
    assert!(left.len() > 50 && right.len() > 50 && left.is_disjoint(&right));
    assert_eq!(&left | &right, whole.ids().unwrap());
    // A node that is gone is an error, and its return mends it.
    second.kill();
    let query = vectors(1, 7);
    let query = Query::new(&query, 3);
    let impatient = Patience { repeats: 1, ..patience() };
    let address = Address::parse(&first.url()).unwrap();
    let hasty = Postgres::new(&address, &Passwords::default(), impatient).unwrap();
    let error = hasty.open("nodes_l2").unwrap().unwrap().query(&query).unwrap_err();
    assert_eq!(error.fault(), Fault::Unreachable, "{error}");
    second.restart();
    assert_eq!(found(&mut *whole, &query)[0].len(), 3);
    assert!(server.remove("nodes_l2").unwrap());
    assert!(postgres(&second.url()).open("nodes_l2_p1").unwrap().is_none());
}

#[test]
fn what_postgres_refuses_is_said_without_secrets() {
    let Some(server) = PostgresServer::start() else { return };
    let wrong = format!("postgres://postgres:wrong-secret@127.0.0.1:{}/postgres", server.port);
    let error = postgres(&wrong).version().unwrap_err();
    assert_eq!(error.fault(), Fault::Denied);
    assert!(!format!("{error:?}").contains("wrong-secret"), "{error}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), PASSWORD).unwrap();
    let passwords = Passwords { file: Some(file.path().to_owned()), ..Passwords::default() };
    let address = Address::parse(&server.plain_url()).unwrap();
    let client = Postgres::new(&address, &passwords, patience()).unwrap();
    assert!(client.version().unwrap().contains("pgvector"));
    let nul = Record::new("a", vec![0.0; 2]).with_document("\0");
    let mut collection = client.create(&Spec::new("nul", 2, Space::L2)).unwrap();
    assert_eq!(collection.upsert(&[nul]).unwrap_err().fault(), Fault::Unfit);
    // Of more dimensions than float32 indexes take, and than any takes.
    for dimensions in [2001, 4001] {
        let name = format!("wide_{dimensions}");
        let mut wide = client.create(&Spec::new(name, dimensions, Space::Cosine)).unwrap();
        let record = |n: usize| {
            let mut vector = vec![0.0; dimensions];
            vector[n] = 1.0;
            Record::new(n.to_string(), vector)
        };
        let all: Vec<_> = (0..5).map(record).collect();
        wide.upsert(&all).unwrap();
        wide.finish().unwrap();
        let query = [all[3].vector.clone()];
        assert_eq!(found(&mut *wide, &Query::new(&query, 1)), [["3"]]);
    }
}

/// A server that wants a secret gets it in each request, and nobody else sees it.
#[test]
fn chroma_gets_its_token() {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
        let body = r#"{"error":"AuthError","message":"who are you?"}"#;
        let length = body.len();
        write!(stream, "HTTP/1.1 401 Unauthorized\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        head
    });
    let token = SecretString::from(PASSWORD);
    let address = Address::parse(&url).unwrap();
    let client = Chroma::new(&address, Some(token), patience()).unwrap();
    let error = client.version().unwrap_err();
    assert_eq!(error.fault(), Fault::Denied);
    assert!(error.to_string().contains("who are you?"), "{error}");
    assert!(!format!("{error:?} {client:?}").contains(PASSWORD));
    let head = server.join().unwrap().join("\n").to_lowercase();
    assert!(head.contains(&format!("x-chroma-token: {PASSWORD}")), "{head}");
    assert!(head.contains(&format!("authorization: bearer {PASSWORD}")), "{head}");
}
