//! Passwords of Postgres's users, from where Postgres's own programs take them.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::error::Result;

/// Where passwords that no address holds come from: a file with nothing else in it, `PGPASSWORD`,
/// the password file of Postgres (`PGPASSFILE`, else `~/.pgpass`); the first that there is.
#[derive(Debug, Clone, Default)]
pub struct Passwords {
    /// A file with the password in its first line.
    pub file: Option<PathBuf>,
    /// Whether `PGPASSWORD` is one.
    pub environment: Environment,
}

/// Whether the environment's password is meant for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Environment {
    /// It is: who set it named the server as well.
    #[default]
    Used,
    /// It isn't: the server was named by somebody who may not be trusted. Postgres's password file
    /// says itself what is meant for whom.
    Ignored,
}

/// Whose password is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

impl Passwords {
    /// The password of somebody, if there is one.
    pub(super) fn find(&self, whose: Whose<'_>) -> Result<Option<SecretString>> {
        if let Some(path) = &self.file {
            return crate::read_secret(path).map(Some);
        }
        if self.environment == Environment::Used
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            return Ok(Some(SecretString::from(password)));
        }
        let path = std::env::var_os("PGPASSFILE")
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".pgpass")));
        let Some(path) = path.filter(|path| is_private(path)) else { return Ok(None) };
        Ok(std::fs::read_to_string(path).ok().and_then(|text| entry(&text, whose)))
    }
}

/// Whether nobody else can read a file. Postgres's programs don't use one that others can.
fn is_private(path: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(path) else { return false };
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others can read this password file: it is not used");
        return false;
    }
    metadata.is_file()
}

/// The password of the first line `host:port:database:user:password` that fits; `*` fits all.
fn entry(text: &str, whose: Whose<'_>) -> Option<SecretString> {
    let port = whose.port.to_string();
    let wanted = [whose.host, &port, whose.database, whose.user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let (password, rest) = fields.split_last()?;
        let fits = |(field, wanted): (&String, &&str)| field == "*" || field == *wanted;
        let all = rest.len() == wanted.len() && rest.iter().zip(&wanted).all(fits);
        all.then(|| SecretString::from(password.clone()))
    })
}

/// The parts between colons, where `\:` and `\\` stand for `:` and `\`.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (character, fields.last_mut()) {
            (':', _) => fields.push(String::new()),
            ('\\', Some(field)) => field.extend(characters.next()),
            (other, Some(field)) => field.push(other),
            (_, None) => {}
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# mine\nbroken\nother:5432:*:*:no\nh:*:d:u:hun\\:ter\\\\2\n*:*:*:*:last";
        let find = |host, user| {
            let whose = Whose { host, port: 5432, database: "d", user };
            entry(text, whose).unwrap().expose_secret().to_owned()
        };
        assert_eq!(find("h", "u"), "hun:ter\\2");
        assert_eq!(find("h", "else"), "last");
        assert_eq!(find("other", "u"), "no");
    }
}
