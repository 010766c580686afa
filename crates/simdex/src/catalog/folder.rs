//! The folder of one index: a manifest that names immutable segments, and the segments.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tempfile::{NamedTempFile, TempDir};

use crate::catalog::files::{self, Lock, Permissions, Wait};
use crate::engine::api::Skipped;
use crate::error::{Error, ErrorKind, Result};
use crate::snapshot::segment::{Segment, SegmentId};
use crate::store::identity::{DatabaseIdentity, FileIdentity};

const MANIFEST: &str = "manifest.json";
const SUFFIX: &str = ".segment";
const FILES_SUFFIX: &str = ".files";

/// The clock's grain on file systems that keep fractions of seconds, with a margin.
const GRAIN: Duration = Duration::from_millis(20);

/// What is built of an index: which segments, and which state of the database they show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Counts builds.
    pub generation: u64,
    /// The rows as of the build, and the structure over them.
    pub base: SegmentRecord,
    /// Changes since the build.
    pub delta: Option<SegmentRecord>,
    /// The state of the database that base and delta show. `None`: it is not known to be one
    /// that still lasts.
    pub seen: Option<DatabaseIdentity>,
    /// Rows that could not be searched, as of the last look.
    pub skipped: Skipped,
    /// When it was built, seconds since 1970.
    pub built_at: u64,
    /// How long that took.
    pub build_seconds: f64,
}

impl Manifest {
    /// The segments it names.
    fn records(&self) -> impl Iterator<Item = &SegmentRecord> {
        [Some(&self.base), self.delta.as_ref()].into_iter().flatten()
    }
}

/// A segment that a manifest names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentRecord {
    file: String,
    id: String,
    /// The file as it was when its content was known to be right. While it is the same, the
    /// checksums need not be recomputed.
    sound: Option<FileIdentity>,
}

impl SegmentRecord {
    /// The segment's id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// An opened segment, and whether its content has been proven.
#[derive(Debug)]
pub struct Opened {
    /// The segment.
    pub segment: Segment,
    /// Set: it is the very file whose content was known to be right.
    pub proven: bool,
}

/// The folder of one index.
#[derive(Debug, Clone)]
pub struct IndexFolder {
    path: PathBuf,
    permissions: Permissions,
}

impl IndexFolder {
    /// The folder at `path`, which may not exist yet.
    pub fn new(path: PathBuf, permissions: Permissions) -> Self {
        Self { path, permissions }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The manifest; `None` when nothing is built.
    ///
    /// # Errors
    /// `Damaged` when it can't be used, or is gone while segments are there.
    pub fn manifest(&self) -> Result<Option<Manifest>> {
        let found = files::read_json::<Manifest>(&self.path.join(MANIFEST))?;
        if found.is_none() && self.segments().next().is_some() {
            let message = "the manifest of the index is missing";
            return Err(Error::new(ErrorKind::Damaged, message).with("folder", self.path.display()));
        }
        Ok(found)
    }

    /// Maps a segment of the manifest.
    ///
    /// # Errors
    /// `NotFound` when another process has just replaced it: read the manifest again. `Damaged`.
    pub fn open(&self, record: &SegmentRecord) -> Result<Opened> {
        let path = self.segment_path(&record.file)?;
        files::expect_file(&path)?;
        let identity = FileIdentity::of(&path)?;
        let segment = Segment::open(&path)?;
        if segment.id().to_string() != record.id {
            let message = "the segment belongs to another index or generation";
            return Err(Error::new(ErrorKind::Damaged, message).with("path", path.display()));
        }
        Ok(Opened { segment, proven: record.sound.is_some() && record.sound == identity })
    }

    /// Bytes of a segment on disk; 0 where it is missing.
    pub fn bytes(&self, record: &SegmentRecord) -> u64 {
        let path = self.segment_path(&record.file).ok();
        path.and_then(|path| path.metadata().ok()).map_or(0, |metadata| metadata.len())
    }

    fn segment_path(&self, name: &str) -> Result<PathBuf> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let stem = name.strip_suffix(SUFFIX).unwrap_or("");
        if stem.is_empty() || !stem.bytes().all(plain) {
            let message = format!("`{name}` is not the name of a segment");
            return Err(Error::new(ErrorKind::Damaged, message).with("folder", self.path.display()));
        }
        Ok(self.path.join(name))
    }

    /// The folder with files of the kind that belong to a segment; there need not be one.
    ///
    /// # Errors
    /// `Damaged` when the segment's name is none.
    pub fn files_of(&self, record: &SegmentRecord) -> Result<PathBuf> {
        Ok(self.segment_path(&record.file)?.with_extension(&FILES_SUFFIX[1..]))
    }

    fn segments(&self) -> impl Iterator<Item = PathBuf> {
        self.entries_with(SUFFIX)
    }

    /// Folders with files of the kind, whatever builds they are of: finished, failed or cut.
    pub fn folders_of_files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
        let is_of_files = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            name.ends_with(FILES_SUFFIX) || name.starts_with(files::TEMPORARY)
        };
        entries
            .map(|entry| entry.path())
            .filter(|path| is_of_files(path) && path.is_dir())
            .collect()
    }

    fn entries_with(&self, suffix: &'static str) -> impl Iterator<Item = PathBuf> {
        let entries = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(move |path| path.extension().is_some_and(|extension| extension == &suffix[1..]))
    }

    /// Takes the right to change the index, creating the folder if need be.
    ///
    /// # Errors
    /// `Busy` under [`Wait::No`]; `ReadOnly` or `Io`.
    pub fn lock(&self, wait: Wait) -> Result<LockedFolder<'_>> {
        self.permissions.create_folder(&self.path)?;
        let lock = Lock::take(&self.path, wait, &self.permissions)?;
        Ok(LockedFolder { folder: self, _lock: lock })
    }
}

