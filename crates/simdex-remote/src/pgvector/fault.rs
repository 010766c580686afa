//! What an error of Postgres means.

use std::error::Error as _;

use crate::error::{Error, Fault};

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        let fault = fault_of(&error);
        let message = match error.as_db_error() {
            // Not its detail, which may hold values.
            Some(said) => said.message().to_owned(),
            None => match error.source() {
                Some(source) => format!("{error}: {source}").trim_end_matches(": ").to_owned(),
                None => error.to_string(),
            },
        };
        let hint = match error.code().map(|code| code.code()) {
            Some("28P01") => Some("set PGPASSWORD, or name a file with the password"),
            Some("42704" | "0A000") if message.contains("vector") => {
                Some("install pgvector on the server: https://github.com/pgvector/pgvector")
            }
            Some("58P01") => {
                Some("install pgvector on the server: https://github.com/pgvector/pgvector")
            }
            _ if fault == Fault::Denied && message.contains("certificate") => {
                Some(crate::tls::HINT)
            }
            _ => None,
        };
        let error = Self::new(fault, message);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// By the classes of SQLSTATE, and for what has no state by the words of the client.
fn fault_of(error: &postgres::Error) -> Fault {
    let Some(state) = error.code() else {
        let text = error.to_string();
        let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
        return if begins(&["error serializing", "error deserializing", "error parsing"])
            || begins(&["invalid configuration", "query returned"])
        {
            Fault::Refused
        } else if begins(&["authentication error", "error performing TLS"]) {
            match cut_in_the_middle(error) {
                true => Fault::Unreachable,
                false => Fault::Denied,
            }
        } else {
            Fault::Unreachable
        };
    };
    match (state.code().get(..2), state.code()) {
        // No connection, shutting down or starting up, out of connections, serialization.
        (Some("08" | "53"), _) | (_, "57P01" | "57P02" | "57P03" | "57014" | "40001" | "40P01") => {
            Fault::Unreachable
        }
        (Some("28"), _) | (_, "42501") => Fault::Denied,
        // Values out of range, a constraint or a trigger that the table was given, an id too long
        // for an index.
        (Some("22" | "23"), _) | (_, "P0001" | "54000") => Fault::Unfit,
        (_, "42P01" | "3F000") => Fault::NotFound,
        _ => Fault::Refused,
    }
}

/// Whether the network ended a handshake, and nobody's judgement.
fn cut_in_the_middle(error: &postgres::Error) -> bool {
    use std::io::ErrorKind;
    let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|source| {
        matches!(
            source.kind(),
            ErrorKind::UnexpectedEof
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::TimedOut
        )
    })
}
