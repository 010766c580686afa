//! Reads Parquet, of simdex or of another program: a batch at a time is held in memory.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use simdex::engine::walk::{Extras, Row};
use simdex::{Error, Result};

use super::parquet_out::{COLLECTION, MODEL};
use super::{About, ReadRow, ReadRows, guarded, not_finite, open, wrong};

/// Rows of a batch.
const TOGETHER: usize = 1024;

/// Names that programs give to a column of vectors.
const VECTORS: [&str; 4] = ["embedding", "vector", "embeddings", "vectors"];

/// Reads rows.
pub(super) struct Reader {
    path: PathBuf,
    about: About,
    rows: u64,
    batches: ParquetRecordBatchReader,
    batch: Option<Batch>,
    /// The next row of the batch.
    next: usize,
    read: u64,
}

/// The columns of some rows; `None` where the file has no such column.
struct Batch {
    rows: usize,
    id: ArrayRef,
    embedding: ArrayRef,
    content: Option<ArrayRef>,
    content_blob: Option<ArrayRef>,
    content_hash: Option<ArrayRef>,
    metadata: Option<ArrayRef>,
    updated: Option<ArrayRef>,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (file, _) = open(path)?;
        guarded(path, || Self::begin(path, file))
    }

    fn begin(path: &Path, file: File) -> Result<Self> {
        let refused = |error| wrong(path, format!("it can't be read as Parquet: {error}"));
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(refused)?;
        let schema = builder.schema().clone();
        let vectors = vectors_column(path, &schema)?;
        if schema.index_of("id").is_err() {
            return Err(no_column(path, &schema, "no column `id`"));
        }
        let said = builder.metadata().file_metadata().key_value_metadata();
        let value = |key: &str| {
            said?.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone())
        };
        let mut about = About { collection: value(COLLECTION), model: value(MODEL), dimensions: 0 };
        let rows = builder.metadata().file_metadata().num_rows();
        let wanted =
            ["id", &vectors, "content", "content_blob", "content_hash", "metadata", "updated"];
        let numbers = schema.fields().iter().enumerate();
        let numbers = numbers.filter(|(_, field)| wanted.contains(&field.name().as_str()));
        let numbers: Vec<_> = numbers.map(|(number, _)| number).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), numbers);
        let batches = builder.with_projection(mask).with_batch_size(TOGETHER).build();
        let mut reader = Self {
            path: path.to_owned(),
            about: About::default(),
            rows: u64::try_from(rows).unwrap_or(0),
            batches: batches.map_err(refused)?,
            batch: None,
            next: 0,
            read: 0,
        };
        reader.advance()?;
        // A list of any length: the first row that has one says what all must have.
        let first = reader.batch.as_ref().and_then(|batch| {
            (0..batch.rows).find_map(|row| values(&batch.embedding, row)).map(|list| list.len())
        });
        about.dimensions = first.unwrap_or(0);
        reader.about = about;
        Ok(reader)
    }

    /// Reads the next batch, if there is one.
    fn advance(&mut self) -> Result<()> {
        let path = &self.path;
        self.batch = match self.batches.next() {
            None => None,
            Some(Err(error)) => {
                return Err(wrong(path, format!("it can't be read as Parquet: {error}")));
            }
            Some(Ok(batch)) => Some(Batch::new(path, &batch)?),
        };
        self.next = 0;
        Ok(())
    }

    fn row(&mut self) -> Result<Option<ReadRow>> {
        while self.batch.as_ref().is_some_and(|batch| self.next == batch.rows) {
            self.advance()?;
        }
        let Some(batch) = &self.batch else {
            return match self.read == self.rows {
                true => Ok(None),
                false => {
                    let (read, rows) = (self.read, self.rows);
                    Err(wrong(&self.path, format!("{read} rows, where it says {rows}")))
                }
            };
        };
        let row = batch.row(self.next, self.read, self.about.dimensions);
        self.next += 1;
        self.read += 1;
        Ok(Some(row))
    }
}

impl ReadRows for Reader {
    fn about(&self) -> &About {
        &self.about
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn next_row(&mut self) -> Result<Option<ReadRow>> {
        let path = self.path.clone();
        guarded(&path, || self.row())
    }
}

fn vectors_column(path: &Path, schema: &Schema) -> Result<String> {
    let found = VECTORS.iter().find(|name| schema.index_of(name).is_ok());
    found.map(|name| (*name).to_owned()).ok_or_else(|| {
        no_column(path, schema, &format!("no column of vectors: {}", VECTORS.join(", ")))
    })
}

fn no_column(path: &Path, schema: &Schema, what: &str) -> Error {
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    wrong(path, what).hint(format!("its columns: {}", names.join(", ")))
}

impl Batch {
    fn new(path: &Path, batch: &RecordBatch) -> Result<Self> {
        let column = |name: &str| batch.column_by_name(name).cloned();
        let needed = |name: &str| {
            column(name).ok_or_else(|| wrong(path, format!("no column `{name}` in its rows")))
        };
        let id = needed("id")?;
        let embedding = needed(&vectors_column(path, &batch.schema())?)?;
        let is_list = match embedding.data_type() {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                matches!(
                    item.data_type(),
                    DataType::Float16 | DataType::Float32 | DataType::Float64
                )
            }
            _ => false,
        };
        if !is_list {
            let found = embedding.data_type();
            return Err(wrong(path, format!("its vectors are {found}, not lists of floats")));
        }
        let known = Self {
            rows: batch.num_rows(),
            id,
            embedding,
            content: column("content"),
            content_blob: column("content_blob"),
            content_hash: column("content_hash"),
            metadata: column("metadata"),
            updated: column("updated"),
        };
        known.check(path)?;
        Ok(known)
    }

