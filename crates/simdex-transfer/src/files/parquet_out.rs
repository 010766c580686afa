//! Writes Parquet: a row group at a time is held in memory.

use std::fs::File;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, FixedSizeListBuilder, Float32Builder, Int64Builder, StringBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use simdex::engine::walk::Row;
use simdex::{Error, ErrorKind, Result};

use super::{About, WriteRows};

/// What the file says of all its rows is kept under these keys.
pub(super) const COLLECTION: &str = "simdex.collection";
pub(super) const MODEL: &str = "simdex.model";

/// About as many bytes of vectors make a batch, and so many batches a row group.
const BATCH_BYTES: usize = 4 << 20;
const BATCHES: usize = 8;

/// Writes rows.
pub(super) struct Writer {
    schema: Arc<Schema>,
    out: ArrowWriter<File>,
    batch: Batch,
    most: usize,
}

/// Rows that are not written yet.
struct Batch {
    rows: usize,
    id: StringBuilder,
    embedding: FixedSizeListBuilder<Float32Builder>,
    content: StringBuilder,
    content_blob: BinaryBuilder,
    content_hash: BinaryBuilder,
    metadata: StringBuilder,
    updated: Int64Builder,
}

impl Writer {
    pub(super) fn begin(file: File, about: &About) -> Result<Self> {
        let dim = i32::try_from(about.dimensions).map_err(|_| {
            let message = format!("{} dimensions don't fit Parquet", about.dimensions);
            Error::new(ErrorKind::Invalid, message)
        })?;
        let most = (BATCH_BYTES / (4 * about.dimensions.max(1))).clamp(16, 8192);
        let schema = Arc::new(schema(dim));
        let options = properties(about, most);
        let out = ArrowWriter::try_new(file, Arc::clone(&schema), Some(options)).map_err(failed)?;
        Ok(Self { schema, out, batch: Batch::new(dim), most })
    }

    fn flush(&mut self) -> Result<()> {
        if self.batch.rows == 0 {
            return Ok(());
        }
        let columns = self.batch.take();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        let batch = batch.map_err(|error| failed(error.into()))?;
        self.out.write(&batch).map_err(failed)
    }
}

impl WriteRows for Writer {
    fn write(&mut self, row: &Row) -> Result<()> {
        self.batch.push(row);
        if self.batch.rows == self.most {
            self.flush()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.flush()?;
        self.out.close().map(drop).map_err(failed)
    }
}

impl Batch {
    fn new(dim: i32) -> Self {
        let values = FixedSizeListBuilder::new(Float32Builder::new(), dim);
        Self {
            rows: 0,
            id: StringBuilder::new(),
            embedding: values.with_field(item()),
            content: StringBuilder::new(),
            content_blob: BinaryBuilder::new(),
            content_hash: BinaryBuilder::new(),
            metadata: StringBuilder::new(),
            updated: Int64Builder::new(),
        }
    }

    fn push(&mut self, row: &Row) {
        let extras = &row.extras;
        self.rows += 1;
        self.id.append_value(&row.id);
        self.embedding.values().append_slice(&row.vector);
        self.embedding.append(true);
        self.content.append_option(extras.content.as_deref());
        self.content_blob.append_option(extras.content_blob.as_deref());
        self.content_hash.append_option(extras.content_hash.as_deref());
        self.metadata.append_option(extras.metadata.as_deref());
        self.updated.append_option(extras.updated);
    }

    /// The columns, in the order of [`schema`].
    fn take(&mut self) -> Vec<ArrayRef> {
        self.rows = 0;
        vec![
            Arc::new(self.id.finish()),
            Arc::new(self.embedding.finish()),
            Arc::new(self.content.finish()),
            Arc::new(self.content_blob.finish()),
            Arc::new(self.content_hash.finish()),
            Arc::new(self.metadata.finish()),
            Arc::new(self.updated.finish()),
        ]
    }
}

fn item() -> Field {
    Field::new("item", DataType::Float32, false)
}

/// llm's names and order.
fn schema(dim: i32) -> Schema {
    Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("embedding", DataType::FixedSizeList(Arc::new(item()), dim), false),
        Field::new("content", DataType::Utf8, true),
        Field::new("content_blob", DataType::Binary, true),
        Field::new("content_hash", DataType::Binary, true),
        Field::new("metadata", DataType::Utf8, true),
        Field::new("updated", DataType::Int64, true),
    ])
}

fn properties(about: &About, batch: usize) -> WriterProperties {
    // Vectors have no repeats to count and no order to keep: a dictionary or statistics would cost
    // and give nothing.
    let vectors = ColumnPath::from(vec!["embedding".to_owned(), "list".into(), "item".into()]);
    let known = [(COLLECTION, &about.collection), (MODEL, &about.model)];
    let known = known.into_iter().filter_map(|(key, value)| {
        let value = value.clone()?;
        Some(KeyValue::new(key.to_owned(), value))
    });
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_column_dictionary_enabled(vectors.clone(), false)
        .set_column_statistics_enabled(vectors, EnabledStatistics::None)
        .set_max_row_group_row_count(Some(batch * BATCHES))
        .set_key_value_metadata(Some(known.collect()))
        .build()
}

fn failed(error: ParquetError) -> Error {
    let error = match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(error) => return (*error).into(),
            Err(source) => ParquetError::External(source),
        },
        error => error,
    };
    Error::new(ErrorKind::Io, "writing Parquet").source(error)
}
