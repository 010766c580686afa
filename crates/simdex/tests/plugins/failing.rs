//! Plugins that are missing, hang, die or answer nonsense: an error that names them, and the right
//! answer all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use simdex::engine::live::{Live, LiveRequest, Scoring};
use simdex::observe::{Observer, Silent};
use simdex::{ErrorKind, Metric};

use crate::common::naive;
use crate::scene::{
    COLLECTION, Programs, assert_right, built, define, engine, lines, query, scene,
};

pub const TESTS: &[(&str, fn())] = &[
    ("searches_survive_every_fault", searches_survive_every_fault),
    ("a_plugin_that_hangs_is_given_up", a_plugin_that_hangs_is_given_up),
    ("a_failed_plugin_rests", a_failed_plugin_rests),
    ("a_build_that_fails_leaves_what_was", a_build_that_fails_leaves_what_was),
    ("faults_before_any_option", faults_before_any_option),
    ("a_missing_plugin_is_named", a_missing_plugin_is_named),
    ("a_killed_process_is_started_again", a_killed_process_is_started_again),
    ("a_caller_can_stop_a_search", a_caller_can_stop_a_search),
    ("an_index_kept_open_survives_faults", an_index_kept_open_survives_faults),
];

fn searches_survive_every_fault() {
    let scene = scene();
    let programs = Programs::new(&["filter-persistent"]);
    for (fault, said) in [
        ("search:die", "it ended with exit status: 7, and said: a last word"),
        ("search:killed", "it ended with signal: 9"),
        ("search:refuse", "I would rather not"),
        ("search:invalid", "these options make no sense"),
        ("search:nonsense", "\"Loading model, please wait ...\", which is not JSON"),
        ("search:nan", "which is not JSON"),
        ("search:no-rows", "its answer makes no sense: missing field `rows`"),
        ("search:other-id", "it answered request Some(99), and 3 was asked"),
        ("search:flood", "its answer is longer than 1048576 bytes"),
        ("search:unknown-rows", "row 4294967295 of 1500"),
        ("search:too-many", "rows where 20 were asked for"),
        ("open:refuse", "I would rather not"),
        ("open:die", "a last word"),
    ] {
        let plugins = programs.impatient(Duration::from_secs(60));
        let engine = built(&scene, plugins, "filter-persistent", &[("fault", fault)]);
        let notices = assert_right(&engine, &scene, 1);
        let [notice] = notices.as_slice() else { panic!("{fault}: {notices:?}") };
        assert!(notice.starts_with("every row was compared, because "), "{fault}: {notice}");
        assert!(notice.contains("plugin `filter-persistent`"), "{fault}: {notice}");
        assert!(notice.contains(said), "{fault}: {notice}");
        engine.drop_index("index").unwrap();
    }
}

fn a_plugin_that_hangs_is_given_up() {
    let scene = scene();
    let programs = Programs::new(&["plain"]);
    let plugins = programs.impatient(Duration::from_millis(200));
    let engine = built(&scene, plugins, "plain", &[("fault", "search:hang")]);
    let notices = assert_right(&engine, &scene, 1);
    assert!(notices[0].contains("`plain` failed at search: no answer within 0.2 s"), "{notices:?}");
}

fn a_failed_plugin_rests() {
    let scene = scene();
    let programs = Programs::new(&["plain"]);
    let log = scene.folder.path().join("log");
    let parameters = [("fault", "search:die"), ("log", log.to_str().unwrap())];
    let engine = built(&scene, programs.plugins(), "plain", &parameters);
    for seed in 0..5 {
        assert_eq!(assert_right(&engine, &scene, seed).len(), 1);
    }
    // The build, and the first search.
    assert_eq!(lines(&log).len(), 2);
}

fn a_build_that_fails_leaves_what_was() {
    let scene = scene();
    let programs = Programs::new(&["persistent", "plain"]);
    let engine = engine(&scene, programs.plugins());
    for (fault, kind) in [
        ("build:die", ErrorKind::Plugin),
        ("build:refuse", ErrorKind::Plugin),
        ("build:invalid", ErrorKind::Invalid),
        ("build:nonsense", ErrorKind::Plugin),
    ] {
        define(&engine, "persistent", &[("fault", fault)]).unwrap();
        let error = engine.build("index", &Silent).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("plugin `persistent`"), "{error}");
        let folder = engine.index("index").unwrap().folder;
        let left: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "only the lock: {left:?}");
        engine.drop_index("index").unwrap();
    }
}

