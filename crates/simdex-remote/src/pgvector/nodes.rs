//! A table whose rows are on several nodes: hash partitions that are foreign tables.

use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::error::Result;
use crate::pgvector::login::Login;
use crate::pgvector::names::{Name, literal, quoted};
use crate::pgvector::session::Session;
use crate::pgvector::sql::{self, Key};
use crate::pgvector::{Settings, table};
use crate::record::Spec;

/// Rows sent to a node, and read from one, at once.
const ROWS_SENT: usize = 500;
const ROWS_READ: usize = 1000;

/// How a server reaches its nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links<'a> {
    pub(super) logins: &'a [Arc<Login>],
    pub(super) settings: &'a Settings,
}

/// Makes the tables on the nodes, and the table over them.
pub(super) fn create(
    session: &mut Session,
    nodes: &mut [Session],
    links: &Links<'_>,
    name: &Name,
    spec: &Spec,
) -> Result<()> {
    for (number, node) in nodes.iter_mut().enumerate() {
        table::create(node, &name.partition(number), spec)?;
    }
    table::extension(session, "vector")?;
    table::extension(session, "postgres_fdw")?;
    session.run(|client| {
        let mut transaction = client.transaction()?;
        let (table, columns) = (name.sql(), sql::columns(spec.dimensions, Key::Plain));
        transaction
            .batch_execute(&format!("CREATE TABLE {table} {columns} PARTITION BY HASH (id)"))?;
        for (number, login) in links.logins.iter().enumerate() {
            transaction.batch_execute(&link(name, number, login, links.settings))?;
            transaction.batch_execute(&partition(name, number, links.logins.len()))?;
        }
        table::label_new(&mut transaction, name, spec)?;
        Ok(transaction.commit()?)
    })
}

/// The statements that make a node known to the server.
fn link(name: &Name, number: usize, login: &Login, settings: &Settings) -> String {
    let server = quoted(&name.server(number));
    let root = login.sslrootcert.as_ref().map(|path| format!(", sslrootcert {}", literal(path)));
    let password = login.password.as_ref().map_or_else(String::new, |password| {
        format!(", password {}", literal(password.expose_secret()))
    });
    format!(
        "CREATE SERVER {server} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (
             host {host}, port '{port}', dbname {database}, sslmode '{mode}'{root},
             options {options}, extensions 'vector', use_remote_estimate 'true',
             async_capable 'true', fetch_size '{ROWS_READ}', batch_size '{ROWS_SENT}');
         CREATE USER MAPPING FOR CURRENT_USER SERVER {server} OPTIONS (user {user}{password})",
        host = literal(&login.host),
        port = login.port,
        database = literal(&login.database),
        mode = login.sslmode,
        root = root.unwrap_or_default(),
        options = literal(&sql::node_options(settings)),
        user = literal(&login.user),
    )
}

fn partition(name: &Name, number: usize, count: usize) -> String {
    let part = name.partition(number);
    let (schema, table) = part.parts();
    let schema =
        schema.map_or_else(String::new, |schema| format!(", schema_name {}", literal(schema)));
    format!(
        "CREATE FOREIGN TABLE {part} PARTITION OF {table_sql}
         FOR VALUES WITH (MODULUS {count}, REMAINDER {number})
         SERVER {server} OPTIONS (table_name {table}{schema})",
        part = name.foreign(number).sql(),
        table_sql = name.sql(),
        server = quoted(&name.server(number)),
        table = literal(table),
    )
}

/// Removes a table, and the foreign tables that are its partitions.
pub(super) fn drop_table(session: &mut Session, name: &Name) -> Result<()> {
    let statement = format!("DROP TABLE IF EXISTS {}", name.sql());
    session.run(|client| Ok(client.batch_execute(&statement)?))
}

/// Removes what a server knows of its nodes for a table, and the tables on the nodes.
pub(super) fn remove(session: &mut Session, nodes: &mut [Session], name: &Name) -> Result<()> {
    for (number, node) in nodes.iter_mut().enumerate() {
        let server = quoted(&name.server(number));
        let statement = format!("DROP SERVER IF EXISTS {server} CASCADE");
        session.run(|client| Ok(client.batch_execute(&statement)?))?;
        drop_table(node, &name.partition(number))?;
    }
    Ok(())
}
