//! `import`: a file into a collection of llm's.

use simdex_transfer::files::{self, FileFormat};
use simdex_transfer::import::{self, Existing, ImportRequest, Imported};

use super::migrate::{bad, note_skipped};
use crate::app::App;
use crate::args::Style;
use crate::args::transfer::ImportArgs;
use crate::failure::UserError;
use crate::output::table::{count, rows};
use crate::shell;

pub(super) fn run(args: &ImportArgs, app: &App) -> anyhow::Result<()> {
    if app.names_database() {
        let error =
            UserError::new("import writes to the database that --into names and takes no -d");
        return Err(error.hint("name the database with --into DB").into());
    }
    let request = ImportRequest {
        database: &args.into,
        collection: &args.collection,
        model: args.model.as_deref(),
        existing: match (args.append, args.replace) {
            (true, _) => Existing::Append,
            (_, true) => Existing::Replace,
            _ => Existing::Refuse,
        },
        bad: bad(args.strict),
    };
    let format = FileFormat::of(&args.file)?;
    let mut file = files::read(format, &args.file, &files::beside(&args.file))?;
    let progress = app.progress()?;
    let imported = import::import(file.as_mut(), &request, &progress)?;
    progress.clear();
    note_skipped(&imported.reasons, app);
    match args.style() {
        Style::Json => app.printer().json(&imported),
        Style::Text => {
            app.printer().line(&sentence(&imported, args))?;
            app.printer().next(&format!(
                "{} collections -d {}",
                shell::this_program(),
                shell::path(&args.into)
            ));
            Ok(())
        }
    }
}

fn sentence(imported: &Imported, args: &ImportArgs) -> String {
    format!(
        "stored {} of {} dimensions from {} as {} in {}",
        rows(imported.rows),
        count(imported.dimensions as u64),
        args.file.display(),
        imported.collection,
        args.into.display()
    )
}
