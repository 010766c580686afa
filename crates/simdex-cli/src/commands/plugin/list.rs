//! `plugin list`: what is installed, and what each says of itself.

use serde::Serialize;
use simdex::index::plugin::{Description, Installed, PREFIX, Plugins};

use crate::app::App;
use crate::args::{ListArgs, Style};
use crate::output::table::{Align, table};

const COLUMNS: [(&str, Align); 6] = [
    ("plugin", Align::Left),
    ("version", Align::Left),
    ("metrics", Align::Left),
    ("about", Align::Left),
    ("from", Align::Left),
    ("program", Align::Left),
];

/// A plugin and what it says, or why it says nothing.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    installed: Installed,
    description: Option<Description>,
    error: Option<String>,
}

pub(super) fn run(args: &ListArgs, app: &App) -> anyhow::Result<()> {
    let plugins = Plugins::from_environment();
    let progress = app.progress()?;
    let mut found = Vec::new();
    for installed in plugins.installed()? {
        let described = plugins.get(&installed.name)?.describe(&progress);
        progress.clear();
        let (description, error) = match described {
            Ok(description) => (Some(description), None),
            Err(error) => (None, Some(error.to_string())),
        };
        found.push(Listed { installed, description, error });
    }
    match args.style() {
        Style::Json => app.printer().json(&found),
        Style::Text if found.is_empty() => {
            app.printer().note(&format!("there is no program {PREFIX}NAME on PATH"));
            Ok(())
        }
        Style::Text => app.printer().line(&table(&COLUMNS, found.iter().map(row).collect())),
    }
}

fn row(listed: &Listed) -> Vec<String> {
    let program = listed.installed.path.display().to_string();
    let (version, metrics, about) = match (&listed.description, &listed.error) {
        (Some(it), _) => (it.version.clone(), metrics(it), it.about.clone()),
        (None, error) => ("-".into(), "-".into(), error.clone().unwrap_or_default()),
    };
    let from = listed.installed.origin.describe().to_owned();
    vec![listed.installed.name.clone(), version, metrics, about, from, program]
}

pub(super) fn metrics(description: &Description) -> String {
    let names: Vec<_> = description.metrics.iter().map(|metric| metric.name()).collect();
    names.join(", ")
}
