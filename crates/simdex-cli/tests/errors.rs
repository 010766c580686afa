//! Error messages: what is wrong, where, and the next step.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod common;

use common::Sandbox;
use insta::assert_snapshot;

#[test]
fn no_database() {
    let sandbox = Sandbox::empty();
    assert_snapshot!("no_database", sandbox.refusal(&["collections"]));
    assert_snapshot!("no_database_option", sandbox.refusal(&["collections", "-d", "none.db"]));
    assert_snapshot!("folder", sandbox.refusal(&["collections", "-d", "."]));
    let left: Vec<_> = sandbox.path("").read_dir().unwrap().collect();
    assert!(left.is_empty(), "nothing is created: {left:?}");
}

#[test]
fn the_variable_names_the_database_as_in_llm() {
    let sandbox = Sandbox::new();
    let output = sandbox.simdex(&["collections"]).env("LLM_EMBEDDINGS_DB", "other.db").output();
    let stderr = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(stderr.contains("no database at other.db (as LLM_EMBEDDINGS_DB says)"), "{stderr}");
    let output = sandbox.simdex(&["collections"]).env("LLM_EMBEDDINGS_DB", "").output().unwrap();
    assert!(output.status.success(), "an empty variable is an unset one");
}

#[test]
fn wrong_names() {
    let sandbox = Sandbox::new();
    assert_snapshot!("wrong_id", sandbox.refusal(&["similar", "posts", "nope"]));
    assert_snapshot!("wrong_collection", sandbox.refusal(&["similar", "nope", "cat"]));
    assert_snapshot!("wrong_index", sandbox.refusal(&["search", "nope", "cat"]));
    assert_snapshot!(
        "wrong_through",
        sandbox.refusal(&["similar", "posts", "cat", "--index", "x"])
    );
    assert_snapshot!(
        "wrong_kind",
        sandbox.refusal(&["index", "create", "x", "-c", "posts", "--kind", "x"])
    );
    assert_snapshot!("drop_wrong", sandbox.refusal(&["index", "drop", "--yes", "nope"]));
}

/// Neither by its name nor by another, nor where a file may be replaced.
#[test]
fn the_database_is_never_written_over() {
    let sandbox = Sandbox::new();
    let before = std::fs::read(sandbox.path("embeddings.db")).unwrap();
    std::fs::hard_link(sandbox.path("embeddings.db"), sandbox.path("other")).unwrap();
    for file in ["embeddings.db", "other"] {
        let migrate = ["migrate", "posts", "--to", "npy", file, "--force"];
        assert!(sandbox.refusal(&migrate).contains("is a SQLite database"));
        let compare = ["compare", "posts", "--try", "flat", "--queries", "1", "--html", file];
        assert!(sandbox.refusal(&compare).contains("is not a page"));
        let related = ["related", "posts", "--output", file];
        assert!(sandbox.refusal(&related).contains("only read"));
    }
    assert!(std::fs::read(sandbox.path("embeddings.db")).unwrap() == before);
}

#[test]
fn options_that_would_change_nothing_are_refused() {
    let sandbox = Sandbox::new();
    let refused = |arguments: &[&str]| sandbox.refusal(arguments);
    let index = ["index", "create", "x", "-c", "posts"];
    for option in ["--where", "--id-column", "--embedding-column"] {
        let refusal = refused(&[&index[..], &[option, "id"]].concat());
        assert!(refusal.contains(option) && refusal.contains("--collection"), "{refusal}");
    }
    refused(&["index", "create", "x", "--table", "embeddings", "--default"]);
    for option in ["--metric=l2", "--truth=x.npy", "--kind=flat"] {
        let refusal = refused(&["compare", "posts", option]);
        assert!(refusal.contains("COLLECTION"), "{refusal}");
    }
}

#[test]
fn indexes_are_deleted_only_when_asked_or_told() {
    let sandbox = Sandbox::new();
    sandbox.stdout(&["index", "create", "x", "-c", "posts"]);
    assert_snapshot!("drop_unasked", sandbox.refusal(&["index", "drop", "x"]));
    sandbox.stdout(&["index", "show", "x"]);
}

