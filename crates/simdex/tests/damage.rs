//! Damaged sidecar files never crash a search, never change its answer, and never go unmentioned.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};

use common::sidecar::{Copy, home, settle};
use common::*;
use simdex::catalog::Catalog;
use simdex::catalog::folder::IndexFolder;
use simdex::catalog::generation::Generation;
use simdex::catalog::home::Home;
use simdex::engine::api::*;
use simdex::index::plugin::{Limits, Plugins};
use simdex::observe::Silent;
use simdex::store::Id;
use simdex::{Engine, ErrorKind, Metric};

const DIM: usize = 4;

/// A small database with an index whose every file is there, and trusted: base, delta, both
/// catalogs, manifest, lock.
struct Victim {
    scene: Scene,
    engine: Engine,
    request: SearchRequest,
    expected: Vec<(String, Id, f64)>,
    good: Copy,
}

impl Victim {
    fn new() -> Self {
        let scene = Scene::with_rows("delete", "posts", 5, DIM);
        let other = scene.collection("tils");
        let mut random = Random(9);
        for id in ["0000", "0001", "0002"] {
            scene.put(other, id, &blob(&random.vector(DIM)));
        }
        let engine = scene.engine();
        define_and_build(&engine, "posts-flat", &["posts"]);
        define_and_build(&engine, "tils-flat", &["tils"]);
        // A changed row and one that is gone make a delta.
        for collection in [1, other] {
            scene.put(collection, "0001", &blob(&random.vector(DIM)));
        }
        scene.db.execute("delete from embeddings where id = '0002'", []).unwrap();
        let query = random.vector(DIM);
        let through = |name: &str| Target::Collection(name.into(), Through::Default);
        for name in ["posts", "tils"] {
            engine.refresh(&format!("{name}-flat"), &Silent).unwrap();
            settle(&engine, &by_vector(through(name), &query, 10));
        }
        let expected = naive(&scene.db, &["posts"], &query, Metric::Cosine, 10, None);
        let good = Copy::of(&home(&scene.path()));
        let request = by_vector(through("posts"), &query, 10);
        Self { scene, engine, request, expected, good }
    }

    fn home(&self) -> PathBuf {
        home(&self.scene.path())
    }

    /// The folder of the index over `posts`.
    fn folder(&self) -> PathBuf {
        self.engine.index("posts-flat").unwrap().folder
    }

    /// Searches once: the answer must be right. Returns the notices.
    fn search(&self, case: &str) -> Vec<String> {
        let answer = match self.engine.search(&self.request, &Silent) {
            Ok(answer) => answer,
            Err(error) => panic!("{case}: {error}"),
        };
        assert_eq!(rows(&answer), self.expected, "{case}");
        answer.notices
    }

    /// Searches after damage: the answer is right, `notice` is said, and the next search finds
    /// everything mended.
    fn assert_mended(&self, case: &str, notice: &str) {
        let notices = self.search(case);
        assert!(notices.iter().any(|said| said.contains(notice)), "{case}: {notices:?}");
        assert_eq!(self.search(case), [""; 0], "{case}: the search after it");
        let info = self.engine.index("posts-flat").unwrap();
        assert!(matches!(info.state, IndexState::Built(_)), "{case}: {info:?}");
    }

    /// The files of the index over `posts`, and those of the catalog, as paths within the home.
    fn files(&self) -> Vec<(PathBuf, Role)> {
        let folder = self.folder();
        let folder = folder.strip_prefix(self.home()).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(common::sidecar::json_body(
            self.good.get(folder.join("manifest.json").to_str().unwrap()),
        ))
        .unwrap();
        let file = |part: &str| folder.join(manifest[part]["file"].as_str().unwrap());
        vec![
            ("catalog.json".into(), Role::Catalog),
            ("catalog.backup.json".into(), Role::Spare),
            ("lock".into(), Role::Spare),
            (folder.join("lock"), Role::Spare),
            (folder.join("manifest.json"), Role::Index),
            (file("base"), Role::Index),
            (file("delta"), Role::Index),
        ]
    }

    /// Puts everything back as it was, but for one file.
    fn with(&self, name: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        self.good.restore(&self.home());
        let mut bytes = self.good.get(name.to_str().unwrap()).to_vec();
        change(&mut bytes);
        std::fs::write(self.home().join(name), bytes).unwrap();
    }

    fn assert_role(&self, role: Role, case: &str) {
        match role {
            Role::Catalog => self.assert_mended(case, "come from their backup"),
            Role::Index => self.assert_mended(case, "was damaged and has been rebuilt"),
            Role::Spare => assert_eq!(self.search(case), [""; 0], "{case}"),
        }
    }
}

