//! `plugin new`: the beginning of a plugin, which works.

use std::path::{Path, PathBuf};

use simdex::index::KINDS;
use simdex::index::plugin::{PREFIX, Plugins};
use simdex::index::remote::REMOTE;

use crate::app::App;
use crate::args::plugin::{Language, NewArgs};
use crate::failure::UserError;
use crate::shell::quote;

/// What the templates call the plugin.
const PLACEHOLDER: &str = "my-index";

/// The placeholder as the name of a Python module.
const MODULE: &str = "my_index";

const PYTHON: &[(&str, &str)] = &[
    ("pyproject.toml", include_str!("../../../templates/python/pyproject.toml")),
    ("simdex_index_my_index.py", include_str!("../../../templates/python/plugin.py")),
    ("README.md", include_str!("../../../templates/python/README.md")),
];

const RUST: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../../templates/rust/Cargo.toml.in")),
    ("src/main.rs", include_str!("../../../templates/rust/main.rs")),
    ("README.md", include_str!("../../../templates/rust/README.md")),
];

pub(super) fn run(args: &NewArgs, app: &App) -> anyhow::Result<()> {
    if Plugins::from_environment().get(&args.name).is_err() {
        let message = format!("`{}` can't be the name of a plugin", args.name);
        let hint = "use up to 64 lower-case letters, digits, - and _";
        return Err(UserError::new(message).hint(hint).into());
    }
    let own = KINDS.iter().chain(REMOTE).any(|kind| kind.name() == args.name);
    if own {
        let message = format!("`{}` is a kind of simdex's own", args.name);
        return Err(UserError::new(message).hint("choose another name").into());
    }
    let folder = args.directory.clone();
    let folder = folder.unwrap_or_else(|| PathBuf::from(format!("{PREFIX}{}", args.name)));
    if folder.exists() {
        let message = format!("there is something at {} already", folder.display());
        return Err(UserError::new(message).hint("name another folder with --directory").into());
    }
    let (files, install) = match args.lang {
        Language::Python => (PYTHON, "pip install -e"),
        Language::Rust => (RUST, "cargo install --path"),
    };
    let module = args.name.replace('-', "_");
    let named = |text: &str| text.replace(PLACEHOLDER, &args.name).replace(MODULE, &module);
    for (path, text) in files {
        write(&folder.join(named(path)), &named(text))?;
    }
    app.printer().line(&format!("wrote {}", folder.display()))?;
    app.printer().next(&format!("{install} {}", quote(&folder.to_string_lossy())));
    app.printer().next(&format!("{} plugin test {}", app.command(), args.name));
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), UserError> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, text))
        .map_err(|error| UserError::new(format!("can't write {}: {error}", path.display())))
}
