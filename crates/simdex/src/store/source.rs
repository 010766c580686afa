//! Sources: what an index covers, and the SQL that reads it.
//!
//! Each store turns a definition into a [`Relation`]: which table, which columns, which rows. All
//! else (scan, look-up, filter, content) is the same SQL for every store.

use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};

use crate::engine::api::{Filter, NewSource};
use crate::error::{Error, ErrorKind, Result};
use crate::observe::{Observer, Silent};
use crate::store::Id;
use crate::store::blob::{self, Defect};
use crate::store::connection::Columns;
use crate::store::database::{ReadTransaction, integer, quote, text};
use crate::types::Metric;

/// One source of a definition, as the catalog keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "store", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// A collection of llm's.
    Collection {
        /// Its name.
        name: String,
        /// The model of its vectors, as of the definition.
        model: Option<String>,
    },
    /// A table or view with an id and a blob column.
    Table {
        /// Its name.
        name: String,
        /// The id column.
        id: String,
        /// The blob column.
        embedding: String,
        /// SQL condition that rows must meet.
        filter: Option<String>,
    },
}

impl Source {
    /// The name of the collection or table, which results carry.
    pub fn name(&self) -> &str {
        match self {
            Self::Collection { name, .. } | Self::Table { name, .. } => name,
        }
    }

    /// The metric used when none is asked for.
    pub fn default_metric(&self) -> Metric {
        match self {
            Self::Collection { .. } => Metric::Cosine,
            Self::Table { .. } => Metric::L2,
        }
    }

    /// Finds what a user named, with every default filled in.
    ///
    /// # Errors
    /// `NotFound` with the names there are.
    pub fn find(new: &NewSource, read: &ReadTransaction<'_>) -> Result<Self> {
        match new {
            NewSource::Collection(name) => Ok(llm::find(name, read)?.source),
            NewSource::Table { table, id_column, embedding_column, filter } => {
                let (id, embedding) = (id_column.as_deref(), embedding_column.as_deref());
                table::find(table, id, embedding, filter.as_deref(), read)
            }
        }
    }

    /// The SQL that reads it, as the database is now.
    ///
    /// # Errors
    /// `NotFound` when it is gone, `Invalid` when it is not what the definition was made for.
    pub fn relation(&self, read: &ReadTransaction<'_>) -> Result<Relation> {
        match self {
            Self::Collection { name, model } => llm::relation(name, model.as_deref(), read),
            Self::Table { name, id, embedding, filter } => {
                table::find(name, Some(id), Some(embedding), filter.as_deref(), read)?;
                Ok(table::relation(name, id, embedding, filter.as_deref()))
            }
        }
    }
}

/// Rows of one table: which columns, under which condition.
#[derive(Debug, Clone)]
pub struct Relation {
    from: String,
    /// How a scan of all rows reads the table; look-ups leave that to SQLite.
    scan: Access,
    id: String,
    embedding: String,
    condition: String,
    parameters: Vec<i64>,
    content: Option<&'static str>,
}

/// How a scan reaches the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// From the first page of the table to the last, if most of its rows are wanted. An index on
    /// the condition gives rows in its own order, which jumps from page to page: 2.5 times as slow
    /// for all rows of a table, and the faster way to a few.
    TableOrderIfMost,
    /// As SQLite's planner sees fit.
    Planned,
}

/// Which rows a walk visits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    /// All of them.
    All,
    /// So many from an id on, in the order of ids.
    Page {
        /// The last id that is not wanted; `None`: from the first.
        after: Option<&'a Id>,
        /// How many rows.
        most: usize,
    },
    /// Those with one id.
    Id(&'a Id),
}

/// A row's id as stored, and its vector or why it can't be searched.
pub type FoundRow = (Id, Result<Vec<f32>, Defect>);

/// What SQLite stores beside an embedding.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// The text that was embedded.
    pub content: Option<String>,
    /// JSON text.
    pub metadata: Option<String>,
}

