//! The other end of simdex's pipe.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::array::{ElementType, RowSet, Vectors};
use crate::description::Description;
use crate::protocol::{
    ApplyParams, BuildParams, Call, Code, DropParams, Found, Metric, Reply, Request, RpcError,
    SearchParams, Version,
};

/// Something that finds candidate rows. Requests come one at a time.
pub trait Plugin {
    /// What it can do.
    fn describe(&self) -> Description;

    /// Indexes rows, numbered from 0, in place of what it held.
    ///
    /// # Errors
    /// [`Failure::invalid`] for options and vectors it can't use.
    fn build(&mut self, rows: Vectors<'_>, settings: &Settings) -> Result<(), Failure>;

    /// Opens what an earlier process built in `settings.folder`. For those that say `persistent`.
    ///
    /// # Errors
    /// When the files can't be used.
    fn open(&mut self, settings: &Settings) -> Result<(), Failure> {
        let _ = settings;
        Err(Failure::new("this plugin keeps no files"))
    }

    /// Takes changes in, in the folder too if it keeps files. For those that say `updates`.
    ///
    /// # Errors
    /// When it can't; then simdex builds anew.
    fn apply(&mut self, changes: Changes<'_>) -> Result<(), Failure> {
        let _ = changes;
        Err(Failure::new("this plugin takes no updates"))
    }

    /// For each query up to `k` rows, closest first.
    ///
    /// # Errors
    /// [`Failure::invalid`] for queries of another size than the rows.
    fn search(&mut self, queries: Vectors<'_>, k: usize) -> Result<Vec<Vec<u32>>, Failure>;

    /// The same among the rows of a set. For those that say `filters`.
    ///
    /// # Errors
    /// As [`Plugin::search`].
    fn search_among(
        &mut self,
        queries: Vectors<'_>,
        k: usize,
        allowed: RowSet<'_>,
    ) -> Result<Vec<Vec<u32>>, Failure> {
        let _ = (queries, k, allowed);
        Err(Failure::new("this plugin does not filter"))
    }

    /// Removes what it keeps outside of a folder for a build that is no longer needed; nothing there
    /// is no error. For those that say `drops`: they note in the folder what is theirs before they
    /// make it.
    ///
    /// # Errors
    /// When it can't now; [`Failure::invalid`] when it never will.
    fn drop_build(&mut self, dropped: &Dropped) -> Result<(), Failure> {
        let _ = dropped;
        Err(Failure::new("this plugin keeps nothing elsewhere"))
    }

    /// Facts to show, by label.
    fn stats(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// How an index is to be made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of a persistent plugin.
    pub folder: Option<PathBuf>,
    /// The metric of searches.
    pub metric: Metric,
    /// What the user set; values have been checked against the description.
    pub options: BTreeMap<String, String>,
    /// How many threads to use.
    pub threads: usize,
}

/// A build that is no longer needed.
#[derive(Debug, Clone)]
pub struct Dropped {
    /// Its folder, or a copy; it may be incomplete.
    pub folder: PathBuf,
    /// The folder of the build that stays, if there is one: what it needs stays, too.
    pub kept: Option<PathBuf>,
    /// What the user set.
    pub options: BTreeMap<String, String>,
}

/// Rows that are gone, and rows that are new or changed.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    /// Numbers of rows that are gone. To be done first.
    pub deletes: &'a [u32],
    /// Numbers of rows that are new, or replace the row of that number.
    pub upserts: &'a [u32],
    /// Their vectors, in the same order.
    pub vectors: Vectors<'a>,
}

/// Why a request can't be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    code: Code,
    message: String,
}

impl Failure {
    /// Something went wrong.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { code: Code::Failed, message: message.to_string() }
    }

