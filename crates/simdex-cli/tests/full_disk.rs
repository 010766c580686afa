//! A disk that fills up while an index is written. A limit on the size of files stands in for it:
//! the kernel refuses the write in the same place, with another error number.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use common::Sandbox;
use rusqlite::Connection;

/// Blocks of 512 bytes: far below a segment of the rows that [`grow`] adds.
const BLOCKS: u32 = 64;

fn grow(database: &Path) {
    let db = Connection::open(database).unwrap();
    let blob = [0.5_f32, 1.0, 2.0].map(f32::to_le_bytes).concat();
    let transaction = db.unchecked_transaction().unwrap();
    for number in 0..20_000 {
        let insert = "INSERT INTO embeddings (collection_id, id, embedding) VALUES (1, ?, ?)";
        db.execute(insert, (format!("row-{number}"), &blob)).unwrap();
    }
    transaction.commit().unwrap();
}

/// simdex where no file can grow beyond [`BLOCKS`].
fn cramped(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let script = format!("trap '' XFSZ; ulimit -f {BLOCKS}; exec \"$@\"");
    Command::new("/bin/sh")
        .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_simdex")])
        .args(arguments)
        .current_dir(sandbox.path(""))
        .env("LLM_USER_PATH", ".")
        .output()
        .unwrap()
}

/// Every file below a folder, with what it holds.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => {
                found.insert(path.to_string_lossy().into_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn what_was_built_stays_and_the_next_try_succeeds() {
    let sandbox = Sandbox::new();
    sandbox.stdout(&["index", "create", "posts", "-c", "posts"]);
    grow(&sandbox.path("embeddings.db"));
    let folder = sandbox.path("embeddings.db.simdex");
    let before = files(&folder);
    for command in [["index", "build", "posts"], ["index", "refresh", "posts"]] {
        let output = cramped(&sandbox, &command);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("error: file") && stderr.contains("too large"), "{stderr}");
        assert_eq!(files(&folder), before, "nothing is left behind");
    }
    let answer = cramped(&sandbox, &["similar", "posts", "cat", "-n", "1"]);
    assert!(answer.status.success(), "a search keeps nothing where it can't write");
    let right = String::from_utf8(answer.stdout).unwrap();
    sandbox.stdout(&["index", "build", "posts"]);
    assert_eq!(sandbox.stdout(&["similar", "posts", "cat", "-n", "1"]), right);
    assert!(sandbox.stdout(&["index", "verify", "posts"]).contains("posts"));
}

#[test]
fn an_index_that_could_not_be_built_is_still_defined() {
    let sandbox = Sandbox::new();
    grow(&sandbox.path("embeddings.db"));
    let output = cramped(&sandbox, &["index", "create", "posts", "-c", "posts"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("index posts is defined, but not built"), "{stderr}");
    assert!(sandbox.stdout(&["index", "list"]).contains("not built"));
    sandbox.stdout(&["index", "build", "posts"]);
}
