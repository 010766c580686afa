//! Sidecar files that somebody made, with checksums that fit: no panic, no way out of the folder,
//! and the answer is the database's.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::PathBuf;

use common::sidecar::{home, json_body, signed_json, with_section};
use common::*;
use serde_json::{Value, json};
use simdex::engine::api::*;
use simdex::observe::Silent;
use simdex::snapshot::segment::Segment;
use simdex::store::Id;
use simdex::{Engine, Metric};

/// A database with an index, and the right answer to one query.
struct Victim {
    scene: Scene,
    engine: Engine,
    request: SearchRequest,
    expected: Vec<(String, Id, f64)>,
}

impl Victim {
    fn new() -> Self {
        Self::of_kind("flat")
    }

    fn of_kind(kind: &str) -> Self {
        let scene = Scene::with_rows("delete", "posts", 6, 4);
        let engine = scene.engine();
        engine.define(of_kind(kind, new_index("i", &["posts"]))).unwrap();
        engine.build("i", &Silent).unwrap();
        let query = Random(5).vector(4);
        let target = Target::Collection("posts".into(), Through::Default);
        let expected = naive(&scene.db, &["posts"], &query, Metric::Cosine, 10, None);
        Self { request: by_vector(target, &query, 10), scene, engine, expected }
    }

    fn catalog(&self) -> PathBuf {
        home(&self.scene.path()).join("catalog.json")
    }

    fn manifest(&self) -> PathBuf {
        self.engine.index("i").unwrap().folder.join("manifest.json")
    }

    /// Calls everything that reads files; only the answer of the search is sure.
    fn assert_survives(&self, case: &str) -> Vec<String> {
        let answer = self.engine.search(&self.request, &Silent);
        let answer = answer.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(rows(&answer), self.expected, "{case}");
        let _ = self.engine.indexes();
        let _ = self.engine.collections(&Silent).unwrap();
        let _ = self.engine.verify("i", &Silent);
        let _ = self.engine.refresh("i", &Silent);
        let _ = self.engine.build("i", &Silent);
        let _ = self.engine.search(&by_vector(Target::Index("i".into()), &[1.0; 4], 3), &Silent);
        answer.notices
    }
}

fn read(path: &PathBuf) -> Value {
    serde_json::from_str(json_body(&std::fs::read(path).unwrap())).unwrap()
}

/// What may stand in the place of any value.
fn hostile_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e308),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(""),
        json!("../../../../etc/passwd"),
        json!("/etc/passwd"),
        json!("..\\..\\x.segment"),
        json!("../x.segment"),
        json!("a\u{0}b"),
        json!("index-../../../../../../../../../../../../etc"),
        json!("'; drop table embeddings; --"),
        json!("x".repeat(1 << 20)),
        json!([]),
        json!({}),
        json!([[[]]]),
        json!({"store": "collection"}),
    ]
}

/// Puts each hostile value in the place of each value of a tree.
fn for_each_change(tree: &Value, mut try_it: impl FnMut(&Value, &str)) {
    fn pointers(value: &Value, at: String, into: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(k, v)| pointers(v, format!("{at}/{k}"), into));
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(i, v)| pointers(v, format!("{at}/{i}"), into));
            }
            _ => {}
        }
        into.push(at);
    }
    let mut places = Vec::new();
    pointers(tree, String::new(), &mut places);
    for place in places {
        for value in hostile_values() {
            let mut changed = tree.clone();
            let shown: String = value.to_string().chars().take(40).collect();
            *changed.pointer_mut(&place).unwrap() = value;
            try_it(&changed, &format!("{place} = {shown}"));
        }
    }
}

#[test]
fn a_hostile_catalog() {
    let target = Victim::new();
    let checksum = std::fs::read(target.scene.path()).unwrap();
    let good = common::sidecar::Copy::of(&home(&target.scene.path()));
    let tree = read(&target.catalog());
    for_each_change(&tree, |changed, case| {
        good.restore(&home(&target.scene.path()));
        let file = signed_json(&changed.to_string());
        std::fs::write(target.catalog(), &file).unwrap();
        std::fs::write(target.catalog().with_file_name("catalog.backup.json"), &file).unwrap();
        target.assert_survives(case);
        let beside: Vec<_> = std::fs::read_dir(target.scene.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with("embeddings.db"))
            .collect();
        assert_eq!(beside, [""; 0], "{case}");
    });
    assert_eq!(std::fs::read(target.scene.path()).unwrap(), checksum);
}

