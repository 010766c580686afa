//! A collection in Postgres: a table.

use pgvector::Vector;
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::{ToSql, Type};
use postgres::{Client, Transaction};
use serde_json::Value;

use crate::collection::{Collection, Cursor, Labels, Page, Position, check_batch, check_query};
use crate::error::{Error, Fault, Result};
use crate::pgvector::Settings;
use crate::pgvector::names::{Name, literal};
use crate::pgvector::session::Session;
use crate::pgvector::sql::{self, Comparison, Key};
use crate::record::{Graph, Hit, Only, Query, Record, Space, Spec};

/// About this many bytes of vectors go into one transaction.
const BATCH_BYTES: usize = 16 << 20;

/// Ids read at once.
const PAGE: i64 = 50_000;

/// The label with the measure, and those with the parameters of the graph.
const SPACE: &str = "space";
const NEIGHBORS: &str = "neighbors";
const BUILD_WIDTH: &str = "build_width";

/// What a table is like.
#[derive(Debug, Clone)]
pub(super) struct Found {
    dimensions: usize,
    /// Whether its rows are on other nodes.
    partitioned: bool,
    labels: Labels,
}

/// Looks for a table.
///
/// # Errors
/// `Refused` for one that holds something else.
pub(super) fn find(session: &mut Session, name: &Name) -> Result<Option<Found>> {
    session.run(|client| {
        let row = client.query_opt(
            "SELECT t.relkind = 'p', obj_description(t.oid, 'pg_class'),
                    (SELECT a.atttypmod FROM pg_attribute a
                     WHERE a.attrelid = t.oid AND a.attname = 'embedding'
                       AND format_type(a.atttypid, NULL) LIKE '%vector')
             FROM pg_class t WHERE t.oid = to_regclass($1)",
            &[&name.sql()],
        )?;
        let Some(row) = row else { return Ok(None) };
        let (partitioned, comment): (bool, Option<String>) = (row.get(0), row.get(1));
        let dimensions = row.get::<_, Option<i32>>(2).and_then(|n| usize::try_from(n).ok());
        let labels = comment.and_then(|text| serde_json::from_str::<Labels>(&text).ok());
        match (dimensions, labels) {
            (Some(dimensions), Some(labels)) => Ok(Some(Found { dimensions, partitioned, labels })),
            _ => {
                Err(Error::new(Fault::Refused, format!("the table {} is not simdex's", name.sql()))
                    .hint("use another name"))
            }
        }
    })
}

/// Makes a table on one node. Its index is made by [`Collection::finish`].
pub(super) fn create(session: &mut Session, name: &Name, spec: &Spec) -> Result<()> {
    extension(session, "vector")?;
    session.run(|client| {
        let mut transaction = client.transaction()?;
        let (table, columns) = (name.sql(), sql::columns(spec.dimensions, Key::Primary));
        // Of two that make it at once, one waits and then finds it made.
        transaction.batch_execute(&format!("CREATE TABLE IF NOT EXISTS {table} {columns}"))?;
        label_new(&mut transaction, name, spec)?;
        Ok(transaction.commit()?)
    })
}

/// Notes the labels of a table that has just been made.
pub(super) fn label_new(transaction: &mut Transaction<'_>, name: &Name, spec: &Spec) -> Result<()> {
    let mut labels = spec.labels.clone();
    labels.insert(SPACE.into(), spec.space.name().into());
    for (label, value) in [(NEIGHBORS, spec.graph.neighbors), (BUILD_WIDTH, spec.graph.build_width)]
    {
        labels.extend(value.map(|value| (label.to_owned(), value.to_string())));
    }
    Ok(transaction.batch_execute(&comment(name, &labels))?)
}

fn comment(name: &Name, labels: &Labels) -> String {
    let text = serde_json::json!(labels).to_string();
    format!("COMMENT ON TABLE {} IS {}", name.sql(), literal(&text))
}

/// Makes an extension usable, without asking for rights that are not needed.
pub(super) fn extension(session: &mut Session, name: &str) -> Result<()> {
    session.run(|client| {
        let there = "SELECT 1 FROM pg_extension WHERE extname = $1";
        if client.query_opt(there, &[&name])?.is_none() {
            client.batch_execute(&format!("CREATE EXTENSION IF NOT EXISTS {name}"))?;
        }
        Ok(())
    })
}

/// A table with vectors.
#[derive(Debug)]
pub(super) struct Table {
    session: Session,
    nodes: Vec<Session>,
    name: Name,
    found: Found,
    settings: Settings,
}

impl Table {
    pub(super) fn new(
        session: Session,
        nodes: Vec<Session>,
        name: Name,
        found: Found,
        settings: Settings,
    ) -> Self {
        Self { session, nodes, name, found, settings }
    }

