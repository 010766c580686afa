//! Where a user's settings are: one folder for every front end.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// Names the folder of settings.
pub const FOLDER_VARIABLE: &str = "SIMDEX_CONFIG_DIR";

/// The folder of settings; `None`: nothing names one and there is no home folder.
pub fn folder() -> Option<PathBuf> {
    variable(FOLDER_VARIABLE).map(PathBuf::from).or_else(|| app_folder("simdex"))
}

/// The folder in which a program keeps its settings on this system, as `click.get_app_dir(name)`
/// has it, which is how llm finds its own.
pub fn app_folder(name: &str) -> Option<PathBuf> {
    let parent = if cfg!(windows) {
        variable("APPDATA").map(PathBuf::from).or_else(env::home_dir)
    } else if cfg!(target_os = "macos") {
        env::home_dir().map(|home| home.join("Library/Application Support"))
    } else {
        variable("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(".config")))
    };
    parent.map(|parent| parent.join(name))
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
