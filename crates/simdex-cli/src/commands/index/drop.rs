//! `index drop`: deletes indexes.

use std::io::{self, BufRead, IsTerminal, Write};

use super::each;
use crate::app::App;
use crate::args::index::DropArgs;
use crate::failure::UserError;

pub(super) fn run(args: &DropArgs, app: &App) -> anyhow::Result<()> {
    let engine = app.engine()?;
    if !args.yes {
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            let error = UserError::new("nothing was deleted: there is no terminal to ask on");
            return Err(error.hint("without asking: --yes").into());
        }
        // Names that don't exist are an error before the question, not after it.
        for name in &args.names {
            engine.index(name)?;
        }
        if !confirm(&args.names)? {
            app.printer().note("nothing was deleted");
            return Ok(());
        }
    }
    let outcome = each(&args.names, app, |name| {
        let notices = engine.drop_index(name)?;
        app.printer().notes(&notices);
        app.printer().line(&format!("deleted index {name}"))
    })?;
    outcome.end()
}

fn confirm(names: &[String]) -> io::Result<bool> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "Delete {}? The database keeps every row. [y/N] ", names.join(", "))?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
