//! Asks a server with an OpenAI-compatible `/v1/embeddings`.

use std::env;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use super::endpoint::Endpoint;
use crate::failure::UserError;
use crate::query::Content;
use crate::query::vector::numbers;

/// No embedding is larger; a server that sends more is not one.
const LARGEST_ANSWER: u64 = 16 << 20;

/// How much of a server's message is shown.
const LONGEST_MESSAGE: usize = 300;

/// Time for a connection to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Embeds `content` on the server.
///
/// # Errors
/// When the server can't be reached, refuses, or answers nonsense. No message holds the key.
pub(crate) fn embed(endpoint: &Endpoint, content: &Content) -> anyhow::Result<Vec<f64>> {
    let Content::Text(text) = content else {
        return Err(UserError::new(format!("{} embeds text only", endpoint.url))
            .hint(
                "binary content needs the llm command and a model that takes it; \
                   `simdex embedder remove MODEL` makes way for it",
            )
            .into());
    };
    let key = key(endpoint)?;
    let answer = ask(endpoint, text, key.as_deref());
    Ok(answer.map_err(|problem| problem.into_error(endpoint, key.as_deref()))?)
}

/// What is wrong, and what to do about it.
struct Problem {
    message: String,
    hint: Option<&'static str>,
}

impl Problem {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn into_error(self, endpoint: &Endpoint, key: Option<&str>) -> UserError {
        let message = match key {
            // Some servers repeat the key that they refuse.
            Some(key) => self.message.replace(key, "[key]"),
            None => self.message,
        };
        let error = UserError::new(format!("{}: {message}", endpoint.url));
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

fn key(endpoint: &Endpoint) -> Result<Option<String>, UserError> {
    let Some(name) = &endpoint.api_key_env else { return Ok(None) };
    match env::var(name) {
        Ok(key) if !key.trim().is_empty() => Ok(Some(key.trim().to_owned())),
        _ => Err(UserError::new(format!("the variable {name} does not hold an API key"))
            .hint(format!("{} needs one: export {name}=…", endpoint.url))),
    }
}

fn ask(endpoint: &Endpoint, text: &str, key: Option<&str>) -> Result<Vec<f64>, Problem> {
    let agent: Agent = Agent::config_builder()
        .timeout_connect(Some(CONNECT))
        .timeout_global(Some(Duration::from_secs(endpoint.timeout)))
        .http_status_as_error(false)
        .user_agent(concat!("simdex/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut request = agent.post(&endpoint.url);
    if let Some(key) = key {
        request = request.header("Authorization", format!("Bearer {key}"));
    }
    let body = json!({ "model": endpoint.model_name, "input": text });
    let mut response = request.send_json(&body).map_err(|error| unreachable(endpoint, error))?;
    let status = response.status();
    let answer = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
    let answer = answer.map_err(|error| unreachable(endpoint, error))?;
    match status.is_success() {
        true => embedding(&answer),
        false => Err(refusal(status.as_u16(), &answer)),
    }
}

fn unreachable(endpoint: &Endpoint, error: ureq::Error) -> Problem {
    let message = match error {
        ureq::Error::Timeout(_) => format!("no answer within {} s", endpoint.timeout),
        ureq::Error::BodyExceedsLimit(limit) => format!("the answer is larger than {limit} bytes"),
        error => format!("{error}"),
    };
    Problem { message, hint: Some("is the server running, and is this its address?") }
}

fn refusal(status: u16, answer: &[u8]) -> Problem {
    let hint = match status {
        401 | 403 => {
            Some("the key comes from the variable that `embedder set --api-key-env` names")
        }
        404 => Some("does the server have this model, and is this its address?"),
        _ => None,
    };
    Problem { message: format!("HTTP status {status}: {}", said(answer)), hint }
}

/// The server's own words: the message of an error object, else the start of the text.
fn said(answer: &[u8]) -> String {
    let value: Value = serde_json::from_slice(answer).unwrap_or_default();
    let message =
        [&value["error"]["message"], &value["error"], &value["message"], &value["detail"]]
            .into_iter()
            .find_map(Value::as_str);
    let text = message.map_or_else(|| String::from_utf8_lossy(answer).into_owned(), str::to_owned);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None if text.is_empty() => "(no message)".to_owned(),
        None => text,
    }
}

fn embedding(answer: &[u8]) -> Result<Vec<f64>, Problem> {
    let value: Value = serde_json::from_slice(answer).map_err(|error| {
        Problem::new(format!("the answer is not JSON ({error}): {}", said(answer)))
    })?;
    let Some(items) = value["data"][0]["embedding"].as_array() else {
        return Err(Problem::new(format!(
            "the answer holds no data[0].embedding: {}",
            said(answer)
        )));
    };
    if items.is_empty() {
        return Err(Problem::new("the embedding in the answer is empty"));
    }
    numbers(items)
        .map_err(|problem| Problem::new(format!("the embedding in the answer: {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(answer: &str) -> String {
        embedding(answer.as_bytes()).err().map(|problem| problem.message).unwrap()
    }

    #[test]
    fn embeddings_are_found() {
        let answer = br#"{"object": "list", "data": [{"index": 0, "embedding": [1, 0.5]}]}"#;
        assert!(matches!(embedding(answer), Ok(vector) if vector == [1.0, 0.5]));
    }

    #[test]
    fn nonsense_is_told_apart() {
        assert!(problem("<html>").starts_with("the answer is not JSON"));
        assert!(
            problem(r#"{"data": [{"embedding": [NaN]}]}"#).starts_with("the answer is not JSON")
        );
        assert!(problem(r#"{"data": []}"#).starts_with("the answer holds no data[0].embedding"));
        assert!(problem("[]").starts_with("the answer holds no data[0].embedding"));
        assert!(problem(r#"{"data": [{"embedding": []}]}"#).ends_with("is empty"));
        assert!(problem(r#"{"data": [{"embedding": [1, null]}]}"#).ends_with("item 2 is null"));
    }

    #[test]
    fn messages_are_the_servers_and_short() {
        assert_eq!(said(br#"{"error": {"message": "no\n such model"}}"#), "no such model");
        assert_eq!(said(br#"{"error": "no such model"}"#), "no such model");
        assert_eq!(said(b"Bad gateway"), "Bad gateway");
        assert_eq!(said(b""), "(no message)");
        assert!(said("é".repeat(1000).as_bytes()).chars().count() < 310);
    }
}