#[test]
fn a_hostile_manifest() {
    let target = Victim::new();
    let good = common::sidecar::Copy::of(&home(&target.scene.path()));
    let (path, tree) = (target.manifest(), read(&target.manifest()));
    for_each_change(&tree, |changed, case| {
        good.restore(&home(&target.scene.path()));
        std::fs::write(&path, signed_json(&changed.to_string())).unwrap();
        target.assert_survives(case);
    });
}

/// Nesting beyond any reason, numbers beyond any type, and bytes that are no text.
#[test]
fn json_that_is_hard_to_parse() {
    let target = Victim::new();
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let objects = "{\"a\":".repeat(200_000);
    let huge = format!("{{\"generation\":{}}}", "9".repeat(100_000));
    for body in [deep.as_str(), &objects, &huge, "1e999999999", "\"\\ud800\"", ""] {
        for path in [target.manifest(), target.catalog()] {
            std::fs::write(&path, signed_json(body)).unwrap();
            let notices = target.assert_survives(&body.chars().take(20).collect::<String>());
            assert_ne!(notices, [""; 0]);
        }
    }
}

/// A table source of a catalog holds SQL. Whatever it says, nothing is written.
#[test]
fn sql_in_a_catalog_only_reads() {
    let target = Victim::new();
    let before = std::fs::read(target.scene.path()).unwrap();
    let elsewhere = target.scene.folder.path().join("attached.db");
    let attach = format!("ATTACH '{}' AS x", elsewhere.display());
    let tree = read(&target.catalog());
    for sql in [
        "1) ; DELETE FROM embeddings; --",
        "1; DELETE FROM embeddings",
        "DELETE FROM embeddings",
        "id IN (DELETE FROM embeddings RETURNING id)",
        "load_extension('x')",
        "writefile('attached.db', 'x')",
        "1 /* ' */ ) UNION SELECT id, embedding FROM embeddings /* '",
        "1) UNION SELECT 1, 2 FROM (SELECT 1",
        "PRAGMA user_version = 5",
        &attach,
        "1 \u{0} /*",
        "'",
        "/*",
        "--",
        "?",
        "$x(')",
    ] {
        for place in ["filter", "name", "id", "embedding"] {
            let mut source = json!({
                "store": "table", "name": "embeddings", "id": "id", "embedding": "embedding",
                "filter": null
            });
            source[place] = json!(sql);
            let mut changed = tree.clone();
            changed["indexes"][0]["sources"] = json!([source]);
            std::fs::write(target.catalog(), signed_json(&changed.to_string())).unwrap();
            target.assert_survives(&format!("{place} = {sql}"));
            for result in [target.engine.build("i", &Silent).map(drop), {
                let request = by_vector(Target::Index("i".into()), &[1.0; 4], 3);
                target.engine.search(&request, &Silent).map(drop)
            }] {
                // Those that are valid conditions may find rows; the others say what is wrong.
                if let Err(error) = result {
                    assert!(error.kind().is_user_error(), "{place} = {sql}: {error}");
                }
            }
        }
    }
    assert_eq!(std::fs::read(target.scene.path()).unwrap(), before);
    assert!(!elsewhere.exists());
}

