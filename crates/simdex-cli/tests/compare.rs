//! `compare`: collections and files of vectors.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod common;

use common::Sandbox;
use insta::assert_snapshot;
use serde_json::Value;

/// Writes `rows` (each of two values) as numpy.save does.
fn save(sandbox: &Sandbox, name: &str, dtype: &str, shape: &str, data: &[u8]) {
    let mut header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    std::fs::write(sandbox.path(name), bytes).unwrap();
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// 40 points on a circle, three queries, and the nearest point of each.
fn vectors() -> Sandbox {
    let sandbox = Sandbox::empty();
    let point = |angle: f32| [angle.cos(), angle.sin()];
    let base: Vec<f32> = (0..40_u8).flat_map(|at| point(f32::from(at) * 0.157)).collect();
    let queries: Vec<f32> = [0.16, 0.32, 1.55].into_iter().flat_map(point).collect();
    save(&sandbox, "base.npy", "<f4", "(40, 2)", &bytes(&base));
    save(&sandbox, "queries.npy", "<f4", "(3, 2)", &bytes(&queries));
    let nearest: Vec<u8> = [1_i64, 2, 10].iter().flat_map(|row| row.to_le_bytes()).collect();
    save(&sandbox, "nearest.npy", "<i8", "(3, 1)", &nearest);
    sandbox
}

/// The shape of a report: figures that differ from run to run are checked and left out.
fn shape(json: &str) -> String {
    let mut report: Value = serde_json::from_str(json).unwrap();
    for point in report["points"].as_array_mut().unwrap() {
        for (name, value) in point.as_object_mut().unwrap() {
            let measured = name.ends_with("_ms")
                || name.ends_with("_second")
                || ["build_seconds", "bytes", "peak_memory_bytes"].contains(&name.as_str());
            if measured {
                assert!(value.is_number() || name == "peak_memory_bytes", "{name}: {value}");
                *value = Value::from("…");
            }
        }
    }
    serde_json::to_string_pretty(&report).unwrap()
}

const FILES: [&str; 5] = ["compare", "--vectors", "base.npy", "--queries", "queries.npy"];

fn with<'a>(options: &[&'a str]) -> Vec<&'a str> {
    [&FILES[..], options].concat()
}

#[test]
fn files_of_vectors() {
    let sandbox = vectors();
    let options = ["--kind", "flat", "--threads", "1", "-k", "1", "--json"];
    let found = sandbox.stdout(&with(&options));
    assert_snapshot!("json", shape(&found));
    let told = sandbox.stdout(&with(&[&options[..], &["--truth", "nearest.npy"]].concat()));
    assert_eq!(shape(&found), shape(&told));
    let set = sandbox.stdout(&with(&["--kind", "flat", "--set", "codes=never", "--metric", "l2"]));
    assert!(set.contains("codes=never") && set.contains("l2"), "{set}");
    let left: Vec<_> = sandbox.path("").read_dir().unwrap().collect();
    assert_eq!(left.len(), 3, "nothing is written: {left:?}");
}

#[test]
fn every_kind_by_default() {
    let sandbox = vectors();
    let report: Value =
        serde_json::from_str(&sandbox.stdout(&with(&["-k", "3", "--json"]))).unwrap();
    for kind in simdex::index::KINDS {
        let points = report["points"].as_array().unwrap();
        let measured = points.iter().any(|point| point["kind"] == kind.name());
        assert!(measured || report["notices"].to_string().contains(kind.name()), "{report}");
    }
}

#[test]
fn a_collection_and_its_indexes() {
    let sandbox = Sandbox::new();
    sandbox.stdout(&["index", "create", "all", "-c", "posts", "-c", "tils"]);
    let compare = |more: &[&str]| {
        let json = sandbox.stdout(&[&["compare", "posts", "-k", "2", "--json"], more].concat());
        serde_json::from_str::<Value>(&json).unwrap()
    };
    let report = compare(&["--try", "flat:codes=never", "--queries", "2"]);
    assert_eq!((&report["rows"], &report["queries"]), (&Value::from(4), &Value::from(2)));
    assert_eq!(report["points"][0]["index"], "all");
    assert_eq!(report["points"][1]["index"], Value::Null);
    assert_eq!(report["points"][1]["parameters"]["codes"], "never");
    assert_eq!(compare(&[])["queries"], 1);
}

#[test]
fn a_page() {
    let sandbox = vectors();
    let table = sandbox.stdout(&with(&["--html", "page.html", "--threads", "1"]));
    assert!(table.starts_with("40 rows of 2 dimensions, 3 queries for 10, 1 thread\n"), "{table}");
    let page = std::fs::read_to_string(sandbox.path("page.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("<svg"), "{page}");
    let refusal = sandbox.refusal(&with(&["--html", "no/such/page.html"]));
    assert!(refusal.contains("can't write no/such/page.html"), "{refusal}");
}

#[test]
fn what_cant_be_compared_is_said() {
    let sandbox = Sandbox::new();
    let refusal = |args: &[&str]| sandbox.refusal(&[&["compare"], args].concat());
    assert_snapshot!("nothing", refusal(&[]));
    assert_snapshot!("unknown", refusal(&["nope"]));
    assert_snapshot!("file_for_number", refusal(&["posts", "--queries", "q.npy"]));
    assert_snapshot!("too_many", refusal(&["posts", "--queries", "6"]));
    let unknown = refusal(&["posts", "--try", "nope"]);
    assert!(unknown.contains("unknown kind of index `nope`"), "{unknown}");
    assert_snapshot!("unknown_parameter", refusal(&["posts", "--try", "flat:nope=1"]));
    assert_snapshot!("bad_try", refusal(&["posts", "--try", "flat:nope"]));
}

#[test]
fn files_that_cant_be_used_are_said() {
    let sandbox = vectors();
    let refusal = |options: &[&str]| sandbox.refusal(&with(options));
    let files =
        |base, queries| sandbox.refusal(&["compare", "--vectors", base, "--queries", queries]);
    assert_snapshot!("number_for_file", files("base.npy", "100"));
    assert_snapshot!("missing_file", files("none.npy", "queries.npy"));
    std::fs::write(sandbox.path("text.npy"), "hello").unwrap();
    assert_snapshot!("not_npy", files("text.npy", "queries.npy"));
    save(&sandbox, "zero.npy", "<f4", "(2, 2)", &bytes(&[1.0, 0.0, 0.0, 0.0]));
    assert_snapshot!("zero_row", files("zero.npy", "queries.npy"));
    save(&sandbox, "nan.npy", "<f4", "(2, 2)", &bytes(&[1.0, 0.0, f32::NAN, 0.0]));
    assert_snapshot!("nan_row", files("nan.npy", "queries.npy"));
    save(&sandbox, "wide.npy", "<f4", "(1, 4)", &bytes(&[1.0; 4]));
    assert_snapshot!("other_dimension", files("base.npy", "wide.npy"));
    save(&sandbox, "big.npy", ">f4", "(1, 2)", &bytes(&[1.0; 2]));
    assert_snapshot!("big_endian", files("big.npy", "queries.npy"));
    assert_snapshot!("short_truth", refusal(&["--truth", "nearest.npy", "-k", "2"]));
    assert_snapshot!("set_without_kind", refusal(&["--set", "codes=never"]));
}