    /// Refuses a table that is not as one wants it.
    pub(super) fn check(&self, spec: &Spec) -> Result<()> {
        let (found, wanted) = (self.found.dimensions, spec.dimensions);
        let table = self.name.sql();
        if found != wanted {
            let message = format!("the table {table} has {found} dimensions, expected {wanted}");
            return Err(Error::new(Fault::Refused, message));
        }
        let (found, wanted) = (self.space()?.name(), spec.space.name());
        if found != wanted {
            let message = format!("the table {table} measures {found}, expected {wanted}");
            return Err(Error::new(Fault::Refused, message));
        }
        Ok(())
    }

    fn space(&self) -> Result<Space> {
        let space = self.found.labels.get(SPACE).and_then(|name| Space::named(name));
        space.ok_or_else(|| Error::new(Fault::Refused, "the table does not say how it measures"))
    }

    fn comparison(&self) -> Result<Comparison> {
        Ok(Comparison::new(self.space()?, self.found.dimensions))
    }

    fn graph(&self) -> Graph {
        let number =
            |label| self.found.labels.get(label).and_then(|text: &String| text.parse().ok());
        Graph {
            neighbors: number(NEIGHBORS),
            build_width: number(BUILD_WIDTH),
            search_width: self.settings.search_width,
        }
    }
}

impl Collection for Table {
    fn largest_batch(&self) -> usize {
        (BATCH_BYTES / (4 * self.found.dimensions.max(1))).max(1)
    }

    fn upsert(&mut self, records: &[Record]) -> Result<()> {
        check_batch(records, self.found.dimensions, usize::MAX)?;
        check_texts(records)?;
        if records.is_empty() {
            return Ok(());
        }
        let (name, partitioned) = (&self.name, self.found.partitioned);
        self.session.run(|client| upsert(client, name, partitioned, records))
    }

    fn delete(&mut self, ids: &[String]) -> Result<()> {
        let statement = format!("DELETE FROM {} WHERE id = ANY($1)", self.name.sql());
        self.session.run(|client| Ok(client.execute(&statement, &[&ids]).map(|_| ())?))
    }

    fn count(&mut self) -> Result<u64> {
        let statement = format!("SELECT count(*) FROM {}", self.name.sql());
        let count =
            self.session.run(|client| Ok(client.query_one(&statement, &[])?.get::<_, i64>(0)));
        Ok(count?.unsigned_abs())
    }

    fn get(&mut self, ids: &[String]) -> Result<Vec<Record>> {
        let columns = "id, embedding, document, metadata";
        let statement = format!("SELECT {columns} FROM {} WHERE id = ANY($1)", self.name.sql());
        self.session.run(|client| {
            let rows = client.query(&statement, &[&ids])?;
            let record = |row: &postgres::Row| -> Result<Record> {
                let metadata = row.try_get::<_, Option<Value>>(3)?;
                Ok(Record {
                    id: row.try_get(0)?,
                    vector: row.try_get::<_, Vector>(1)?.into(),
                    document: row.try_get(2)?,
                    metadata: metadata.and_then(|value| value.as_object().cloned()),
                })
            };
            rows.iter().map(record).collect()
        })
    }

    fn page(&mut self, from: &Cursor) -> Result<Page> {
        let table = self.name.sql();
        let condition = match &from.0 {
            Position::After(_) => "WHERE id > $1",
            // Nothing is below an empty id. The parameter has to be there.
            Position::First | Position::Skipping(_) => "WHERE id >= $1",
        };
        let after = match &from.0 {
            Position::After(id) => id.as_str(),
            Position::First | Position::Skipping(_) => "",
        };
        let statement = format!("SELECT id FROM {table} {condition} ORDER BY id LIMIT {PAGE}");
        let ids: Vec<String> = self.session.run(|client| {
            let rows = client.query(&statement, &[&after])?;
            rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
        })?;
        let next = ids.last().cloned().map(|last| Cursor(Position::After(last)));
        Ok(Page { ids, next })
    }

    fn query(&mut self, query: &Query<'_>) -> Result<Vec<Vec<Hit>>> {
        check_query(query, self.found.dimensions)?;
        let distance = self.comparison()?.distance();
        let condition = match query.only {
            Only::All => "",
            Only::Ids(_) => "WHERE id = ANY($2)",
            Only::Matching(_) => "WHERE metadata @> $2",
        };
        let limit = i64::try_from(query.k).unwrap_or(i64::MAX);
        let table = self.name.sql();
        let statement = format!(
            "SELECT id, ({distance})::float8 FROM {table} {condition}
             ORDER BY {distance} LIMIT {limit}"
        );
        let matching = match query.only {
            Only::Matching(metadata) => Value::Object(metadata.clone()),
            _ => Value::Null,
        };
        self.session.run(|client| {
            let prepared = client.prepare(&statement)?;
            let search = |vector: &Vec<f32>| -> Result<Vec<Hit>> {
                let vector = Vector::from(vector.clone());
                let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&vector];
                match &query.only {
                    Only::All => {}
                    Only::Ids(ids) => parameters.push(ids),
                    Only::Matching(_) => parameters.push(&matching),
                }
                let rows = client.query(&prepared, &parameters)?;
                let hit = |row: &postgres::Row| {
                    Ok(Hit { id: row.try_get(0)?, distance: row.try_get(1)? })
                };
                rows.iter().map(hit).collect()
            };
            query.vectors.iter().map(search).collect()
        })
    }

    fn labels(&mut self) -> Result<Labels> {
        let missing =
            || Error::new(Fault::NotFound, format!("the table {} is gone", self.name.sql()));
        self.found = find(&mut self.session, &self.name)?.ok_or_else(missing)?;
        Ok(self.found.labels.clone())
    }

    fn set_labels(&mut self, labels: &Labels) -> Result<()> {
        let mut all = self.labels()?;
        all.extend(labels.clone());
        let statement = comment(&self.name, &all);
        self.session.run(|client| Ok(client.batch_execute(&statement)?))?;
        self.found.labels = all;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let (comparison, graph, settings) =
            (self.comparison()?, self.graph(), self.settings.clone());
        if !self.found.partitioned {
            return make_index(&mut self.session, &self.name, comparison, &graph, &settings);
        }
        let partition = |number| self.name.partition(number);
        for (number, node) in self.nodes.iter_mut().enumerate() {
            make_index(node, &partition(number), comparison, &graph, &settings)?;
        }
        analyze(&mut self.session, &self.name)
    }
}

