//! Programs that the user's settings name: plugins where `PATH` is not the user's own, as under
//! systemd.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};

/// The file, in the folder of settings.
const FILE: &str = "plugins.json";

/// What the file says.
#[derive(Debug, Clone, Default)]
pub(super) struct Named {
    /// Where it is, or would be.
    file: PathBuf,
    programs: BTreeMap<String, PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    plugins: BTreeMap<String, PathBuf>,
}

impl Named {
    /// Reads the file of a folder; without one, nothing is named. A relative folder is none, so that
    /// the current folder decides nothing.
    ///
    /// # Errors
    /// `Plugin` when there is a file that can't be used.
    pub(super) fn read(folder: Option<PathBuf>) -> Result<Self> {
        let Some(folder) = folder.filter(|folder| folder.is_absolute()) else {
            return Ok(Self::default());
        };
        let file = folder.join(FILE);
        let unusable = |what: String| {
            let message = format!("{} can't be used: {what}", file.display());
            Error::new(ErrorKind::Plugin, message)
                .hint(r#"it is like {"plugins": {"faiss": "/a/path/simdex-index-faiss"}}"#)
        };
        let text = match read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == IoErrorKind::NotFound => {
                return Ok(Self { file, programs: BTreeMap::new() });
            }
            Err(error) => return Err(unusable(error.to_string())),
        };
        let Contents { plugins: programs } =
            serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
        for (name, program) in &programs {
            if !super::registry::is_name(name) {
                return Err(unusable(format!("`{name}` can't be the name of a plugin")));
            }
            if !program.is_absolute() {
                let program = program.display();
                return Err(unusable(format!("the path of `{name}` is not absolute: {program}")));
            }
        }
        Ok(Self { file, programs })
    }

    /// Every program named, by plugin.
    pub(super) fn programs(&self) -> &BTreeMap<String, PathBuf> {
        &self.programs
    }

    /// The program of a plugin, if one is named; it need not be there.
    pub(super) fn get(&self, plugin: &str) -> Option<&Path> {
        self.programs.get(plugin).map(PathBuf::as_path)
    }

    /// The error for a program that can't be run.
    pub(super) fn no_program(&self, plugin: &str, program: &Path) -> Error {
        let what = match program.try_exists() {
            Ok(true) => "can't be executed",
            _ => "is not there",
        };
        let message = format!("the program of plugin `{plugin}` {what}: {}", program.display());
        Error::new(ErrorKind::Plugin, message)
            .hint(format!("it is named in {}", self.file.display()))
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut opened = File::open(file)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if opened.metadata()?.permissions().mode() & 0o022 != 0 {
            let message = "others than its owner may write it";
            return Err(std::io::Error::new(IoErrorKind::PermissionDenied, message));
        }
    }
    let mut text = String::new();
    opened.read_to_string(&mut text)?;
    Ok(text)
}
