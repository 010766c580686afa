//! `embedder`: which server embeds for which model.

use std::env;
use std::time::Instant;

use crate::app::App;
use crate::args::embedder::{EmbedderCommand, ModelArgs, SetArgs};
use crate::args::{ListArgs, Style};
use crate::embed::Embedder;
use crate::embed::endpoint::Endpoint;
use crate::embed::settings::Settings;
use crate::failure::UserError;
use crate::output::table::{Align, seconds, table};
use crate::query::Content;
use crate::shell;

const COLUMNS: [(&str, Align); 4] = [
    ("model", Align::Left),
    ("server", Align::Left),
    ("name there", Align::Left),
    ("key from", Align::Left),
];

pub(super) fn run(command: EmbedderCommand, app: &App) -> anyhow::Result<()> {
    match command {
        EmbedderCommand::Set(args) => set(&args, app),
        EmbedderCommand::List(args) => list(&args, app),
        EmbedderCommand::Remove(args) => remove(&args, app),
        EmbedderCommand::Test(args) => test(&args, app),
    }
}

fn set(args: &SetArgs, app: &App) -> anyhow::Result<()> {
    let endpoint = Endpoint::new(args)?;
    if endpoint.exposes_key() {
        app.printer().note("http:// sends the key unencrypted; use https:// if the server has it");
    }
    let mut settings = Settings::load()?;
    let line = format!("{} will be asked for embeddings of {}", endpoint.url, args.model);
    settings.set(&args.model, endpoint)?;
    app.printer().line(&line)?;
    app.printer().next(&format!(
        "{} embedder test {}",
        shell::this_program(),
        shell::quote(&args.model)
    ));
    Ok(())
}

fn list(args: &ListArgs, app: &App) -> anyhow::Result<()> {
    let settings = Settings::load()?;
    match args.style() {
        Style::Json => app.printer().json(settings.all()),
        Style::Text if settings.all().is_empty() => {
            app.printer().note("no servers are set; the llm command is asked, if it is installed");
            Ok(())
        }
        Style::Text => {
            let rows = settings.all().iter().map(|(model, endpoint)| row(model, endpoint));
            app.printer().line(&table(&COLUMNS, rows.collect()))?;
            app.printer().detail(&format!("kept in {}", settings.file().display()));
            Ok(())
        }
    }
}

fn row(model: &str, endpoint: &Endpoint) -> Vec<String> {
    let key = endpoint.api_key_env.as_deref().map_or("-".to_owned(), |name| {
        let is_set = env::var_os(name).is_some_and(|key| !key.is_empty());
        format!("{name}{}", if is_set { "" } else { " (not set)" })
    });
    vec![model.to_owned(), endpoint.url.clone(), endpoint.model_name.clone(), key]
}

fn remove(args: &ModelArgs, app: &App) -> anyhow::Result<()> {
    let mut settings = Settings::load()?;
    if !settings.remove(&args.model)? {
        let known: Vec<_> = settings.all().keys().cloned().collect();
        let error = UserError::new(format!("no server is set for the model `{}`", args.model));
        return Err(match known.is_empty() {
            true => error,
            false => error.hint(format!("servers are set for: {}", known.join(", "))),
        }
        .into());
    }
    app.printer().line(&format!("forgot the server of {}", args.model))
}

fn test(args: &ModelArgs, app: &App) -> anyhow::Result<()> {
    let embedder = Embedder::find(&args.model)?;
    let who = embedder.name();
    let progress = app.progress()?;
    let started = Instant::now();
    let vector = progress.during(&format!("embedding with {who}"), move || {
        embedder.embed(&Content::Text("hello".to_owned()))
    })?;
    let elapsed = seconds(started.elapsed().as_secs_f64());
    app.printer().line(&format!(
        "{}: {} dimensions in {elapsed} from {who}",
        args.model,
        vector.len()
    ))
}
