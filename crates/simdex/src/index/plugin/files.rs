//! What a persistent plugin left in its folder, as recorded when it was built.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, ErrorKind, Result};

/// A file of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PluginFile {
    /// Its path within the folder, with `/`.
    name: String,
    /// Its length.
    bytes: u64,
}

/// Every file in `folder` and in folders in it, by name.
///
/// # Errors
/// `Plugin` for what is neither file nor folder or has a name that is no Unicode; `Io`.
pub(super) fn list(folder: &Path) -> Result<Vec<PluginFile>> {
    let mut found = Vec::new();
    gather(folder, "", &mut found)?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn gather(folder: &Path, prefix: &str, found: &mut Vec<PluginFile>) -> Result<()> {
    for entry in std::fs::read_dir(folder).context("folder", folder.display())? {
        let entry = entry.context("folder", folder.display())?;
        let kind = entry.file_type().context("path", entry.path().display())?;
        let name = entry.file_name().into_string().ok().map(|name| format!("{prefix}{name}"));
        match name {
            Some(name) if kind.is_dir() => gather(&entry.path(), &format!("{name}/"), found)?,
            Some(name) if kind.is_file() => {
                let metadata = entry.metadata().context("path", entry.path().display())?;
                found.push(PluginFile { name, bytes: metadata.len() });
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

/// Checks that a folder holds what it held. O(files): contents are not read.
///
/// # Errors
/// `Damaged`.
pub(super) fn check(folder: &Path, recorded: &[PluginFile]) -> Result<()> {
    let found = list(folder).map_err(|error| {
        let message = "the files of the plugin can't be found";
        Error::new(ErrorKind::Damaged, message).source(error)
    })?;
    match found == recorded {
        true => Ok(()),
        false => {
            Err(Error::new(ErrorKind::Damaged, "the files of the plugin are not those it wrote")
                .with("folder", folder.display()))
        }
    }
}

/// Bytes of all files.
pub(super) fn bytes(files: &[PluginFile]) -> u64 {
    files.iter().map(|file| file.bytes).sum()
}
