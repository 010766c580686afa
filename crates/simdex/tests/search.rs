//! What a search finds, with and without an index.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use simdex::engine::api::*;
use simdex::observe::Silent;
use simdex::store::Id;
use simdex::{ErrorKind, Metric};

#[test]
fn an_index_a_scan_and_the_naive_model_agree() {
    let scene = Scene::with_rows("wal", "posts", 300, 20);
    let engine = scene.engine();
    let query = Random(7).vector(20);
    let scan = by_vector(Target::Collection("posts".into(), Through::Exact), &query, 10);
    let expected = naive(&scene.db, &["posts"], &query, Metric::Cosine, 10, None);
    assert_eq!(rows(&engine.search(&scan, &Silent).unwrap()), expected);
    let report = define_and_build(&engine, "posts-flat", &["posts"]);
    assert_eq!((report.rows, report.dimensions, report.skipped.total()), (300, 20, 0));
    let through = by_vector(Target::Collection("posts".into(), Through::Default), &query, 10);
    let answer = engine.search(&through, &Silent).unwrap();
    assert_eq!(answer.plan.index.as_deref(), Some("posts-flat"));
    assert_eq!(rows(&answer), expected);
    assert_eq!(answer.matches[0].content.as_deref().map(|c| &c[..11]), Some("content of "));
}

#[test]
fn a_search_by_id_leaves_the_row_itself_out() {
    let scene = Scene::with_rows("delete", "posts", 50, 8);
    let engine = scene.engine();
    define_and_build(&engine, "i", &["posts"]);
    let answer = engine.search(&by_id("posts", "0007", 100), &Silent).unwrap();
    assert_eq!(answer.matches.len(), 49);
    assert!(answer.matches.iter().all(|m| m.id != Id::text("0007")));
    let error = engine.search(&by_id("posts", "nope", 3), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("no id `nope` in `posts`"), "{error}");
}