/// What a file is for, and so what is said when it is damaged.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    /// The definitions; a backup of them is at hand.
    Catalog,
    /// The index; it can be rebuilt.
    Index,
    /// Not read while everything else is sound.
    Spare,
}

/// Every byte of every file, flipped in turn. Rebuilding waits for the disk and the clock's grain
/// more than it computes, so many victims suffer side by side.
#[test]
fn every_flipped_byte_is_noticed_and_mended() {
    const VICTIMS: usize = 16;
    std::thread::scope(|scope| {
        for share in 0..VICTIMS {
            scope.spawn(move || {
                let victim = Victim::new();
                for (name, role) in victim.files() {
                    let length = victim.good.get(name.to_str().unwrap()).len();
                    for at in (share..length).step_by(VICTIMS) {
                        victim.with(&name, |bytes| bytes[at] ^= 1 << (at % 8));
                        victim.assert_role(role, &format!("byte {at} of {}", name.display()));
                    }
                }
            });
        }
    });
}

#[test]
fn truncated_and_lengthened_files_are_noticed_and_mended() {
    let victim = Victim::new();
    for (name, role) in victim.files() {
        let length = victim.good.get(name.to_str().unwrap()).len();
        for keep in [0, 1, 7, 8, 64, length / 2, length.saturating_sub(1)] {
            if keep < length {
                victim.with(&name, |bytes| bytes.truncate(keep));
                victim.assert_role(role, &format!("{} cut to {keep}", name.display()));
            }
        }
        victim.with(&name, |bytes| bytes.push(0));
        // A byte after the lock's or JSON's end is a change like any other.
        victim.assert_role(role, &format!("{} and a byte", name.display()));
    }
}

#[test]
fn foreign_files_are_noticed_and_mended() {
    let victim = Victim::new();
    let sqlite = std::fs::read(victim.scene.path()).unwrap();
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".repeat(400);
    let foreign: [(&str, &[u8]); 5] = [
        ("a PNG file", &png),
        ("an empty file", b""),
        ("a SQLite database", &sqlite),
        ("JSON of something else", b"{\"name\": \"x\"}\n"),
        ("zeros", &[0; 8192]),
    ];
    for (what, bytes) in foreign {
        for (name, role) in victim.files() {
            victim.with(&name, |content| *content = bytes.to_vec());
            victim.assert_role(role, &format!("{what} as {}", name.display()));
        }
    }
}

#[test]
fn deleted_files_are_noticed_and_mended() {
    let victim = Victim::new();
    for (name, role) in victim.files() {
        victim.good.restore(&victim.home());
        std::fs::remove_file(victim.home().join(&name)).unwrap();
        victim.assert_role(role, &format!("without {}", name.display()));
    }
    // The whole folder of an index: like an index that was never built.
    victim.good.restore(&victim.home());
    std::fs::remove_dir_all(victim.folder()).unwrap();
    assert!(victim.search("no folder")[0].contains("is not built yet"));
    // Everything: like a database without indexes.
    std::fs::remove_dir_all(victim.home()).unwrap();
    assert_eq!(victim.search("no files"), [""; 0]);
}

/// An empty folder where a file should be is removed; one that holds something stays, and the
/// search says so and answers.
#[test]
fn folders_in_place_of_files_are_noticed() {
    let victim = Victim::new();
    for (name, role) in victim.files() {
        let path = victim.home().join(&name);
        victim.good.restore(&victim.home());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        victim.assert_role(role, &format!("a folder as {}", name.display()));
        victim.good.restore(&victim.home());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("mine.txt"), "keep me").unwrap();
        let before = Copy::of(&victim.home()).0.len();
        for _ in 0..3 {
            let notices = victim.search(&format!("a full folder as {}", name.display()));
            assert!(path.join("mine.txt").exists(), "{}", name.display());
            let heals = name.extension().is_some_and(|extension| extension == "segment");
            assert_eq!(notices.is_empty(), role == Role::Spare, "{}: {notices:?}", name.display());
            if heals {
                break;
            }
        }
        // Rebuilding in vain, time and again, must not fill the disk.
        assert!(Copy::of(&victim.home()).0.len() <= before, "{}", name.display());
    }
}

