//! Requests of Chroma's HTTP API, with credentials and patience.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use ureq::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::address::Address;
use crate::error::{Error, Fault, Result};
use crate::retry::Patience;
use crate::tls;

/// The most that an answer may be: a page of ids, or a batch of records.
const LONGEST_ANSWER: u64 = 256 << 20;

/// What a server takes in one request, if it was not told otherwise, bytes. Of more it reads only the
/// beginning, so that the connection breaks instead of bringing a refusal.
const LARGEST_REQUEST: usize = 40 << 20;

/// A server, and what every request carries.
pub(super) struct Http {
    agent: Agent,
    /// The address without path and parameters.
    origin: String,
    /// The path of the database.
    database: String,
    credentials: Vec<(HeaderName, HeaderValue)>,
    patience: Patience,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({}/api/v2/{})", self.origin, self.database)
    }
}

impl Http {
    pub(super) fn new(
        address: &Address,
        token: Option<SecretString>,
        patience: Patience,
    ) -> Result<Self> {
        let invalid = |message: &str| Error::new(Fault::Invalid, message);
        if !matches!(address.url().scheme(), "http" | "https") {
            return Err(invalid("the address of a Chroma server begins with http:// or https://"));
        }
        let credentials = credentials(address, token)?;
        if address.url().scheme() == "http" && !credentials.is_empty() && !address.is_here() {
            return Err(invalid("the secret for Chroma would cross the network unencrypted")
                .hint("use an https:// address"));
        }
        let trusted = match address.parameter("sslrootcert") {
            Some(path) => {
                let certificates = tls::certificates(Path::new(&path))?;
                let der = certificates.iter().map(|der| Certificate::from_der(der).to_owned());
                RootCerts::from(der)
            }
            None => RootCerts::PlatformVerifier,
        };
        let tls = TlsConfig::builder().root_certs(trusted).build();
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(patience.connect))
            .timeout_global(Some(patience.request))
            // A redirect would take the secret elsewhere.
            .max_redirects(0)
            .tls_config(tls)
            .build()
            .into();
        let mut origin = address.url().clone();
        origin.set_query(None);
        let _ = origin.set_username("");
        let origin = origin.as_str().trim_end_matches('/').to_owned();
        let part = |name: &str, default: &str| {
            escaped(&address.parameter(name).unwrap_or_else(|| default.to_owned()))
        };
        let tenant = part("tenant", "default_tenant");
        let database = part("database", "default_database");
        let database = format!("tenants/{tenant}/databases/{database}");
        Ok(Self { agent, origin, database, credentials, patience })
    }

    /// GET of something that belongs to no database.
    pub(super) fn get_root<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let url = format!("{}/api/v2/{path}", self.origin);
        self.patience.repeat(|| read(self.check(self.with(self.agent.get(&url)).call())?))
    }

    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let url = self.url(path);
        self.patience.repeat(|| read(self.check(self.with(self.agent.get(&url)).call())?))
    }

    pub(super) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.send(Method::Post, path, body, read)
    }

    pub(super) fn post_ignoring(&self, path: &str, body: &impl Serialize) -> Result<()> {
        self.send(Method::Post, path, body, drain)
    }

    pub(super) fn put_ignoring(&self, path: &str, body: &impl Serialize) -> Result<()> {
        self.send(Method::Put, path, body, drain)
    }

    pub(super) fn delete(&self, path: &str) -> Result<()> {
        let url = self.url(path);
        let mut attempts = 0;
        self.patience.repeat(|| {
            attempts += 1;
            match self.check(self.with(self.agent.delete(&url)).call()).and_then(drain) {
                // An earlier attempt may have done it, and its answer been lost.
                Err(error) if error.fault() == Fault::NotFound && attempts > 1 => Ok(()),
                done => done,
            }
        })
    }

    fn send<T>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        read: impl Fn(Response<Body>) -> Result<T>,
    ) -> Result<T> {
        let url = self.url(path);
        let body = serde_json::to_vec(body).map_err(|error| {
            Error::new(Fault::Invalid, format!("the request has no JSON form: {error}"))
        })?;
        self.patience.repeat(|| {
            let request = match method {
                Method::Post => self.agent.post(&url),
                Method::Put => self.agent.put(&url),
            };
            let request = self.with(request).header(header::CONTENT_TYPE, "application/json");
            let done = self.check(request.send(&body)).and_then(&read);
            done.map_err(|error| match error.fault() {
                Fault::Unreachable | Fault::Unfit if body.len() > LARGEST_REQUEST => {
                    too_large(body.len(), &error)
                }
                _ => error,
            })
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v2/{}/{path}", self.origin, self.database)
    }

    fn with<B>(&self, mut request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        for (name, value) in &self.credentials {
            request = request.header(name, value);
        }
        request
    }

    /// The answer, if it is one.
    fn check(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>> {
        let answer = answer.map_err(|error| {
            let message = format!("the Chroma server at {}: {error}", self.origin);
            let said = Error::new(fault_of(&error), message);
            match said.fault() {
                Fault::Denied => said.hint(tls::HINT),
                _ => said,
            }
        })?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            status => Err(self.refusal(status, answer)),
        }
    }

    fn refusal(&self, status: StatusCode, mut answer: Response<Body>) -> Error {
        let fault = match status {
            StatusCode::NOT_FOUND => Fault::NotFound,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Fault::Denied,
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Fault::Unreachable,
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY => Fault::Unfit,
            _ => Fault::Refused,
        };
        let said = answer.body_mut().with_config().limit(4096).read_json::<Complaint>();
        let said = said.map_or_else(|_| String::new(), |said| format!(": {}", said.message));
        let message = format!("the Chroma server at {} answers {status}{said}", self.origin);
        let error = Error::new(fault, message);
        match fault {
            Fault::Denied => error.hint("set the token in the environment or name a file with it"),
            _ => error,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Method {
    Post,
    Put,
}

/// What Chroma says of a request that it refuses.
#[derive(Debug, Deserialize)]
struct Complaint {
    message: String,
}

fn fault_of(error: &ureq::Error) -> Fault {
    use ureq::Error as E;
    match error {
        E::Io(error) if tls::is_judgement(error) => Fault::Denied,
        E::Io(_) | E::Timeout(_) | E::HostNotFound | E::ConnectionFailed => Fault::Unreachable,
        // An answer that was cut in its head.
        E::Protocol(_) => Fault::Unreachable,
        E::Rustls(_) | E::Tls(_) => Fault::Denied,
        _ => Fault::Refused,
    }
}

/// The JSON of an answer. One that is cut may be asked for again.
fn read<T: DeserializeOwned>(mut answer: Response<Body>) -> Result<T> {
    let body = answer.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec();
    let body = body.map_err(cut)?;
    serde_json::from_slice(&body).map_err(|error| super::wire::nonsense(&error.to_string()))
}

/// Reads an answer to its end, so that its connection can be used again.
fn drain(mut answer: Response<Body>) -> Result<()> {
    let read = answer.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec();
    read.map(|_| ()).map_err(cut)
}

fn too_large(bytes: usize, error: &Error) -> Error {
    let (sent, most) = (bytes >> 20, LARGEST_REQUEST >> 20);
    let message =
        format!("{sent} MB in one request, where Chroma takes {most} by default: {error}");
    Error::new(Fault::Unfit, message)
}

fn cut(error: ureq::Error) -> Error {
    let message = format!("an answer of the Chroma server was cut: {error}");
    Error::new(fault_of(&error), message)
}

fn credentials(
    address: &Address,
    token: Option<SecretString>,
) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let mut pairs = Vec::new();
    if let Some(token) = token {
        let token = token.expose_secret();
        pairs.push((HeaderName::from_static("x-chroma-token"), token.to_owned()));
        pairs.push((header::AUTHORIZATION, format!("Bearer {token}")));
    } else if let Some(password) = address.password() {
        let user = address.user().unwrap_or_default();
        let both = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
        pairs.push((header::AUTHORIZATION, format!("Basic {both}")));
    }
    let header = |(name, text): (HeaderName, String)| {
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Error::new(Fault::Invalid, "the secret for Chroma has characters that no header takes")
        })?;
        value.set_sensitive(true);
        Ok((name, value))
    };
    pairs.into_iter().map(header).collect()
}

/// Text as one part of a path.
pub(super) fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(url: &str, token: Option<&str>) -> Result<Http> {
        let address = Address::parse(url).unwrap();
        Http::new(&address, token.map(SecretString::from), Patience::default())
    }

    #[test]
    fn tenant_and_database_are_parameters() {
        let plain = http("http://localhost:8000", None).unwrap();
        let path =
            "http://localhost:8000/api/v2/tenants/default_tenant/databases/default_database/x";
        assert_eq!(plain.url("x"), path);
        let other = http("https://h/base/?tenant=a%20b&database=c/d", None).unwrap();
        assert_eq!(other.url("x"), "https://h/base/api/v2/tenants/a%20b/databases/c%2Fd/x");
    }

    #[test]
    fn secrets_are_not_shown_and_do_not_cross_a_network() {
        let kept = http("https://me:hunter2@h", Some("hunter2")).unwrap();
        assert!(!format!("{kept:?} {:?}", kept.credentials).contains("hunter2"));
        assert!(!kept.url("x").contains("me"));
        for (url, token) in [("http://h", Some("hunter2")), ("http://me:hunter2@h", None)] {
            let error = http(url, token).unwrap_err();
            assert_eq!(error.fault(), Fault::Invalid);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
        assert!(http("http://localhost", Some("hunter2")).is_ok());
        assert!(http("postgres://h", None).is_err());
    }
}
