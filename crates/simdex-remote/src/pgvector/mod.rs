//! Postgres with the extension pgvector, on one node or several.
//!
//! Written against Postgres 18 with pgvector 0.8. A collection is a table `(id text PRIMARY KEY,
//! embedding vector(n), document text, metadata jsonb)` with an HNSW index and, in its comment,
//! labels. Vectors of more than 2,000 dimensions are indexed in half precision, those of more than
//! 4,000 not at all: that is as far as pgvector's indexes go.
//!
//! With several nodes the table is partitioned by the hash of the id, and its partitions are foreign
//! tables (`postgres_fdw`) over tables on the nodes. Clients talk to the first server alone, except
//! for making and removing tables.

mod fault;
mod login;
mod names;
mod nodes;
mod passfile;
mod session;
mod sql;
mod table;

use std::sync::Arc;

use crate::collection::{Collection, Server};
use crate::error::{Error, Fault, Result};
use crate::record::Spec;
use crate::retry::Patience;
use login::Login;
use names::Name;
use session::Session;
use table::Table;

pub use passfile::{Environment, Passwords};

use crate::address::Address;

/// How a server is used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// `hnsw.ef_search` of searches; `None`: pgvector's default, 40.
    pub search_width: Option<u32>,
    /// `maintenance_work_mem` while the index is made, as Postgres spells sizes (`2GB`); `None`: as
    /// the server has it. An index that doesn't fit in it takes many times as long.
    pub build_memory: Option<String>,
}

/// A Postgres server, and the nodes that hold its rows if it doesn't hold them itself.
#[derive(Debug, Clone)]
pub struct Postgres {
    login: Arc<Login>,
    nodes: Vec<Arc<Login>>,
    settings: Settings,
    patience: Patience,
}

impl Postgres {
    /// The server at `address`, such as `postgres://me@db.example.com:5432/vectors`. Nothing is sent
    /// yet.
    ///
    /// Connections to other machines are encrypted, and the server's certificate is checked against
    /// those that this machine trusts, or those in the file of the URL's parameter `sslrootcert`;
    /// `sslmode=disable` does without.
    ///
    /// # Errors
    /// `Invalid` for an address that is not Postgres's or has parameters that are not known.
    pub fn new(address: &Address, passwords: &Passwords, patience: Patience) -> Result<Self> {
        let login = Arc::new(Login::new(address, passwords, &patience)?);
        Ok(Self { login, nodes: Vec::new(), settings: Settings::default(), patience })
    }

    /// The same with other settings.
    ///
    /// # Errors
    /// `Invalid` for a size that is none.
    pub fn with_settings(self, settings: Settings) -> Result<Self> {
        let size = |text: &str| {
            let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let unit = &text[digits.len()..];
            let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            number && ["", "kB", "MB", "GB", "TB"].contains(&unit)
        };
        match &settings.build_memory {
            Some(text) if !size(text) => {
                Err(Error::new(Fault::Invalid, format!("`{text}` is no amount of memory"))
                    .hint("for example 512MB or 2GB"))
            }
            _ => Ok(Self { settings, ..self }),
        }
    }

    /// The same with rows on these nodes, in this order, which has to stay the same.
    ///
    /// The server reaches them under the same addresses, and keeps the passwords in its user
    /// mappings, as `postgres_fdw` needs.
    ///
    /// # Errors
    /// As [`Postgres::new`].
    pub fn with_nodes(self, nodes: &[Address], passwords: &Passwords) -> Result<Self> {
        let login = |address| Login::new(address, passwords, &self.patience).map(Arc::new);
        Ok(Self { nodes: nodes.iter().map(login).collect::<Result<_>>()?, ..self })
    }

    fn session(&self) -> Session {
        Session::new(
            Arc::clone(&self.login),
            sql::setup(&self.settings, &self.patience),
            self.patience,
        )
    }

    fn node_sessions(&self) -> Vec<Session> {
        let setup = sql::setup(&self.settings, &self.patience);
        let session = |node| Session::new(Arc::clone(node), setup.clone(), self.patience);
        self.nodes.iter().map(session).collect()
    }

    fn table(&self, mut session: Session, name: Name) -> Result<Option<Table>> {
        let Some(found) = table::find(&mut session, &name)? else { return Ok(None) };
        Ok(Some(Table::new(session, self.node_sessions(), name, found, self.settings.clone())))
    }
}

impl Server for Postgres {
    fn version(&self) -> Result<String> {
        self.session().run(|client| {
            let row = client.query_one(
                "SELECT current_setting('server_version'),
                        (SELECT default_version FROM pg_available_extensions WHERE name = 'vector')",
                &[],
            )?;
            let (server, vector): (String, Option<String>) = (row.get(0), row.get(1));
            Ok(match vector {
                Some(vector) => format!("Postgres {server}, pgvector {vector}"),
                None => format!("Postgres {server} without pgvector"),
            })
        })
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Collection>> {
        let name = Name::parse(&spec.name)?;
        let mut session = self.session();
        if table::find(&mut session, &name)?.is_none() {
            match self.nodes.as_slice() {
                [] => table::create(&mut session, &name, spec)?,
                nodes => {
                    let links = nodes::Links { logins: nodes, settings: &self.settings };
                    nodes::create(&mut session, &mut self.node_sessions(), &links, &name, spec)?;
                }
            }
        }
        match self.table(session, name)? {
            Some(table) => {
                table.check(spec)?;
                Ok(Box::new(table))
            }
            None => Err(Error::new(Fault::Refused, "the table was removed as it was made")),
        }
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Collection>>> {
        let table = self.table(self.session(), Name::parse(name)?)?;
        Ok(table.map(|table| Box::new(table) as Box<dyn Collection>))
    }

    fn remove(&self, name: &str) -> Result<bool> {
        let name = Name::parse(name)?;
        let mut session = self.session();
        let existed = table::find(&mut session, &name)?.is_some();
        if existed {
            nodes::drop_table(&mut session, &name)?;
        }
        nodes::remove(&mut session, &mut self.node_sessions(), &name)?;
        Ok(existed)
    }
}