/// The right to change an index.
#[derive(Debug)]
pub struct LockedFolder<'a> {
    folder: &'a IndexFolder,
    _lock: Lock,
}

impl LockedFolder<'_> {
    /// The folder.
    pub fn folder(&self) -> &IndexFolder {
        self.folder
    }

    /// An empty file for a segment.
    ///
    /// # Errors
    /// `ReadOnly` or `Io`.
    pub fn temporary(&self) -> Result<NamedTempFile> {
        files::temporary(&self.folder.path, &self.folder.permissions)
    }

    /// An empty folder for files of the kind. Unless it is installed, it is
    /// [`LockedFolder::left_over`].
    ///
    /// # Errors
    /// `ReadOnly` or `Io`.
    pub fn temporary_folder(&self) -> Result<PathBuf> {
        files::temporary_folder(&self.folder.path, &self.folder.permissions).map(TempDir::keep)
    }

    /// Gives the files of the kind to a segment, if there are any. To be called before a manifest
    /// names the segment.
    ///
    /// # Errors
    /// `ReadOnly` or `Io`.
    pub fn install_files(&self, files: &Path, record: &SegmentRecord) -> Result<()> {
        let is_empty = std::fs::read_dir(files).is_ok_and(|mut found| found.next().is_none());
        if is_empty {
            return Ok(());
        }
        let path = self.folder.files_of(record)?;
        files::install_folder(files, &path, &self.folder.permissions)
    }

    /// Gives a finished segment a name of its own.
    ///
    /// # Errors
    /// `ReadOnly` or `Io`.
    pub fn install(&self, file: NamedTempFile, id: SegmentId) -> Result<SegmentRecord> {
        let name = format!("{id}{SUFFIX}");
        files::install(file, &self.folder.path.join(&name))?;
        Ok(SegmentRecord { file: name, id: id.to_string(), sound: None })
    }

    /// Records that the content of a segment is right as the file stands. If the file is younger
    /// than the clock's grain this waits until it isn't (at most 20 ms), or an alteration in that
    /// moment could pass for what was recorded.
    ///
    /// # Errors
    /// `Io`.
    pub fn record_sound(&self, record: &mut SegmentRecord) -> Result<()> {
        let path = self.folder.segment_path(&record.file)?;
        let Some(identity) = FileIdentity::of(&path)? else { return Ok(()) };
        if !identity.is_settled(GRAIN, SystemTime::now()) {
            std::thread::sleep(GRAIN);
        }
        let settled = identity.is_settled(GRAIN, SystemTime::now()) && !identity.is_coarse();
        record.sound = Some(identity).filter(|_| settled);
        Ok(())
    }

    /// Makes `manifest` the index's, in one step, and removes the segments that it does not name.
    ///
    /// # Errors
    /// `ReadOnly` or `Io`; then the old manifest stands, and new segments are removed.
    pub fn commit(&self, manifest: &Manifest) -> Result<()> {
        let path = self.folder.path.join(MANIFEST);
        let written = files::write_json(&path, manifest, &self.folder.permissions);
        match (&written, self.folder.manifest()) {
            (Ok(()), _) => self.keep_only(manifest),
            (Err(_), Ok(Some(old))) => self.keep_only(&old),
            (Err(_), _) => manifest.records().for_each(|record| self.remove(record)),
        }
        self.remove_temporary_files();
        written
    }

    /// Removes the segments that `manifest` does not name.
    fn keep_only(&self, manifest: &Manifest) {
        let named = |path: &Path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            manifest.records().any(|record| Some(&record.file) == name.as_ref())
        };
        for path in self.folder.segments().filter(|path| !named(path)) {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Folders with files of builds that nobody needs any more: earlier ones, and those that failed
    /// or were cut. They may refer to something elsewhere, so who removes them asks the kind first.
    /// Empty ones are removed here.
    pub fn left_over(&self) -> Vec<PathBuf> {
        let mut found = self.folder.folders_of_files();
        match self.folder.manifest() {
            Ok(manifest) => {
                let kept = manifest.and_then(|named| self.folder.files_of(&named.base).ok());
                found.retain(|path| Some(path) != kept.as_ref());
            }
            // Nobody can tell what is in use.
            Err(_) => found.retain(|path| !path.to_string_lossy().ends_with(FILES_SUFFIX)),
        }
        found.retain(|path| std::fs::remove_dir(path).is_err());
        found
    }

    fn remove(&self, record: &SegmentRecord) {
        if let Ok(path) = self.folder.segment_path(&record.file) {
            let _ = std::fs::remove_file(path);
        }
    }

    fn remove_temporary_files(&self) {
        for entry in std::fs::read_dir(&self.folder.path).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(files::TEMPORARY) {
                // A folder that is not empty is left over: see there.
                let _ = std::fs::remove_file(entry.path())
                    .or_else(|_| std::fs::remove_dir(entry.path()));
            }
        }
    }
}
