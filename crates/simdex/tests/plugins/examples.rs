//! Every example of PLUGINS.md, sent to a real process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::scene::Programs;
use crate::testing::EXAMPLE;

pub const TESTS: &[(&str, fn())] = &[
    ("examples_are_what_happens", examples_are_what_happens),
    ("simdex_sends_what_the_examples_say", simdex_sends_what_the_examples_say),
];

const DOCUMENT: &str = include_str!("../../../../PLUGINS.md");

/// (request, reply) as texts.
fn examples() -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut current = None;
    for line in DOCUMENT.lines() {
        if let Some(request) = line.strip_prefix("→ ") {
            pairs.push((request.to_owned(), String::new()));
            current = Some(0);
        } else if let (Some(reply), Some(pair)) = (line.strip_prefix("← "), pairs.last_mut()) {
            reply.clone_into(&mut pair.1);
            current = Some(1);
        } else if line.starts_with("     ") {
            match (current, pairs.last_mut()) {
                (Some(0), Some(pair)) => pair.0 += line,
                (Some(1), Some(pair)) => pair.1 += line,
                _ => {}
            }
        } else {
            current = None;
        }
    }
    pairs
}

/// The file that the document describes.
fn arrays() -> Vec<u8> {
    let mut bytes = vec![0; 384];
    let mut put = |offset: usize, values: &[u8]| {
        bytes[offset..offset + values.len()].copy_from_slice(values);
    };
    let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
    put(0, &floats(&[1.0, 0.0, 0.0, 1.0, 0.6, 0.8, -1.0, 0.0]));
    put(64, &floats(&[0.9, 0.1]));
    put(128, &[0b0110]);
    put(192, &[0; 4]);
    put(256, &[3, 0, 0, 0, 4, 0, 0, 0]);
    put(320, &floats(&[0.0, -1.0, 0.8, 0.6]));
    bytes
}

fn examples_are_what_happens() {
    let programs = Programs::new(&[EXAMPLE]);
    let place = tempfile::tempdir().unwrap();
    let (arrays_path, before, after) =
        (place.path().join("arrays"), place.path().join("1"), place.path().join("2"));
    std::fs::write(&arrays_path, arrays()).unwrap();
    std::fs::create_dir(&before).unwrap();
    let real = |text: &str| {
        text.replace("/tmp/arrays", arrays_path.to_str().unwrap())
            .replace("/data/.tmp-1", before.to_str().unwrap())
            .replace("/data/index.files", after.to_str().unwrap())
    };
    let mut plugin = Command::new(programs.path(EXAMPLE))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut requests = plugin.stdin.take().unwrap();
    let mut replies = BufReader::new(plugin.stdout.take().unwrap()).lines();
    let examples = examples();
    assert_eq!(examples.len(), 11);
    for (request, reply) in examples {
        let request: Value = serde_json::from_str(&real(&request)).expect(&request);
        if request["method"] == "open" {
            std::fs::rename(&before, &after).unwrap();
        }
        writeln!(requests, "{request}").unwrap();
        let expected: Value = serde_json::from_str(&real(&reply)).expect(&reply);
        let got: Value = serde_json::from_str(&replies.next().unwrap().unwrap()).unwrap();
        assert_eq!(got, expected, "{request}");
    }
    assert!(plugin.wait().unwrap().success());
}

/// The same values come out when requests are read and written again: no field is missing or more.
fn simdex_sends_what_the_examples_say() {
    for (request, _) in examples() {
        let value: Value = serde_json::from_str(&request).unwrap();
        let typed: simdex_plugin::Request = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(typed).unwrap(), value);
    }
}
