//! Queries by text: a fake endpoint, a stub of llm, and neither.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use common::{MODEL, Sandbox};
use insta::assert_snapshot;

/// A FAKE embeddings endpoint: answers one request with what it is told, and hands that out.
struct FakeEndpoint {
    url: String,
    request: JoinHandle<String>,
}

impl FakeEndpoint {
    fn answering(status: &'static str, body: impl Into<String>) -> Self {
        let body = body.into();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let request = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut request, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                request += &line;
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut content = vec![0; length];
            reader.read_exact(&mut content).unwrap();
            request += &String::from_utf8(content).unwrap();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).unwrap();
            request
        });
        Self { url, request }
    }

    fn embedding(vector: &str) -> Self {
        Self::answering("200 OK", format!(r#"{{"data": [{{"index": 0, "embedding": {vector}}}]}}"#))
    }
}

/// What a search says when the endpoint answers so.
fn failure(status: &'static str, body: &str) -> String {
    let sandbox = Sandbox::new();
    let endpoint = FakeEndpoint::answering(status, body);
    sandbox.stdout(&["embedder", "set", MODEL, &endpoint.url, "--api-key-env", "TEST_KEY"]);
    let output = sandbox
        .simdex(&["similar", "posts", "-c", "x"])
        .env("TEST_KEY", "sk-hunter2")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("hunter2"), "{stderr}");
    stderr.replace(&endpoint.url, "[URL]")
}