impl Relation {
    /// Hands every row's id and embedding to `visit`, in the order SQLite stores them.
    ///
    /// # Errors
    /// Those of SQLite and `visit`.
    pub fn scan(
        &self,
        read: &ReadTransaction<'_>,
        observer: &dyn Observer,
        mut visit: impl FnMut(&Columns<'_>) -> Result<()>,
    ) -> Result<()> {
        let Self { id, embedding, from, condition, .. } = self;
        let access = self.access(read)?;
        let sql = format!("SELECT {id}, {embedding} FROM {from} {access} WHERE (\n{condition}\n)");
        read.each(&sql, &self.bind(&[]), observer, &mut visit)
    }

    fn access(&self, read: &ReadTransaction<'_>) -> Result<&'static str> {
        match self.scan {
            Access::TableOrderIfMost if self.is_most_of_its_table(read)? => Ok("NOT INDEXED"),
            _ => Ok(""),
        }
    }

    fn is_most_of_its_table(&self, read: &ReadTransaction<'_>) -> Result<bool> {
        let all = Self { condition: "1".into(), parameters: Vec::new(), ..self.clone() };
        Ok(self.count(read)?.saturating_mul(2) >= all.count(read)?)
    }

    /// Hands every row to `visit` with these columns, which are SQL, in the order SQLite stores them
    /// or, after an id, in the order of ids from the first greater one on, `most` rows.
    ///
    /// # Errors
    /// Those of SQLite and `visit`.
    pub(crate) fn walk(
        &self,
        columns: &str,
        part: Part<'_>,
        read: &ReadTransaction<'_>,
        observer: &dyn Observer,
        mut visit: impl FnMut(&Columns<'_>) -> Result<()>,
    ) -> Result<()> {
        let Self { id, from, condition, .. } = self;
        match part {
            Part::All => {
                let access = self.access(read)?;
                let sql = format!("SELECT {columns} FROM {from} {access} WHERE (\n{condition}\n)");
                read.each(&sql, &self.bind(&[]), observer, &mut visit)
            }
            Part::Page { after, most } => {
                let most = ValueRef::Integer(i64::try_from(most).unwrap_or(i64::MAX));
                let (later, parameters) = match after {
                    // Nothing is greater than NULL, which comes before all else.
                    Some(Id::Null) => (format!("{id} IS NOT NULL"), self.bind(&[most])),
                    Some(after) => (format!("{id} > ?"), self.bind(&[after.as_sql(), most])),
                    None => (String::new(), self.bind(&[most])),
                };
                let sql = format!("{} ORDER BY {id} LIMIT ?", self.select(columns, &later));
                read.each(&sql, &parameters, observer, &mut visit)
            }
            Part::Id(wanted) => {
                let sql = self.select(columns, &format!("{id} IS ?"));
                read.each(&sql, &self.bind(&[wanted.as_sql()]), observer, &mut visit)
            }
        }
    }

    /// Number of rows, for progress. Cheap: it reads no embedding.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn count(&self, read: &ReadTransaction<'_>) -> Result<u64> {
        let mut rows = 0;
        read.each(&self.select("count(*)", ""), &self.bind(&[]), &Silent, |row| {
            rows = integer(row, 0).unsigned_abs();
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first row whose id is `id`: its id as stored (`'1'` finds 1 in an INTEGER column), and
    /// its embedding or why it can't be searched. `None` where there is no such row.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn find(
        &self,
        id: &Id,
        metric: Metric,
        read: &ReadTransaction<'_>,
    ) -> Result<Option<FoundRow>> {
        let Self { id: id_column, embedding, .. } = self;
        let columns = format!("{id_column}, {embedding}");
        let sql = self.select(&columns, &format!("{id_column} IS ?"));
        let mut found = None;
        read.each(&sql, &self.bind(&[id.as_sql()]), &Silent, |row| {
            if found.is_none() {
                let (id, embedding) = pair(row)?;
                let vector = blob::check(embedding, metric).map(blob::decode);
                found = Some((Id::from_sql(id), vector));
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The ids of the rows that meet all of the user's conditions.
    ///
    /// # Errors
    /// `Invalid` with SQLite's message, and those of `visit`.
    pub fn ids_where(
        &self,
        filter: &Filter,
        read: &ReadTransaction<'_>,
        observer: &dyn Observer,
        mut visit: impl FnMut(Id) -> Result<()>,
    ) -> Result<()> {
        let mut conditions = Vec::new();
        let mut prefix = None;
        if let Some(text) = &filter.prefix {
            conditions.push(format!("{} LIKE ? || '%'", self.id));
            prefix = Some(ValueRef::from(text.as_str()));
        }
        if let Some(condition) = &filter.condition {
            check_condition(condition)?;
            conditions.push(condition.clone());
        }
        if let Some(select) = &filter.ids {
            let select = select.trim().trim_end_matches(';');
            check_condition(select)?;
            // As a subquery, so that '1' and 1 compare by SQLite's own rules of affinity.
            conditions.push(format!("{} IN (\n{select}\n)", self.id));
        }
        let sql = self.select(&self.id, &conditions.join("\n) AND (\n"));
        let parameters = self.bind(prefix.as_slice());
        let run = || read.each(&sql, &parameters, observer, |row| visit(Id::from_sql(first(row)?)));
        read.interruptible(observer, run).map_err(|error| match error.kind() {
            ErrorKind::Database => self.refused(error, read),
            _ => error,
        })
    }

    /// The error for a filter that SQLite can't run.
    fn refused(&self, error: Error, read: &ReadTransaction<'_>) -> Error {
        let names = match error.to_string().contains("no such column") {
            true => read.column_names(&format!("SELECT * FROM {} LIMIT 0", self.from)).ok(),
            false => None,
        };
        let refused = Error::new(ErrorKind::Invalid, "the filter can't be used").source(error);
        match names {
            Some(names) => refused.hint(format!("columns: {}", names.join(", "))),
            None => refused,
        }
    }

    /// Content and metadata of the row with this id, where the store keeps them.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn stored(&self, id: &Id, read: &ReadTransaction<'_>) -> Result<Stored> {
        let mut stored = Stored::default();
        let Some(columns) = self.content else { return Ok(stored) };
        let sql = self.select(columns, &format!("{} IS ?", self.id));
        read.each(&sql, &self.bind(&[id.as_sql()]), &Silent, |row| {
            let (content, metadata) = pair(row)?;
            let shown = |value| match Id::from_sql(value) {
                Id::Null => None,
                value => Some(value.to_string()),
            };
            stored = Stored { content: shown(content), metadata: shown(metadata) };
            Ok(())
        })?;
        Ok(stored)
    }

    fn select(&self, columns: &str, and: &str) -> String {
        let Self { from, condition, .. } = self;
        // The line breaks keep a comment at the end of a user's condition from hiding ours.
        match and {
            "" => format!("SELECT {columns} FROM {from} WHERE (\n{condition}\n)"),
            and => format!("SELECT {columns} FROM {from} WHERE (\n{condition}\n) AND (\n{and}\n)"),
        }
    }

    fn bind<'a>(&self, more: &[ValueRef<'a>]) -> Vec<ValueRef<'a>> {
        let own = self.parameters.iter().map(|value| ValueRef::Integer(*value));
        own.chain(more.iter().copied()).collect()
    }
}

/// The first column of a row.
fn first<'r>(columns: &Columns<'r>) -> Result<ValueRef<'r>> {
    columns.first().copied().ok_or_else(too_few)
}

/// The first two columns of a row.
pub fn pair<'r>(columns: &Columns<'r>) -> Result<(ValueRef<'r>, ValueRef<'r>)> {
    match columns {
        [first, second, ..] => Ok((*first, *second)),
        _ => Err(too_few()),
    }
}

fn too_few() -> Error {
    Error::new(ErrorKind::Internal, "SQLite gave fewer columns than were asked for")
}

/// Refuses a condition that would close the parenthesis it is put in.
fn check_condition(condition: &str) -> Result<()> {
    let mut depth = 0_i64;
    let mut characters = condition.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\'' | '"' | '`' => while characters.next().is_some_and(|next| next != character) {},
            '[' => while characters.next().is_some_and(|next| next != ']') {},
            '-' if characters.peek() == Some(&'-') => {
                while characters.next().is_some_and(|next| next != '\n') {}
            }
            '/' if characters.peek() == Some(&'*') => {
                characters.next();
                let mut star = false;
                // One that has no end would hide what we put behind the condition.
                let ends = characters.any(|next| {
                    let end = star && next == '/';
                    star = next == '*';
                    end
                });
                if !ends {
                    depth = i64::MIN;
                }
            }
            // SQLite reads no further.
            '\0' => depth = i64::MIN,
            _ => {}
        }
        if depth < 0 {
            break;
        }
    }
    if depth == 0 && !condition.trim().is_empty() {
        return Ok(());
    }
    let message = "the SQL condition is empty, or its parentheses or comments don't match";
    Err(Error::new(ErrorKind::Invalid, message).with("condition", condition))
}