    /// An option or vector can't be used: the user's to mend.
    pub fn invalid(message: impl fmt::Display) -> Self {
        Self { code: Code::Invalid, message: message.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}

/// Answers simdex over standard input and output until it says `close` or goes away. Print to
/// standard error only.
///
/// # Errors
/// When the pipe breaks.
pub fn serve(plugin: &mut dyn Plugin) -> io::Result<()> {
    serve_lines(plugin, io::stdin().lock(), io::stdout().lock())
}

/// [`serve`] over any pair of streams.
///
/// # Errors
/// Those of the streams.
pub fn serve_lines(
    plugin: &mut dyn Plugin,
    input: impl BufRead,
    mut output: impl Write,
) -> io::Result<()> {
    for line in input.lines() {
        let line = line?;
        let (reply, more) = answer(plugin, &line);
        serde_json::to_writer(&mut output, &reply)?;
        output.write_all(b"\n")?;
        output.flush()?;
        if more == More::No {
            break;
        }
    }
    Ok(())
}

/// Whether requests follow.
#[derive(PartialEq, Eq)]
enum More {
    Yes,
    No,
}

fn answer(plugin: &mut dyn Plugin, line: &str) -> (Reply, More) {
    let reply = |id, answer: Result<Value, Failure>| {
        let (result, error) = match answer {
            Ok(result) => (Some(result), None),
            Err(Failure { code, message }) => {
                (None, Some(RpcError { code: code.number(), message }))
            }
        };
        Reply { jsonrpc: Version::V2, id, result, error }
    };
    let value: Value = match serde_json::from_str(line) {
        Ok(value) => value,
        Err(error) => {
            let failure = Failure { code: Code::Parse, message: error.to_string() };
            return (reply(None, Err(failure)), More::Yes);
        }
    };
    let id = value.get("id").and_then(Value::as_u64);
    match serde_json::from_value::<Request>(value) {
        Ok(request) => {
            let more = if matches!(request.call, Call::Close(_)) { More::No } else { More::Yes };
            (reply(id, perform(plugin, request.call)), more)
        }
        Err(error) => {
            let failure = Failure { code: Code::Method, message: error.to_string() };
            (reply(id, Err(failure)), More::Yes)
        }
    }
}

fn perform(plugin: &mut dyn Plugin, call: Call) -> Result<Value, Failure> {
    match call {
        Call::Describe(_) => serde_json::to_value(plugin.describe()).map_err(Failure::new),
        Call::Build(BuildParams { folder, vectors, metric, options, threads }) => {
            let vectors = vectors.map(ElementType::Float32)?;
            let settings = Settings { folder, metric, options, threads };
            plugin.build(vectors.vectors(), &settings)?;
            Ok(json!({}))
        }
        Call::Open(open) => {
            let (metric, options, threads) = (open.metric, open.options, open.threads);
            let settings = Settings { folder: Some(open.folder), metric, options, threads };
            plugin.open(&settings)?;
            Ok(json!({}))
        }
        Call::Apply(ApplyParams { deletes, upserts, vectors }) => {
            let deletes = deletes.map(ElementType::Uint32)?;
            let upserts = upserts.map(ElementType::Uint32)?;
            let vectors = vectors.map(ElementType::Float32)?;
            let (deletes, upserts) = (deletes.numbers(), upserts.numbers());
            plugin.apply(Changes { deletes, upserts, vectors: vectors.vectors() })?;
            Ok(json!({}))
        }
        Call::Search(SearchParams { queries, k, allowed }) => {
            let queries = queries.map(ElementType::Float32)?;
            let k = usize::try_from(k).unwrap_or(usize::MAX);
            let rows = match allowed {
                None => plugin.search(queries.vectors(), k)?,
                Some(allowed) => {
                    let allowed = allowed.map(ElementType::Bits)?;
                    plugin.search_among(queries.vectors(), k, allowed.row_set())?
                }
            };
            serde_json::to_value(Found { rows }).map_err(Failure::new)
        }
        Call::Stats(_) => serde_json::to_value(plugin.stats()).map_err(Failure::new),
        Call::Drop(DropParams { folder, kept, options }) => {
            plugin.drop_build(&Dropped { folder, kept, options })?;
            Ok(json!({}))
        }
        Call::Close(_) => Ok(json!({})),
    }
}
