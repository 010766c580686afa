//! Where a server is: what a definition says, what the environment says, and who may see a secret.
//!
//! Definitions are plain files, and may come from somebody else together with a database. So they
//! hold no secrets, and a secret of the environment goes only to the server that the environment
//! names: a definition alone can't have it sent anywhere.

use std::path::PathBuf;

use simdex_remote::{Address, SecretString, read_secret};

use super::failure;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Parameters;

/// The parameter with the address.
pub(super) const URL: &str = "url";

/// The variables of one kind of server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variables {
    /// The address, which may hold a password.
    pub(super) url: &'static str,
    /// A secret.
    pub(super) secret: Option<&'static str>,
    /// A file with the secret.
    pub(super) secret_file: &'static str,
    /// An example of an address.
    pub(super) example: &'static str,
}

/// A server, and the secrets that it may have.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) address: Address,
    /// The secret of the environment; `None` as well where the environment names another server.
    pub(super) secret: Option<SecretString>,
    /// The file with the secret, likewise.
    pub(super) secret_file: Option<PathBuf>,
    /// Whether the environment names this server.
    pub(super) trusted: bool,
}

impl Variables {
    /// The server of a definition.
    ///
    /// # Errors
    /// `Invalid` when there is none, or the address can't be used.
    pub(super) fn place(&self, parameters: &Parameters) -> Result<Place> {
        let read = |text: &str| Address::parse(text).map_err(|error| failure(&error));
        let own = parameters.get(URL).map(|text| read(text)).transpose()?;
        let named = variable(self.url).map(|text| read(&text)).transpose()?;
        let (address, trusted) = match (own, named) {
            (None, Some(named)) => (named, true),
            // The same server: the environment's address is the one with the password.
            (Some(own), Some(named)) if own.is_same_server(&named) => {
                (own.with_password_of(&named), true)
            }
            (Some(own), _) => (own, false),
            (None, None) => {
                let hint =
                    format!("set {} in the environment, or --set url={}", self.url, self.example);
                return Err(
                    Error::new(ErrorKind::Invalid, "nothing says where the server is").hint(hint)
                );
            }
        };
        let path = variable(self.secret_file).map(PathBuf::from).filter(|_| trusted);
        let secret = self.secret.filter(|_| trusted).and_then(variable).map(SecretString::from);
        Ok(Place { address, secret, secret_file: path, trusted })
    }
}

impl Place {
    /// The secret itself, from the environment or its file.
    ///
    /// # Errors
    /// `Invalid` when the file can't be read.
    pub(super) fn token(&self) -> Result<Option<SecretString>> {
        match (&self.secret, &self.secret_file) {
            (Some(secret), _) => Ok(Some(secret.clone())),
            (None, Some(path)) => read_secret(path).map(Some).map_err(|error| failure(&error)),
            (None, None) => Ok(None),
        }
    }
}

/// Refuses an address that would put a password into a definition, without repeating it.
///
/// # Errors
/// `Invalid`.
pub(super) fn check_plain(name: &str, text: &str, variable: &str) -> Result<()> {
    let address = Address::parse(text).map_err(|error| failure(&error).with("parameter", name))?;
    match address.has_password() {
        false => Ok(()),
        true => {
            let message =
                format!("`{name}` holds a password, which would be stored in a plain file");
            let hint = format!("leave it out there, and set {variable} to the whole URL");
            Err(Error::new(ErrorKind::Invalid, message).hint(hint))
        }
    }
}

pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
