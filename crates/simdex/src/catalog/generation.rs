//! A generation in use: the rows of one build, the structure over them, and the changes since.

use std::path::PathBuf;

use fixedbitset::FixedBitSet;
use serde::{Deserialize, Serialize};

use crate::catalog::Definition;
use crate::catalog::folder::{IndexFolder, LockedFolder, Manifest, Opened, SegmentRecord};
use crate::error::{Error, ErrorKind, Result};
use crate::index::plugin::Plugins;
use crate::index::{self, AnyKind, Index, Job, Sections, tail};
use crate::matrix::Slab;
use crate::snapshot::diff::Delta;
use crate::snapshot::segment::{Segment, SegmentWriter};
use crate::snapshot::{Snapshot, read_json, write_json};
use crate::store::source::Source;
use crate::types::Metric;

const HEAD: &str = "index";
const KIND_PREFIX: &str = "kind.";
const DELTA: &str = "delta";
const TOMBSTONES: &str = "tombstones";

/// What a base segment says of the index it was built for.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    kind: String,
    metric: Metric,
    parameters: index::Parameters,
    /// Keys carry positions in this list: of other sources the same keys are other rows.
    sources: Vec<Source>,
}

/// What a delta segment says of the base it belongs to.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeltaHead {
    base: String,
}

/// When all of a base is read to check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    IfUnproven,
    Always,
}

/// An opened generation.
pub struct Generation {
    /// The manifest that names it.
    pub manifest: Manifest,
    /// The rows as of the build.
    pub base: Snapshot,
    /// The structure over them; `None` when there were no rows.
    pub index: Option<Box<dyn Index>>,
    /// Changes since.
    pub delta: Delta,
    /// The structure over the delta's rows; `None` when there are none.
    pub tail: Option<Box<dyn Index>>,
    /// What was proven right by reading all of it, just now.
    pub newly_proven: NewlyProven,
}

/// The segments whose content was checked when a generation was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NewlyProven {
    /// The base.
    pub base: bool,
    /// The delta.
    pub delta: bool,
}

impl NewlyProven {
    /// Whether there is something to record.
    pub fn any(self) -> bool {
        self.base || self.delta
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Generation {:?}", self.manifest)
    }
}

impl Generation {
    /// Opens what is built of an index; `None` when nothing is. O(1), unless the base's file is not
    /// the very one that was written or last checked: then all of it is checked.
    ///
    /// # Errors
    /// `Damaged` when files can't be used.
    pub fn open(
        definition: &Definition,
        folder: &IndexFolder,
        plugins: &Plugins,
    ) -> Result<Option<Self>> {
        Self::open_with(definition, folder, plugins, Check::IfUnproven)
    }

    /// Opens it and checks every byte. O(size).
    ///
    /// # Errors
    /// `Damaged` when files can't be used.
    pub fn open_checked(
        definition: &Definition,
        folder: &IndexFolder,
        plugins: &Plugins,
    ) -> Result<Option<Self>> {
        Self::open_with(definition, folder, plugins, Check::Always)
    }

    fn open_with(
        definition: &Definition,
        folder: &IndexFolder,
        plugins: &Plugins,
        check: Check,
    ) -> Result<Option<Self>> {
        let mut before = None;
        loop {
            let Some(manifest) = folder.manifest()? else { return Ok(None) };
            match Self::from_manifest(&manifest, definition, folder, plugins, check) {
                // Another process replaced the segment after we read the manifest: read it again.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    if before.as_ref() == Some(&manifest) {
                        let message = "a segment of the index is missing";
                        return Err(Error::new(ErrorKind::Damaged, message).source(error));
                    }
                    before = Some(manifest);
                }
                opened => return opened.map(Some),
            }
        }
    }

    fn from_manifest(
        manifest: &Manifest,
        definition: &Definition,
        folder: &IndexFolder,
        plugins: &Plugins,
        check: Check,
    ) -> Result<Self> {
        let Opened { segment, proven } = folder.open(&manifest.base)?;
        let base = Snapshot::open(&segment)?;
        if !proven || check == Check::Always {
            segment.check()?;
            base.check(definition.metric)?;
        }
        let head: Head = read_json(&segment, HEAD)?;
        if head != Head::of(definition) {
            let names: Vec<_> = head.sources.iter().map(Source::name).collect();
            let message = format!(
                "the segment was built for another definition ({} over {})",
                head.kind,
                names.join(", ")
            );
            return Err(Error::new(ErrorKind::Damaged, message));
        }
        let index = match base.vectors() {
            None => None,
            Some(vectors) => {
                let kind = AnyKind::named(&definition.kind, plugins)?;
                let (metric, parameters) = (definition.metric, &definition.parameters);
                let files = folder.files_of(&manifest.base)?;
                let name = Some(definition.id());
                let job = Job { vectors, metric, parameters, folder: Some(&files), name };
                let sections = kind_sections(&segment)?;
                if !proven || check == Check::Always {
                    kind.verify_in(&job, &sections)?;
                }
                Some(kind.open_in(&job, &sections)?)
            }
        };
        let mut newly_proven = NewlyProven { base: !proven, delta: false };
        let (delta, tail) = match &manifest.delta {
            None => (Delta::none(base.rows()), None),
            Some(record) => {
                let Opened { segment, proven } = folder.open(record)?;
                if !proven || check == Check::Always {
                    segment.check()?;
                }
                let delta = read_delta(&segment, &base, &manifest.base)?;
                if !proven || check == Check::Always {
                    delta.tail.as_ref().map_or(Ok(()), |tail| tail.check(definition.metric))?;
                }
                newly_proven.delta = !proven;
                let tail = tail::open(&delta, definition.metric, &kind_sections(&segment)?)?;
                (delta, tail)
            }
        };
        Ok(Self { manifest: manifest.clone(), base, index, delta, tail, newly_proven })
    }

    /// What the kind made, every byte of it checked, and the folder with its files. O(size).
    ///
    /// # Errors
    /// `Damaged`; `NotFound` when another process has just replaced it.
    pub fn structure(&self, folder: &IndexFolder) -> Result<(Sections, PathBuf)> {
        let Opened { segment, .. } = folder.open(&self.manifest.base)?;
        segment.check()?;
        Ok((kind_sections(&segment)?, folder.files_of(&self.manifest.base)?))
    }

    /// Rows that can be searched, as of the delta.
    pub fn rows(&self) -> u64 {
        self.base.rows() as u64 - self.delta.gone() + self.delta.tail_rows()
    }

    /// Bytes on disk.
    pub fn bytes(&self, folder: &IndexFolder) -> u64 {
        let delta = self.manifest.delta.as_ref().map_or(0, |record| folder.bytes(record));
        folder.bytes(&self.manifest.base) + delta
    }
}

