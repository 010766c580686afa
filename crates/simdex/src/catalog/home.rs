//! Where a database's indexes live.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use xxhash_rust::xxh3::xxh3_64;

use crate::catalog::files::{Permissions, unwritable};
use crate::error::{Context, ErrorKind, Result};

/// The folder of a database's indexes. It may not exist yet.
#[derive(Debug, Clone)]
pub struct Home {
    folder: PathBuf,
    /// Used instead when the folder can't be created.
    otherwise: Option<PathBuf>,
    permissions: Permissions,
}

impl Home {
    /// Finds the folder of the database at `database` (symbolic links resolved): in `index_dir`
    /// where given; else `<database>.simdex` beside it; else in the user's cache folder.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub fn locate(database: &Path, index_dir: Option<&Path>) -> Result<Self> {
        let metadata = database.metadata().context("database", database.display())?;
        let permissions = Permissions::of(&metadata);
        if let Some(dir) = index_dir {
            let folder = dir.join(distinct_name(database));
            return Ok(Self { folder, otherwise: None, permissions });
        }
        let mut beside = database.as_os_str().to_owned();
        beside.push(".simdex");
        let beside = PathBuf::from(beside);
        let cache = etcetera::choose_base_strategy()
            .ok()
            .map(|base| base.cache_dir().join("simdex").join(distinct_name(database)));
        Ok(match cache {
            Some(cache) if !beside.is_dir() && cache.is_dir() => {
                Self { folder: cache, otherwise: None, permissions }
            }
            cache => Self { folder: beside, otherwise: cache, permissions },
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The permissions of everything in it.
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// Creates the folder if there is none, in the user's cache folder if need be.
    ///
    /// # Errors
    /// `ReadOnly` when no place can be written.
    pub fn create(&mut self) -> Result<()> {
        let parents = if self.otherwise.is_some() { Parents::Expect } else { Parents::Create };
        let Err(error) = create(&self.folder, parents, &self.permissions) else { return Ok(()) };
        let Some(otherwise) = self.otherwise.take().filter(|_| error.kind() == ErrorKind::ReadOnly)
        else {
            return Err(unwritable(error));
        };
        create(&otherwise, Parents::Create, &self.permissions).map_err(unwritable)?;
        self.folder = otherwise;
        Ok(())
    }
}

/// Whether the folders above are created too; those beside a database are there.
#[derive(Clone, Copy)]
enum Parents {
    Create,
    Expect,
}

fn create(folder: &Path, parents: Parents, permissions: &Permissions) -> Result<()> {
    if let (Parents::Create, Some(parent)) = (parents, folder.parent()) {
        std::fs::create_dir_all(parent).context("folder", parent.display())?;
    }
    permissions.create_folder(folder)
}

/// A name that keeps databases of one file name apart.
fn distinct_name(database: &Path) -> String {
    let name = database.file_name().unwrap_or_default().to_string_lossy();
    let hash = xxh3_64(database.as_os_str().as_encoded_bytes());
    format!("{name}-{hash:016x}.simdex")
}
