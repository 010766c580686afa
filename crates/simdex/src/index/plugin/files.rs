//! What a persistent plugin left in its folder, as recorded when it was built.

use std::fs::{self, File, Metadata};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Context, Error, ErrorKind, Result};

/// How much of a file is read at once.
const CHUNK: usize = 1 << 20;

/// A file of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PluginFile {
    /// Its path within the folder, with `/`.
    name: String,
    /// Its length.
    bytes: u64,
    /// When it was last changed, in nanoseconds since 1970.
    modified: u64,
    /// XXH3-64 of its content, in hexadecimal.
    xxh3: String,
}

/// Every file in `folder` and in folders in it, by name. O(bytes): all are read.
///
/// # Errors
/// `Plugin` for what is neither file nor folder or has a name that is no Unicode; `Io`.
pub(super) fn record(folder: &Path) -> Result<Vec<PluginFile>> {
    let described = |(name, metadata): (String, Metadata)| {
        let xxh3 = hash(&folder.join(&name))?;
        Ok(PluginFile { name, bytes: metadata.len(), modified: modified(&metadata), xxh3 })
    };
    list(folder)?.into_iter().map(described).collect()
}

/// Names of files, and what the system says of them.
fn list(folder: &Path) -> Result<Vec<(String, Metadata)>> {
    let mut found = Vec::new();
    gather(folder, "", &mut found)?;
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

fn gather(folder: &Path, prefix: &str, found: &mut Vec<(String, Metadata)>) -> Result<()> {
    for entry in fs::read_dir(folder).context("folder", folder.display())? {
        let entry = entry.context("folder", folder.display())?;
        let kind = entry.file_type().context("path", entry.path().display())?;
        let name = entry.file_name().into_string().ok().map(|name| format!("{prefix}{name}"));
        match name {
            Some(name) if kind.is_dir() => gather(&entry.path(), &format!("{name}/"), found)?,
            Some(name) if kind.is_file() => {
                found.push((name, entry.metadata().context("path", entry.path().display())?));
            }
            _ => {
                let message = "the plugin left something in its folder that is not a plain file";
                let path = entry.path();
                return Err(Error::new(ErrorKind::Plugin, message).with("path", path.display()));
            }
        }
    }
    Ok(())
}

fn modified(metadata: &Metadata) -> u64 {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0)
}

fn hash(path: &Path) -> Result<String> {
    let file = File::open(path).context("path", path.display())?;
    let mut reader = BufReader::with_capacity(CHUNK, file);
    let mut hasher = Xxh3::new();
    loop {
        let chunk = reader.fill_buf().context("path", path.display())?;
        if chunk.is_empty() {
            return Ok(format!("{:016x}", hasher.digest()));
        }
        hasher.update(chunk);
        let read = chunk.len();
        reader.consume(read);
    }
}

/// Whose content is read to check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Files that were touched since they were recorded.
    Touched,
    /// Every file.
    All,
}

/// Checks that a folder holds what it held. O(files) while none was touched.
///
/// # Errors
/// `Damaged`.
pub(super) fn check(folder: &Path, recorded: &[PluginFile], read: Read) -> Result<()> {
    let unreadable = |error| {
        let message = "the files of the plugin can't be found";
        Error::new(ErrorKind::Damaged, message).source(error)
    };
    let damaged = |message: &str| {
        Err(Error::new(ErrorKind::Damaged, message).with("folder", folder.display()))
    };
    let found = list(folder).map_err(unreadable)?;
    let is_of = |((name, metadata), file): (&(String, Metadata), &PluginFile)| {
        *name == file.name && metadata.len() == file.bytes
    };
    if found.len() != recorded.len() || !found.iter().zip(recorded).all(is_of) {
        return damaged("the files of the plugin are not those it wrote");
    }
    for ((name, metadata), file) in found.iter().zip(recorded) {
        let suspect = read == Read::All || modified(metadata) != file.modified;
        if suspect && hash(&folder.join(name)).map_err(unreadable)? != file.xxh3 {
            return damaged(&format!("the plugin's file `{name}` is not as it wrote it"));
        }
    }
    Ok(())
}

/// Bytes of all files.
pub(super) fn bytes(files: &[PluginFile]) -> u64 {
    files.iter().map(|file| file.bytes).sum()
}
