//! A walk over all rows of a collection with all that llm keeps of them, in constant memory.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use crate::engine::Engine;
use crate::engine::api::NewSource;
use crate::error::{Error, ErrorKind, Result};
use crate::observe::{Observer, Silent};
use crate::store::Id;
use crate::store::blob::{self, Defect};
use crate::store::connection::{Columns, ValueRef};
use crate::store::database::{Database, ReadTransaction, integer, text};
use crate::store::source::{Part, Relation, Source, llm, pair};
use crate::types::Metric;

/// What llm keeps of a row beside its id and embedding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// Text that was embedded.
    pub content: Option<String>,
    /// Bytes that were embedded.
    pub content_blob: Option<Vec<u8>>,
    /// MD5 of what was embedded, by which llm leaves out what it has embedded already.
    pub content_hash: Option<Vec<u8>>,
    /// JSON text.
    pub metadata: Option<String>,
    /// When the row was written, seconds since 1970.
    pub updated: Option<i64>,
}

/// A row of a collection, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Its vector: finite values, as many as the collection has dimensions.
    pub vector: Vec<f32>,
    /// The rest.
    pub extras: Extras,
}

/// Why a row can't be carried elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The id is NULL.
    NoId,
    /// The id is a number or bytes, or text that is not UTF-8.
    IdNotText,
    /// The embedding is NULL.
    Null,
    /// The embedding is text or a number.
    NotABlob,
    /// The length of the embedding is 0 or not a multiple of 4 bytes.
    OddLength,
    /// A value is NaN or infinite.
    NotFinite,
    /// The number of dimensions is not the collection's.
    OtherSize,
    /// What was embedded, its hash, the metadata or the time is of a type that llm never writes.
    OddExtras,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoId => "NULL id",
            Self::IdNotText => "id that is not text",
            Self::Null => "NULL embedding",
            Self::NotABlob => "not a blob",
            Self::OddLength => "length not a multiple of 4 bytes",
            Self::NotFinite => "NaN or infinite value",
            Self::OtherSize => "other number of dimensions",
            Self::OddExtras => "content, metadata or time of a type that llm never writes",
        })
    }
}

/// A row that a walk comes by.
#[derive(Debug, Clone, PartialEq)]
pub enum Walked {
    /// One that can be carried elsewhere.
    Sound(Row),
    /// One that can't.
    Bad(Id, Fault),
}

/// A collection before a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Its name.
    pub name: String,
    /// The embedding model's name.
    pub model: Option<String>,
    /// All rows.
    pub rows: u64,
    /// The most common number of dimensions, by length alone; `None`: no row has a length that a
    /// vector can have.
    pub dimensions: Option<usize>,
}

/// A collection, to be walked over.
#[derive(Debug)]
pub struct Walk {
    database: Database,
    source: Source,
}

impl Engine {
    /// A collection, to be walked over. Nothing is locked until then.
    ///
    /// # Errors
    /// `NotFound`; those of opening the database.
    pub fn walk(&self, collection: &str) -> Result<Walk> {
        let database = self.database()?;
        let source =
            Source::find(&NewSource::Collection(collection.to_owned()), &database.read()?)?;
        Ok(Walk { database, source })
    }
}

