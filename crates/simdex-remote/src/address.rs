//! Where a server is. A password in a URL is taken out as the URL is read, and kept apart.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use secrecy::SecretString;
use url::Url;

use crate::error::{Error, Fault, Result};

/// Parameters of URLs whose values are secrets.
const SECRET_PARAMETERS: [&str; 5] = ["password", "sslpassword", "token", "api_key", "key"];

/// The address of a server, and the password that came with it. Shown without the password.
#[derive(Clone)]
pub struct Address {
    url: Url,
    password: Option<SecretString>,
}

impl Address {
    /// Reads a URL such as `http://localhost:8000` or `postgres://me@db.example.com/vectors`.
    ///
    /// # Errors
    /// `Invalid`; what was given is not repeated, because it may hold a password.
    pub fn parse(text: &str) -> Result<Self> {
        let mut url = Url::parse(text.trim()).map_err(|error| {
            Error::new(Fault::Invalid, format!("this is not the URL of a server: {error}"))
                .hint("for example http://localhost:8000 or postgres://me@localhost:5432/vectors")
        })?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(Error::new(Fault::Invalid, "the URL of the server has no host"));
        }
        let mut password = url.password().map(decoded);
        let unusable = || Error::new(Fault::Invalid, "the URL of the server can't be used");
        url.set_password(None).map_err(|()| unusable())?;
        let pairs = url.query_pairs().into_owned();
        let (secret, plain): (Vec<_>, Vec<_>) =
            pairs.partition(|(name, _)| SECRET_PARAMETERS.contains(&name.as_str()));
        if let Some((_, value)) = secret.into_iter().next() {
            password = Some(value);
        }
        url.set_query(None);
        if !plain.is_empty() {
            url.query_pairs_mut().extend_pairs(plain);
        }
        Ok(Self { url, password: password.map(SecretString::from) })
    }

    /// Whether a password came with it.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// The password that came with it.
    pub(crate) fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    /// Whether both are addresses of one server, and of one user and database there.
    pub fn is_same_server(&self, other: &Self) -> bool {
        let place = |url: &Url| {
            let host = url.host_str().map(str::to_ascii_lowercase);
            (url.scheme().to_owned(), host, url.port_or_known_default(), url.path().to_owned())
        };
        place(&self.url) == place(&other.url)
            && self.parameter("host") == other.parameter("host")
            && self.url.username() == other.url.username()
    }

    /// The same with the password of another.
    #[must_use]
    pub fn with_password_of(self, other: &Self) -> Self {
        Self { password: self.password.or_else(|| other.password.clone()), ..self }
    }

    /// The URL without the password.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The name before the `@`.
    pub(crate) fn user(&self) -> Option<String> {
        Some(decoded(self.url.username())).filter(|name| !name.is_empty())
    }

    /// The value of a parameter after the `?`.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.url.query_pairs();
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// Whether it is this machine: what is sent there crosses no network.
    pub(crate) fn is_here(&self) -> bool {
        // Schemes that the web doesn't know have hosts that are texts, whatever they look like.
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// Text in which `%41` stands for `A`.
fn decoded(text: &str) -> String {
    // As the value of a parameter, where only `+` has another meaning.
    let escaped = text.replace('+', "%2B").replace('&', "%26");
    let pair = format!("x={escaped}");
    url::form_urlencoded::parse(pair.as_bytes()).next().map_or_else(String::new, |(_, v)| v.into())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({}, password: {})", self.url, self.has_password())
    }
}

/// A secret that a file holds in its first line.
///
/// # Errors
/// `Invalid` when it can't be read or is empty.
pub fn read_secret(path: &Path) -> Result<SecretString> {
    let unusable = |what: String| {
        Error::new(
            Fault::Invalid,
            format!("the secret in {} can't be used: {what}", path.display()),
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(SecretString::from(line.to_owned())),
        _ => Err(unusable("its first line is empty".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn secret(address: &Address) -> Option<&str> {
        address.password().map(ExposeSecret::expose_secret)
    }

    #[test]
    fn passwords_are_taken_out_and_never_shown() {
        for url in [
            "postgres://me:hun%3Fter+2@h:5433/db?sslmode=require",
            "postgres://me@h:5433/db?sslmode=require&password=hun%3Fter%2B2",
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(secret(&address), Some("hun?ter+2"));
            assert_eq!(address.to_string(), "postgres://me@h:5433/db?sslmode=require");
            assert!(!format!("{address:?}").contains("hun"));
            assert_eq!(address.parameter("sslmode").as_deref(), Some("require"));
        }
        assert!(!Address::parse("http://h:8000").unwrap().has_password());
    }

    #[test]
    fn errors_do_not_repeat_what_was_typed() {
        for url in ["", "hunter2", "postgres://me:hunter2@", "http://me:hunter2@h:99999/"] {
            let error = format!("{:?}", Address::parse(url).unwrap_err());
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn this_machine_is_known() {
        for (url, here) in [
            ("http://localhost:1", true),
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("postgres://127.0.0.1:1", true),
            ("postgres://[::1]:1", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(Address::parse(url).unwrap().is_here(), here, "{url}");
        }
    }

    #[test]
    fn a_secret_is_the_first_line_of_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\nmore\n").unwrap();
        assert_eq!(read_secret(file.path()).unwrap().expose_secret(), "hunter2");
        std::fs::write(file.path(), "\n").unwrap();
        assert!(read_secret(file.path()).is_err());
    }
}
