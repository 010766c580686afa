//! `migrate`: a collection into a file.

use std::path::Path;

use simdex_transfer::export::{self, Carried, FileRequest};
use simdex_transfer::files::{FileFormat, Overwrite};
use simdex_transfer::tally::{Bad, Tally};

use crate::app::App;
use crate::args::Style;
use crate::args::transfer::MigrateArgs;
use crate::failure::UserError;
use crate::output::table::{count, rows};

pub(super) fn run(args: &MigrateArgs, app: &App) -> anyhow::Result<()> {
    let (format, path) = target(args)?;
    let overwrite = if args.force { Overwrite::Yes } else { Overwrite::No };
    let engine = app.engine()?;
    let permissions = std::fs::metadata(&engine.location().database)?.permissions();
    let request = FileRequest { format, path, overwrite, permissions, bad: bad(args.strict) };
    let walk = engine.walk(&args.collection)?;
    let progress = app.progress()?;
    let carried = export::to_file(&walk, &request, &progress)?;
    progress.clear();
    note_skipped(&carried.reasons, app);
    match args.style() {
        Style::Json => app.printer().json(&carried),
        Style::Text => app.printer().line(&sentence(&carried)),
    }
}

/// `--to` as a form and a file.
fn target(args: &MigrateArgs) -> Result<(FileFormat, &Path), UserError> {
    let [kind, place] = args.to.as_slice() else {
        return Err(UserError::new("--to needs a kind and a place"));
    };
    match kind.to_str().map(str::parse) {
        Some(Ok(format)) => Ok((format, Path::new(place))),
        _ => {
            let known: Vec<_> = FileFormat::ALL.iter().map(|format| format.name()).collect();
            let known = known.join(", ");
            let message = format!("--to `{}` is not a kind of target", kind.display());
            Err(UserError::new(message).hint(format!("kinds: {known}; then comes the place")))
        }
    }
}

fn sentence(carried: &Carried) -> String {
    let files: Vec<_> = carried.files.iter().map(|path| path.display().to_string()).collect();
    format!(
        "wrote {}: {} of {} dimensions from {}; read back, all the same",
        files.join(" and "),
        rows(carried.rows),
        count(carried.dimensions as u64),
        carried.collection
    )
}

/// What `--strict` means.
pub(super) fn bad(strict: bool) -> Bad {
    if strict { Bad::Refuse } else { Bad::Skip }
}

/// Says which rows were left out, and why.
pub(super) fn note_skipped(reasons: &Tally, app: &App) {
    for (reason, skipped) in reasons.reasons() {
        let more = if skipped.rows > skipped.ids.len() as u64 { ", …" } else { "" };
        let left_out = rows(skipped.rows);
        let ids = skipped.ids.join(", ");
        app.printer().note(&format!("left out {left_out}: {reason} ({ids}{more})"));
    }
}
