//! What searches and lists print.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod common;

use common::Sandbox;
use insta::assert_snapshot;

#[test]
fn formats_of_similar() {
    let sandbox = Sandbox::new();
    let similar =
        |options: &[&str]| sandbox.stdout(&[&["similar", "posts", "cat"], options].concat());
    assert_snapshot!("json", similar(&[]));
    assert_eq!(similar(&["--json"]), similar(&[]));
    assert_snapshot!("plain", similar(&["--plain"]));
    assert_snapshot!("csv", similar(&["--csv"]));
    assert_snapshot!("no_content", similar(&["--no-content", "-n", "2"]));
    assert_eq!(similar(&["-n", "0"]), "");
    assert_eq!(similar(&["-n", "-1"]), similar(&[]));
}

#[test]
fn filters() {
    let sandbox = Sandbox::new();
    let ids = |options: &[&str]| {
        let lines = sandbox
            .stdout(&[&["similar", "posts", "cat", "--no-content", "--csv"], options].concat());
        let ids = lines.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned());
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids(&["--prefix", "kit"]), "Kit_x kitten");
    assert_eq!(ids(&["--prefix", "d%g"]), "d%g dog");
    assert_eq!(ids(&["--prefix", ""]), ids(&[]));
    assert_eq!(ids(&["--where", "content IS NULL"]), "dog");
    assert_eq!(ids(&["--ids", "SELECT 'dog' UNION SELECT 'anti'"]), "dog anti");
    rusqlite::Connection::open(sandbox.path("o.db"))
        .unwrap()
        .execute_batch("CREATE TABLE wanted (id); INSERT INTO wanted VALUES ('kitten')")
        .unwrap();
    assert_eq!(ids(&["--attach", "o", "o.db", "--ids", "SELECT id FROM o.wanted"]), "kitten");
}

#[test]
fn an_index_over_two_collections() {
    let sandbox = Sandbox::new();
    assert_snapshot!(
        "create",
        sandbox.stdout(&["index", "create", "all", "-c", "posts", "-c", "tils", "--no-build"])
    );
    sandbox.stdout(&["index", "build", "all"]);
    assert_snapshot!(
        "search",
        sandbox.stdout(&["search", "all", "cat", "--from", "tils", "-n", "3"])
    );
    assert_snapshot!("search_plain", sandbox.stdout(&["search", "all", "note", "-n", "2", "-p"]));
    assert_snapshot!("ambiguous", sandbox.refusal(&["search", "all", "cat"]));
    let exact = sandbox.stdout(&["search", "all", "note", "--exact"]);
    assert_eq!(exact, sandbox.stdout(&["search", "all", "note"]));
    assert_snapshot!("collections", sandbox.stdout(&["collections"]));
}

#[test]
fn a_table() {
    let sandbox = Sandbox::new();
    sandbox.stdout(&["index", "create", "shop", "--table", "products", "--id-column", "sku"]);
    assert_snapshot!("table", sandbox.stdout(&["search", "shop", "7"]));
    assert_snapshot!(
        "table_csv",
        sandbox.stdout(&["search", "shop", "--vector", "[1, 1]", "--csv"])
    );
}

#[test]
fn vectors_come_from_anywhere() {
    let sandbox = Sandbox::new();
    let direct = sandbox.stdout(&["similar", "posts", "--vector", "[1, 0, 0]"]);
    std::fs::write(sandbox.path("v.json"), "[1, 0, 0]\n").unwrap();
    assert_eq!(sandbox.stdout(&["similar", "posts", "--vector", "@v.json"]), direct);
    let output =
        sandbox.simdex(&["similar", "posts", "--vector", "-"]).write_stdin("[1,0,0]").output();
    assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), direct);
}

#[test]
fn the_life_of_an_index() {
    let sandbox = Sandbox::new();
    let before = std::fs::read(sandbox.path("embeddings.db")).unwrap();
    sandbox.stdout(&["index", "create", "a", "-c", "posts"]);
    let (_, _, said) = sandbox.run(&["similar", "posts", "cat", "-v"]);
    assert!(said.contains("index a"), "{said}");
    sandbox.stdout(&["index", "create", "b", "-c", "posts"]);
    assert_eq!(sandbox.stdout(&["index", "default", "b"]), "b is the default of posts\n");
    assert_eq!(
        sandbox.stdout(&["index", "default", "--clear", "posts"]),
        "b is no longer the default of posts\n"
    );
    let list: serde_json::Value =
        serde_json::from_str(&sandbox.stdout(&["index", "list", "--json"])).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    sandbox.stdout(&["index", "refresh", "--all"]);
    sandbox.stdout(&["index", "verify", "--all"]);
    assert!(sandbox.stdout(&["index", "show", "a"]).contains("6"));
    assert_eq!(
        sandbox.stdout(&["index", "drop", "--yes", "a", "b"]),
        "deleted index a\ndeleted index b\n"
    );
    let (status, stdout, said) = sandbox.run(&["index", "list"]);
    assert_eq!((status, stdout.as_str()), (0, ""), "{said}");
    assert_eq!(std::fs::read(sandbox.path("embeddings.db")).unwrap(), before);
}

#[test]
fn quickstart_runs_twice() {
    let sandbox = Sandbox::empty();
    let first = sandbox.stdout(&["quickstart"]);
    assert!(first.contains("datasette-seaborn") && first.contains("Try next"), "{first}");
    assert!(sandbox.stdout(&["quickstart"]).contains("is there already"));
    sandbox.refusal(&["quickstart", "-d", "x.db"]);
    std::fs::create_dir(sandbox.path("mine")).unwrap();
    std::fs::write(sandbox.path("mine/embeddings.db"), "mine").unwrap();
    assert_snapshot!("quickstart_taken", sandbox.refusal(&["quickstart", "--directory", "mine"]));
}

#[test]
fn quiet_says_nothing_on_stderr() {
    let sandbox = Sandbox::new();
    let (_, _, said) = sandbox.run(&["index", "create", "a", "-c", "posts", "--quiet"]);
    assert_eq!(said, "");
}
