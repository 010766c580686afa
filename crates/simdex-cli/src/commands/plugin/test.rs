//! `plugin test`: the conformance suite.

use simdex::index::plugin::Plugins;
use simdex::index::plugin::conformance::{self, Check, Outcome};

use crate::app::App;
use crate::args::Style;
use crate::args::plugin::TestArgs;
use crate::failure::Reported;
use crate::output::table::count;

pub(super) fn run(args: &TestArgs, app: &App) -> anyhow::Result<()> {
    let progress = app.progress()?;
    let plugin = Plugins::from_environment().get(&args.name)?;
    let options = args.options.iter().cloned().collect();
    let checks = conformance::run(&plugin, &options, args.metric, &progress)?;
    progress.clear();
    match args.style() {
        Style::Json => app.printer().json(&checks)?,
        Style::Text => app.printer().line(&text(&checks))?,
    }
    let failed = checks.iter().any(|check| matches!(check.outcome, Outcome::Failed(_)));
    if failed { Err(Reported.into()) } else { Ok(()) }
}

fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    let (mut passed, mut failed, mut not_claimed) = (0, 0, 0);
    for check in checks {
        let (word, detail) = match &check.outcome {
            Outcome::Passed(figure) => {
                passed += 1;
                ("ok", figure.as_str())
            }
            Outcome::Failed(reason) => {
                failed += 1;
                ("FAILED", reason.as_str())
            }
            Outcome::NotClaimed => {
                not_claimed += 1;
                ("-", "not claimed")
            }
        };
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        text += &format!("{word:<6}  {}{detail}\n", check.name);
    }
    let not_claimed = match not_claimed {
        0 => String::new(),
        number => format!(", {} not claimed", count(number)),
    };
    text + &format!("{} passed, {} failed{not_claimed}", count(passed), count(failed))
}