#[test]
fn files_of_another_index_are_noticed_and_mended() {
    let victim = Victim::new();
    let (ours, theirs) = (victim.folder(), victim.engine.index("tils-flat").unwrap().folder);
    let away = victim.home().join("away");
    // Both folders, each whole and sound, swapped: the rows are those of the other collection.
    std::fs::rename(&ours, &away).unwrap();
    std::fs::rename(&theirs, &ours).unwrap();
    std::fs::rename(&away, &theirs).unwrap();
    victim.assert_mended("folders swapped", "was damaged and has been rebuilt");
    let segments = |folder: &Path| -> Vec<PathBuf> {
        let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.extension().is_some_and(|e| e == "segment")).collect()
    };
    // The content of each segment is that of another: base of delta, delta of base, the other's.
    victim.good.restore(&victim.home());
    let places = segments(&ours);
    let others = [places.clone(), segments(&theirs)].concat();
    for place in &places {
        for other in &others {
            if other != place {
                victim.good.restore(&victim.home());
                std::fs::copy(other, place).unwrap();
                let case = format!("{} as {}", other.display(), place.display());
                victim.assert_mended(&case, "was damaged and has been rebuilt");
            }
        }
    }
}

/// A delta is of one base. Here a manifest with a checksum that fits names one of another base.
/// What a build takes over from the one before would be under a checksum of its own from then on.
#[test]
fn what_is_taken_over_is_checked_though_it_was_opened() {
    let scene = Scene::with_rows("delete", "posts", 50, DIM);
    let engine = scene.engine();
    engine.define(of_kind("graph", new_index("i", &["posts"]))).unwrap();
    engine.build("i", &Silent).unwrap();
    let home = Home::locate(&scene.path(), None).unwrap();
    let catalog = Catalog::load(&home).unwrap().catalog;
    let definition = catalog.get("i").unwrap();
    let path = Catalog::folder(definition, &home);
    let folder = IndexFolder::new(path.clone(), home.permissions().clone());
    let plugins = Plugins::new(Vec::new(), Limits::default());
    let generation = Generation::open(definition, &folder, &plugins).unwrap().unwrap();
    assert!(generation.structure(&folder).is_ok());
    let files = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().path());
    let mut segments = files.filter(|file| file.extension().is_some_and(|end| end == "segment"));
    let segment = segments.next().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    assert_eq!(generation.structure(&folder).unwrap_err().kind(), ErrorKind::Damaged);
}

#[test]
fn a_delta_of_another_base_is_noticed() {
    let victim = Victim::new();
    let folder = victim.folder();
    let manifest = folder.join("manifest.json");
    let old: serde_json::Value = parse(&std::fs::read(&manifest).unwrap());
    let delta = folder.join(old["delta"]["file"].as_str().unwrap());
    let bytes = std::fs::read(&delta).unwrap();
    victim.engine.build("posts-flat", &Silent).unwrap();
    let mut new: serde_json::Value = parse(&std::fs::read(&manifest).unwrap());
    new["delta"] = old["delta"].clone();
    std::fs::write(&delta, bytes).unwrap();
    std::fs::write(&manifest, common::sidecar::signed_json(&new.to_string())).unwrap();
    victim.assert_mended("an old delta", "the delta belongs to base");
}

fn parse(file: &[u8]) -> serde_json::Value {
    serde_json::from_str(common::sidecar::json_body(file)).unwrap()
}

#[test]
fn later_versions_are_named() {
    let victim = Victim::new();
    for (name, role) in victim.files().into_iter().filter(|(_, role)| *role != Role::Spare) {
        let json = name.extension().is_some_and(|extension| extension == "json");
        victim.with(&name, |bytes| match json {
            true => {
                let text = String::from_utf8(bytes.clone()).unwrap();
                *bytes = text.replacen("\"simdex\":1", "\"simdex\":2", 1).into_bytes();
            }
            false => bytes[8] = 2,
        });
        let notices = victim.search("version 2").join(" ");
        let wanted = "format version 2, this simdex reads version 1";
        assert!(notices.contains(wanted), "{role:?} {}: {notices}", name.display());
    }
}

/// Without either copy of the definitions a search answers from the database and says what to do;
/// what needs the definitions fails with the same words.
#[test]
fn without_definitions_searches_go_on() {
    let victim = Victim::new();
    for name in ["catalog.json", "catalog.backup.json"] {
        std::fs::write(victim.home().join(name), "{}").unwrap();
    }
    for _ in 0..2 {
        let notices = victim.search("no definitions").join(" ");
        assert!(notices.contains("definitions of indexes can't be read"), "{notices}");
    }
    let error = victim.engine.build("posts-flat", &Silent).unwrap_err();
    assert!(error.next_step().unwrap().to_string().contains("move the folder away"), "{error}");
    assert!(victim.engine.define(new_index("x", &["posts"])).is_err());
    assert_eq!(victim.engine.collections(&Silent).unwrap().len(), 2);
}
