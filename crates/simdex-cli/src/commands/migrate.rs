//! `migrate`: a collection into a file or onto a server.

use std::path::Path;

use simdex_remote::chroma::Chroma;
use simdex_remote::pgvector::{Passwords, Postgres};
use simdex_remote::{Address, Patience, SecretString, Server};
use simdex_transfer::export::{self, Carried, FileRequest};
use simdex_transfer::files::{FileFormat, Overwrite};
use simdex_transfer::server::{self, CarriedThere, Extra, ServerRequest};
use simdex_transfer::tally::{Bad, Tally};

use crate::app::App;
use crate::args::Style;
use crate::args::transfer::MigrateArgs;
use crate::failure::UserError;
use crate::output::table::{count, rows};

/// Names the token that Chroma asks for.
const CHROMA_TOKEN: &str = "SIMDEX_CHROMA_TOKEN";

pub(super) fn run(args: &MigrateArgs, app: &App) -> anyhow::Result<()> {
    match target(args)? {
        To::File(..) if args.name.is_some() => {
            Err(UserError::new("--as names a collection on a server, and --to is a file").into())
        }
        To::File(..) if args.delete => {
            let error = UserError::new("--delete removes rows from a server, and --to is a file");
            Err(error.hint("a file is written anew: --force replaces one").into())
        }
        To::Server(_) if args.force => {
            let error = UserError::new("--force replaces files, and --to is a server");
            Err(error.hint("rows that are there are replaced without it").into())
        }
        To::File(format, path) => to_file(args, format, path, app),
        To::Server(server) => to_server(args, server.as_ref(), app),
    }
}

/// Where a collection goes.
enum To<'a> {
    File(FileFormat, &'a Path),
    Server(Box<dyn Server>),
}

/// `--to` as a form and a file, or a server.
fn target(args: &MigrateArgs) -> Result<To<'_>, UserError> {
    let [kind, place] = args.to.as_slice() else {
        return Err(UserError::new("--to needs a kind and a place"));
    };
    let kind = kind.to_string_lossy();
    if let Ok(format) = kind.parse() {
        return Ok(To::File(format, Path::new(place)));
    }
    let url = || {
        let text = place.to_str().ok_or_else(|| UserError::new("--to: the URL is not text"))?;
        Address::parse(text).map_err(refused)
    };
    let patience = Patience::default();
    match kind.as_ref() {
        "chroma" => {
            let token = std::env::var(CHROMA_TOKEN).ok().filter(|token| !token.is_empty());
            let token = token.map(SecretString::from);
            let server = Chroma::new(&url()?, token, patience).map_err(refused)?;
            Ok(To::Server(Box::new(server)))
        }
        "pgvector" => {
            let passwords = Passwords::default();
            let server = Postgres::new(&url()?, &passwords, patience).map_err(refused)?;
            Ok(To::Server(Box::new(server)))
        }
        _ => {
            let known: Vec<_> = FileFormat::ALL.iter().map(|format| format.name()).collect();
            let known = known.join(", ");
            let message = format!("--to `{kind}` is not a kind of target");
            let hint = format!("kinds: {known}, chroma, pgvector; then comes the file or URL");
            Err(UserError::new(message).hint(hint))
        }
    }
}

fn refused(error: simdex_remote::Error) -> UserError {
    let said = UserError::new(error.to_string());
    match error.next_step() {
        Some(hint) => said.hint(hint),
        None => said,
    }
}

fn to_file(args: &MigrateArgs, format: FileFormat, path: &Path, app: &App) -> anyhow::Result<()> {
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

fn to_server(args: &MigrateArgs, server: &dyn Server, app: &App) -> anyhow::Result<()> {
    let walk = app.engine()?.walk(&args.collection)?;
    let name = args.name.as_deref().unwrap_or(&args.collection);
    let extra = if args.delete { Extra::Delete } else { Extra::Keep };
    let request = ServerRequest { name, bad: bad(args.strict), extra };
    let progress = app.progress()?;
    let carried = server::to_server(&walk, server, &request, &progress)?;
    progress.clear();
    note_skipped(&carried.reasons, app);
    for (reason, refused) in carried.refusals.reasons() {
        let count = rows(refused.rows);
        app.printer().note(&format!("the server refuses {count}: {reason} ({refused})"));
    }
    if carried.extra.rows > 0 {
        let (extra, ids) = (rows(carried.extra.rows), &carried.extra);
        let message = format!("{extra} there, but not in {} ({ids})", carried.collection);
        app.printer().note(&format!("{message}; --delete removes what is only there"));
    }
    match args.style() {
        Style::Json => app.printer().json(&carried)?,
        Style::Text => app.printer().line(&sentence_there(&carried))?,
    }
    if carried.refused == 0 {
        return Ok(());
    }
    let refused = rows(carried.refused);
    let message = format!("the server refuses {refused} of {}", carried.collection);
    Err(UserError::new(message).hint("all others are there; see above for reasons").into())
}

fn sentence_there(carried: &CarriedThere) -> String {
    let deleted = match carried.deleted {
        0 => String::new(),
        deleted => format!(", {} deleted", count(deleted)),
    };
    format!(
        "{} of {} dimensions from {} are on the server as {}; {} sent now{deleted}, {} read back, all the same",
        rows(carried.rows),
        count(carried.dimensions as u64),
        carried.collection,
        carried.name,
        count(carried.sent),
        count(carried.verified)
    )
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
        let left_out = rows(skipped.rows);
        app.printer().note(&format!("left out {left_out}: {reason} ({skipped})"));
    }
}
