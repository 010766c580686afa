//! Definitions and generations: what indexes there are, and what is built of each.

pub mod files;
pub mod folder;
pub mod generation;
pub mod home;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::catalog::files::{Lock, Wait};
use crate::catalog::home::Home;
use crate::error::{Context, Error, ErrorKind, Hint, Result};
use crate::index::Parameters;
use crate::snapshot::segment::SegmentId;
use crate::store::source::Source;
use crate::types::Metric;

/// What an index is: a name, what it covers, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name, unique for the database.
    pub name: String,
    /// The folder that holds it; a fresh one for every definition, so that a name can be reused.
    folder: String,
    /// What it covers. Keys carry positions in this list.
    pub sources: Vec<Source>,
    /// The kind, a name from [`crate::index::KINDS`].
    pub kind: String,
    /// The metric.
    pub metric: Metric,
    /// Parameters of the kind, as the user set them.
    pub parameters: Parameters,
}

impl Definition {
    /// A definition with a folder of its own.
    ///
    /// # Errors
    /// `Io` when the system has no random numbers.
    pub fn new(
        name: String,
        sources: Vec<Source>,
        kind: String,
        metric: Metric,
        parameters: Parameters,
    ) -> Result<Self> {
        let folder = format!("{FOLDER_PREFIX}{}", SegmentId::random()?);
        Ok(Self { name, folder, sources, kind, metric, parameters })
    }

    /// Whether both say the same, wherever their files are.
    fn is_alike(&self, other: &Self) -> bool {
        Self { folder: other.folder.clone(), ..self.clone() } == *other
    }

    /// What tells it from all other definitions: 32 hexadecimal digits.
    pub fn id(&self) -> &str {
        self.folder.strip_prefix(FOLDER_PREFIX).unwrap_or(&self.folder)
    }

    /// Names of the collections among its sources.
    pub fn collections(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().filter_map(|source| match source {
            Source::Collection { name, .. } => Some(name.as_str()),
            Source::Table { .. } => None,
        })
    }

    /// Whether it covers the collection of this name.
    pub fn covers(&self, collection: &str) -> bool {
        self.collections().any(|name| name == collection)
    }
}

/// All definitions of a database, and the default indexes of its collections.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    indexes: Vec<Definition>,
    /// Index by collection.
    defaults: BTreeMap<String, String>,
}

const CATALOG: &str = "catalog.json";
const BACKUP: &str = "catalog.backup.json";
const FOLDER_PREFIX: &str = "index-";

/// A catalog as read, and what the user should know about it.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The catalog.
    pub catalog: Catalog,
    /// That it was damaged and comes from its backup.
    pub notice: Option<String>,
}

impl Catalog {
    /// Reads the catalog of `home`; an empty one where there is none.
    ///
    /// # Errors
    /// `Damaged` when neither the file nor its backup can be used.
    pub fn load(home: &Home) -> Result<Loaded> {
        let (path, backup) = (home.folder().join(CATALOG), home.folder().join(BACKUP));
        let read = |path: &Path| {
            files::read_json::<Self>(path).and_then(|found| match found {
                Some(catalog) => catalog.checked().context("path", path.display()).map(Some),
                None => Ok(None),
            })
        };
        let damage = match read(&path) {
            Ok(Some(catalog)) => return Ok(Loaded { catalog, notice: None }),
            Ok(None) if !backup.exists() => return Ok(Loaded::default()),
            Ok(None) => format!("{} is missing", path.display()),
            Err(error) if error.kind() == ErrorKind::Damaged => error.to_string(),
            Err(error) => return Err(error),
        };
        match read(&backup) {
            Ok(Some(catalog)) => {
                let notice = format!("the definitions of indexes come from their backup: {damage}");
                Ok(Loaded { catalog, notice: Some(notice) })
            }
            _ => Err(Error::new(ErrorKind::Damaged, "the definitions of indexes can't be read")
                .with("folder", home.folder().display())
                .with("damage", damage)
                .hint("move the folder away and create the indexes anew; the database is not affected")),
        }
    }