impl Head {
    fn of(definition: &Definition) -> Self {
        Self {
            kind: definition.kind.clone(),
            metric: definition.metric,
            parameters: definition.parameters.clone(),
            sources: definition.sources.clone(),
        }
    }
}

/// What the kind made at the last build of an index; `None` when nothing is built.
///
/// # Errors
/// `Damaged`; `NotFound` when another process has just replaced it.
pub fn sections_of(folder: &IndexFolder) -> Result<Option<Sections>> {
    let Some(manifest) = folder.manifest()? else { return Ok(None) };
    kind_sections(&folder.open(&manifest.base)?.segment).map(Some)
}

fn kind_sections(segment: &Segment) -> Result<Sections> {
    let names = segment.names().filter_map(|name| name.strip_prefix(KIND_PREFIX));
    names
        .map(|name| Ok((name.to_owned(), segment.section(&format!("{KIND_PREFIX}{name}"))?)))
        .collect()
}

/// Adds what a kind built, and what it was built for, to a base segment.
///
/// # Errors
/// `Io` when the file can't be written.
pub fn write_structure(
    writer: &mut SegmentWriter,
    definition: &Definition,
    sections: &Sections,
) -> Result<()> {
    for (name, bytes) in sections {
        writer.section(&format!("{KIND_PREFIX}{name}"), bytes)?;
    }
    write_json(writer, HEAD, &Head::of(definition))
}

/// Writes a delta segment for `base`.
///
/// # Errors
/// `ReadOnly` or `Io`.
pub fn write_delta(
    folder: &LockedFolder<'_>,
    base: &SegmentRecord,
    (delta, metric): (&Delta, Metric),
) -> Result<Option<SegmentRecord>> {
    if delta.tail.is_none() && delta.tombstones.is_clear() {
        return Ok(None);
    }
    let file = folder.temporary()?;
    let mut writer = SegmentWriter::new(file.reopen()?)?;
    if let Some(tail) = &delta.tail {
        tail.write(&mut writer)?;
    }
    for (name, bytes) in &tail::build(delta, metric)? {
        writer.section(&format!("{KIND_PREFIX}{name}"), bytes)?;
    }
    let gone: Vec<u32> = delta.tombstones.ones().map(|row| row as u32).collect();
    writer.section(TOMBSTONES, &gone)?;
    write_json(&mut writer, DELTA, &DeltaHead { base: base.id().to_owned() })?;
    let id = writer.finish()?;
    folder.install(file, id).map(Some)
}

fn read_delta(segment: &Segment, base: &Snapshot, record: &SegmentRecord) -> Result<Delta> {
    let damaged = |message: String| Err(Error::new(ErrorKind::Damaged, message));
    let head: DeltaHead = read_json(segment, DELTA)?;
    if head.base != record.id() {
        return damaged(format!("the delta belongs to base {}, not {}", head.base, record.id()));
    }
    let mut tombstones = FixedBitSet::with_capacity(base.rows());
    let gone: Slab<u32> = segment.section(TOMBSTONES)?;
    for &row in gone.iter() {
        if row as usize >= base.rows() {
            return damaged(format!("tombstone for row {row} of {}", base.rows()));
        }
        tombstones.insert(row as usize);
    }
    let has_tail = segment.names().any(|name| name == crate::snapshot::VECTORS);
    let tail = match has_tail {
        false => None,
        true => {
            let tail = Snapshot::open(segment)?;
            if tail.dim() != base.dim() || tail.seed() != base.seed() {
                return damaged("the delta's rows are not like the base's".into());
            }
            Some(tail)
        }
    };
    Ok(Delta { tombstones, tail })
}
