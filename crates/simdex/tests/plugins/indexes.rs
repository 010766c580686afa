//! Indexes whose kind is a plugin: as fresh, as exact and as tidy as the others.

use simdex::compare::{CompareRequest, Try};
use simdex::engine::api::*;
use simdex::error::Hint;
use simdex::index::Parameters;
use simdex::observe::Silent;
use simdex::store::Id;
use simdex::{ErrorKind, Metric};

use crate::common::{self, Random};
use crate::scene::*;

pub const TESTS: &[(&str, fn())] = &[
    ("answers_are_the_databases", answers_are_the_databases),
    ("filters_find_every_row", filters_find_every_row),
    ("few_answers_are_completed", few_answers_are_completed),
    ("options_and_metrics_are_checked", options_and_metrics_are_checked),
    ("one_process_serves_an_engine", one_process_serves_an_engine),
    ("files_are_kept_tidy", files_are_kept_tidy),
    ("missing_files_are_rebuilt", missing_files_are_rebuilt),
    ("a_flipped_byte_is_found", a_flipped_byte_is_found),
    ("changes_are_taken_in", changes_are_taken_in),
    ("changes_that_fail_are_built", changes_that_fail_are_built),
    ("compare_measures_plugins", compare_measures_plugins),
    ("installed_plugins_are_listed", installed_plugins_are_listed),
];

const VARIANTS: [&str; 4] = ["plain", "filter", "persistent", "filter-update-persistent"];

fn answers_are_the_databases() {
    for kind in VARIANTS {
        let scene = scene();
        let programs = Programs::new(&[kind]);
        let engine = built(&scene, programs.plugins(), kind, &[]);
        let collection = 1;
        let mut random = Random(9);
        for round in 0..4_u64 {
            assert_eq!(assert_right(&engine, &scene, round), [""; 0], "{kind}");
            // Rows are changed, added and removed.
            for _ in 0..40 {
                let id = format!("{:04}", random.below(ROWS as u64 + 100));
                match random.below(3) {
                    0 => drop(scene.db.execute("delete from embeddings where id = ?", [&id])),
                    _ => scene.put(collection, &id, &common::blob(&random.vector(DIM))),
                }
            }
            assert_eq!(assert_right(&engine, &scene, round), [""; 0], "{kind}");
            if round == 2 {
                engine.refresh("index", &Silent).unwrap();
            }
        }
        assert!(engine.verify("index", &Silent).unwrap().problems.is_empty());
    }
}

fn filters_find_every_row() {
    for kind in VARIANTS {
        let scene = scene();
        let programs = Programs::new(&[kind]);
        let engine = built(&scene, programs.plugins(), kind, &[]);
        for pattern in ["0%", "00%", "1234", "%7", "nothing", "%"] {
            let query = query(5);
            let mut request = common::by_vector(Target::Index("index".into()), &query, 10);
            request.filter.prefix = Some(pattern.into());
            let answer = engine.search(&request, &Silent).unwrap();
            let all = common::naive(&scene.db, &[COLLECTION], &query, Metric::Cosine, ROWS, None);
            let like = |id: &Id| -> bool {
                let sql = "select ? like ? || '%'";
                scene.db.query_row(sql, [&id.to_string(), pattern], |row| row.get(0)).unwrap()
            };
            let expected: Vec<_> = all.into_iter().filter(|row| like(&row.1)).take(10).collect();
            assert_eq!(common::rows(&answer), expected, "{kind} {pattern}");
        }
        // And every row there is.
        let mut request = common::by_vector(Target::Index("index".into()), &query(5), 10);
        request.number = Number::All;
        assert_eq!(engine.search(&request, &Silent).unwrap().matches.len(), ROWS);
    }
}

fn few_answers_are_completed() {
    let scene = scene();
    let programs = Programs::new(&["plain"]);
    let engine = built(&scene, programs.plugins(), "plain", &[("fault", "search:few")]);
    assert_eq!(assert_right(&engine, &scene, 1), [""; 0]);
}