impl Walk {
    /// The collection as it is now, and until the end of what is returned: so long, writers of the
    /// database may have to wait.
    ///
    /// # Errors
    /// `NotFound` when it is gone; those of SQLite.
    pub fn begin(&self) -> Result<Standing<'_>> {
        let read = self.database.read()?;
        let mut standing = Standing::new(&self.source, read)?;
        standing.measure()?;
        Ok(standing)
    }

    /// Visits the next `most` rows after an id, in the order of ids and as of one moment. Returns the
    /// last id, and `None` when there is nothing left. Between pages nothing is locked.
    ///
    /// # Errors
    /// `NotFound`; those of SQLite and `visit`; `Cancelled`.
    pub fn page(
        &self,
        dimensions: usize,
        page: &Page<'_>,
        observer: &dyn Observer,
        mut visit: impl FnMut(Walked) -> Result<()>,
    ) -> Result<Option<Id>> {
        let mut standing = Standing::new(&self.source, self.database.read()?)?;
        standing.outline.dimensions = Some(dimensions);
        let mut last = None;
        let part = Part::Page { after: page.after, most: page.most };
        standing.part(part, observer, &mut |row| {
            last = Some(match &row {
                Walked::Sound(row) => Id::text(row.id.as_str()),
                Walked::Bad(id, _) => id.clone(),
            });
            visit(row)
        })?;
        Ok(last)
    }

    /// Those of some ids that a row has now which can be carried elsewhere, with so many dimensions.
    ///
    /// # Errors
    /// `NotFound`; those of SQLite; `Cancelled`.
    pub fn carriable<'i>(
        &self,
        dimensions: usize,
        ids: &'i [String],
        observer: &dyn Observer,
    ) -> Result<HashSet<&'i str>> {
        let mut standing = Standing::new(&self.source, self.database.read()?)?;
        standing.outline.dimensions = Some(dimensions);
        let mut found = HashSet::new();
        for id in ids {
            let wanted = Id::text(id.as_str());
            standing.part(Part::Id(&wanted), observer, &mut |row| {
                if matches!(row, Walked::Sound(_)) {
                    found.insert(id.as_str());
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}

/// Some of a collection's rows.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The last id of the page before; `None`: this is the first.
    pub after: Option<&'a Id>,
    /// How many rows.
    pub most: usize,
}

/// A collection as it is at one moment.
pub struct Standing<'a> {
    read: ReadTransaction<'a>,
    relation: Relation,
    /// SQL of the columns, in the order of [`walked`].
    columns: String,
    outline: Outline,
}

/// The columns beside id and embedding; llm added some of them with time.
const EXTRAS: [&str; 5] = ["content", "content_blob", "content_hash", "metadata", "updated"];

impl<'a> Standing<'a> {
    fn new(source: &Source, read: ReadTransaction<'a>) -> Result<Self> {
        let relation = source.relation(&read)?;
        let model = match source {
            Source::Collection { model, .. } => model.clone(),
            Source::Table { .. } => None,
        };
        let known = read.columns(llm::EMBEDDINGS)?.unwrap_or_default();
        let columns = EXTRAS.map(|column| match known.iter().any(|name| name == column) {
            true => column,
            false => "NULL",
        });
        let columns = format!("id, embedding, {}", columns.join(", "));
        let outline = Outline { name: source.name().to_owned(), model, rows: 0, dimensions: None };
        Ok(Self { read, relation, columns, outline })
    }

    /// Counts rows and their dimensions: reads no embedding, only lengths.
    fn measure(&mut self) -> Result<()> {
        let mut sizes = BTreeMap::<usize, u64>::new();
        let mut rows = 0;
        let lengths = "CASE typeof(embedding) WHEN 'blob' THEN length(embedding) END";
        self.relation.walk(lengths, Part::All, &self.read, &Silent, |row| {
            let length = usize::try_from(integer(row, 0)).unwrap_or_default();
            if length > 0 && length.is_multiple_of(4) {
                *sizes.entry(length / 4).or_default() += 1;
            }
            rows += 1;
            Ok(())
        })?;
        let most_common = sizes.into_iter().max_by_key(|(dim, rows)| (*rows, *dim));
        self.outline.dimensions = most_common.map(|(dim, _)| dim);
        self.outline.rows = rows;
        Ok(())
    }

    /// What is known of all rows.
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// Visits every row, in the order in which SQLite stores them.
    ///
    /// # Errors
    /// Those of SQLite and `visit`; `Cancelled`.
    pub fn rows(
        &self,
        observer: &dyn Observer,
        mut visit: impl FnMut(Walked) -> Result<()>,
    ) -> Result<()> {
        self.part(Part::All, observer, &mut visit)
    }

    /// Visits the id and embedding of every row, and reads nothing else.
    pub(super) fn embeddings(
        &self,
        observer: &dyn Observer,
        mut visit: impl FnMut(&Columns<'_>, ValueRef<'_>) -> Result<()>,
    ) -> Result<()> {
        self.relation.scan(&self.read, observer, |columns| {
            let (_, embedding) = pair(columns)?;
            visit(columns, embedding)
        })?;
        self.read.confirm()
    }

    fn part(
        &self,
        part: Part<'_>,
        observer: &dyn Observer,
        visit: &mut dyn FnMut(Walked) -> Result<()>,
    ) -> Result<()> {
        let dimensions = self.outline.dimensions;
        self.relation.walk(&self.columns, part, &self.read, observer, |columns| {
            visit(walked(columns, dimensions)?)
        })?;
        self.read.confirm()
    }
}

fn walked(columns: &Columns<'_>, dimensions: Option<usize>) -> Result<Walked> {
    let &[id, embedding, ref extras @ ..] = columns else {
        return Err(Error::new(
            ErrorKind::Internal,
            "SQLite gave fewer columns than were asked for",
        ));
    };
    Ok(match row(columns, id, embedding, extras, dimensions) {
        Ok(row) => Walked::Sound(row),
        Err(fault) => Walked::Bad(Id::from_sql(id), fault),
    })
}

fn row(
    columns: &Columns<'_>,
    id: ValueRef<'_>,
    embedding: ValueRef<'_>,
    extras: &Columns<'_>,
    dimensions: Option<usize>,
) -> Result<Row, Fault> {
    let id = match (id, text(columns, 0)) {
        (_, Some(id)) => id,
        (ValueRef::Null, None) => return Err(Fault::NoId),
        (_, None) => return Err(Fault::IdNotText),
    };
    // A vector of zeros has no cosine similarity, but can be carried elsewhere.
    let blob = blob::check(embedding, Metric::L2).map_err(|defect| match defect {
        Defect::Null => Fault::Null,
        Defect::NotABlob => Fault::NotABlob,
        Defect::OddLength | Defect::Zero => Fault::OddLength,
        Defect::NotFinite => Fault::NotFinite,
    })?;
    if Some(blob.len() / 4) != dimensions {
        return Err(Fault::OtherSize);
    }
    let &[content, content_blob, content_hash, metadata, updated] = extras else {
        return Err(Fault::OddExtras);
    };
    let extras = Extras {
        content: optional_text(content)?,
        content_blob: optional_bytes(content_blob)?,
        content_hash: optional_bytes(content_hash)?,
        metadata: optional_text(metadata)?,
        updated: match updated {
            ValueRef::Null => None,
            ValueRef::Integer(seconds) => Some(seconds),
            _ => return Err(Fault::OddExtras),
        },
    };
    Ok(Row { id, vector: blob::decode(blob), extras })
}

fn optional_text(value: ValueRef<'_>) -> Result<Option<String>, Fault> {
    match value {
        ValueRef::Null => Ok(None),
        value => text(&[value], 0).map(Some).ok_or(Fault::OddExtras),
    }
}

fn optional_bytes(value: ValueRef<'_>) -> Result<Option<Vec<u8>>, Fault> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Blob(bytes) => Ok(Some(bytes.to_vec())),
        _ => Err(Fault::OddExtras),
    }
}
