//! Databases and folders that can't be written: searches work, and indexes go where they can.
//!
//! Permissions don't bind root, so the tests run themselves again as an ordinary user where need be.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use common::child::{Worker, command, role, tell, variable};
use common::*;
use rusqlite::Connection;
use simdex::engine::api::*;
use simdex::observe::Silent;
use simdex::{Engine, ErrorKind, Metric};

/// `nobody`, on most systems; any id that is not root's will do.
const ORDINARY: u32 = 65534;
const FOLDER: &str = "SIMDEX_TEST_FOLDER";

/// Runs `test` again in a child that permissions bind, with the cache folder inside `folder`, where
/// a subfolder `media` takes the database and is made read-only by `prepare`.
fn as_ordinary_user(test: &str, prepare: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let media = folder.path().join("media");
    std::fs::create_dir(&media).unwrap();
    prepare(&media);
    let is_root = folder.path().metadata().unwrap().uid() == 0;
    if is_root {
        let mut folders = vec![folder.path().to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(&next).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => chown(&path, Some(ORDINARY), Some(ORDINARY)).unwrap(),
                }
            }
            chown(&next, Some(ORDINARY), Some(ORDINARY)).unwrap();
        }
    }
    set_mode(&media, 0o555);
    // The program itself may lie where an ordinary user can't reach it.
    let program = folder.path().join("program");
    // A process that another test starts meanwhile would inherit the copy while it is open for
    // writing, and such a program can't be run.
    let alone = COPY_AND_START.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    set_mode(&program, 0o755);
    let template = command(test, "user");
    let mut child = std::process::Command::new(&program);
    child.args(template.get_args()).stdout(std::process::Stdio::piped());
    for (name, value) in template.get_envs() {
        child.env(name, value.unwrap_or_default());
    }
    child.env("XDG_CACHE_HOME", folder.path().join("cache")).env(FOLDER, folder.path());
    child.current_dir(folder.path());
    if is_root {
        child.uid(ORDINARY).gid(ORDINARY);
    }
    let worker = Worker::start(&mut child);
    drop(alone);
    let (succeeded, output) = worker.finish();
    set_mode(&media, 0o755);
    assert!(succeeded && output.contains("done"), "{output}");
}

static COPY_AND_START: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The folder with the database, in a child.
fn media() -> PathBuf {
    Path::new(&variable(FOLDER)).join("media")
}

/// Copies a scene's database, with the files beside it whose names end like this.
fn copy(scene: &Scene, media: &Path, suffixes: &[&str]) {
    for suffix in suffixes {
        let name = format!("embeddings.db{suffix}");
        std::fs::copy(scene.folder.path().join(&name), media.join(&name)).unwrap();
    }
}

/// Searches, with every kind of help an index may be; the answer must be that of the rows.
fn assert_answers(engine: &Engine, expected: &Connection, notices: usize) {
    let query = [0.5, 1.0, -0.25, 0.125];
    for through in [Through::Default, Through::Exact] {
        let request = by_vector(Target::Collection("posts".into(), through), &query, 7);
        let answer = engine.search(&request, &Silent).unwrap();
        assert_eq!(rows(&answer), naive(expected, &["posts"], &query, Metric::Cosine, 7, None));
        assert!(answer.notices.len() <= notices, "{:?}", answer.notices);
    }
}

