//! `index verify`: compares indexes with the database.

use simdex::engine::api::Verification;

use super::{each, selected};
use crate::app::App;
use crate::args::Style;
use crate::args::index::SelectionArgs;
use crate::failure::Reported;
use crate::output::table::{count, rows};
use crate::shell::quote;

pub(super) fn run(args: &SelectionArgs, app: &App) -> anyhow::Result<()> {
    let engine = app.engine()?;
    let names = selected(args, &engine, app)?;
    let progress = app.progress()?;
    let outcome = each(&names, app, |name| {
        let verification = engine.verify(name, &progress)?;
        progress.clear();
        if args.style() == Style::Text {
            app.printer().line(&sentences(&verification))?;
        }
        Ok(verification)
    })?;
    if args.style() == Style::Json {
        app.printer().json(&outcome.done)?;
    }
    let bad: Vec<_> = outcome.done.iter().filter(|one| !one.problems.is_empty()).collect();
    for verification in &bad {
        let name = quote(&verification.index);
        app.printer().next(&format!("{} index build {name}", app.command()));
    }
    if bad.is_empty() { outcome.end() } else { Err(Reported.into()) }
}

fn sentences(verification: &Verification) -> String {
    let behind = match verification.behind {
        0 => String::new(),
        number => format!("; {} of changes for the next search to take in", rows(number)),
    };
    let name = &verification.index;
    let compared = rows(verification.rows);
    if verification.problems.is_empty() {
        return format!("index {name} is as it should be: {compared} compared{behind}");
    }
    let count = count(verification.problems.len() as u64);
    let mut text = format!("index {name}: problems: {count}; {compared} compared{behind}");
    for problem in &verification.problems {
        text += &format!("\n  {problem}");
    }
    text
}
