//! `index build` and `index refresh`.

use simdex::Engine;
use simdex::engine::api::{Action, Report};

use super::create::built;
use super::{each, selected};
use crate::app::App;
use crate::args::Style;
use crate::args::index::SelectionArgs;
use crate::output::table::{count, rows, seconds};
use crate::progress::Progress;

/// What is done to each index.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    Build,
    Refresh,
}

impl Work {
    fn run(self, engine: &Engine, name: &str, progress: &Progress) -> simdex::Result<Report> {
        match self {
            Self::Build => engine.build(name, progress),
            Self::Refresh => engine.refresh(name, progress),
        }
    }
}

pub(super) fn run(args: &SelectionArgs, work: Work, app: &App) -> anyhow::Result<()> {
    let engine = app.engine()?;
    let names = selected(args, &engine, app)?;
    let progress = app.progress()?;
    let outcome = each(&names, app, |name| {
        let report = work.run(&engine, name, &progress)?;
        progress.clear();
        app.printer().notes(&report.notices);
        if args.style() == Style::Text {
            app.printer().line(&sentence(&report))?;
        }
        Ok(report)
    })?;
    if args.style() == Style::Json {
        app.printer().json(&outcome.done)?;
    }
    outcome.end()
}

fn sentence(report: &Report) -> String {
    let elapsed = seconds(report.elapsed.as_secs_f64());
    match report.action {
        Action::Built => built(report),
        Action::Unchanged => {
            format!("index {} was up to date: {}, {elapsed}", report.index, rows(report.rows))
        }
        Action::Refreshed => format!(
            "refreshed index {}: {} added or changed, {} gone, {} in {elapsed}",
            report.index,
            count(report.upserts),
            count(report.deletes),
            rows(report.rows),
        ),
    }
}
