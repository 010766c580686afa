//! `simdex similar` prints what the real `llm similar` prints, byte for byte.
//!
//! `SIMDEX_TEST_LLM` names an llm executable. CI must set it; elsewhere the test may be skipped.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::process::Command;

use common::Sandbox;

fn llm() -> Option<String> {
    let llm = std::env::var("SIMDEX_TEST_LLM").ok().filter(|path| !path.is_empty());
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(llm.is_some() || !in_ci, "SIMDEX_TEST_LLM must name an llm executable in CI");
    if llm.is_none() {
        eprintln!("skipped: SIMDEX_TEST_LLM names no llm executable");
    }
    llm
}

#[test]
fn output_is_llms() {
    let Some(llm) = llm() else { return };
    let sandbox = Sandbox::new();
    let cases: &[&[&str]] = &[
        &["cat"],
        &["cat", "-n", "0"],
        &["cat", "-n", "-1"],
        &["cat", "-n", "2"],
        &["cat", "-p"],
        &["dog", "--plain", "-n", "-1"],
        &["anti"],
        &["cat", "--prefix", "KIT"],
        &["cat", "--prefix", "d%"],
        &["cat", "--prefix", "Kit_"],
        &["cat", "--prefix", "none"],
        &["cat", "-c", "the id wins"],
    ];
    for through in [&[][..], &["index", "create", "posts", "-c", "posts"]] {
        if !through.is_empty() {
            sandbox.stdout(through);
        }
        for case in cases {
            let args = [&["similar", "posts"], *case, &["-d", "embeddings.db"]].concat();
            let theirs = Command::new(&llm)
                .args(&args)
                .current_dir(sandbox.path(""))
                .env("LLM_USER_PATH", sandbox.path("llm"))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&theirs.stderr);
            assert!(theirs.status.success(), "llm {args:?}: {said}");
            let ours = sandbox.stdout(&args);
            assert_eq!(ours, String::from_utf8(theirs.stdout).unwrap(), "{args:?}");
        }
    }
}
