//! `embedder …`: which server embeds for which model.

use std::num::NonZeroU64;

use clap::{Args, Subcommand};

use super::ListArgs;

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum EmbedderCommand {
    /// Ask this server for embeddings of a model
    #[command(after_help = "\
Examples:
  simdex embedder set text-embedding-3-small https://api.openai.com --api-key-env OPENAI_API_KEY
  simdex embedder set all-MiniLM-L6-v2 http://localhost:11434 --model-name all-minilm
  simdex embedder set nomic-embed-text http://localhost:1234/v1

MODEL is the name that `simdex collections` shows. URL may end in /v1/embeddings or leave that out.
Keys are never stored: they are read from the variable when they are needed.")]
    Set(SetArgs),
    /// List the servers
    #[command(after_help = "\
Examples:
  simdex embedder list
  simdex embedder list --json")]
    List(ListArgs),
    /// Forget the server of a model
    #[command(after_help = "\
Examples:
  simdex embedder remove nomic-embed-text")]
    Remove(ModelArgs),
    /// Embed a word and say how that went
    #[command(after_help = "\
Examples:
  simdex embedder test nomic-embed-text")]
    Test(ModelArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Model as the collection names it
    pub(crate) model: String,
    /// Address of the server
    #[arg(value_hint = clap::ValueHint::Url)]
    pub(crate) url: String,
    /// The model's name on the server [default: MODEL]
    #[arg(long, value_name = "NAME")]
    pub(crate) model_name: Option<String>,
    /// Environment variable that holds the API key
    #[arg(long, value_name = "VAR")]
    pub(crate) api_key_env: Option<String>,
    /// Seconds to wait for an answer [default: 120]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<NonZeroU64>,
}

#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// Model as the collection names it
    pub(crate) model: String,
}
