//! Where a Postgres server is, and as whom to go there.

use std::fmt;
use std::path::Path;

use postgres::Config;
use postgres::config::SslMode;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::Address;
use crate::error::{Error, Fault, Result};
use crate::pgvector::passfile::{Passwords, Whose};
use crate::retry::Patience;
use crate::tls;

/// How often the network is asked whether the other side is still there.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(15);

/// A server, a database and a user.
pub(super) struct Login {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) password: Option<SecretString>,
    /// The mode of encryption, as libpq names it.
    pub(super) sslmode: &'static str,
    pub(super) sslrootcert: Option<String>,
    config: Config,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({self})")
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.database)
    }
}

impl Login {
    pub(super) fn new(
        address: &Address,
        passwords: &Passwords,
        patience: &Patience,
    ) -> Result<Self> {
        let invalid = |message: String| Error::new(Fault::Invalid, message);
        let url = address.url();
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            let message = "the address of a Postgres server begins with postgres://";
            return Err(invalid(message.into()));
        }
        let known = ["sslmode", "sslrootcert", "host"];
        if let Some((name, _)) = url.query_pairs().find(|(name, _)| !known.contains(&&**name)) {
            let hint = format!("it may have: {}", known.join(", "));
            return Err(invalid(format!("the Postgres URL has a parameter `{name}`")).hint(hint));
        }
        let host = address.parameter("host").or_else(|| url.host_str().map(str::to_owned));
        let host = host.unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port().unwrap_or(5432);
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let user = address.user().or_else(|| variable("PGUSER")).or_else(|| variable("USER"));
        let user = user.ok_or_else(|| {
            invalid("the Postgres URL names no user".into()).hint("postgres://USER@HOST/DATABASE")
        })?;
        let path = url.path().trim_start_matches('/').to_owned();
        let database =
            Some(path).filter(|name| !name.is_empty()).or_else(|| variable("PGDATABASE"));
        let database = database.unwrap_or_else(|| user.clone());
        let whose = Whose { host: &host, port, database: &database, user: &user };
        let password = match address.password() {
            Some(password) => Some(password.clone()),
            None => passwords.find(whose)?,
        };
        let (mode, sslmode) = ssl_mode(address, host.starts_with('/'))?;
        let sslrootcert = address.parameter("sslrootcert");
        let mut config = Config::new();
        config
            .host(&host)
            .port(port)
            .dbname(&database)
            .user(&user)
            .application_name("simdex")
            .ssl_mode(mode)
            .connect_timeout(patience.connect)
            .tcp_user_timeout(patience.request)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(3);
        if let Some(password) = &password {
            config.password(password.expose_secret());
        }
        Ok(Self { host, port, database, user, password, sslmode, sslrootcert, config })
    }

    /// A new connection.
    pub(super) fn connect(&self) -> Result<postgres::Client> {
        if self.config.get_ssl_mode() == SslMode::Disable {
            return Ok(self.config.connect(postgres::NoTls)?);
        }
        let tls = tls::config(self.sslrootcert.as_deref().map(Path::new))?;
        Ok(self.config.connect(MakeRustlsConnect::new(tls))?)
    }
}

/// Whether to encrypt. There is nothing between: encryption without a check of the certificate
/// protects from nobody who can change what is sent.
fn ssl_mode(address: &Address, socket: bool) -> Result<(SslMode, &'static str)> {
    match address.parameter("sslmode").as_deref() {
        None | Some("allow" | "prefer") if socket || address.is_here() => {
            Ok((SslMode::Disable, "disable"))
        }
        Some("disable") => Ok((SslMode::Disable, "disable")),
        None | Some("allow" | "prefer" | "require" | "verify-ca" | "verify-full") => {
            Ok((SslMode::Require, "verify-full"))
        }
        Some(_) => {
            let message = "the Postgres URL has an unknown `sslmode`";
            Err(Error::new(Fault::Invalid, message).hint("use disable or verify-full"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(url: &str) -> Result<Login> {
        let address = Address::parse(url).unwrap();
        Login::new(&address, &Passwords::default(), &Patience::default())
    }

    #[test]
    fn urls_are_read_as_libpq_reads_them() {
        let login = login("postgresql://me:hunter2@[::1]:5433/my%20db").unwrap();
        assert_eq!((login.host.as_str(), login.port), ("::1", 5433));
        assert_eq!(login.user, "me");
        assert_eq!(login.sslmode, "disable");
        assert!(!format!("{login:?}").contains("hunter2"));
    }

    #[test]
    fn connections_to_elsewhere_are_encrypted_unless_one_says_otherwise() {
        let mode = |url| login(url).unwrap().config.get_ssl_mode();
        assert_eq!(mode("postgres://me@db.example.com/d"), SslMode::Require);
        assert_eq!(mode("postgres://me@db.example.com/d?sslmode=prefer"), SslMode::Require);
        assert_eq!(mode("postgres://me@db.example.com/d?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://me@localhost/d?sslmode=require"), SslMode::Require);
        assert_eq!(mode("postgres://me@localhost/d"), SslMode::Disable);
        assert!(login("postgres://me@h/d?sslmode=x").is_err());
        assert!(login("postgres://me@h/d?colour=x").is_err());
        assert!(login("http://me@h/d").is_err());
    }
}