#[test]
fn a_server_is_asked() {
    let sandbox = Sandbox::new();
    let endpoint = FakeEndpoint::embedding("[1, 0, 0]");
    let url = endpoint.url.clone() + "/v1/";
    let set =
        ["embedder", "set", MODEL, &url, "--model-name", "small", "--api-key-env", "TEST_KEY"];
    sandbox.stdout(&set);
    let output = sandbox
        .simdex(&["similar", "posts", "-c", "I like cäts", "-n", "1"])
        .env("TEST_KEY", "sk-hunter2")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let line = String::from_utf8(output.stdout).unwrap();
    assert!(line.starts_with(r#"{"id": "cat", "score": 1.0, "#), "{line}");
    let request = endpoint.request.join().unwrap();
    assert!(request.starts_with("POST /v1/embeddings HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains("authorization: bearer sk-hunter2\r\n"), "{request}");
    let body: serde_json::Value =
        serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body, serde_json::json!({"model": "small", "input": "I like cäts"}));
    for file in sandbox.path("settings").read_dir().unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn answers_that_are_no_embedding() {
    assert_snapshot!(
        "http_401",
        failure("401 Unauthorized", r#"{"error": {"message": "Incorrect API key: sk-hunter2"}}"#)
    );
    assert_snapshot!("http_404", failure("404 Not Found", r#"{"error": "model not found"}"#));
    assert_snapshot!("http_500", failure("500 Oops", ""));
    assert_snapshot!("html", failure("200 OK", "<html>hello</html>"));
    assert_snapshot!("nan", failure("200 OK", r#"{"data": [{"embedding": [1, NaN, 0]}]}"#));
    assert_snapshot!("null", failure("200 OK", r#"{"data": [{"embedding": [1, null, 0]}]}"#));
    assert_snapshot!("dimensions", failure("200 OK", r#"{"data": [{"embedding": [1, 0]}]}"#));
    assert_snapshot!("no_data", failure("200 OK", r#"{"object": "list"}"#));
}

#[test]
fn servers_that_do_not_answer() {
    let sandbox = Sandbox::new();
    // Listens and never accepts, so the connection stands and no answer comes.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    sandbox.stdout(&["embedder", "set", MODEL, &url, "--timeout", "1"]);
    let said = sandbox.refusal(&["similar", "posts", "-c", "x"]);
    assert!(said.contains("no answer within 1 s"), "{said}");
    drop(listener);
    let said = sandbox.refusal(&["similar", "posts", "-c", "x"]);
    assert!(said.contains("is the server running"), "{said}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_wait_with_status_130() {
    use std::process::{Command, Stdio};
    let sandbox = Sandbox::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    sandbox.stdout(&["embedder", "set", MODEL, &url]);
    let child = Command::new(assert_cmd::cargo::cargo_bin!("simdex"))
        .args(["similar", "posts", "-c", "x"])
        .current_dir(sandbox.path(""))
        .env("LLM_USER_PATH", ".")
        .env("SIMDEX_CONFIG_DIR", sandbox.path("settings"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The question has arrived, so the handler is in place.
    let (stream, _) = listener.accept().unwrap();
    let interrupt = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error: stopped\n");
    drop(stream);
}

#[test]
fn keys_come_from_the_environment() {
    let sandbox = Sandbox::new();
    sandbox.stdout(&["embedder", "set", MODEL, "http://localhost:9", "--api-key-env", "TEST_KEY"]);
    assert_snapshot!("key_not_set", sandbox.refusal(&["similar", "posts", "-c", "x"]));
    assert_snapshot!(
        "key_given",
        sandbox.refusal(&["embedder", "set", "m", "http://h", "--api-key-env", "sk-hunter2"])
    );
    assert_snapshot!(
        "url_with_password",
        sandbox.refusal(&["embedder", "set", "m", "http://me:hunter2@h"])
    );
}

#[test]
fn servers_are_listed_and_forgotten() {
    let sandbox = Sandbox::empty();
    sandbox.stdout(
        &["embedder", "set", "m", "localhost:1"]
            .map(|word| if word == "localhost:1" { "http://localhost:1" } else { word }),
    );
    assert_snapshot!("list", sandbox.stdout(&["embedder", "list"]));
    assert_snapshot!("list_json", sandbox.stdout(&["embedder", "list", "--json"]));
    sandbox.stdout(&["embedder", "remove", "m"]);
    assert_snapshot!("remove_again", sandbox.refusal(&["embedder", "remove", "m"]));
    assert_eq!(sandbox.stdout(&["embedder", "list", "--json"]), "{}\n");
}

#[test]
fn nobody_to_ask() {
    assert_snapshot!("nobody", Sandbox::new().refusal(&["similar", "posts", "-c", "x"]));
}

#[test]
fn binary_content_is_not_for_servers() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("image"), b"\x89PNG\xff").unwrap();
    sandbox.stdout(&["embedder", "set", MODEL, "http://localhost:9"]);
    assert_snapshot!("binary", sandbox.refusal(&["similar", "posts", "--binary", "-i", "image"]));
    assert_snapshot!("not_text", sandbox.refusal(&["similar", "posts", "-i", "image"]));
}

#[cfg(unix)]
mod llm {
    use super::*;

    /// A STUB of the llm command that embeds everything as a cat and notes what it was given.
    const STUB: &str = "#!/bin/sh\necho \"$@\" > args\n/bin/cat > input\necho '[1.0, 0.0, 0.0]'\n";

    #[test]
    fn llm_is_asked_where_no_server_is_set() {
        let sandbox = Sandbox::new();
        sandbox.script("llm", STUB);
        let line = sandbox.stdout(&["similar", "posts", "-c", "I like cäts", "-n", "1"]);
        assert!(line.starts_with(r#"{"id": "cat", "score": 1.0, "#), "{line}");
        let given = |name| std::fs::read_to_string(sandbox.path(name)).unwrap();
        assert_eq!(given("args"), format!("embed -m {MODEL} -f json -i -\n"));
        assert_eq!(given("input"), "I like cäts");
    }

    #[test]
    fn binary_content_is_passed_on() {
        let sandbox = Sandbox::new();
        sandbox.script("llm", STUB);
        let output = sandbox
            .simdex(&["similar", "posts", "-i", "-", "--binary", "-n", "1"])
            .write_stdin(&b"\x89PNG\xff\r\n"[..])
            .output()
            .unwrap();
        assert!(output.status.success());
        assert_eq!(std::fs::read(sandbox.path("input")).unwrap(), b"\x89PNG\xff\r\n");
        let args = std::fs::read_to_string(sandbox.path("args")).unwrap();
        assert_eq!(args, format!("embed -m {MODEL} -f json -i - --binary\n"));
    }

    #[test]
    fn what_llm_says_is_shown() {
        let sandbox = Sandbox::new();
        sandbox.script("llm", "#!/bin/sh\necho 'Error: Unknown model: test-model' >&2\nexit 1\n");
        assert_snapshot!("llm_fails", sandbox.refusal(&["similar", "posts", "-c", "x"]));
        sandbox.script("llm", "#!/bin/sh\necho hello\n");
        assert_snapshot!("llm_babbles", sandbox.refusal(&["similar", "posts", "-c", "x"]));
    }

    #[test]
    fn embedder_test_tells_size_and_time() {
        let sandbox = Sandbox::new();
        sandbox.script("llm", STUB);
        let line = sandbox.stdout(&["embedder", "test", MODEL]);
        assert!(line.starts_with("test-model: 3 dimensions in "), "{line}");
        assert!(line.ends_with(" from the llm command\n"), "{line}");
    }
}
