//! Where plugins are, and which are running.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::index::KINDS;
use crate::index::plugin::kept::{Pool, Slot, Spec};
use crate::index::plugin::kind::Plugin;
use crate::index::plugin::named::Named;
use crate::index::plugin::process::Limits;
use crate::index::remote::REMOTE;
use crate::settings;

/// What the names of plugins' programs begin with.
pub const PREFIX: &str = "simdex-index-";

/// Names folders that are searched before `PATH`.
const FOLDERS: &str = "SIMDEX_PLUGIN_PATH";

/// Sets every time limit, in seconds.
const TIMEOUT: &str = "SIMDEX_PLUGIN_TIMEOUT";

/// Where plugins are looked for, and the processes that serve indexes in use. Clones share both.
/// When the last clone goes, the processes end.
#[derive(Debug, Clone)]
pub struct Plugins {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What the settings name, or why that can't be told.
    named: Result<Named, Error>,
    folders: Vec<(Origin, PathBuf)>,
    limits: Limits,
    pool: Mutex<Pool>,
}

/// A plugin's program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// The plugin's name.
    pub name: String,
    /// Its program.
    pub path: PathBuf,
    /// Why it is this one.
    pub origin: Origin,
}

/// What makes a program a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The user's settings name it.
    Settings,
    /// It is in a folder that `SIMDEX_PLUGIN_PATH` names.
    PluginPath,
    /// It is on `PATH`.
    Path,
}

impl Origin {
    /// For people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Settings => "plugins.json",
            Self::PluginPath => FOLDERS,
            Self::Path => "PATH",
        }
    }
}

impl Plugins {
    /// Looks at `plugins.json` among the user's settings, then in the folders of
    /// `SIMDEX_PLUGIN_PATH`, then of `PATH`; relative ones are left out, so that the current folder
    /// decides nothing.
    pub fn from_environment() -> Self {
        let of = |(variable, origin)| {
            let list = std::env::var_os(variable).unwrap_or_default();
            let folders: Vec<_> = std::env::split_paths(&list).collect();
            folders.into_iter().map(move |folder| (origin, folder))
        };
        let variables = [(FOLDERS, Origin::PluginPath), ("PATH", Origin::Path)];
        let folders = variables.into_iter().flat_map(of).collect();
        let seconds = std::env::var(TIMEOUT).ok().and_then(|text| text.parse().ok());
        let limits = seconds.map_or_else(Limits::default, Limits::of_seconds);
        Self::over(Named::read(settings::folder()), folders, limits)
    }

    /// Looks in these folders, in order.
    pub fn new(folders: Vec<PathBuf>, limits: Limits) -> Self {
        let folders = folders.into_iter().map(|folder| (Origin::PluginPath, folder)).collect();
        Self::over(Ok(Named::default()), folders, limits)
    }

    fn over(named: Result<Named>, folders: Vec<(Origin, PathBuf)>, limits: Limits) -> Self {
        let folders = folders.into_iter().filter(|(_, folder)| folder.is_absolute()).collect();
        Self { shared: Arc::new(Shared { named, folders, limits, pool: Mutex::default() }) }
    }

    /// What the user's settings name.
    fn named(&self) -> Result<&Named> {
        self.shared.named.as_ref().map_err(|error| {
            let again = Error::new(error.kind(), error.to_string());
            error.next_step().cloned().into_iter().fold(again, Error::hint)
        })
    }

    /// Every plugin there is, by name, also those whose program the settings name and is not there.
    /// Of several programs of one name the settings' counts, then the first folder's.
    ///
    /// # Errors
    /// `Plugin` when the settings can't be used.
    pub fn installed(&self) -> Result<Vec<Installed>> {
        let mut found = BTreeMap::new();
        for (name, path) in self.named()?.programs() {
            found.insert(name.clone(), (path.clone(), Origin::Settings));
        }
        for (origin, folder) in &self.shared.folders {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()) {
                if let Some(name) = plugin_name(&path)
                    && is_program(&path)
                {
                    found.entry(name).or_insert((path, *origin));
                }
            }
        }
        let installed = |(name, (path, origin))| Installed { name, path, origin };
        Ok(found.into_iter().map(installed).collect())
    }

    /// The plugin of this name, whether it is installed or not.
    ///
    /// # Errors
    /// `Invalid` for what can't be a plugin's name.
    pub fn get(&self, name: &str) -> Result<Plugin> {
        if !is_name(name) {
            return Err(unknown(name, &[]));
        }
        Ok(Plugin::new(name, self.clone()))
    }

    /// The program of a plugin.
    ///
    /// # Errors
    /// `Plugin` when it is not installed or can't be run, with the next step.
    pub(super) fn find(&self, name: &str) -> Result<PathBuf> {
        let named = self.named()?;
        if let Some(program) = named.get(name) {
            return match is_program(program) {
                true => Ok(program.to_owned()),
                false => Err(named.no_program(name, program)),
            };
        }
        let file = format!("{PREFIX}{name}{}", std::env::consts::EXE_SUFFIX);
        let mut paths = self.shared.folders.iter().map(|(_, folder)| folder.join(&file));
        paths.find(|path| is_program(path)).ok_or_else(|| {
            let message = format!("plugin `{name}` is not installed");
            Error::new(ErrorKind::Plugin, message)
                .hint(format!("put a program {PREFIX}{name} on PATH, or into {FOLDERS}"))
        })
    }

    pub(super) fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// The slot of the process that serves an index.
    pub(super) fn slot(&self, spec: Spec) -> Arc<Mutex<Slot>> {
        match self.shared.pool.lock() {
            Ok(mut pool) => pool.slot(spec),
            Err(poisoned) => poisoned.into_inner().slot(spec),
        }
    }
}

impl Default for Plugins {
    fn default() -> Self {
        Self::from_environment()
    }
}

/// The error for a kind that is neither built in nor installed.
pub(crate) fn unknown(name: &str, installed: &[Installed]) -> Error {
    let built_in = KINDS.iter().chain(REMOTE).map(|kind| kind.name().to_owned());
    let names: Vec<_> = built_in.chain(installed.iter().map(|found| found.name.clone())).collect();
    let message = format!("unknown kind of index `{name}`");
    let hint =
        format!("kinds: {}; another is a plugin, a program {PREFIX}NAME on PATH", names.join(", "));
    Error::new(ErrorKind::Invalid, message).hint(hint)
}

pub(super) fn is_name(name: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(plain)
}

fn plugin_name(path: &Path) -> Option<String> {
    let file = path.file_name().and_then(OsStr::to_str)?;
    let file = file.strip_suffix(std::env::consts::EXE_SUFFIX)?;
    file.strip_prefix(PREFIX).filter(|name| is_name(name)).map(str::to_owned)
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}
