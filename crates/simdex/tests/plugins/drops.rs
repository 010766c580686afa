//! What plugins keep elsewhere: gone with the build that it was for, and with no other.

use std::path::{Path, PathBuf};

use simdex::ErrorKind;
use simdex::compare::{CompareRequest, Try};
use simdex::engine::api::*;
use simdex::index::Parameters;
use simdex::observe::{Observer, Silent};

use crate::common::Random;
use crate::indexes::change_many;
use crate::scene::*;
use crate::testing::BLOCKED;

pub const TESTS: &[(&str, fn())] = &[
    ("earlier_builds_are_dropped", earlier_builds_are_dropped),
    ("builds_that_fail_are_dropped", builds_that_fail_are_dropped),
    ("builds_that_were_cut_are_dropped", builds_that_were_cut_are_dropped),
    ("a_drop_that_fails_holds_nothing_up", a_drop_that_fails_holds_nothing_up),
    ("a_missing_plugin_drops_nothing", a_missing_plugin_drops_nothing),
    ("compare_leaves_nothing", compare_leaves_nothing),
];

const KIND: &str = "drop-update-persistent";

/// What plugins keep elsewhere.
struct Elsewhere(tempfile::TempDir);

impl Elsewhere {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn kept(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

fn earlier_builds_are_dropped() {
    let (scene, elsewhere) = (scene(), Elsewhere::new());
    let mut random = Random(4);
    (0..3).for_each(|_| change_many(&scene, &mut random));
    let programs = Programs::new(&[KIND]);
    let engine = built(&scene, programs.plugins(), KIND, &[("elsewhere", elsewhere.path())]);
    let first = elsewhere.kept();
    assert_eq!(first.len(), 1);
    let report = engine.build("index", &Silent).unwrap();
    assert_eq!(report.notices, [""; 0]);
    let second = elsewhere.kept();
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);
    // An update goes on with what was there.
    change_many(&scene, &mut random);
    assert_eq!(engine.refresh("index", &Silent).unwrap().action, Action::Built);
    assert_eq!(elsewhere.kept(), second);
    assert_eq!(assert_right(&engine, &scene, 1), [""; 0]);
    // Without rows nothing is kept.
    scene.db.execute("delete from embeddings", []).unwrap();
    engine.build("index", &Silent).unwrap();
    assert!(elsewhere.kept().is_empty());
    engine.drop_index("index").unwrap();
    // And with the index all goes.
    scene.put(1, "1", &crate::common::blob(&random.vector(DIM)));
    let engine = built(&scene, programs.plugins(), KIND, &[("elsewhere", elsewhere.path())]);
    assert_eq!(elsewhere.kept().len(), 1);
    assert_eq!(engine.drop_index("index").unwrap(), [""; 0]);
    assert!(elsewhere.kept().is_empty());
}

fn builds_that_fail_are_dropped() {
    let (scene, elsewhere) = (scene(), Elsewhere::new());
    let programs = Programs::new(&[KIND]);
    let engine = engine(&scene, programs.plugins());
    for fault in ["build:die", "build:refuse", "build:nonsense", "build:killed"] {
        let parameters = [("elsewhere", elsewhere.path()), ("fault", fault)];
        define(&engine, KIND, &parameters).unwrap();
        let error = engine.build("index", &Silent).unwrap_err();
        assert!(!error.to_string().contains("left behind"), "{error}");
        assert!(elsewhere.kept().is_empty(), "{fault}");
        let folder = engine.index("index").unwrap().folder;
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "only the lock");
        engine.drop_index("index").unwrap();
    }
}

/// A caller that has lost interest once something is kept elsewhere.
struct Leaver(PathBuf);

impl Observer for Leaver {
    fn is_cancelled(&self) -> bool {
        std::fs::read_dir(&self.0).unwrap().next().is_some()
    }
}

