//! From the options to what the engine is asked: the query, the filter, the number.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use simdex::engine::api::{Filter, Number};

use crate::args::query::{FilterArgs, QueryArgs};
use crate::failure::UserError;
use crate::printer::Printer;

pub(crate) mod vector;

/// What the user wants to compare with.
#[derive(Debug)]
pub(crate) enum Question {
    /// A stored item.
    Id(String),
    /// A vector.
    Vector(Vec<f64>),
    /// Something to embed.
    Content(Content),
}

/// Something to embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Text.
    Text(String),
    /// An image or the like.
    Binary(Vec<u8>),
}

/// Reads the question. As in llm, an id wins over a text, a text over a file, and what is empty
/// is not given; what loses is noted.
///
/// # Errors
/// When there is none, or a file can't be read.
pub(crate) fn question(args: &QueryArgs, printer: &Printer) -> anyhow::Result<Question> {
    if let Some(note) = ignored(args) {
        printer.note(note);
    }
    if let Some(text) = &args.vector {
        return Ok(Question::Vector(vector::read(text)?));
    }
    if let Some(id) = args.id.as_deref().filter(|id| !id.is_empty()) {
        return Ok(Question::Id(id.to_owned()));
    }
    if let Some(text) = args.content.as_deref().filter(|text| !text.is_empty()) {
        return Ok(Question::Content(Content::Text(text.to_owned())));
    }
    let Some(path) = &args.input else {
        let error = UserError::new("nothing to compare with");
        return Err(error.hint("give an ID, or -c TEXT, -i PATH or --vector JSON").into());
    };
    Ok(Question::Content(content(path, args)?))
}

/// The option that counts for nothing beside another, if there is one.
fn ignored(args: &QueryArgs) -> Option<&'static str> {
    let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    match (given(&args.id), given(&args.content), args.input.is_some()) {
        (true, true, _) => Some("--content counts for nothing beside an ID"),
        (true, false, true) => Some("--input counts for nothing beside an ID"),
        (false, true, true) => Some("--input counts for nothing beside --content"),
        _ => None,
    }
}

fn content(path: &Path, args: &QueryArgs) -> anyhow::Result<Content> {
    let bytes = read(path)?;
    if bytes.is_empty() {
        return Err(UserError::new(format!("no content: {} is empty", place(path))).into());
    }
    if args.binary {
        return Ok(Content::Binary(bytes));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        UserError::new(format!("{} is not UTF-8 text", place(path)))
            .hint("for images and the like, add --binary")
    })?;
    // As Python reads text, so that the embedding is the one that llm would get.
    Ok(Content::Text(text.replace("\r\n", "\n").replace('\r', "\n")))
}

/// Reads a file that the user named, `-` being standard input.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).context("reading standard input")?;
        return Ok(bytes);
    }
    fs::read(path)
        .map_err(|error| UserError::new(format!("can't read {}: {error}", path.display())).into())
}

fn place(path: &Path) -> String {
    match path == Path::new("-") {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}

/// The number of results that llm's `-n` means.
pub(crate) fn number(number: i64) -> Number {
    usize::try_from(number).map_or(Number::All, Number::AtMost)
}

/// The filter.
///
/// # Errors
/// When an alias is not text.
pub(crate) fn filter(args: &FilterArgs) -> Result<Filter, UserError> {
    let attach = args.attach.chunks_exact(2).filter_map(|pair| match pair {
        [alias, path] => Some((alias, path)),
        _ => None,
    });
    let attach = attach.map(|(alias, path)| match alias.to_str() {
        Some(alias) => Ok((alias.to_owned(), PathBuf::from(path))),
        None => Err(UserError::new(format!("--attach: alias {} is not text", alias.display()))),
    });
    Ok(Filter {
        prefix: args.prefix.clone().filter(|prefix| !prefix.is_empty()),
        condition: args.condition.clone(),
        ids: args.ids.clone(),
        attach: attach.collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::printer::Talk;
    use clap::Parser;

    const QUIET: &Printer = &Printer::new(Talk::Quiet);

    fn parse(options: &[&str]) -> crate::args::query::SimilarArgs {
        let cli = Cli::parse_from(["simdex", "similar", "posts"].iter().chain(options));
        let Command::Similar(args) = cli.command else { panic!("not similar") };
        args
    }

    #[test]
    fn an_id_wins_and_empty_is_absent() {
        let args = parse(&["7", "-c", "text"]);
        assert!(matches!(question(&args.query, QUIET), Ok(Question::Id(id)) if id == "7"));
        let args = parse(&["", "-c", "text", "-i", "none"]);
        assert!(matches!(question(&args.query, QUIET), Ok(Question::Content(Content::Text(_)))));
        assert!(question(&parse(&["", "-c", ""]).query, QUIET).is_err());
    }

    #[test]
    fn files_are_read_as_python_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "a\r\nb\rc\n").unwrap();
        let path = path.to_str().unwrap();
        let text = |options: &[&str]| match question(&parse(options).query, QUIET).unwrap() {
            Question::Content(content) => content,
            other => panic!("{other:?}"),
        };
        assert_eq!(text(&["-i", path]), Content::Text("a\nb\nc\n".to_owned()));
        assert_eq!(text(&["-i", path, "--binary"]), Content::Binary(b"a\r\nb\rc\n".to_vec()));
    }

    #[test]
    fn negative_numbers_mean_all() {
        assert_eq!([number(0), number(3)], [Number::AtMost(0), Number::AtMost(3)]);
        assert_eq!([number(-1), number(i64::MIN)], [Number::All, Number::All]);
    }

    #[test]
    fn attached_databases_come_in_pairs() {
        let args = parse(&["7", "--attach", "a", "1.db", "--attach", "b", "2.db"]);
        let filter = filter(&args.filter).unwrap();
        assert_eq!(
            filter.attach,
            [("a".to_owned(), "1.db".into()), ("b".to_owned(), "2.db".into())]
        );
    }
}