    /// The catalog, unless it says what only a hostile file could say.
    ///
    /// # Errors
    /// `Damaged`.
    pub fn checked(self) -> Result<Self> {
        let fresh = |folder: &str| {
            let digits = folder.strip_prefix(FOLDER_PREFIX).unwrap_or("");
            digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        for definition in &self.indexes {
            if !fresh(&definition.folder) || definition.sources.is_empty() {
                let message =
                    format!("the definition of index `{}` makes no sense", definition.name);
                return Err(Error::new(ErrorKind::Damaged, message));
            }
        }
        Ok(self)
    }

    /// Changes the catalog: reads it under a lock, lets `edit` change it, and writes it in one step.
    /// Folders that no definition names any more are removed.
    ///
    /// # Errors
    /// Those of `edit`, and of reading and writing; then nothing has changed.
    pub fn edit<T>(home: &mut Home, edit: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        home.create()?;
        let _lock = Lock::take(home.folder(), Wait::Yes, home.permissions())?;
        let mut catalog = Self::load(home)?.catalog;
        let result = edit(&mut catalog)?;
        for name in [CATALOG, BACKUP] {
            files::write_json(&home.folder().join(name), &catalog, home.permissions())?;
        }
        catalog.sweep(home);
        Ok(result)
    }

    /// Removes what killed processes left behind. The caller holds the lock.
    fn sweep(&self, home: &Home) {
        let Ok(entries) = std::fs::read_dir(home.folder()) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(files::TEMPORARY) {
                let _ = std::fs::remove_file(entry.path())
                    .or_else(|_| std::fs::remove_dir_all(entry.path()));
            }
            let unnamed = !self.indexes.iter().any(|definition| definition.folder == name);
            if name.starts_with(FOLDER_PREFIX) && unnamed {
                // In one step, so that nobody sees half an index and takes it for a damaged one. On
                // Windows files that a search has mapped stay until the next sweep.
                let away = home.folder().join(format!("{}{name}", files::TEMPORARY));
                let moved = std::fs::rename(entry.path(), &away);
                let _ = std::fs::remove_dir_all(if moved.is_ok() { away } else { entry.path() });
            }
        }
    }

    /// All definitions, in the order in which they were made.
    pub fn definitions(&self) -> &[Definition] {
        &self.indexes
    }

    /// The definition of an index.
    ///
    /// # Errors
    /// `NotFound`, with the names there are.
    pub fn get(&self, name: &str) -> Result<&Definition> {
        self.indexes.iter().find(|definition| definition.name == name).ok_or_else(|| {
            let error = Error::new(ErrorKind::NotFound, format!("there is no index `{name}`"));
            let names: Vec<_> = self.indexes.iter().map(|known| known.name.as_str()).collect();
            match names.is_empty() {
                true => error.hint(Hint::command(
                    "define one",
                    ["index", "create", "NAME", "-c", "COLLECTION"],
                )),
                false => error.hint(format!("indexes: {}", names.join(", "))),
            }
        })
    }

    /// Adds a definition.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken.
    pub fn add(&mut self, definition: Definition) -> Result<()> {
        if let Ok(taken) = self.get(&definition.name) {
            let name = &definition.name;
            let message = format!("there is an index `{name}` already");
            let hint = match taken.is_alike(&definition) {
                true => Hint::command("it is just that; to build it", ["index", "build", name]),
                false => Hint::command("choose another name, or drop it", ["index", "drop", name]),
            };
            return Err(Error::new(ErrorKind::AlreadyExists, message).hint(hint));
        }
        self.indexes.push(definition);
        Ok(())
    }

    /// Removes a definition and every default that names it.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        self.get(name)?;
        self.indexes.retain(|definition| definition.name != name);
        self.defaults.retain(|_, index| index != name);
        Ok(())
    }

    /// The default index of a collection.
    pub fn default_of(&self, collection: &str) -> Option<&Definition> {
        let name = self.defaults.get(collection)?;
        self.indexes.iter().find(|definition| definition.name == *name)
    }

    /// Makes `index` the default of `collection`.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` when the index does not cover the collection.
    pub fn set_default(&mut self, collection: &str, index: &str) -> Result<()> {
        let definition = self.get(index)?;
        if !definition.covers(collection) {
            let message = format!("index `{index}` does not cover collection `{collection}`");
            let names: Vec<_> = definition.collections().collect();
            return Err(Error::new(ErrorKind::Invalid, message)
                .hint(format!("it covers: {}", names.join(", "))));
        }
        self.defaults.insert(collection.to_owned(), index.to_owned());
        Ok(())
    }

    /// Leaves `collection` without a default; returns the one it had.
    pub fn clear_default(&mut self, collection: &str) -> Option<String> {
        self.defaults.remove(collection)
    }

    /// The collections whose default is `index`.
    pub fn default_for(&self, index: &str) -> Vec<String> {
        let chosen = self.defaults.iter().filter(|(_, name)| *name == index);
        chosen.map(|(collection, _)| collection.clone()).collect()
    }

    /// The folder of an index, which may not exist yet.
    pub fn folder(definition: &Definition, home: &Home) -> PathBuf {
        home.folder().join(&definition.folder)
    }
}
