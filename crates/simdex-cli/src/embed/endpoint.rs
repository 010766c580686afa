//! An embedding server as the user sets it.

use serde::{Deserialize, Serialize};
use ureq::http::Uri;

use crate::args::embedder::SetArgs;
use crate::failure::UserError;

/// Seconds to wait for an answer: a local server may have to load the model first.
const TIMEOUT: u64 = 120;

/// Words in names of URL parameters that may carry a secret.
const SECRET_WORDS: [&str; 5] = ["key", "token", "secret", "sig", "password"];

/// An OpenAI-compatible embeddings endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// The full address, `/v1/embeddings` included.
    pub(crate) url: String,
    /// The model's name on the server.
    pub(crate) model_name: String,
    /// The environment variable that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api_key_env: Option<String>,
    /// Seconds to wait for an answer.
    #[serde(default = "default_timeout")]
    pub(crate) timeout: u64,
}

fn default_timeout() -> u64 {
    TIMEOUT
}

impl Endpoint {
    /// Checks what the user typed.
    ///
    /// # Errors
    /// For an address that can't be asked, or that holds a secret; for a key in place of the name
    /// of its variable. What may be a secret is not repeated in the message.
    pub(crate) fn new(args: &SetArgs) -> Result<Self, UserError> {
        if let Some(name) = &args.api_key_env {
            check_variable_name(name)?;
        }
        Ok(Self {
            url: full_address(&args.url)?,
            model_name: args.model_name.clone().unwrap_or_else(|| args.model.clone()),
            api_key_env: args.api_key_env.clone(),
            timeout: args.timeout.map_or(TIMEOUT, |seconds| seconds.get()),
        })
    }

    /// Whether the key would cross a network unencrypted.
    pub(crate) fn exposes_key(&self) -> bool {
        let Ok(uri) = self.url.parse::<Uri>() else { return false };
        let local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]" | "::1"));
        self.api_key_env.is_some() && uri.scheme_str() == Some("http") && !local
    }
}

fn check_variable_name(name: &str) -> Result<(), UserError> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && name.chars().all(word) {
        return Ok(());
    }
    Err(UserError::new("--api-key-env takes the name of a variable, not a key")
        .hint("put the key in a variable and name it, for example --api-key-env OPENAI_API_KEY"))
}

/// The address of the embeddings method, whatever part of it was typed.
fn full_address(typed: &str) -> Result<String, UserError> {
    let uri: Uri = typed.trim().parse().map_err(|_| not_an_address("it can't be read"))?;
    let authority = uri.authority().ok_or_else(|| not_an_address("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(UserError::new("the URL holds a user name or password, which would be stored")
            .hint("put the key in a variable and name it with --api-key-env"));
    }
    let scheme = match uri.scheme_str() {
        Some(scheme @ ("http" | "https")) => scheme,
        _ => return Err(not_an_address("it doesn't start with http:// or https://")),
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    if holds_secret(&query) {
        return Err(UserError::new(
            "the URL's parameters seem to hold a key, which would be stored",
        )
        .hint("put the key in a variable and name it with --api-key-env"));
    }
    Ok(format!("{scheme}://{authority}{}{query}", full_path(uri.path())))
}

fn full_path(path: &str) -> String {
    let path = path.trim_end_matches('/');
    if path.ends_with("/embeddings") {
        return path.to_owned();
    }
    // Some servers have the version elsewhere in the path, as in /v1beta/openai.
    let is_version = |part: &str| {
        part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    match path.split('/').any(is_version) {
        true => format!("{path}/embeddings"),
        false => format!("{path}/v1/embeddings"),
    }
}

fn holds_secret(query: &str) -> bool {
    let names = query.trim_start_matches('?').split('&');
    names.filter_map(|pair| pair.split('=').next()).any(|name| {
        let name = name.to_ascii_lowercase();
        SECRET_WORDS.iter().any(|word| name.contains(word))
    })
}

fn not_an_address(problem: &str) -> UserError {
    UserError::new(format!("this is not the address of a server: {problem}"))
        .hint("for example https://api.openai.com or http://localhost:11434")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(url: &str, api_key_env: Option<&str>) -> Result<Endpoint, UserError> {
        Endpoint::new(&SetArgs {
            model: "m".to_owned(),
            url: url.to_owned(),
            model_name: None,
            api_key_env: api_key_env.map(str::to_owned),
            timeout: None,
        })
    }

    #[test]
    fn any_part_of_the_address_will_do() {
        for (typed, full) in [
            ("http://localhost:11434", "http://localhost:11434/v1/embeddings"),
            ("http://localhost:11434/", "http://localhost:11434/v1/embeddings"),
            ("https://api.openai.com/v1", "https://api.openai.com/v1/embeddings"),
            ("https://api.openai.com/v1/", "https://api.openai.com/v1/embeddings"),
            ("https://api.openai.com/v1/embeddings", "https://api.openai.com/v1/embeddings"),
            ("https://h/ollama", "https://h/ollama/v1/embeddings"),
            ("https://h/v1beta/openai/", "https://h/v1beta/openai/embeddings"),
            ("https://h/v1?api-version=2", "https://h/v1/embeddings?api-version=2"),
        ] {
            assert_eq!(set(typed, None).unwrap().url, full);
        }
    }

    #[test]
    fn secrets_are_refused_and_not_repeated() {
        for url in ["https://me:hunter2@h/v1", "https://hunter2@h", "https://h/?api_key=hunter2"] {
            let error = format!("{:?}", set(url, None).unwrap_err());
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = format!("{:?}", set("https://h", Some("sk-hunter2")).unwrap_err());
        assert!(error.contains("not a key") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in ["", "localhost:11434", "ftp://h", "http://", "/v1", "not a url"] {
            assert!(set(url, None).is_err(), "{url}");
        }
    }

    #[test]
    fn a_key_over_plain_http_is_noticed() {
        assert!(set("http://example.com", Some("KEY")).unwrap().exposes_key());
        assert!(!set("http://example.com", None).unwrap().exposes_key());
        assert!(!set("http://localhost:1", Some("KEY")).unwrap().exposes_key());
        assert!(!set("https://example.com", Some("KEY")).unwrap().exposes_key());
    }
}
