//! Indexes on real servers: Chroma, Postgres, and Postgres over two nodes. See
//! `simdex-remote/tests/servers` for what they need.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod common;
#[path = "../../simdex-remote/tests/servers/mod.rs"]
mod servers;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use common::Sandbox;
use rusqlite::{Connection, params};
use servers::{ChromaServer, Cutter, PASSWORD, PostgresServer};
use simdex_remote::chroma::Chroma;
use simdex_remote::pgvector::{Passwords, Postgres};
use simdex_remote::{Address, Collection, Patience, Server, in_batches};

const DIM: usize = 16;
const ROWS: usize = 6000;

/// Rows, simdex with variables of its own, and all that it printed.
struct Scene {
    sandbox: Sandbox,
    variables: RefCell<BTreeMap<&'static str, String>>,
    printed: RefCell<String>,
}

impl Scene {
    fn new(variables: &[(&'static str, String)]) -> Self {
        let sandbox = Sandbox::empty();
        let db = Connection::open(sandbox.path("embeddings.db")).unwrap();
        db.execute_batch("CREATE TABLE rows (id INTEGER PRIMARY KEY, v BLOB, n INTEGER)").unwrap();
        let scene = Self {
            sandbox,
            variables: RefCell::new(variables.iter().cloned().collect()),
            printed: RefCell::default(),
        };
        scene.add(0..ROWS, 1);
        scene
    }

    fn db(&self) -> Connection {
        Connection::open(self.sandbox.path("embeddings.db")).unwrap()
    }

    fn add(&self, ids: std::ops::Range<usize>, seed: u64) {
        let mut db = self.db();
        let transaction = db.transaction().unwrap();
        let mut random = fastrand::Rng::with_seed(seed);
        for id in ids {
            let vector: Vec<f32> = (0..DIM).map(|_| random.f32() - 0.5).collect();
            let blob: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            let statement = "INSERT OR REPLACE INTO rows VALUES (?, ?, ?)";
            transaction.execute(statement, params![id as i64, blob, (id % 10) as i64]).unwrap();
        }
        transaction.commit().unwrap();
    }

    /// The bits of all vectors.
    fn vectors(&self) -> HashSet<Vec<u8>> {
        let db = self.db();
        let mut statement = db.prepare("SELECT v FROM rows").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn command(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = self.sandbox.simdex(args);
        command.envs(self.variables.borrow().iter());
        command
    }

    /// A process that is not waited for.
    fn started(&self, args: &[&str]) -> std::process::Child {
        std::process::Command::new(assert_cmd::cargo::cargo_bin!("simdex"))
            .args(args)
            .current_dir(self.sandbox.path(""))
            .envs(self.variables.borrow().iter())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap()
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.command(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        self.printed.borrow_mut().push_str(&format!("{args:?}\n{stdout}{stderr}"));
        (output.status.code().unwrap(), stdout, stderr)
    }

    /// What a run prints and says that succeeds.
    fn done(&self, args: &[&str]) -> (String, String) {
        let (status, stdout, stderr) = self.run(args);
        assert_eq!(status, 0, "{args:?}: {stderr}");
        (stdout, stderr)
    }

    fn create(&self, name: &str, kind: &str, more: &[&str]) {
        let columns = ["--id-column", "id", "--embedding-column", "v", "--metric", "l2"];
        let args = ["index", "create", name, "-d", "embeddings.db", "--table", "rows"];
        self.done(&[&args[..], &columns, &["--kind", kind], more].concat());
    }

    /// Ids of the rows closest to a row, and what was said beside them.
    fn search(&self, index: &str, id: usize, more: &[&str]) -> (Vec<String>, String) {
        let id = id.to_string();
        let args = ["search", index, &id, "-d", "embeddings.db", "-n", "10", "--csv"];
        let (stdout, stderr) = self.done(&[&args[..], more].concat());
        let mut reader = csv::Reader::from_reader(stdout.as_bytes());
        let place = reader.headers().unwrap().iter().position(|name| name == "id").unwrap();
        let ids = reader.records().map(|record| record.unwrap()[place].to_owned());
        (ids.collect(), stderr)
    }

    /// The share of the closest rows that an index finds, without falling back.
    fn recall(&self, index: &str, more: &[&str]) -> f64 {
        let (mut found, mut wanted) = (0, 0);
        for id in (ROWS / 2..ROWS).step_by(ROWS / 16) {
            let (right, _) = self.search("exact", id, more);
            let (ours, said) = self.search(index, id, more);
            assert_eq!(said, "", "{index} {id}");
            assert_eq!(ours.len(), right.len());
            found += right.iter().filter(|id| ours.contains(id)).count();
            wanted += right.len();
        }
        f64::from(u32::try_from(found).unwrap()) / f64::from(u32::try_from(wanted).unwrap())
    }

    /// The collection of an index, as its definition names it.
    fn collection(&self, index: &str) -> String {
        let (shown, _) = self.done(&["index", "show", index, "-d", "embeddings.db"]);
        let line = shown.lines().find(|line| line.contains("collection on the server")).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    }

    /// Nothing printed and no file holds the password.
    fn kept_the_secret(&self) {
        assert!(!self.printed.borrow().contains(PASSWORD));
        fn look(folder: &Path) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    look(&path);
                    continue;
                }
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
        look(&self.sandbox.path(""));
    }
}

/// Exactly the vectors of the rows are on the server, each once.
fn same_vectors(collection: &mut dyn Collection, scene: &Scene) {
    let ids: Vec<String> = collection.ids().unwrap().into_iter().collect();
    let mut found = Vec::new();
    in_batches(collection, &ids, |collection, batch| {
        let bits = |record: simdex_remote::Record| -> Vec<u8> {
            record.vector.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        found.extend(collection.get(batch)?.into_iter().map(bits));
        Ok(())
    })
    .unwrap();
    let rows = scene.vectors();
    assert_eq!(collection.count().unwrap(), rows.len() as u64);
    assert_eq!(found.len(), rows.len());
    assert!(found.iter().all(|vector| rows.contains(vector)));
}

/// The life of an index, from its creation to its end.
fn life(scene: &Scene, kind: &str, server: &dyn Server, stop: &dyn Fn(), start: &dyn Fn()) {
    scene.create("exact", "flat", &[]);
    scene.create("far", kind, &[]);
    scene.create("strict", kind, &["--set", "on-failure=error", "--set", "name=strict_rows"]);
    let name = scene.collection("far");
    same_vectors(&mut *server.open(&name).unwrap().unwrap(), scene);
    assert!(scene.recall("far", &[]) > 0.95);
    measured(scene, kind);
    // Few rows are compared here, more are named to the server, and of most of them it is asked for
    // more.
    for filter in ["n = 3", "n < 3", "n < 9"] {
        assert!(scene.recall("far", &["--where", filter]) > 0.95, "{filter}");
    }
    // Few changes are searched beside the server's rows; many are sent there.
    scene.add(ROWS..ROWS + 50, 2);
    scene.done(&["index", "refresh", "far", "-d", "embeddings.db"]);
    assert_eq!(server.open(&name).unwrap().unwrap().count().unwrap(), ROWS as u64);
    assert!(scene.recall("far", &[]) > 0.95);
    scene.db().execute("DELETE FROM rows WHERE id < 2000", []).unwrap();
    scene.add(1500..4000, 3);
    for index in ["far", "strict"] {
        scene.done(&["index", "refresh", index, "-d", "embeddings.db"]);
    }
    same_vectors(&mut *server.open(&name).unwrap().unwrap(), scene);
    same_vectors(&mut *server.open("strict_rows").unwrap().unwrap(), scene);
    assert!(scene.recall("far", &[]) > 0.95);
    // Another index can't have a collection that is somebody's.
    let taken = ["index", "create", "thief", "-d", "embeddings.db", "--table", "rows"];
    let columns = ["--id-column", "id", "--embedding-column", "v", "--metric", "l2"];
    let set = ["--kind", kind, "--set", "name=strict_rows"];
    let (status, _, said) = scene.run(&[&taken[..], &columns, &set].concat());
    assert!(status == 1 && said.contains("is not this index's"), "{said}");
    scene.done(&["index", "drop", "--yes", "thief", "-d", "embeddings.db"]);
    same_vectors(&mut *server.open("strict_rows").unwrap().unwrap(), scene);

    stop();
    let (ours, said) = scene.search("far", 5000, &[]);
    assert_eq!(ours, scene.search("exact", 5000, &[]).0);
    assert!(said.contains("every row was compared"), "{said}");
    let args = ["search", "strict", "5000", "-d", "embeddings.db"];
    let (status, rows, said) = scene.run(&args);
    assert!(status == 1 && rows.is_empty() && said.contains("127.0.0.1"), "{said}");
    scene.done(&["index", "list", "-d", "embeddings.db"]);
    let (_, said) = scene.done(&["index", "drop", "--yes", "strict", "-d", "embeddings.db"]);
    assert!(said.contains("strict_rows") && said.contains("may still be"), "{said}");
    start();
    assert!(scene.recall("far", &[]) > 0.95);
    scene.done(&["index", "drop", "--yes", "far", "-d", "embeddings.db"]);
    assert!(server.open(&name).unwrap().is_none());
    scene.kept_the_secret();
}

/// `compare` measures an index that there is, and a kind that is only tried on a server that is named
/// with it.
fn measured(scene: &Scene, kind: &str) {
    let url = scene.variables.borrow().values().next_back().unwrap().clone();
    let tried =
        format!("{kind}:on-failure=error,url={}", url.replace(&format!(":{PASSWORD}@"), "@"));
    let args = ["compare", "far", "-d", "embeddings.db", "--queries", "20", "--json", "--try"];
    let (report, _) = scene.done(&[&args[..], &[tried.as_str()]].concat());
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let points = report["points"].as_array().unwrap();
    let names: Vec<_> = points.iter().map(|point| point["index"].as_str()).collect();
    assert_eq!(names, [Some("far"), None], "{report}");
    for point in points {
        assert!(point["kind"] == kind && point["recall"].as_f64().unwrap() > 0.9, "{report}");
    }
}

/// A build over a network that breaks, and one whose process is killed, are gone on with.
fn cut_builds(scene: &Scene, kind: &str, server: &dyn Server, cutter: &Cutter) {
    scene.create("cut", kind, &["--no-build", "--set", "name=cut_rows"]);
    let build = ["index", "build", "cut", "-d", "embeddings.db"];
    for round in 0.. {
        let (status, _, said) = scene.run(&build);
        if status == 0 {
            break;
        }
        assert!(round < 10 && said.contains("127.0.0.1"), "{said}");
    }
    assert!(cutter.left() < 4, "the network held too well to test anything");
    same_vectors(&mut *server.open("cut_rows").unwrap().unwrap(), scene);
    // Others rows, and the process is killed when the first of them have arrived.
    scene.add(0..ROWS, 9);
    let mut collection = server.open("cut_rows").unwrap().unwrap();
    let mut process = scene.started(&build);
    while collection.count().unwrap() == ROWS as u64 && process.try_wait().unwrap().is_none() {}
    process.kill().unwrap();
    process.wait().unwrap();
    scene.done(&build);
    same_vectors(&mut *collection, scene);
    scene.kept_the_secret();
}

/// `migrate` is killed on the way and run again over a network that breaks; then rows go, and one
/// comes that the server refuses. Returns what the last run said.
fn migrate(kind: &str, direct: &dyn Server, url: &str, bad_metadata: &str) -> String {
    let scene = Scene::new(&[("PGPASSWORD", PASSWORD.to_owned())]);
    let db = scene.db();
    db.execute_batch(
        "CREATE TABLE collections (id INTEGER PRIMARY KEY, name TEXT, model TEXT);
         CREATE TABLE embeddings (collection_id INTEGER, id TEXT, embedding BLOB, content TEXT,
           content_blob BLOB, content_hash BLOB, metadata TEXT, updated INTEGER,
           PRIMARY KEY (collection_id, id));
         INSERT INTO collections VALUES (1, 'posts', 'm');
         INSERT INTO embeddings (collection_id, id, embedding, content, metadata)
           SELECT 1, 'row ' || id, v, 'text ' || id, json_object('n', n) FROM rows",
    )
    .unwrap();
    let args = ["migrate", "posts", "-d", "embeddings.db", "--to", kind, url];
    let mut process = scene.started(&args);
    let has_rows = || {
        let there = direct.open("posts").unwrap();
        there.is_some_and(|mut there| there.count().unwrap() > 0)
    };
    while !has_rows() && process.try_wait().unwrap().is_none() {}
    process.kill().unwrap();
    process.wait().unwrap();
    db.execute_batch(
        "UPDATE embeddings SET content = 'other' WHERE id = 'row 1';
         DELETE FROM embeddings WHERE id = 'row 0'",
    )
    .unwrap();
    let (said, notes) = loop {
        let (status, stdout, stderr) = scene.run(&args);
        if status == 0 {
            break (stdout, stderr);
        }
        assert!(stderr.contains("127.0.0.1"), "{stderr}");
    };
    assert!(said.starts_with("5,999 rows of 16 dimensions from posts are on the server"), "{said}");
    assert!(notes.contains("1 row there, but not in posts (row 0)"), "{notes}");
    let mut there = direct.open("posts").unwrap().unwrap();
    assert_eq!(there.get(&["row 1".into()]).unwrap()[0].document.as_deref(), Some("other"));
    assert_eq!(there.count().unwrap(), ROWS as u64);
    let (said, _) = scene.done(&[&args[..], &["--delete"]].concat());
    assert!(said.contains("0 sent now, 1 deleted"), "{said}");
    assert_eq!(there.count().unwrap(), ROWS as u64 - 1);
    db.execute("UPDATE embeddings SET metadata = ? WHERE id = 'row 7'", [bad_metadata]).unwrap();
    let (status, said, notes) = scene.run(&args);
    assert!(status == 1 && said.starts_with("5,998 rows"), "{said}{notes}");
    assert!(notes.contains("(row 7)") && notes.contains("refuses 1 row of posts"), "{notes}");
    scene.kept_the_secret();
    notes
}

fn chroma(url: &str) -> Chroma {
    Chroma::new(&Address::parse(url).unwrap(), None, Patience::default()).unwrap()
}

fn postgres(url: &str) -> Postgres {
    let address = Address::parse(url).unwrap();
    Postgres::new(&address, &Passwords::default(), Patience::default()).unwrap()
}

#[test]
fn chroma_index() {
    let Some(server) = ChromaServer::start() else { return };
    let url = server.url();
    let scene = Scene::new(&[("SIMDEX_CHROMA_URL", url.clone())]);
    let server = RefCell::new(server);
    let (stop, start) = (|| server.borrow_mut().kill(), || server.borrow_mut().restart());
    life(&scene, "chroma", &chroma(&url), &stop, &start);
    let cutter = Cutter::before(server.borrow().port, 5, 8, 300_000);
    let scene = Scene::new(&[("SIMDEX_CHROMA_URL", format!("http://127.0.0.1:{}", cutter.port))]);
    cut_builds(&scene, "chroma", &chroma(&url), &cutter);
    let cutter = Cutter::before(server.borrow().port, 6, 6, 300_000);
    let through = format!("http://127.0.0.1:{}", cutter.port);
    let notes = migrate("chroma", &chroma(&url), &through, r#"{"$x": 1}"#);
    assert!(notes.contains("\"$x\""), "{notes}");
}

#[test]
fn pgvector_index() {
    let Some(server) = PostgresServer::start() else { return };
    let scene = Scene::new(&[("SIMDEX_PGVECTOR_URL", server.url())]);
    let client = postgres(&server.url());
    life(&scene, "pgvector", &client, &|| server.kill(), &|| server.restart());
    let cutter = Cutter::before(server.port, 5, 8, 300_000);
    let url = server.url().replace(&server.port.to_string(), &cutter.port.to_string());
    let scene = Scene::new(&[("SIMDEX_PGVECTOR_URL", url)]);
    cut_builds(&scene, "pgvector", &client, &cutter);
    let cutter = Cutter::before(server.port, 6, 6, 300_000);
    let url = server.plain_url().replace(&server.port.to_string(), &cutter.port.to_string());
    let notes = migrate("pgvector", &client, &url, r#"{"x": "\u0000"}"#);
    assert!(notes.contains("NUL"), "{notes}");
}

#[test]
fn pgvector_index_over_two_nodes() {
    let (Some(first), Some(second)) = (PostgresServer::start(), PostgresServer::start()) else {
        return;
    };
    let nodes = [first.url(), second.url()];
    let scene = Scene::new(&[
        ("SIMDEX_PGVECTOR_URL", first.url()),
        ("SIMDEX_PGVECTOR_NODES", nodes.join(",")),
    ]);
    let nodes = nodes.map(|url| Address::parse(&url).unwrap());
    let client = postgres(&first.url()).with_nodes(&nodes, &Passwords::default()).unwrap();
    life(&scene, "pgvector", &client, &|| second.kill(), &|| second.restart());
}

#[test]
fn secrets_do_not_get_into_definitions_nor_to_servers_that_only_they_name() {
    let scene = Scene::new(&[]);
    let refused = |kind: &str, set: &str| {
        let args = ["index", "create", "i", "-d", "embeddings.db", "--table", "rows"];
        let columns = ["--id-column", "id", "--embedding-column", "v"];
        let (status, _, said) =
            scene.run(&[&args[..], &columns, &["--kind", kind, "--set", set]].concat());
        assert_eq!(status, 1, "{said}");
        // The arguments are mine, what is said is simdex's.
        assert!(!said.contains(PASSWORD), "{said}");
        said
    };
    for (kind, scheme, name) in [
        ("pgvector", "postgres", "url"),
        ("pgvector", "postgres", "nodes"),
        ("chroma", "http", "url"),
    ] {
        let said = refused(kind, &format!("{name}={scheme}://me:{PASSWORD}@localhost/x"));
        assert!(said.contains("holds a password") && said.contains("SIMDEX_"), "{said}");
    }
    assert!(refused("chroma", "search-width=0").contains("whole number"));
    assert!(refused("chroma", "name=x").contains("SIMDEX_CHROMA_URL"));
    // A server that only the definition names sees no token of the environment.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = std::thread::spawn(move || {
        use std::io::{BufRead, BufReader, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
        let answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes()).unwrap();
        head.join("\n")
    });
    scene.variables.borrow_mut().insert("SIMDEX_CHROMA_TOKEN", PASSWORD.to_owned());
    scene.variables.borrow_mut().insert("SIMDEX_CHROMA_URL", "https://example.com".to_owned());
    refused("chroma", &format!("url=http://{address}"));
    let head = asked.join().unwrap();
    assert!(head.starts_with("GET /api/v2/") && !head.contains(PASSWORD), "{head}");
}
