//! The messages: JSON-RPC 2.0, one a line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::array::Array;

/// The version of the protocol that this crate speaks.
pub const PROTOCOL: u32 = 1;

/// How closeness is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// dot(x, q) / (‖x‖ ‖q‖), higher is closer; no row and no query is zero.
    Cosine,
    /// ‖x − q‖², lower is closer.
    L2,
    /// dot(x, q), higher is closer.
    Dot,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::Dot];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Cosine => "cosine",
            Metric::L2 => "l2",
            Metric::Dot => "dot",
        }
    }
}

/// The text `2.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// The only version there is.
    #[serde(rename = "2.0")]
    V2,
}

/// What simdex asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Always `2.0`.
    pub jsonrpc: Version,
    /// What the reply repeats.
    pub id: u64,
    /// The method and its parameters.
    #[serde(flatten)]
    pub call: Call,
}

/// The methods and their parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "lowercase")]
pub enum Call {
    /// What can you do? The result is a [`crate::Description`].
    Describe(DescribeParams),
    /// Index these rows, numbered from 0, and be ready to search.
    Build(BuildParams),
    /// Be ready to search what an earlier process built.
    Open(OpenParams),
    /// Take changes in.
    Apply(ApplyParams),
    /// Propose rows. The result is [`Found`].
    Search(SearchParams),
    /// Facts to show, by label.
    Stats(Empty),
    /// Remove what is kept elsewhere for a build that is no longer needed.
    Drop(DropParams),
    /// End.
    Close(Empty),
}

impl Call {
    /// The method's name.
    pub fn method(&self) -> &'static str {
        match self {
            Call::Describe(_) => "describe",
            Call::Build(_) => "build",
            Call::Open(_) => "open",
            Call::Apply(_) => "apply",
            Call::Search(_) => "search",
            Call::Stats(_) => "stats",
            Call::Drop(_) => "drop",
            Call::Close(_) => "close",
        }
    }

    /// `stats`.
    pub fn stats() -> Self {
        Call::Stats(Empty {})
    }

    /// `close`.
    pub fn close() -> Self {
        Call::Close(Empty {})
    }
}

/// No parameters: `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// Parameters of `describe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeParams {
    /// The protocol that simdex speaks.
    pub protocol: u32,
    /// The version of simdex.
    pub simdex: String,
}

/// Parameters of `build`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildParams {
    /// An empty folder for files of a persistent plugin, else null. It is moved after the build.
    pub folder: Option<PathBuf>,
    /// float32, rows × dimensions; may hold no rows.
    pub vectors: Array,
    /// The metric of searches.
    pub metric: Metric,
    /// Options that the user set, as text; others have their defaults.
    pub options: BTreeMap<String, String>,
    /// How many threads to use.
    pub threads: usize,
}

/// Parameters of `open`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenParams {
    /// The folder of `build`, wherever it is now. Not to be changed unless `apply` follows.
    pub folder: PathBuf,
    /// As in `build`.
    pub metric: Metric,
    /// As in `build`; options that a search reads may differ.
    pub options: BTreeMap<String, String>,
    /// As in `build`.
    pub threads: usize,
    /// How many numbers rows have at most: all are below this.
    pub rows: u64,
    /// Dimensions of the rows.
    pub dimensions: u64,
}

/// Parameters of `apply`. The folder must hold the result before the reply is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApplyParams {
    /// uint32: numbers of rows that are gone. Done first.
    pub deletes: Array,
    /// uint32: numbers of rows that are new, or replace the row of that number.
    pub upserts: Array,
    /// float32, upserts × dimensions: their vectors, in the same order.
    pub vectors: Array,
}

/// Parameters of `search`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchParams {
    /// float32, queries × dimensions.
    pub queries: Array,
    /// How many rows to propose for each query, closest first; fewer where there are fewer.
    pub k: u64,
    /// bits: one for each number a row may have. Only rows whose bit is set may be proposed. Sent
    /// only to plugins that say `filters`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Array>,
}

/// Parameters of `drop`. Sent only to plugins that say `drops`, with nothing built or opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DropParams {
    /// The folder of the build, wherever it is now, or a copy. It may have been cut at any moment,
    /// and be empty. simdex removes it afterwards.
    pub folder: PathBuf,
    /// The folder of the build that stays in use; null: none does. What it needs stays.
    pub kept: Option<PathBuf>,
    /// As in `build`.
    pub options: BTreeMap<String, String>,
}

/// The result of `search`. No scores: simdex computes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// For each query the numbers of rows, without repeats.
    pub rows: Vec<Vec<u32>>,
}

/// What a plugin answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Always `2.0`.
    pub jsonrpc: Version,
    /// The id of the request; null where that could not be read.
    pub id: Option<u64>,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why there is no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RpcError>,
}

/// A JSON-RPC error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpcError {
    /// See [`Code`].
    pub code: i64,
    /// For people.
    pub message: String,
}

/// Codes of errors, those of JSON-RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The line is not JSON.
    Parse,
    /// There is no such method.
    Method,
    /// Options or vectors can't be used: the user's to mend.
    Invalid,
    /// Anything else.
    Failed,
}

impl Code {
    /// The number.
    pub fn number(self) -> i64 {
        match self {
            Code::Parse => -32700,
            Code::Method => -32601,
            Code::Invalid => -32602,
            Code::Failed => -32000,
        }
    }
}

/// A notification that a plugin may send during `build` and `apply`: it is alive, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Units that are done.
    pub done: u64,
    /// Of how many; null: unknown.
    pub total: Option<u64>,
}