/// What the database of every scene here holds, for children: the data is the same everywhere.
fn twin() -> Scene {
    Scene::with_rows("delete", "posts", 60, 4)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// In a folder that can't be written: searches, then an index in the cache folder, then one where
/// the caller says.
fn use_read_only(database: &Path) {
    let before = names(&media());
    let bytes = std::fs::read(database).unwrap();
    let twin = twin();
    let engine = engine(database);
    assert_answers(&engine, &twin.db, 0);
    assert_eq!(engine.collections(&Silent).unwrap()[0].rows, 60);
    define_and_build(&engine, "i", &["posts"]);
    assert_answers(&engine, &twin.db, 0);
    let folder = engine.index("i").unwrap().folder;
    let cache = Path::new(&variable("XDG_CACHE_HOME")).join("simdex");
    assert!(folder.starts_with(&cache), "{}", folder.display());
    assert_eq!(engine.refresh("i", &Silent).unwrap().rows, 60);

    let index_dir = Path::new(&variable(FOLDER)).join("here").join("and below");
    let location = Location { database: database.to_owned(), index_dir: Some(index_dir.clone()) };
    let elsewhere = Engine::open(location).unwrap();
    assert_eq!(elsewhere.indexes().unwrap().len(), 0);
    define_and_build(&elsewhere, "j", &["posts"]);
    assert!(elsewhere.index("j").unwrap().folder.starts_with(&index_dir));
    assert_answers(&elsewhere, &twin.db, 0);
    elsewhere.drop_index("j").unwrap();
    engine.drop_index("i").unwrap();

    let location =
        Location { database: database.to_owned(), index_dir: Some(media().join("indexes")) };
    let error = Engine::open(location).unwrap().define(new_index("k", &["posts"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    assert!(error.next_step().unwrap().to_string().contains("--index-dir"), "{error}");
    assert_eq!(names(&media()), before);
    assert!(std::fs::read(database).unwrap() == bytes);
    tell("done");
}

#[test]
fn a_rollback_database_in_a_read_only_folder() {
    if role().is_some() {
        return use_read_only(&media().join("embeddings.db"));
    }
    as_ordinary_user("a_rollback_database_in_a_read_only_folder", |media| {
        copy(&twin(), media, &[""]);
        set_mode(&media.join("embeddings.db"), 0o444);
    });
}

/// SQLite can't open it without a `-shm` file, but as immutable.
#[test]
fn a_wal_database_in_a_read_only_folder() {
    if role().is_some() {
        return use_read_only(&media().join("embeddings.db"));
    }
    as_ordinary_user("a_wal_database_in_a_read_only_folder", |media| {
        let scene = Scene::with_rows("wal", "posts", 60, 4);
        scene.db.execute_batch("pragma wal_checkpoint(truncate)").unwrap();
        copy(&scene, media, &[""]);
    });
}

/// Names that mean something in the address of an immutable database.
#[test]
fn a_wal_database_whose_name_looks_like_an_address() {
    const NAME: &str = "50% of it?mode=rw#x&\u{e4} .db";
    if role().is_some() {
        return use_read_only(&media().join(NAME));
    }
    as_ordinary_user("a_wal_database_whose_name_looks_like_an_address", |media| {
        let scene = Scene::with_rows("wal", "posts", 60, 4);
        scene.db.execute_batch("pragma wal_checkpoint(truncate)").unwrap();
        std::fs::copy(scene.path(), media.join(NAME)).unwrap();
    });
}

/// A log that holds rows but no `-shm`: the answer must not be the one without these rows.
#[test]
fn a_log_that_cant_be_read() {
    if role().is_some() {
        let database = media().join("embeddings.db");
        let engine = engine(&database);
        let request =
            by_vector(Target::Collection("posts".into(), Through::Default), &[1.0; 4], 100);
        match engine.search(&request, &Silent) {
            Ok(answer) => assert!(answer.matches.iter().any(|m| m.id.to_string() == "logged")),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
                assert!(
                    error.next_step().unwrap().to_string().contains("copy the database"),
                    "{error}"
                );
            }
        }
        return tell("done");
    }
    as_ordinary_user("a_log_that_cant_be_read", |media| {
        let scene = Scene::with_rows("wal", "posts", 60, 4);
        scene.put(1, "logged", &blob(&[1.0; 4]));
        copy(&scene, media, &["", "-wal"]);
    });
}

/// A writer died in the middle of a transaction that had reached the file. Without the right to
/// roll it back the rows are half old, half new, and no answer from them is right.
#[test]
fn a_hot_journal_that_cant_be_rolled_back() {
    if role().is_some() {
        for name in ["embeddings.db", "read-only.db"] {
            let engine = engine(&media().join(name));
            let target = Target::Collection("posts".into(), Through::Default);
            let error = engine.search(&by_vector(target, &[1.0; 4], 100), &Silent).unwrap_err();
            assert!(error.kind().is_user_error(), "{name}: {error}");
            assert!(
                error.next_step().is_some_and(|step| step.to_string().contains("copy")),
                "{name}: {error}"
            );
        }
        return tell("done");
    }
    as_ordinary_user("a_hot_journal_that_cant_be_rolled_back", |media| {
        let scene = Scene::with_rows("delete", "posts", 2000, 4);
        // Pages leave the cache, and so reach the file, before the commit that never comes; a sync
        // makes the journal's header count its pages.
        scene.db.execute_batch("pragma synchronous = full; pragma cache_size = 1; begin").unwrap();
        scene
            .db
            .execute("update embeddings set embedding = x'00000000', content = 'x'", [])
            .unwrap();
        copy(&scene, media, &["", "-journal"]);
        for suffix in ["", "-journal"] {
            let copy = media.join(format!("read-only.db{suffix}"));
            std::fs::copy(media.join(format!("embeddings.db{suffix}")), &copy).unwrap();
            set_mode(&copy, 0o444);
        }
        scene.db.execute_batch("rollback").unwrap();
    });
}

/// A database file that can't be written, in a folder that can.
#[test]
fn a_read_only_file_in_a_writable_folder() {
    if role().is_some() {
        let folder = Path::new(&variable(FOLDER)).join("own");
        std::fs::create_dir(&folder).unwrap();
        for name in names(&media()) {
            let database = folder.join(&name);
            std::fs::copy(media().join(&name), &database).unwrap();
            set_mode(&database, 0o444);
            let engine = engine(&database);
            let twin = twin();
            assert_answers(&engine, &twin.db, 0);
            define_and_build(&engine, "i", &["posts"]);
            assert_answers(&engine, &twin.db, 0);
            assert!(engine.index("i").unwrap().folder.starts_with(&folder));
            engine.refresh("i", &Silent).unwrap();
            engine.drop_index("i").unwrap();
        }
        return tell("done");
    }
    as_ordinary_user("a_read_only_file_in_a_writable_folder", |media| {
        copy(&twin(), media, &[""]);
        let scene = Scene::with_rows("wal", "posts", 60, 4);
        scene.db.execute_batch("pragma wal_checkpoint(truncate)").unwrap();
        std::fs::copy(scene.path(), media.join("wal.db")).unwrap();
    });
}

/// An index on read-only media serves searches; only writing it anew is refused.
#[test]
fn a_read_only_index() {
    if role().is_some() {
        let twin = twin();
        let engine = engine(&media().join("embeddings.db"));
        assert_answers(&engine, &twin.db, 0);
        let request = by_vector(Target::Collection("posts".into(), Through::Default), &[1.0; 4], 3);
        let answer = engine.search(&request, &Silent).unwrap();
        assert_eq!(answer.plan.index.as_deref(), Some("i"));
        for error in [
            engine.build("i", &Silent).unwrap_err(),
            engine.define(new_index("j", &["posts"])).unwrap_err(),
            engine.drop_index("i").unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
            assert!(error.next_step().unwrap().to_string().contains("--index-dir"), "{error}");
        }
        return tell("done");
    }
    as_ordinary_user("a_read_only_index", |media| {
        copy(&twin(), media, &[""]);
        let engine = engine(&media.join("embeddings.db"));
        define_and_build(&engine, "i", &["posts"]);
        let folder = engine.index("i").unwrap().folder;
        for path in [&folder, folder.parent().unwrap()] {
            for name in names(path) {
                set_mode(&path.join(&name), if path.join(&name).is_dir() { 0o555 } else { 0o444 });
            }
            set_mode(path, 0o555);
        }
    });
}