/// Puts records in, in one transaction: through a temporary table, because COPY alone can't replace.
fn upsert(client: &mut Client, name: &Name, partitioned: bool, records: &[Record]) -> Result<()> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute(
        "CREATE TEMPORARY TABLE simdex_new
         (id text COLLATE \"C\", embedding vector, document text, metadata jsonb) ON COMMIT DROP",
    )?;
    copy(&mut transaction, records)?;
    let table = name.sql();
    let insert =
        format!("INSERT INTO {table} SELECT id, embedding, document, metadata FROM simdex_new");
    if partitioned {
        // Foreign tables have no ON CONFLICT.
        let ids: Vec<_> = records.iter().map(|record| record.id.as_str()).collect();
        transaction.execute(&format!("DELETE FROM {table} WHERE id = ANY($1)"), &[&ids])?;
        transaction.execute(&insert, &[])?;
    } else {
        let replace = "ON CONFLICT (id) DO UPDATE SET embedding = EXCLUDED.embedding,
                       document = EXCLUDED.document, metadata = EXCLUDED.metadata";
        transaction.execute(&format!("{insert} {replace}"), &[])?;
    }
    Ok(transaction.commit()?)
}

fn copy(transaction: &mut Transaction<'_>, records: &[Record]) -> Result<()> {
    let statement = transaction.prepare("SELECT NULL::vector")?;
    let vector = statement.columns().first().map(|column| column.type_().clone());
    let vector = vector.ok_or_else(|| Error::new(Fault::Refused, "there is no type `vector`"))?;
    let writer = transaction.copy_in("COPY simdex_new FROM STDIN BINARY")?;
    let types = [Type::TEXT, vector, Type::TEXT, Type::JSONB];
    let mut writer = BinaryCopyInWriter::new(writer, &types);
    for record in records {
        let metadata = record.metadata.clone().map(Value::Object);
        let vector = Vector::from(record.vector.clone());
        writer.write(&[&record.id, &vector, &record.document, &metadata])?;
    }
    writer.finish()?;
    Ok(())
}

/// Refuses texts with NUL, which Postgres can't hold.
fn check_texts(records: &[Record]) -> Result<()> {
    let nul = |text: &str| text.contains('\0');
    let bad = records.iter().find(|record| {
        let metadata =
            record.metadata.as_ref().is_some_and(|map| holds_nul(&Value::Object(map.clone())));
        nul(&record.id) || record.document.as_deref().is_some_and(nul) || metadata
    });
    match bad {
        None => Ok(()),
        Some(record) => {
            let message = "its text has a NUL, which Postgres can't hold";
            Err(Error::new(Fault::Unfit, message).about(&record.id))
        }
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(map) => {
            map.iter().any(|(name, value)| name.contains('\0') || holds_nul(value))
        }
        _ => false,
    }
}

fn make_index(
    session: &mut Session,
    name: &Name,
    comparison: Comparison,
    graph: &Graph,
    settings: &Settings,
) -> Result<()> {
    if let Some(statement) = comparison.index(name, graph) {
        session.run(|client| {
            let mut transaction = client.transaction()?;
            transaction.batch_execute("SET LOCAL statement_timeout = 0")?;
            if let Some(memory) = &settings.build_memory {
                let memory = literal(memory);
                transaction.batch_execute(&format!("SET LOCAL maintenance_work_mem = {memory}"))?;
            }
            transaction.batch_execute(&statement)?;
            Ok(transaction.commit()?)
        })?;
    }
    analyze(session, name)
}

/// Tells the planner how many rows there are.
fn analyze(session: &mut Session, name: &Name) -> Result<()> {
    let statement = format!("ANALYZE {}", name.sql());
    session.run(|client| Ok(client.batch_execute(&statement)?))
}
