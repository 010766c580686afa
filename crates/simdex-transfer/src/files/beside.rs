//! The file beside a file of bare vectors: one line of JSON for each.
//!
//! ```text
//! {"id": "1", "content": "I like cats", "content_hash": "0cc1…", "metadata": {"a": 1}, "updated": 1}
//! ```
//!
//! What a row lacks is left out. Metadata stands as the JSON that it is, byte for byte; if it is not
//! JSON or takes several lines, as text under `metadata_text`. Bytes are base64, a hash is hexadecimal.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use simdex::engine::walk::{Extras, Row};
use simdex::{Error, Result};

use super::{open, wrong};

/// No line may be longer: a file of something else could be one line of many gigabytes.
const LONGEST: u64 = 1 << 30;

/// Where the ids of the vectors in `path` are: the same name with the suffix `.jsonl`.
pub fn beside(path: &Path) -> PathBuf {
    path.with_extension("jsonl")
}

#[derive(Serialize)]
struct LineOut<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_blob: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<i64>,
}

#[derive(Deserialize)]
struct LineIn {
    id: Option<Name>,
    content: Option<String>,
    content_blob: Option<String>,
    content_hash: Option<String>,
    metadata: Option<Box<RawValue>>,
    metadata_text: Option<String>,
    updated: Option<i64>,
}

/// Other programs write ids as numbers, too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Number(serde_json::Number),
}

/// Writes the lines.
pub(super) struct Writer {
    out: BufWriter<File>,
}

impl Writer {
    pub(super) fn new(file: File) -> Self {
        Self { out: BufWriter::with_capacity(1 << 20, file) }
    }

    pub(super) fn write(&mut self, row: &Row) -> Result<()> {
        let Extras { content, content_blob, content_hash, metadata, updated } = &row.extras;
        let metadata = metadata.as_deref();
        let json = metadata.and_then(on_one_line);
        let line = LineOut {
            id: &row.id,
            content: content.as_deref(),
            content_blob: content_blob.as_ref().map(|bytes| STANDARD.encode(bytes)),
            content_hash: content_hash.as_deref().map(hexadecimal),
            metadata: json,
            metadata_text: metadata.filter(|_| json.is_none()),
            updated: *updated,
        };
        serde_json::to_writer(&mut self.out, &line).map_err(std::io::Error::from)?;
        Ok(self.out.write_all(b"\n")?)
    }

    pub(super) fn finish(mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }
}

/// Metadata that can stand in a line of JSON and be read back as the very same text.
fn on_one_line(metadata: &str) -> Option<&RawValue> {
    if metadata.contains(['\n', '\r']) {
        return None;
    }
    let raw: &RawValue = serde_json::from_str(metadata).ok()?;
    // `null` would be read back as no metadata.
    (raw.get() == metadata && metadata != "null").then_some(raw)
}

/// Reads the lines.
pub struct Reader<R> {
    path: PathBuf,
    lines: R,
    number: u64,
    line: Vec<u8>,
}

impl Reader<BufReader<File>> {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (file, _) = open(path).map_err(|error| {
            error.hint(format!(
                "{} holds the ids of the vectors, one line of JSON for each: {{\"id\": …}}",
                path.display()
            ))
        })?;
        Ok(Self::new(path, BufReader::with_capacity(1 << 20, file)))
    }
}

impl<R: BufRead> Reader<R> {
    /// Over any lines; errors name them by `path`.
    pub fn new(path: &Path, lines: R) -> Self {
        Self { path: path.to_owned(), lines, number: 0, line: Vec::new() }
    }

    /// The next line: an id, if it has one, and the rest. `None` after the last.
    ///
    /// # Errors
    /// `Invalid` for a line that is not of this form, `Io`.
    pub fn next_line(&mut self) -> Result<Option<(Option<String>, Extras)>> {
        use std::io::Read;
        self.line.clear();
        let mut limited = (&mut self.lines).take(LONGEST);
        limited.read_until(b'\n', &mut self.line)?;
        if self.line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let (number, path) = (self.number, &self.path);
        let faulty = |what: String| wrong(path, format!("line {number}: {what}"));
        let line: LineIn =
            serde_json::from_slice(&self.line).map_err(|error| faulty(error.to_string()))?;
        let content_blob = line.content_blob.map(|text| STANDARD.decode(text)).transpose();
        let metadata = line.metadata.map(|raw| Box::<str>::from(raw).into_string());
        let extras = Extras {
            content: line.content,
            content_blob: content_blob.map_err(|error| faulty(format!("content_blob: {error}")))?,
            content_hash: match line.content_hash {
                Some(text) => {
                    let hash = bytes_of(&text);
                    Some(hash.ok_or_else(|| faulty("content_hash is not hexadecimal".into()))?)
                }
                None => None,
            },
            metadata: line.metadata_text.or(metadata),
            updated: line.updated,
        };
        let id = line.id.map(|id| match id {
            Name::Text(text) => text,
            Name::Number(number) => number.to_string(),
        });
        Ok(Some((id, extras)))
    }

    /// Lines don't go with vectors.
    pub(super) fn too_few(&self, vectors: u64) -> Error {
        wrong(&self.path, format!("{} lines for {vectors} vectors", self.number))
    }

    /// As many lines have been read as there are vectors; there must be no more.
    pub(super) fn end(&mut self, vectors: u64) -> Result<()> {
        match self.next_line()? {
            None => Ok(()),
            Some(_) => Err(wrong(&self.path, format!("more lines than the {vectors} vectors"))),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes_of(hexadecimal: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hexadecimal.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8; 2]| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
