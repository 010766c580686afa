//! Builds that are no longer needed: their files go, and with them what their kind keeps elsewhere.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::catalog::Definition;
use crate::catalog::files::copy_folder;
use crate::catalog::folder::{IndexFolder, LockedFolder};
use crate::catalog::generation::sections_of;
use crate::error::{Context, Result};
use crate::index::plugin::Plugins;
use crate::index::{AnyKind, Gone, Parameters, Released, Sections};
use crate::observe::{Observer, Silent};

/// Removes what earlier builds left, and those that failed or were cut. `made` is what the last one
/// that succeeded made, if that is known. Returns what the user should know; folders that may still
/// help to remove something elsewhere stay for the next build.
pub(super) fn after_build(
    definition: &Definition,
    locked: &LockedFolder<'_>,
    plugins: &Plugins,
    made: Option<&Sections>,
    observer: &dyn Observer,
) -> Option<String> {
    let folders = locked.left_over();
    if folders.is_empty() {
        return None;
    }
    let folder = locked.folder();
    let manifest = folder.manifest().ok().flatten();
    let kept = manifest.and_then(|manifest| folder.files_of(&manifest.base).ok());
    let kept = kept.filter(|files| files.is_dir());
    let parameters = &definition.parameters;
    let gone = Gone { folders: &folders, kept: kept.as_deref(), parameters, made };
    let released = match AnyKind::named(&definition.kind, plugins) {
        Ok(kind) => kind.release(&gone, observer),
        Err(_) => Released::Done,
    };
    let notice = match released {
        Released::NotYet(notice) => return Some(notice),
        Released::Never(notice) => Some(notice),
        Released::Done => None,
    };
    for folder in folders {
        let _ = std::fs::remove_dir_all(folder);
    }
    notice
}

/// Copies of the files of an index that is about to be removed, for a kind that finds by them what
/// it keeps elsewhere: the index goes first, and nothing elsewhere can hold that up.
pub(super) struct Remains {
    made: Option<Sections>,
    copies: Result<Option<Copies>>,
}

struct Copies {
    _place: TempDir,
    folders: Vec<PathBuf>,
}

impl Remains {
    /// Copies what there is. Nothing, for a kind that keeps nothing elsewhere.
    pub(super) fn of(kind: &AnyKind, folder: &IndexFolder) -> Self {
        let made = sections_of(folder).ok().flatten();
        let copies = match kind.keeps_elsewhere(made.as_ref()) {
            true => Copies::of(folder).map(Some),
            false => Ok(None),
        };
        Self { made, copies }
    }

    /// Removes what they refer to. Returns what the user should know.
    pub(super) fn release(self, kind: &AnyKind, parameters: &Parameters) -> Option<String> {
        let copies = match self.copies {
            Ok(copies) => copies?,
            Err(error) => {
                let kind = kind.name();
                return Some(format!("what `{kind}` keeps elsewhere may still be there: {error}"));
            }
        };
        let made = self.made.as_ref();
        let gone = Gone { folders: &copies.folders, kept: None, parameters, made };
        match kind.release(&gone, &Silent) {
            Released::Done => None,
            Released::NotYet(notice) | Released::Never(notice) => Some(notice),
        }
    }
}

impl Copies {
    fn of(folder: &IndexFolder) -> Result<Self> {
        let place = tempfile::Builder::new().prefix("simdex-").tempdir();
        let place = place.context("folder", std::env::temp_dir().display())?;
        let mut folders = Vec::new();
        for (number, files) in folder.folders_of_files().iter().enumerate() {
            let copy = place.path().join(number.to_string());
            std::fs::create_dir(&copy).context("folder", copy.display())?;
            copy_folder(files, &copy)?;
            folders.push(copy);
        }
        Ok(Self { _place: place, folders })
    }
}