fn builds_that_were_cut_are_dropped() {
    let (scene, elsewhere) = (scene(), Elsewhere::new());
    let programs = Programs::new(&[KIND]);
    let parameters = [("elsewhere", elsewhere.path()), ("fault", "build:hang")];
    let engine = engine(&scene, programs.plugins());
    define(&engine, KIND, &parameters).unwrap();
    let leaver = Leaver(elsewhere.0.path().to_owned());
    // Nobody waits for a plugin then; what it keeps goes with the index, or the next build.
    let error = engine.build("index", &leaver).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(elsewhere.kept().len(), 1);
    assert_eq!(engine.drop_index("index").unwrap(), [""; 0]);
    assert!(elsewhere.kept().is_empty());

    let parameters = [("elsewhere", elsewhere.path())];
    let engine = built(&scene, programs.plugins(), KIND, &parameters);
    let folder = engine.index("index").unwrap().folder;
    let cut = folder.join(".tmp-cut");
    let lost = elsewhere.0.path().join("lost");
    std::fs::create_dir(&cut).unwrap();
    std::fs::write(cut.join("note"), lost.to_str().unwrap()).unwrap();
    std::fs::write(&lost, "").unwrap();
    engine.build("index", &Silent).unwrap();
    assert!(!lost.exists() && !cut.exists());
    assert_eq!(elsewhere.kept().len(), 1);
    assert_eq!(assert_right(&engine, &scene, 1), [""; 0]);
}

fn a_drop_that_fails_holds_nothing_up() {
    let (scene, elsewhere) = (scene(), Elsewhere::new());
    let programs = Programs::new(&[KIND]);
    let engine = built(&scene, programs.plugins(), KIND, &[("elsewhere", elsewhere.path())]);
    let blocked = elsewhere.0.path().join(BLOCKED);
    std::fs::write(&blocked, "").unwrap();
    let says = |notices: &[String]| {
        let [notice] = notices else { panic!("{notices:?}") };
        assert!(notice.contains(&format!("what plugin `{KIND}` keeps elsewhere")), "{notice}");
        assert!(notice.contains("not now"), "{notice}");
    };
    says(&engine.build("index", &Silent).unwrap().notices);
    assert_eq!(elsewhere.kept().len(), 3);
    assert_eq!(assert_right(&engine, &scene, 1), [""; 0]);
    // The next build tries again.
    std::fs::remove_file(&blocked).unwrap();
    assert_eq!(engine.build("index", &Silent).unwrap().notices, [""; 0]);
    assert_eq!(elsewhere.kept().len(), 1);
    std::fs::write(&blocked, "").unwrap();
    says(&engine.drop_index("index").unwrap());
    assert!(engine.indexes().unwrap().is_empty());

    // One that says it never can is not asked again.
    let parameters = [("elsewhere", elsewhere.path()), ("fault", "drop:invalid")];
    let engine = built(&scene, programs.plugins(), KIND, &parameters);
    for _ in 0..2 {
        let notices = engine.build("index", &Silent).unwrap().notices;
        assert!(notices[0].contains("these options make no sense"), "{notices:?}");
        let folder = engine.index("index").unwrap().folder;
        assert_eq!(files_in(&folder), 1);
    }
}

fn files_in(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).count()
}

fn a_missing_plugin_drops_nothing() {
    let (scene, elsewhere) = (scene(), Elsewhere::new());
    let programs = Programs::new(&[KIND, "persistent"]);
    let engine = built(&scene, programs.plugins(), KIND, &[("elsewhere", elsewhere.path())]);
    programs.remove(KIND);
    let notices = engine.drop_index("index").unwrap();
    assert!(notices[0].contains(&format!("plugin `{KIND}` is not installed")), "{notices:?}");
    assert!(engine.indexes().unwrap().is_empty());
    // One that keeps nothing elsewhere need not be there.
    let engine = built(&scene, programs.plugins(), "persistent", &[]);
    programs.remove("persistent");
    assert_eq!(engine.drop_index("index").unwrap(), [""; 0]);
}

fn compare_leaves_nothing() {
    let (scene, elsewhere) = (scene(), Elsewhere::new());
    let programs = Programs::new(&[KIND]);
    let engine = engine(&scene, programs.plugins());
    let parameters = Parameters::from([("elsewhere".to_owned(), elsewhere.path().to_owned())]);
    let request = CompareRequest {
        name: COLLECTION.into(),
        tries: vec![Try { kind: KIND.into(), parameters }],
        k: 10,
        queries: Some(20),
        threads: Some(1).into(),
    };
    assert_eq!(engine.compare(&request, &Silent).unwrap().trials.len(), 1);
    assert!(elsewhere.kept().is_empty());
}
