//! The file of embedding servers: which one to ask for which model. It holds no key.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use crate::failure::UserError;
use crate::paths;

const FILE: &str = "embedders.json";

/// Servers by model.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    file: PathBuf,
    contents: Contents,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Contents {
    embedders: BTreeMap<String, Endpoint>,
}

impl Settings {
    /// Reads the user's file; without one, there are no servers.
    ///
    /// # Errors
    /// When the file can't be read or understood.
    pub(crate) fn load() -> anyhow::Result<Self> {
        Self::load_from(&paths::settings_folder()?)
    }

    fn load_from(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(FILE);
        let contents = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                UserError::new(format!("{} can't be understood: {error}", file.display()))
                    .hint("mend or delete it, and set the embedders again")
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Contents::default(),
            Err(error) => return Err(unusable(&file, &error).into()),
        };
        Ok(Self { file, contents })
    }

    pub(crate) fn get(&self, model: &str) -> Option<Endpoint> {
        self.contents.embedders.get(model).cloned()
    }

    pub(crate) fn all(&self) -> &BTreeMap<String, Endpoint> {
        &self.contents.embedders
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Sets the server of `model` and stores that.
    pub(crate) fn set(&mut self, model: &str, endpoint: Endpoint) -> anyhow::Result<()> {
        self.contents.embedders.insert(model.to_owned(), endpoint);
        self.store()
    }

    /// Forgets the server of `model` and stores that; says whether there was one.
    pub(crate) fn remove(&mut self, model: &str) -> anyhow::Result<bool> {
        let was_set = self.contents.embedders.remove(model).is_some();
        if was_set {
            self.store()?;
        }
        Ok(was_set)
    }

    /// Replaces the file in one step, readable by the user only.
    fn store(&self) -> anyhow::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let failed = |error: std::io::Error| unusable(&self.file, &error);
        fs::create_dir_all(folder).map_err(failed)?;
        // Temporary files are made with mode 0600, which the rename keeps.
        let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        serde_json::to_writer_pretty(&mut temporary, &self.contents).context("writing settings")?;
        temporary.write_all(b"\n").map_err(failed)?;
        temporary.as_file().sync_all().map_err(failed)?;
        temporary.persist(&self.file).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

fn unusable(file: &Path, error: &std::io::Error) -> UserError {
    UserError::new(format!("can't use {}: {error}", file.display()))
        .hint(format!("{} names another folder for settings", paths::SETTINGS_VARIABLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint {
            url: "http://localhost:1/v1/embeddings".to_owned(),
            model_name: "small".to_owned(),
            api_key_env: None,
            timeout: 5,
        }
    }

    #[test]
    fn what_is_set_is_found_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("made/on/demand");
        let mut settings = Settings::load_from(&folder).unwrap();
        settings.set("m", endpoint()).unwrap();
        let mut settings = Settings::load_from(&folder).unwrap();
        assert_eq!(settings.get("m"), Some(endpoint()));
        assert!(settings.remove("m").unwrap());
        assert!(!settings.remove("m").unwrap());
        assert!(Settings::load_from(&folder).unwrap().all().is_empty());
        assert_eq!(folder.read_dir().unwrap().count(), 1, "no leftover files");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_the_users_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        Settings::load_from(folder.path()).unwrap().set("m", endpoint()).unwrap();
        let mode = folder.path().join(FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{").unwrap();
        let error = Settings::load_from(folder.path()).unwrap_err().to_string();
        assert!(error.contains("embedders.json can't be understood"), "{error}");
    }
}