fn options_and_metrics_are_checked() {
    let scene = scene();
    let programs = Programs::new(&["plain"]);
    let engine = engine(&scene, programs.plugins());
    for (parameters, said, hint) in [
        (("width", "0"), "`0` can't be the value of `width`: expected at least 1", None),
        (
            ("height", "1"),
            "kind `plain` has no parameter `height`",
            Some("it has: fault, log, width"),
        ),
    ] {
        let error = define(&engine, "plain", &[parameters]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(
            (error.to_string().as_str(), error.next_step()),
            (said, hint.map(Hint::from).as_ref())
        );
    }
    for name in ["", "../plain", "Plain", "a b", "simdex/x"] {
        let error = define(&engine, name, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
}

fn one_process_serves_an_engine() {
    let scene = scene();
    let programs = Programs::new(&["plain"]);
    let log = scene.folder.path().join("log");
    let parameters = [("log", log.to_str().unwrap())];
    let engine = built(&scene, programs.plugins(), "plain", &parameters);
    for seed in 0..5 {
        assert_right(&engine, &scene, seed);
    }
    assert_eq!(lines(&log).len(), 2, "one process builds, one serves every search");
    // A new build has a new process.
    engine.build("index", &Silent).unwrap();
    for seed in 0..5 {
        assert_right(&engine, &scene, seed);
    }
    assert_eq!(lines(&log).len(), 4);
}

fn files_in(engine: &simdex::Engine) -> Vec<std::path::PathBuf> {
    let folder = engine.index("index").unwrap().folder;
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    names.sort();
    names
}

fn files_are_kept_tidy() {
    let scene = scene();
    let programs = Programs::new(&["persistent"]);
    let engine = built(&scene, programs.plugins(), "persistent", &[]);
    let files = |engine| {
        let all: Vec<std::path::PathBuf> = files_in(engine);
        all.into_iter().filter(|path| path.extension().is_some_and(|e| e == "files")).collect()
    };
    let first: Vec<std::path::PathBuf> = files(&engine);
    assert_eq!(first.len(), 1);
    engine.build("index", &Silent).unwrap();
    let second: Vec<std::path::PathBuf> = files(&engine);
    assert_eq!(second.len(), 1, "the old build's are gone");
    assert_ne!(first, second);
    assert_eq!(files_in(&engine).len(), 4, "lock, manifest, segment, files");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(scene.path(), private).unwrap();
        engine.build("index", &Silent).unwrap();
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let third: Vec<std::path::PathBuf> = files(&engine);
        assert_eq!(mode(&third[0].join("inner/rows.json")), 0o600);
        assert_eq!((mode(&third[0]), mode(&third[0].join("inner"))), (0o700, 0o700));
    }
}

fn missing_files_are_rebuilt() {
    let scene = scene();
    let programs = Programs::new(&["persistent"]);
    let engine = built(&scene, programs.plugins(), "persistent", &[]);
    let files = |engine| {
        let all: Vec<std::path::PathBuf> = files_in(engine);
        all.into_iter().find(|path| path.extension().is_some_and(|e| e == "files")).unwrap()
    };
    std::fs::write(files(&engine).join("inner/rows.json"), "").unwrap();
    let notices = assert_right(&engine, &scene, 1);
    assert!(notices[0].contains("was damaged and has been rebuilt"), "{notices:?}");
    assert_eq!(assert_right(&engine, &scene, 1), [""; 0]);
    std::fs::remove_dir_all(files(&engine)).unwrap();
    let notices = assert_right(&engine, &scene, 1);
    assert!(notices[0].contains("was damaged and has been rebuilt"), "{notices:?}");
    assert_eq!(assert_right(&engine, &scene, 1), [""; 0]);
}

/// Flips a bit of a file of the plugin's, which stays as long; returns when it was changed before.
fn flip(path: &std::path::Path) -> std::time::SystemTime {
    let before = path.metadata().unwrap().modified().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
    before
}

fn set_time(path: &std::path::Path, time: std::time::SystemTime) {
    std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn a_flipped_byte_is_found() {
    let scene = scene();
    let programs = Programs::new(&["persistent"]);
    let engine = built(&scene, programs.plugins(), "persistent", &[]);
    let file = || {
        let mut all = files_in(&engine).into_iter();
        let files = all.find(|path| path.extension().is_some_and(|e| e == "files")).unwrap();
        files.join("inner/rows.json")
    };
    let problems = || engine.verify("index", &Silent).unwrap().problems;
    // Touched, as a copy or a restored backup may be: the content is what counts.
    set_time(&file(), std::time::SystemTime::UNIX_EPOCH);
    assert_eq!(problems(), [""; 0]);
    assert_eq!(assert_right(&engine, &scene, 1), [""; 0]);
    // Written by another: a search finds it, and builds anew.
    flip(&file());
    let found = problems();
    assert!(found[0].contains("file `inner/rows.json` is not as it wrote it"), "{found:?}");
    let notices = assert_right(&engine, &scene, 1);
    assert!(notices[0].contains("was damaged and has been rebuilt"), "{notices:?}");
    assert_eq!(problems(), [""; 0]);
    // Rotten on the disk: only who reads every byte can tell.
    let before = flip(&file());
    set_time(&file(), before);
    assert!(problems()[0].contains("is not as it wrote it"));
    engine.build("index", &Silent).unwrap();
    assert_eq!(problems(), [""; 0]);
}

/// Changes so many that a base is worn: more than 4,096, and more than a tenth.
pub fn change_many(scene: &common::Scene, random: &mut Random) {
    let transaction = scene.db.unchecked_transaction().unwrap();
    for _ in 0..4500 {
        let id = format!("{:05}", random.below(20_000));
        match random.below(4) {
            0 => drop(scene.db.execute("delete from embeddings where id = ?", [&id])),
            _ => scene.put(1, &id, &common::blob(&random.vector(DIM))),
        }
    }
    transaction.commit().unwrap();
}

fn methods(log: &std::path::Path) -> Vec<String> {
    let methods = lines(log);
    methods.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

fn changes_are_taken_in() {
    let scene = scene();
    let mut random = Random(4);
    (0..3).for_each(|_| change_many(&scene, &mut random));
    let programs = Programs::new(&["filter-update-persistent"]);
    let log = scene.folder.path().join("log");
    let parameters = [("log", log.to_str().unwrap())];
    let engine = built(&scene, programs.plugins(), "filter-update-persistent", &parameters);
    for round in 0..3 {
        change_many(&scene, &mut random);
        let report = engine.refresh("index", &Silent).unwrap();
        assert_eq!(report.action, Action::Built);
        assert_eq!(assert_right(&engine, &scene, round), [""; 0]);
        let mut request = common::by_vector(Target::Index("index".into()), &query(round), 10);
        request.filter.prefix = Some("1%5".into());
        let answer = engine.search(&request, &Silent).unwrap();
        let all =
            common::naive(&scene.db, &[COLLECTION], &query(round), Metric::Cosine, 1 << 20, None);
        let like = |id: &str| id.starts_with('1') && id.contains('5');
        let expected = all.into_iter().filter(|row| like(&row.1.to_string())).take(10);
        assert_eq!(common::rows(&answer), expected.collect::<Vec<_>>());
        assert!(engine.verify("index", &Silent).unwrap().problems.is_empty());
    }
    // One build; then each round an update that opens a copy, and a search that opens the result.
    assert_eq!(methods(&log), ["build", "open", "open", "open", "open", "open", "open"]);
}

fn changes_that_fail_are_built() {
    let scene = scene();
    let mut random = Random(4);
    (0..3).for_each(|_| change_many(&scene, &mut random));
    let programs = Programs::new(&["update-persistent"]);
    for fault in ["apply:die", "apply:refuse", "apply:nonsense"] {
        let log = scene.folder.path().join(format!("log of {fault}"));
        let parameters = [("log", log.to_str().unwrap()), ("fault", fault)];
        let engine = built(&scene, programs.plugins(), "update-persistent", &parameters);
        change_many(&scene, &mut random);
        engine.refresh("index", &Silent).unwrap();
        assert_eq!(assert_right(&engine, &scene, 1), [""; 0]);
        assert_eq!(methods(&log), ["build", "open", "build", "open"]);
        engine.drop_index("index").unwrap();
    }
}

fn compare_measures_plugins() {
    let scene = scene();
    let programs = Programs::new(&["plain", "persistent"]);
    let engine = engine(&scene, programs.plugins());
    let tried = |kind: &str, parameters| Try { kind: kind.into(), parameters };
    let wrong = Parameters::from([("fault".to_owned(), "search:die".to_owned())]);
    let request = CompareRequest {
        name: COLLECTION.into(),
        tries: vec![
            tried("flat", Parameters::new()),
            tried("plain", Parameters::new()),
            tried("persistent", Parameters::new()),
            tried("plain", wrong),
        ],
        k: 10,
        queries: Some(20),
        threads: Some(1).into(),
    };
    let comparison = engine.compare(&request, &Silent).unwrap();
    let kinds: Vec<_> = comparison.trials.iter().map(|trial| trial.kind.as_str()).collect();
    assert_eq!(kinds, ["flat", "plain", "persistent"]);
    for trial in &comparison.trials[1..] {
        assert_eq!(trial.points.len(), 2, "the default, and width=16");
        assert!(trial.points.iter().all(|point| point.recall == 1.0), "{trial:?}");
        assert_eq!(trial.peak_memory_bytes, None);
    }
    assert!(comparison.trials[2].bytes > comparison.trials[1].bytes, "files are counted");
    assert!(comparison.notices[0].contains("plugin `plain` failed"), "{:?}", comparison.notices);
}

fn installed_plugins_are_listed() {
    let programs = Programs::new(&["b", "a"]);
    std::fs::write(programs.path("no-program"), "").unwrap();
    std::fs::create_dir(programs.path("folder")).unwrap();
    std::fs::write(programs.path("Bad Name"), "").unwrap();
    let names: Vec<_> =
        programs.plugins().installed().unwrap().into_iter().map(|found| found.name).collect();
    if cfg!(unix) {
        assert_eq!(names, ["a", "b"]);
    }
}
