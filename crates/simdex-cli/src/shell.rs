//! Commands that can be copied into a shell.

use std::env;
use std::path::Path;

pub(crate) use simdex::error::quote;

use crate::paths;

/// What to type to run this very program.
pub(crate) fn this_program() -> String {
    let Ok(this) = env::current_exe() else { return "simdex".to_owned() };
    // Inside another program, Python say, ours has only the name that it is installed under.
    if this.file_stem().is_none_or(|name| name != "simdex") {
        return "simdex".to_owned();
    }
    let on_path = paths::program("simdex").and_then(|path| path.canonicalize().ok());
    if on_path.is_some() && on_path == this.canonicalize().ok() {
        return "simdex".to_owned();
    }
    path(&this)
}

/// A path as a word of a command, relative to the current folder where it is inside.
pub(crate) fn path(path: &Path) -> String {
    let relative = env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok());
    let path = match relative {
        // A program's name alone would be looked for in PATH, and `-` would be an option.
        Some(relative) => Path::new(".").join(relative),
        None => path.to_owned(),
    };
    quote(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_inside_this_folder_are_short() {
        let here = env::current_dir().unwrap();
        assert_eq!(path(&here.join("a b/x")), "'./a b/x'");
        assert_eq!(path(Path::new("/elsewhere/x")), "/elsewhere/x");
    }
}
