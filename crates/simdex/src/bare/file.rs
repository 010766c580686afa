//! Vectors in a file: one segment, as FORMAT.md has it under "Files of bare vectors".

use std::path::Path;

use fixedbitset::FixedBitSet;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, ErrorKind, Result};
use crate::index::{self, Kind, Sections};
use crate::matrix::{Matrix, Slab};
use crate::observe::Silent;
use crate::snapshot::segment::{Segment, SegmentWriter};
use crate::snapshot::{read_json, write_json};

use super::layer::Layer;
use super::vectors::{ADDED, Recipe, Vectors};

const HEAD: &str = "bare";

/// What each layer's sections begin with.
const BASE: &str = "base";
const TAIL: &str = "tail";

/// What the arrays don't say.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    kind: String,
    metric: crate::types::Metric,
    parameters: index::Parameters,
    dim: usize,
    next: u64,
}

impl Vectors {
    /// Writes everything to `path`, replacing what is there in one step. O(size).
    ///
    /// # Errors
    /// `ReadOnly` or `Io`; then what was there still is.
    pub fn save(&self, path: &Path) -> Result<()> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.prefix(".tmp-").tempfile_in(folder).context("folder", folder.display());
        let file = file?;
        let mut writer = SegmentWriter::new(file.reopen()?)?;
        self.write(&mut writer)?;
        writer.finish()?;
        file.persist(path).map_err(|error| error.error).context("path", path.display())?;
        Ok(())
    }

    fn write(&self, writer: &mut SegmentWriter) -> Result<()> {
        let Recipe { kind, metric, parameters } = self.recipe.clone();
        let head = Head { kind, metric, parameters, dim: self.dim, next: self.next };
        write_json(writer, HEAD, &head)?;
        let Some((base, added)) = self.layers.split_first() else { return Ok(()) };
        write_layer(writer, BASE, base)?;
        match added {
            [] => Ok(()),
            [tail] => write_layer(writer, TAIL, tail),
            several => {
                let tail = Layer::of_several(ADDED, &self.added(), several, &Silent)?;
                write_layer(writer, TAIL, &tail)
            }
        }
    }

    /// Maps a file that [`Vectors::save`] wrote. O(1): the header is checked, and every length, so
    /// that no file can crash a search; what the arrays hold is not read. [`Vectors::verify`] does
    /// that. The file must not be changed in place while it is open; saving again replaces it.
    ///
    /// # Errors
    /// `NotFound`; `Damaged` for a file that is truncated, foreign or from a later version.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path).map_err(|error| error.with("path", path.display()))
    }

    fn read(path: &Path) -> Result<Self> {
        let segment = Segment::open(path)?;
        let Head { kind, metric, parameters, dim, next } = read_json(&segment, HEAD)?;
        let recipe = Recipe { kind, metric, parameters };
        let damaged = |error: Error| match error.kind() {
            ErrorKind::Damaged => error,
            _ => Error::new(ErrorKind::Damaged, "the file can't be used").source(error),
        };
        let kind = index::kind(&recipe.kind).map_err(damaged)?;
        kind.check(recipe.metric, &recipe.parameters).map_err(damaged)?;
        let layer = |prefix, kind, recipe: &Recipe| {
            read_layer(&segment, prefix, dim, (kind, recipe)).map_err(damaged)
        };
        let mut layers = vec![layer(BASE, kind, &recipe)?];
        let mut vectors = Self::from_layers(recipe, kind, dim, Vec::new(), next);
        if segment.names().any(|name| name == format!("{TAIL}.vectors")) {
            layers.push(layer(TAIL, ADDED, &vectors.added())?);
        }
        vectors.layers = layers;
        vectors.segment = Some(segment);
        Ok(vectors)
    }
}

fn write_layer(writer: &mut SegmentWriter, prefix: &str, layer: &Layer) -> Result<()> {
    writer.section(&format!("{prefix}.vectors"), layer.vectors.values())?;
    writer.section(&format!("{prefix}.ids"), &layer.ids)?;
    let gone: Vec<u32> = layer.gone_rows().map(|row| row as u32).collect();
    writer.section(&format!("{prefix}.gone"), &gone)?;
    for (name, bytes) in &layer.sections {
        writer.section(&format!("{prefix}.kind.{name}"), bytes)?;
    }
    Ok(())
}

fn read_layer(
    segment: &Segment,
    prefix: &str,
    dim: usize,
    (kind, recipe): (&dyn Kind, &Recipe),
) -> Result<Layer> {
    let vectors = Matrix::new(segment.section(&format!("{prefix}.vectors"))?, dim)?;
    let ids = segment.section(&format!("{prefix}.ids"))?;
    let gone: Slab<u32> = segment.section(&format!("{prefix}.gone"))?;
    let own = format!("{prefix}.kind.");
    let sections: Sections = segment
        .names()
        .filter_map(|name| Some((name, name.strip_prefix(&own)?)))
        .map(|(name, short)| Ok((short.to_owned(), segment.section(name)?)))
        .collect::<Result<_>>()?;
    let rows = vectors.rows();
    let mut layer = Layer::open(kind, recipe, vectors, ids, sections)?;
    let mut seen = FixedBitSet::with_capacity(rows);
    for &row in gone.iter() {
        let row = row as usize;
        if row >= rows || seen.put(row) {
            let message = format!("row {row} of {rows} can't be gone, or is so twice");
            return Err(Error::new(ErrorKind::Damaged, message));
        }
        layer.remove(row);
    }
    Ok(layer)
}
