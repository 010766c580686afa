//! From text to a vector of the collection's model: a server that the user has set, else llm.

use std::path::PathBuf;

use crate::failure::UserError;
use crate::paths;
use crate::query::Content;

pub(crate) mod endpoint;
pub(crate) mod http;
pub(crate) mod llm_command;
pub(crate) mod settings;

use endpoint::Endpoint;

/// Who embeds for a model.
#[derive(Debug, Clone)]
pub(crate) enum Embedder {
    /// A server with `/v1/embeddings`.
    Server(Endpoint),
    /// The llm command.
    Llm {
        /// The program.
        program: PathBuf,
        /// The model, as llm knows it.
        model: String,
    },
}

impl Embedder {
    /// Finds who embeds for `model`.
    ///
    /// # Errors
    /// When nobody does, saying both ways to change that.
    pub(crate) fn find(model: &str) -> anyhow::Result<Self> {
        if let Some(endpoint) = settings::Settings::load()?.get(model) {
            return Ok(Self::Server(endpoint));
        }
        let program = paths::program("llm").ok_or_else(|| nobody(model))?;
        Ok(Self::Llm { program, model: model.to_owned() })
    }

    /// Embeds. May take as long as the other side does.
    ///
    /// # Errors
    /// When the other side fails or answers nonsense.
    pub(crate) fn embed(&self, content: &Content) -> anyhow::Result<Vec<f64>> {
        match self {
            Self::Server(endpoint) => http::embed(endpoint, content),
            Self::Llm { program, model } => llm_command::embed(program, model, content),
        }
    }

    /// Who that is, for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Server(endpoint) => endpoint.url.clone(),
            Self::Llm { .. } => "the llm command".to_owned(),
        }
    }
}

fn nobody(model: &str) -> UserError {
    UserError::new(format!("nothing here can embed text with the model `{model}`"))
        .hint(both_ways(model))
}

/// The two ways to have text embedded.
pub(crate) fn both_ways(model: &str) -> String {
    let model = crate::shell::quote(model);
    format!(
        "either name a server with an OpenAI-compatible API: \
         `simdex embedder set {model} URL`, or install the llm command (https://llm.datasette.io) \
         with a plugin for the model"
    )
}