/// Segments whose checksums fit but whose numbers don't.
/// What is wrong, and the sections that say so.
type Case<'a> = (&'a str, Vec<(&'a str, Vec<u8>)>);

#[test]
fn a_hostile_segment() {
    let target = Victim::new();
    let manifest = read(&target.manifest());
    let path = target.manifest().with_file_name(manifest["base"]["file"].as_str().unwrap());
    let good = common::sidecar::Copy::of(&home(&target.scene.path()));
    let base = std::fs::read(&path).unwrap();
    let words = |values: &[u64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let order = |values: &[u32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let meta =
        |rows: u64, dim: u64| format!("{{\"rows\":{rows},\"dim\":{dim},\"seed\":1}}").into_bytes();
    let cases: Vec<Case<'_>> = vec![
        ("keys that point nowhere", vec![("keys.offsets", words(&[u64::MAX; 7]))]),
        ("keys that run backwards", vec![("keys.offsets", words(&[60, 50, 40, 30, 20, 10, 0]))]),
        ("rows that are not there", vec![("keys.order", order(&[u32::MAX; 6]))]),
        ("one row six times", vec![("keys.order", order(&[0; 6]))]),
        ("bytes that are no keys", vec![("keys.bytes", vec![0xff; 54])]),
        ("other fingerprints", vec![("fingerprints", words(&[0; 6]))]),
        ("a huge dimension", vec![("snapshot", meta(6, u64::MAX))]),
        ("another dimension", vec![("snapshot", meta(12, 2))]),
        (
            "no rows of a huge dimension",
            vec![
                ("vectors", vec![]),
                ("keys.offsets", words(&[0])),
                ("keys.bytes", vec![]),
                ("keys.order", vec![]),
                ("fingerprints", vec![]),
                ("kind.norms", vec![]),
                ("snapshot", meta(0, u64::MAX / 2)),
            ],
        ),
        ("vectors that are no numbers", vec![("vectors", vec![0xff; 96])]),
        ("half a vector", vec![("vectors", vec![0; 95])]),
        ("too few norms", vec![("kind.norms", vec![0; 4])]),
        ("odd norms", vec![("kind.norms", vec![0; 5])]),
        ("another kind's head", vec![("index", b"{\"kind\":\"x\"}".to_vec())]),
        ("a head that is no JSON", vec![("index", vec![0xff; 9])]),
    ];
    for (case, sections) in cases {
        good.restore(&home(&target.scene.path()));
        let segment = sections
            .iter()
            .fold(base.clone(), |segment, (name, content)| with_section(&segment, name, content));
        std::fs::write(&path, segment).unwrap();
        let notices = target.assert_survives(case);
        assert!(notices[0].contains("was damaged and has been rebuilt"), "{case}: {notices:?}");
    }
}

/// What kinds keep is not fingerprinted: wrong content, with a checksum that fits, is found out or
/// not, but it neither crashes a search nor changes a score.
#[test]
fn hostile_sections_of_every_kind() {
    for kind in kinds() {
        let target = Victim::of_kind(kind);
        let manifest = read(&target.manifest());
        let path = target.manifest().with_file_name(manifest["base"]["file"].as_str().unwrap());
        let good = common::sidecar::Copy::of(&home(&target.scene.path()));
        let base = std::fs::read(&path).unwrap();
        let segment = Segment::open(&path).unwrap();
        let names: Vec<_> = segment.names().filter(|name| name.starts_with("kind.")).collect();
        assert!(!names.is_empty(), "{kind}");
        for name in names {
            let content = segment.section::<u8>(name).unwrap().to_vec();
            let mut random = Random(4);
            let mut noise = |_: &u8| random.next() as u8;
            let longer = [&content[..], &[1; 64]].concat();
            for content in [
                vec![],
                vec![0; content.len()],
                vec![0xff; content.len()],
                content.iter().map(&mut noise).collect(),
                content[..content.len() / 2].to_vec(),
                longer,
            ] {
                good.restore(&home(&target.scene.path()));
                std::fs::write(&path, with_section(&base, name, &content)).unwrap();
                let answer = target.engine.search(&target.request, &Silent).unwrap();
                for found in &answer.matches {
                    let is_right = |(_, id, score): &(String, Id, f64)| {
                        *id == found.id && *score == found.score
                    };
                    assert!(target.expected.iter().any(is_right), "{kind} {name}");
                }
                let _ = target.engine.verify("i", &Silent);
                target.engine.build("i", &Silent).unwrap();
                target.assert_survives(&format!("{kind} {name}"));
            }
        }
    }
}
