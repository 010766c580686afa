//! Where things are looked for: llm's database, and our own settings.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use simdex::settings;
use simdex::store::database::is_database;

use crate::failure::UserError;

/// Names a database; llm reads it too.
pub(crate) const DATABASE_VARIABLE: &str = "LLM_EMBEDDINGS_DB";
/// llm's folder, in place of the platform's.
const LLM_FOLDER_VARIABLE: &str = "LLM_USER_PATH";
/// Names a folder for indexes.
pub(crate) const INDEX_VARIABLE: &str = "SIMDEX_INDEX_DIR";
/// Names the folder of our settings.
pub(crate) const SETTINGS_VARIABLE: &str = settings::FOLDER_VARIABLE;

/// Why a database is looked for at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Because {
    /// `-d`.
    Option,
    /// This variable is set.
    Variable(&'static str),
    /// It is llm's own place.
    Default,
}

/// A database, and why this one.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) path: PathBuf,
    pub(crate) because: Because,
}

/// The user's database, found as llm finds it.
///
/// # Errors
/// When nothing names one and there is no home folder.
pub(crate) fn database(option: Option<&Path>) -> Result<Database, UserError> {
    if let Some(path) = option {
        return Ok(Database { path: path.to_owned(), because: Because::Option });
    }
    if let Some(path) = variable(DATABASE_VARIABLE) {
        let because = Because::Variable(DATABASE_VARIABLE);
        return Ok(Database { path: path.into(), because });
    }
    if let Some(folder) = variable(LLM_FOLDER_VARIABLE) {
        let path = PathBuf::from(folder).join("embeddings.db");
        return Ok(Database { path, because: Because::Variable(LLM_FOLDER_VARIABLE) });
    }
    let folder = settings::app_folder("io.datasette.llm").ok_or_else(|| {
        UserError::new("no home folder, so llm's database can't be found")
            .hint(format!("name a database with -d PATH or {DATABASE_VARIABLE}"))
    })?;
    Ok(Database { path: folder.join("embeddings.db"), because: Because::Default })
}

impl Database {
    /// Checks that there is a file to open, which SQLite says less clearly, or creates.
    pub(crate) fn check(&self) -> Result<(), UserError> {
        let path = self.path.display();
        if self.path.is_dir() {
            let inside = self.path.join("embeddings.db");
            let hint = match inside.is_file() {
                true => format!("did you mean {}?", inside.display()),
                false => "give the path of the SQLite file itself".to_owned(),
            };
            return Err(UserError::new(format!("{path} is a folder, not a database")).hint(hint));
        }
        // Files that exist but can't be seen are for SQLite to explain.
        if matches!(self.path.try_exists(), Ok(false)) {
            return Err(UserError::new(format!("no database at {path} ({})", self.reason()))
                .hint(format!(
                    "point to one with -d PATH or {DATABASE_VARIABLE}; `simdex quickstart` makes one to try"
                )));
        }
        let empty = self.path.metadata().is_ok_and(|data| data.len() == 0);
        if !empty && matches!(is_database(&self.path), Ok(false)) {
            let message = format!("{path} is not a SQLite database ({})", self.reason());
            return Err(UserError::new(message));
        }
        Ok(())
    }

    fn reason(&self) -> String {
        match self.because {
            Because::Option => "as given with -d/--database".to_owned(),
            Because::Variable(name) => format!("as {name} says"),
            Because::Default => "where llm keeps it".to_owned(),
        }
    }
}

/// The folder for indexes, where the user names one.
pub(crate) fn index_folder(option: Option<&Path>) -> Option<PathBuf> {
    option.map(Path::to_owned).or_else(|| variable(INDEX_VARIABLE).map(PathBuf::from))
}

/// The folder of our settings.
///
/// # Errors
/// When nothing names one and there is no home folder.
pub(crate) fn settings_folder() -> Result<PathBuf, UserError> {
    settings::folder().ok_or_else(|| {
        UserError::new("no home folder to keep settings in")
            .hint(format!("name a folder with {SETTINGS_VARIABLE}"))
    })
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// The file that a command of this name would run.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(format!("{name}{}", env::consts::EXE_SUFFIX)))
        .find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_wins() {
        let database = database(Some(Path::new("x.db"))).unwrap();
        assert_eq!(database.path, Path::new("x.db"));
        assert_eq!(database.because, Because::Option);
    }

    #[test]
    fn what_is_not_a_file_is_said_before_sqlite_sees_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path| Database { path, because: Because::Option };
        let error = at(folder.path().to_owned()).check().unwrap_err();
        assert!(error.to_string().ends_with("is a folder, not a database"), "{error}");
        let error = at(folder.path().join("none.db")).check().unwrap_err();
        assert!(error.to_string().starts_with("no database at "), "{error}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
