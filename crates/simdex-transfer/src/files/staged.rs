//! Files that stand under their names only when they are whole.

use std::fs::{File, Permissions};
use std::path::{Path, PathBuf};

use simdex::store::database::is_database;
use simdex::{Error, ErrorKind, Result};
use tempfile::NamedTempFile;

use super::{FileFormat, beside};

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// It is replaced, once the new one is whole.
    Yes,
    /// It stays, and that is an error.
    No,
}

/// A file and, where the form needs one, another beside it, under temporary names. They vanish unless
/// [`Staged::publish`] names them.
#[derive(Debug)]
pub struct Staged {
    overwrite: Overwrite,
    main: Pair,
    beside: Option<Pair>,
}

#[derive(Debug)]
struct Pair {
    path: PathBuf,
    temporary: NamedTempFile,
}

impl Staged {
    /// Makes the temporary files in the folder of `path`, with these permissions less the umask.
    ///
    /// # Errors
    /// `AlreadyExists` when a file is there that must not be overwritten, `Invalid` when it is a
    /// database, which never is, `ReadOnly` or `Io`.
    pub fn new(
        path: &Path,
        format: FileFormat,
        overwrite: Overwrite,
        permissions: &Permissions,
    ) -> Result<Self> {
        let beside = match format {
            #[cfg(feature = "parquet")]
            FileFormat::Parquet => None,
            FileFormat::Npy | FileFormat::Fvecs => Some(beside(path)),
        };
        for path in [Some(path), beside.as_deref()].into_iter().flatten() {
            if path.is_dir() {
                let message = format!("{} is a folder, not a file", path.display());
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            if overwrite == Overwrite::No && path.try_exists().unwrap_or(true) {
                return Err(taken(path));
            }
            // By whatever path: perhaps it is the very one that is read.
            if is_database(path).unwrap_or(false) {
                let message = format!("{} is a SQLite database", path.display());
                let error = Error::new(ErrorKind::Invalid, message);
                return Err(error.hint("name another file: --force doesn't replace databases"));
            }
        }
        let beside = beside.map(|path| Pair::new(&path, permissions)).transpose()?;
        Ok(Self { overwrite, main: Pair::new(path, permissions)?, beside })
    }

    /// The file, to be written.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn file(&self) -> Result<File> {
        self.main.file()
    }

    /// The file beside it, to be written.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn file_beside(&self) -> Result<File> {
        match &self.beside {
            Some(pair) => pair.file(),
            None => Err(Error::new(ErrorKind::Internal, "this form has no file beside it")),
        }
    }

    /// Where the files are now, to be read back.
    pub(crate) fn paths(&self) -> (&Path, &Path) {
        let main = self.main.temporary.path();
        (main, self.beside.as_ref().map_or(main, |pair| pair.temporary.path()))
    }

    /// Flushes the files and gives them their names. Returns the paths.
    ///
    /// # Errors
    /// `AlreadyExists` when somebody has made such a file meanwhile, `Io`.
    pub fn publish(self) -> Result<Vec<PathBuf>> {
        // The one with the vectors last: while it is missing, nothing looks finished.
        let pairs = self.beside.into_iter().chain([self.main]);
        pairs.map(|pair| pair.publish(self.overwrite)).collect()
    }
}

impl Pair {
    fn new(path: &Path, permissions: &Permissions) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let message = format!("there is no folder {}", folder.display());
            return Err(Error::new(ErrorKind::NotFound, message).with("writing", path.display()));
        }
        let temporary = tempfile::Builder::new()
            .prefix(".simdex-")
            .permissions(permissions.clone())
            .tempfile_in(folder);
        let temporary = temporary.map_err(|error| failed(path, error))?;
        Ok(Self { path: path.to_owned(), temporary })
    }

    fn file(&self) -> Result<File> {
        self.temporary.reopen().map_err(|error| failed(&self.path, error))
    }

    fn publish(self, overwrite: Overwrite) -> Result<PathBuf> {
        let Self { path, temporary } = self;
        temporary.as_file().sync_all().map_err(|error| failed(&path, error))?;
        let persisted = match overwrite {
            Overwrite::Yes => temporary.persist(&path),
            Overwrite::No => temporary.persist_noclobber(&path),
        };
        match persisted {
            Ok(_) => Ok(path),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(taken(&path))
            }
            Err(error) => Err(failed(&path, error.error)),
        }
    }
}

fn taken(path: &Path) -> Error {
    let message = format!("{} exists already", path.display());
    Error::new(ErrorKind::AlreadyExists, message)
        .hint("choose another name, or replace it with --force")
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::from(error).with("writing", path.display())
}