    /// Refuses columns of types that can't be kept, rather than lose what they hold.
    fn check(&self, path: &Path) -> Result<()> {
        let texts = [Some(&self.id), self.content.as_ref(), self.metadata.as_ref()];
        for (name, column) in ["id", "content", "metadata"].into_iter().zip(texts) {
            let Some(column) = column else { continue };
            let is_id = name == "id" && column.data_type().is_integer();
            if !is_id && !is_text(column.data_type()) {
                let found = column.data_type();
                return Err(wrong(path, format!("its column `{name}` is {found}, not text")));
            }
        }
        for (name, column) in
            [("content_blob", &self.content_blob), ("content_hash", &self.content_hash)]
        {
            if let Some(column) = column
                && !is_binary(column.data_type())
            {
                let found = column.data_type();
                return Err(wrong(path, format!("its column `{name}` is {found}, not binary")));
            }
        }
        if let Some(updated) = &self.updated
            && !updated.data_type().is_integer()
            && *updated.data_type() != DataType::Null
        {
            let found = updated.data_type();
            return Err(wrong(path, format!("its column `updated` is {found}, not an integer"))
                .hint("llm keeps seconds since 1970"));
        }
        Ok(())
    }

    fn row(&self, row: usize, number: u64, dimensions: usize) -> ReadRow {
        let Some(id) = text(&self.id, row).or_else(|| integer(&self.id, row)) else {
            return ReadRow::Bad(format!("number {}", number + 1), "NULL id".into());
        };
        let Some(vector) = values(&self.embedding, row) else {
            return ReadRow::Bad(id, "NULL embedding".into());
        };
        if vector.len() != dimensions || vector.is_empty() {
            return ReadRow::Bad(id, "other number of dimensions".into());
        }
        if let Some(reason) = not_finite(&vector) {
            return ReadRow::Bad(id, reason);
        }
        let optional = |column: &Option<ArrayRef>| column.as_ref().and_then(|c| text(c, row));
        let bytes = |column: &Option<ArrayRef>| column.as_ref().and_then(|c| binary(c, row));
        let updated = self.updated.as_ref().and_then(|column| integer(column, row));
        let extras = Extras {
            content: optional(&self.content),
            content_blob: bytes(&self.content_blob),
            content_hash: bytes(&self.content_hash),
            metadata: optional(&self.metadata),
            updated: updated.and_then(|seconds| seconds.parse().ok()),
        };
        ReadRow::Sound(Row { id, vector, extras })
    }
}

fn is_text(found: &DataType) -> bool {
    matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
}

fn is_binary(found: &DataType) -> bool {
    matches!(
        found,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::Null
    )
}

/// Text in a row.
fn text(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Some(column.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => Some(column.as_string_view().value(row).to_owned()),
        _ => None,
    }
}

fn binary(column: &ArrayRef, row: usize) -> Option<Vec<u8>> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Binary => Some(column.as_binary::<i32>().value(row).to_vec()),
        DataType::LargeBinary => Some(column.as_binary::<i64>().value(row).to_vec()),
        DataType::BinaryView => Some(column.as_binary_view().value(row).to_vec()),
        _ => None,
    }
}

/// An integer in a row, in digits.
fn integer(column: &ArrayRef, row: usize) -> Option<String> {
    fn digits<T: ArrowPrimitiveType>(column: &ArrayRef, row: usize) -> String
    where
        T::Native: ToString,
    {
        column.as_primitive::<T>().value(row).to_string()
    }
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Int8 => Some(digits::<Int8Type>(column, row)),
        DataType::Int16 => Some(digits::<Int16Type>(column, row)),
        DataType::Int32 => Some(digits::<Int32Type>(column, row)),
        DataType::Int64 => Some(digits::<Int64Type>(column, row)),
        DataType::UInt8 => Some(digits::<UInt8Type>(column, row)),
        DataType::UInt16 => Some(digits::<UInt16Type>(column, row)),
        DataType::UInt32 => Some(digits::<UInt32Type>(column, row)),
        DataType::UInt64 => Some(digits::<UInt64Type>(column, row)),
        _ => None,
    }
}

/// The values of a row's list; `None` for NULL. A NULL among them is NaN.
fn values(column: &ArrayRef, row: usize) -> Option<Vec<f32>> {
    if column.is_null(row) {
        return None;
    }
    let list = match column.data_type() {
        DataType::List(_) => column.as_list::<i32>().value(row),
        DataType::LargeList(_) => column.as_list::<i64>().value(row),
        DataType::FixedSizeList(..) => column.as_fixed_size_list().value(row),
        _ => return None,
    };
    let mut values: Vec<f32> = match list.data_type() {
        DataType::Float16 => {
            list.as_primitive::<Float16Type>().values().iter().map(|value| value.to_f32()).collect()
        }
        DataType::Float32 => list.as_primitive::<Float32Type>().values().to_vec(),
        DataType::Float64 => {
            list.as_primitive::<Float64Type>().values().iter().map(|&value| value as f32).collect()
        }
        _ => return None,
    };
    if list.null_count() > 0 {
        for (at, value) in values.iter_mut().enumerate() {
            if list.is_null(at) {
                *value = f32::NAN;
            }
        }
    }
    Some(values)
}
