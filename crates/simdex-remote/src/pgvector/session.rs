//! A connection that is made when it is needed, and made anew when it breaks.

use std::fmt;
use std::sync::Arc;

use postgres::Client;

use crate::error::{Error, Result};
use crate::pgvector::login::Login;
use crate::retry::Patience;

/// A connection to one server.
pub(super) struct Session {
    login: Arc<Login>,
    setup: String,
    patience: Patience,
    client: Option<Client>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.login)
    }
}

impl Session {
    /// One that begins with the statements of `setup`. Nothing is sent yet.
    pub(super) fn new(login: Arc<Login>, setup: String, patience: Patience) -> Self {
        Self { login, setup, patience, client: None }
    }

    /// Lets `work` happen, again if the connection breaks: whatever it changes, it must change in
    /// one transaction, and the same when it is done twice.
    pub(super) fn run<T>(&mut self, mut work: impl FnMut(&mut Client) -> Result<T>) -> Result<T> {
        let Self { login, setup, patience, client } = self;
        patience.repeat(|| {
            let mut connected = match client.take().filter(|client| !client.is_closed()) {
                Some(client) => client,
                None => connect(login, setup)?,
            };
            let done = work(&mut connected).map_err(|error| placed(login, error));
            // What is left of a connection that failed half-way may be anything.
            if !done.as_ref().is_err_and(Error::may_pass) {
                *client = Some(connected);
            }
            done
        })
    }
}

fn connect(login: &Login, setup: &str) -> Result<Client> {
    let connected = login.connect().and_then(|mut client| {
        client.batch_execute(setup)?;
        Ok(client)
    });
    connected.map_err(|error| placed(login, error))
}

/// An error, with where it happened.
fn placed(login: &Login, error: Error) -> Error {
    let placed = Error::new(error.fault(), format!("Postgres at {login}: {error}"));
    match error.next_step() {
        Some(hint) => placed.hint(hint),
        None => placed,
    }
}