#[test]
fn not_a_database() {
    let sandbox = Sandbox::empty();
    std::fs::write(sandbox.path("embeddings.db"), "hello, I am text").unwrap();
    assert_snapshot!("not_a_database", sandbox.refusal(&["collections"]));
    rusqlite::Connection::open(sandbox.path("t.db"))
        .unwrap()
        .execute_batch("CREATE TABLE t (x)")
        .unwrap();
    assert_snapshot!("no_tables", sandbox.refusal(&["similar", "posts", "1", "-d", "t.db"]));
}

#[test]
fn queries() {
    let sandbox = Sandbox::new();
    assert_snapshot!("no_query", sandbox.refusal(&["similar", "posts"]));
    assert_snapshot!("no_file", sandbox.refusal(&["similar", "posts", "-i", "none.txt"]));
    let output = sandbox.simdex(&["similar", "posts", "-i", "-"]).write_stdin("").output().unwrap();
    assert_snapshot!("empty_stdin", String::from_utf8(output.stderr).unwrap());
    assert_snapshot!("vector_size", sandbox.refusal(&["similar", "posts", "--vector", "[1, 2]"]));
    assert_snapshot!(
        "vector_item",
        sandbox.refusal(&["similar", "posts", "--vector", "[1, \"2\"]"])
    );
    assert_snapshot!(
        "bad_sql",
        sandbox.refusal(&["similar", "posts", "cat", "--where", "nope = 1"])
    );
}

#[test]
fn what_is_missing_is_said_where_it_is_missing() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("notes.txt"), "These are notes.").unwrap();
    assert_snapshot!("text_file", sandbox.refusal(&["index", "list", "-d", "notes.txt"]));
    std::fs::write(sandbox.path("empty.db"), "").unwrap();
    assert_eq!(sandbox.run(&["index", "list", "-d", "empty.db"]).0, 0, "SQLite opens these");
    assert_snapshot!("no_default", sandbox.refusal(&["index", "default", "--clear", "nope"]));
    let attach = ["similar", "posts", "cat", "--attach", "blog", "none.db", "--where", "1"];
    assert_snapshot!("no_attached", sandbox.refusal(&attach));
    let migrate = ["migrate", "posts", "--to", "npy", "none/posts.npy"];
    assert_snapshot!("no_folder", sandbox.refusal(&migrate));
}

#[test]
fn hints_can_be_copied_into_a_shell() {
    let sandbox = Sandbox::new();
    let create = ["-d", "embeddings.db", "index", "create", "my posts", "-c", "posts"];
    let create = || create.into_iter().chain(["--index-dir", "x y"]).collect::<Vec<_>>();
    assert_eq!(sandbox.run(&create()).0, 0);
    let said = sandbox.refusal(&create());
    let build = "simdex -d embeddings.db --index-dir 'x y' index build 'my posts'";
    assert!(said.contains(build), "{said}");
    let other: Vec<&str> = create().into_iter().chain(["--metric", "l2"]).collect();
    let said = sandbox.refusal(&other);
    let drop = "simdex -d embeddings.db --index-dir 'x y' index drop 'my posts'";
    assert!(said.contains(drop), "{said}");
}

#[test]
fn options_that_count_for_nothing_are_noted() {
    let sandbox = Sandbox::new();
    let (status, _, said) = sandbox.run(&["similar", "posts", "cat", "-c", "dogs"]);
    assert_eq!((status, said.as_str()), (0, "note: --content counts for nothing beside an ID\n"));
}

#[test]
fn usage_errors_have_status_1() {
    let sandbox = Sandbox::new();
    assert_snapshot!(
        "two_formats",
        sandbox.refusal(&["similar", "posts", "cat", "--json", "--plain"])
    );
    assert_snapshot!("no_command", sandbox.refusal(&["nope"]));
    sandbox.refusal(&["similar", "posts", "cat", "--vector", "[1]"]);
    sandbox.refusal(&["index", "create", "x"]);
    assert_snapshot!("no_index_named", sandbox.refusal(&["index", "build"]));
    assert_eq!(sandbox.run(&["--version"]).0, 0);
}

#[test]
fn a_closed_pipe_is_a_success() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("simdex"))
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
