//! Help texts, manual pages and completions.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod common;

use common::Sandbox;
use insta::assert_snapshot;

#[test]
fn help_texts() {
    let sandbox = Sandbox::empty();
    for path in [
        "",
        "quickstart",
        "collections",
        "similar",
        "search",
        "index",
        "index create",
        "index list",
        "index show",
        "index build",
        "index refresh",
        "index verify",
        "index drop",
        "index default",
        "compare",
        "migrate",
        "import",
        "related",
        "plugin",
        "plugin list",
        "plugin new",
        "plugin show",
        "plugin test",
        "embedder",
        "embedder set",
        "embedder list",
        "embedder remove",
        "embedder test",
        "completions",
        "man",
    ] {
        let mut args: Vec<_> = path.split_whitespace().collect();
        args.push("-h");
        let name = format!("help {path}").trim().replace(' ', "_");
        assert_snapshot!(name, sandbox.stdout(&args));
    }
}

#[test]
fn completions_for_every_shell() {
    let sandbox = Sandbox::empty();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(sandbox.stdout(&["completions", shell]).contains("similar"), "{shell}");
    }
}

#[test]
fn a_manual_page_for_every_command() {
    let sandbox = Sandbox::empty();
    assert!(sandbox.stdout(&["man"]).contains(".TH simdex 1"));
    sandbox.stdout(&["man", "--out", "man1"]);
    for page in ["simdex.1", "simdex-similar.1", "simdex-index-create.1", "simdex-embedder-set.1"] {
        assert!(sandbox.path("man1").join(page).is_file(), "{page}");
    }
}