pub mod llm {
    //! Collections of llm's: tables `collections` and `embeddings`.

    use super::*;

    /// The table with the rows of all collections.
    pub(crate) const EMBEDDINGS: &str = "embeddings";

    /// A collection as it stands.
    #[derive(Debug, Clone)]
    pub struct Collection {
        /// Its id now; SQLite gives the ids of dropped collections to new ones.
        pub id: i64,
        /// What a definition keeps of it.
        pub source: Source,
    }

    /// Every collection, by name. Empty where the database has none of llm's tables.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn collections(read: &ReadTransaction<'_>) -> Result<Vec<Collection>> {
        let mut found = Vec::new();
        if !has_tables(read)? {
            return Ok(found);
        }
        let sql =
            "SELECT id, name, model FROM main.collections WHERE name IS NOT NULL ORDER BY name";
        read.each(sql, &[], &Silent, |row| {
            // A name that is no text can't be asked for, and must not hide the others.
            if let Some(name) = text(row, 1) {
                let source = Source::Collection { name, model: text(row, 2) };
                found.push(Collection { id: integer(row, 0), source });
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn has_tables(read: &ReadTransaction<'_>) -> Result<bool> {
        Ok(read.columns("collections")?.is_some() && read.columns("embeddings")?.is_some())
    }

    pub(super) fn find(name: &str, read: &ReadTransaction<'_>) -> Result<Collection> {
        if !has_tables(read)? {
            let message = "the database has no collections: llm's tables are missing";
            return Err(Error::new(ErrorKind::NotFound, message)
                .hint("point to another database with -d PATH, or index a table with --table"));
        }
        let known = collections(read)?;
        let found = known.iter().find(|collection| collection.source.name() == name);
        found.cloned().ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|known| known.source.name()).collect();
            let error = Error::new(ErrorKind::NotFound, format!("there is no collection `{name}`"));
            match names.is_empty() {
                true => error.hint("the database has no collections yet"),
                false => error.hint(format!("collections: {}", names.join(", "))),
            }
        })
    }

