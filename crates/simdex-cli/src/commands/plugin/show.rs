//! `plugin show`: what a plugin can do, and its options.

use simdex::index::plugin::{Description, OptionKind, OptionSpec, Plugins};

use super::list::metrics;
use crate::app::App;
use crate::args::Style;
use crate::args::plugin::ShowArgs;
use crate::output::table::{Align, facts, table};

const COLUMNS: [(&str, Align); 4] = [
    ("option", Align::Left),
    ("default", Align::Left),
    ("values", Align::Left),
    ("about", Align::Left),
];

pub(super) fn run(args: &ShowArgs, app: &App) -> anyhow::Result<()> {
    let progress = app.progress()?;
    let plugin = Plugins::from_environment().get(&args.name)?;
    let description = plugin.describe(&progress)?;
    progress.clear();
    match args.style.style() {
        Style::Json => app.printer().json(&description),
        Style::Text => app.printer().line(&text(&description)),
    }
}

fn text(description: &Description) -> String {
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let mut text = facts(&[
        ("plugin".to_owned(), format!("{} {}", description.name, description.version)),
        ("about".to_owned(), description.about.clone()),
        ("metrics".to_owned(), metrics(description)),
        ("exact".to_owned(), yes(description.exact)),
        ("keeps files".to_owned(), yes(description.persistent)),
        ("filters".to_owned(), yes(description.filters)),
        ("takes updates".to_owned(), yes(description.updates)),
        ("drops builds".to_owned(), yes(description.drops)),
    ]);
    if !description.options.is_empty() {
        let options = description.options.iter().map(option).collect();
        text += &format!("\n\n{}", table(&COLUMNS, options));
    }
    text
}

fn option(option: &OptionSpec) -> Vec<String> {
    vec![option.name.clone(), option.default.clone(), values(option), option.about.clone()]
}

fn values(option: &OptionSpec) -> String {
    match &option.kind {
        OptionKind::Integer { minimum, maximum } => {
            bounded("whole number", minimum.as_ref(), maximum.as_ref())
        }
        OptionKind::Number { minimum, maximum } => {
            bounded("number", minimum.as_ref(), maximum.as_ref())
        }
        OptionKind::Text => "text".to_owned(),
        OptionKind::Choice { choices } => choices.join(", "),
    }
}

fn bounded<T: std::fmt::Display>(what: &str, minimum: Option<&T>, maximum: Option<&T>) -> String {
    match (minimum, maximum) {
        (Some(minimum), Some(maximum)) => format!("{what}, {minimum} to {maximum}"),
        (Some(minimum), None) => format!("{what}, at least {minimum}"),
        (None, Some(maximum)) => format!("{what}, at most {maximum}"),
        (None, None) => what.to_owned(),
    }
}