fn faults_before_any_option() {
    let scene = scene();
    let faults = ["nonsense", "die", "flood", "protocol"];
    let names: Vec<_> = faults.iter().map(|fault| format!("describe-{fault}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let programs = Programs::new(&names);
    let engine = engine(&scene, programs.plugins());
    for (name, said) in names.iter().zip(["not JSON", "status: 7", "longer than", "protocol 7"]) {
        let error = define(&engine, name, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Plugin);
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(engine.indexes().unwrap().is_empty());
}

fn a_missing_plugin_is_named() {
    let scene = scene();
    let programs = Programs::new(&["plain", "persistent"]);
    for name in ["plain", "persistent"] {
        drop(built(&scene, programs.plugins(), name, &[]));
        programs.remove(name);
        let engine = engine(&scene, programs.plugins());
        let info = engine.index("index").unwrap();
        assert_eq!(info.kind, name);
        let notices = assert_right(&engine, &scene, 1);
        let said = format!("plugin `{name}` is not installed; put a program simdex-index-{name}");
        assert!(notices[0].contains(&said), "{notices:?}");
        // What is wrong with the plugin is not the index's fault.
        assert!(engine.verify("index", &Silent).unwrap().problems.is_empty());
        let error = engine.build("index", &Silent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Plugin);
        assert_eq!(assert_right(&engine, &scene, 2).len(), 1, "what was built still stands");
        engine.drop_index("index").unwrap();
        let error = define(&engine, name, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string(), format!("unknown kind of index `{name}`"));
        assert!(
            error.next_step().unwrap().to_string().starts_with("kinds: flat, graph"),
            "{error:?}"
        );
    }
}

/// The system kills a process (for want of memory, say) between two searches.
fn a_killed_process_is_started_again() {
    let scene = scene();
    let programs = Programs::new(&["persistent"]);
    let log = scene.folder.path().join("log");
    let parameters = [("log", log.to_str().unwrap())];
    let engine = built(&scene, programs.plugins(), "persistent", &parameters);
    assert_eq!(assert_right(&engine, &scene, 1), [""; 0]);
    assert_eq!(assert_right(&engine, &scene, 2), [""; 0]);
    let said = lines(&log);
    assert_eq!(said.len(), 2, "one process builds, one searches: {said:?}");
    let process = said[1].strip_prefix("open ").unwrap();
    let killed = std::process::Command::new("kill").args(["-9", process]).status().unwrap();
    assert!(killed.success());
    assert_eq!(assert_right(&engine, &scene, 3), [""; 0]);
    assert_eq!(lines(&log).len(), 3);
}

fn an_index_kept_open_survives_faults() {
    let scene = scene();
    let programs = Programs::new(&["persistent"]);
    for fault in ["none", "search:die", "open:nonsense"] {
        let parameters = [("fault", fault)];
        let engine = built(&scene, programs.plugins(), "persistent", &parameters);
        let live = Live::new(Arc::new(engine), "index");
        for (scoring, metric) in
            [(Scoring::Exact, Metric::Cosine), (Scoring::LikeFaiss, Metric::L2)]
        {
            let request =
                LiveRequest { vector: query(1), k: 10, scoring, only: None, without: Vec::new() };
            let answer = live.search(&request, &Silent).unwrap();
            match fault {
                "none" => assert_eq!(answer.notices, [""; 0]),
                // Its metric is another: the plugin is not asked.
                _ if scoring == Scoring::LikeFaiss => assert_eq!(answer.notices, [""; 0]),
                _ => assert!(
                    answer.notices[0].starts_with("every row was compared, because plugin"),
                    "{fault}: {:?}",
                    answer.notices
                ),
            }
            let found: Vec<_> = answer.matches.into_iter().map(|(id, _)| id).collect();
            let expected = naive(&scene.db, &[COLLECTION], &query(1), metric, 10, None);
            let expected: Vec<_> = expected.into_iter().map(|(_, id, _)| id).collect();
            assert_eq!(found, expected, "{fault} {scoring:?}");
        }
        crate::scene::engine(&scene, programs.plugins()).drop_index("index").unwrap();
    }
}

/// Wants to stop at the tenth question.
#[derive(Default)]
struct Impatient(AtomicUsize);

impl Observer for Impatient {
    fn is_cancelled(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) > 10
    }
}

fn a_caller_can_stop_a_search() {
    let scene = scene();
    let programs = Programs::new(&["persistent"]);
    let parameters = [("fault", "search:hang")];
    let engine = built(&scene, programs.plugins(), "persistent", &parameters);
    let target = simdex::engine::api::Target::Index("index".into());
    let request = crate::common::by_vector(target, &query(1), 10);
    let error = engine.search(&request, &Impatient::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