    pub(super) fn relation(
        name: &str,
        model: Option<&str>,
        read: &ReadTransaction<'_>,
    ) -> Result<Relation> {
        let Collection { id, source } = find(name, read)?;
        if let Source::Collection { model: now, .. } = &source
            && now.as_deref() != model
        {
            let shown = |model: Option<&str>| model.unwrap_or("none").to_owned();
            let message = format!("collection `{name}` is not the one the index was defined for");
            return Err(Error::new(ErrorKind::Invalid, message)
                .with("model now", shown(now.as_deref()))
                .with("model of the index", shown(model))
                .hint("drop the index and create it anew"));
        }
        Ok(of_collection(id))
    }

    /// The rows of the collection with this id.
    pub fn of_collection(id: i64) -> Relation {
        Relation {
            from: "main.embeddings".into(),
            scan: Access::TableOrderIfMost,
            id: "id".into(),
            embedding: "embedding".into(),
            condition: "collection_id = ?".into(),
            parameters: vec![id],
            content: Some("content, metadata"),
        }
    }
}

pub mod table {
    //! Any table or view with an id and a blob column.

    use super::*;

    pub(super) fn find(
        table: &str,
        id: Option<&str>,
        embedding: Option<&str>,
        filter: Option<&str>,
        read: &ReadTransaction<'_>,
    ) -> Result<Source> {
        let Some(columns) = read.columns(table)? else {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no table `{table}`")));
        };
        let find = |wanted: &str| {
            let found = columns.iter().find(|column| column.eq_ignore_ascii_case(wanted));
            found.cloned().ok_or_else(|| {
                let message = format!("table `{table}` has no column `{wanted}`");
                let hint = format!("columns: {}", columns.join(", "));
                Error::new(ErrorKind::NotFound, message).hint(hint)
            })
        };
        let id = match id {
            Some("rowid") => "rowid".to_owned(),
            Some(id) => find(id)?,
            None => match (find("id"), read.primary_key(table)?.as_slice()) {
                (Ok(id), _) => id,
                (Err(_), [key]) => key.clone(),
                (Err(_), []) => "rowid".to_owned(),
                (Err(_), _) => {
                    let message =
                        format!("table `{table}` has no column `id` and a key of several columns");
                    return Err(
                        Error::new(ErrorKind::Invalid, message).hint("name one with --id-column")
                    );
                }
            },
        };
        let embedding = find(embedding.unwrap_or("embedding"))
            .map_err(|error| error.hint("name the blob column with --embedding-column"))?;
        let source = Source::Table {
            name: table.to_owned(),
            id: id.clone(),
            embedding: embedding.clone(),
            filter: filter.map(str::to_owned),
        };
        if let Some(condition) = filter {
            check_condition(condition)?;
        }
        // LIMIT 0, and not a condition that is false: SQLite would not look at the rest of it then.
        let probe = relation(table, &id, &embedding, filter).select(&id_sql(&id), "");
        let probed = read.each(&format!("{probe} LIMIT 0"), &[], &Silent, |_| Ok(()));
        probed.map_err(|error| match filter {
            Some(condition) => error.with("condition", condition),
            None => error
                .with("table", table)
                .hint(format!("name a column with --id-column; columns: {}", columns.join(", "))),
        })?;
        Ok(source)
    }

    fn id_sql(id: &str) -> String {
        if id == "rowid" { id.to_owned() } else { quote(id) }
    }

    pub(super) fn relation(
        name: &str,
        id: &str,
        embedding: &str,
        filter: Option<&str>,
    ) -> Relation {
        Relation {
            from: format!("main.{}", quote(name)),
            scan: Access::Planned,
            id: id_sql(id),
            embedding: quote(embedding),
            condition: filter.unwrap_or("1").to_owned(),
            parameters: Vec::new(),
            content: None,
        }
    }
}
