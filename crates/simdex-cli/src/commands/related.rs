//! `related`: a table of each row's closest rows.

use simdex_transfer::related::{self, RelatedRequest, Report};

use crate::app::App;
use crate::args::Style;
use crate::args::transfer::RelatedArgs;
use crate::failure::UserError;
use crate::output::table::{count, rows};

pub(super) fn run(args: &RelatedArgs, app: &App) -> anyhow::Result<()> {
    let engine = app.engine()?;
    if same_file::is_same_file(&args.output, &engine.location().database).unwrap_or(false) {
        let message = "--output is the database that the collection is in, which is only read";
        let hint = "name another: SQL can ATTACH both";
        return Err(UserError::new(message).hint(hint).into());
    }
    let walk = engine.walk(&args.collection)?;
    let request = RelatedRequest { output: &args.output, table: &args.into, k: args.k };
    let progress = app.progress()?;
    let report = related::keep(&walk, &args.collection, &request, &progress)?;
    progress.clear();
    if report.skipped > 0 {
        let skipped = rows(report.skipped);
        app.printer().note(&format!(
            "left out {skipped} that can't be compared; see why: {} collections",
            app.command()
        ));
    }
    match args.style() {
        Style::Json => app.printer().json(&report),
        Style::Text => app.printer().line(&sentence(&report, args)),
    }
}

fn sentence(report: &Report, args: &RelatedArgs) -> String {
    format!(
        "{} in {}: {} with their {} closest; since the last time {} new or changed, {} gone, {} lists written",
        report.table,
        args.output.display(),
        rows(report.rows),
        report.k,
        count(report.changed),
        count(report.gone),
        count(report.lists)
    )
}
