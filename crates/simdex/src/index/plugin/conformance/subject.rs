//! The plugin under test, asked request by request.

use std::path::{Path, PathBuf};

use fixedbitset::FixedBitSet;
use serde_json::Value;
use simdex_plugin::{
    ApplyParams, BuildParams, Call, Description, DropParams, Found, OpenParams, SearchParams,
};
use tempfile::TempDir;

use super::data::DIM;
use crate::error::Result;
use crate::index::Parameters;
use crate::index::plugin::call::{Failure, Session};
use crate::index::plugin::kind::Plugin;
use crate::index::plugin::scratch::Scratch;
use crate::observe::Observer;
use crate::types::Metric;

/// A plugin with one metric.
pub(super) struct Subject<'a> {
    pub(super) plugin: &'a Plugin,
    pub(super) description: &'a Description,
    pub(super) metric: Metric,
    pub(super) options: &'a Parameters,
    pub(super) observer: &'a dyn Observer,
}

impl<'a> Subject<'a> {
    pub(super) fn new(
        plugin: &'a Plugin,
        description: &'a Description,
        metric: simdex_plugin::Metric,
        options: &'a Parameters,
        observer: &'a dyn Observer,
    ) -> Self {
        let metric = match metric {
            simdex_plugin::Metric::Cosine => Metric::Cosine,
            simdex_plugin::Metric::L2 => Metric::L2,
            simdex_plugin::Metric::Dot => Metric::Dot,
        };
        Self { plugin, description, metric, options, observer }
    }

    /// A process.
    pub(super) fn start(&self) -> Result<Process<'_>> {
        let session = self.plugin.start(self.observer)?;
        Ok(Process { subject: self, session, scratch: Scratch::new()?, built: Scratch::new()? })
    }

    /// An empty folder.
    pub(super) fn place(&self) -> Result<Place<'_>> {
        let root = tempfile::tempdir()?;
        let path = root.path().join("files");
        std::fs::create_dir(&path)?;
        Ok(Place { subject: self, root, path, keeps: Keeps::Something })
    }

    /// A process that has built an index over rows.
    pub(super) fn built(&self, values: &[f32], folder: Option<&Path>) -> Result<Process<'_>> {
        let mut process = self.start()?;
        process.build(values, folder)?;
        Ok(process)
    }
}

/// A folder for files of the plugin. What a plugin keeps elsewhere for it goes with it.
pub(super) struct Place<'a> {
    subject: &'a Subject<'a>,
    root: TempDir,
    path: PathBuf,
    keeps: Keeps,
}

/// Whether a plugin may keep something elsewhere for a folder.
#[derive(PartialEq, Eq)]
enum Keeps {
    Something,
    Nothing,
}

impl Place<'_> {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// It has been dropped.
    pub(super) fn forget(mut self) {
        self.keeps = Keeps::Nothing;
    }

    /// Gives it another path.
    pub(super) fn move_away(&mut self) -> Result<()> {
        let path = self.root.path().join("moved");
        std::fs::rename(&self.path, &path)?;
        self.path = path;
        Ok(())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // What a plugin keeps it has noted.
        let is_empty = self.path.read_dir().is_ok_and(|mut files| files.next().is_none());
        if !self.subject.description.drops || is_empty || self.keeps == Keeps::Nothing {
            return;
        }
        let dropped = self.subject.start().and_then(|mut plugin| plugin.release(&self.path, None));
        if let Err(error) = dropped {
            tracing::warn!(%error, "a build of a check may be left");
        }
    }
}

/// A process of the plugin.
pub(super) struct Process<'a> {
    subject: &'a Subject<'a>,
    session: Session,
    scratch: Scratch,
    /// The vectors of the last build, which a plugin may go on reading.
    built: Scratch,
}

impl Process<'_> {
    pub(super) fn build(&mut self, values: &[f32], folder: Option<&Path>) -> Result<()> {
        self.built = Scratch::new()?;
        let call = Call::Build(BuildParams {
            folder: folder.map(Path::to_owned),
            vectors: self.built.floats(values.chunks(DIM), DIM)?,
            metric: self.subject.metric.into(),
            options: self.subject.options.clone(),
            threads: 2,
        });
        self.done(call)
    }

    pub(super) fn open(&mut self, folder: &Path, rows: usize) -> Result<()> {
        self.done(Call::Open(OpenParams {
            folder: folder.to_owned(),
            metric: self.subject.metric.into(),
            options: self.subject.options.clone(),
            threads: 2,
            rows: rows as u64,
            dimensions: DIM as u64,
        }))
    }

    pub(super) fn apply(
        &mut self,
        deletes: &[u32],
        upserts: &[u32],
        vectors: &[f32],
    ) -> Result<()> {
        self.scratch.clear();
        let call = Call::Apply(ApplyParams {
            deletes: self.scratch.numbers(deletes)?,
            upserts: self.scratch.numbers(upserts)?,
            vectors: self.scratch.floats(vectors.chunks(DIM), DIM)?,
        });
        self.done(call)
    }

    pub(super) fn release(&mut self, folder: &Path, kept: Option<&Path>) -> Result<()> {
        self.done(Call::Drop(DropParams {
            folder: folder.to_owned(),
            kept: kept.map(Path::to_owned),
            options: self.subject.options.clone(),
        }))
    }

    pub(super) fn search(&mut self, queries: &[f32], k: usize) -> Result<Vec<Vec<u32>>> {
        self.search_of_size(queries, DIM, k, None)
    }

    pub(super) fn search_among(
        &mut self,
        queries: &[f32],
        k: usize,
        allowed: &FixedBitSet,
    ) -> Result<Vec<Vec<u32>>> {
        self.search_of_size(queries, DIM, k, Some(allowed))
    }

    pub(super) fn search_of_size(
        &mut self,
        queries: &[f32],
        dim: usize,
        k: usize,
        allowed: Option<&FixedBitSet>,
    ) -> Result<Vec<Vec<u32>>> {
        self.scratch.clear();
        let call = Call::Search(SearchParams {
            queries: self.scratch.floats(queries.chunks(dim), dim)?,
            k: k as u64,
            allowed: allowed.map(|set| self.scratch.row_set(set)).transpose()?,
        });
        Ok(self.ask::<Found>(call)?.rows)
    }

    pub(super) fn stats(&mut self) -> Result<()> {
        self.ask::<serde_json::Map<String, Value>>(Call::stats()).map(drop)
    }

    fn done(&mut self, call: Call) -> Result<()> {
        self.ask::<Value>(call).map(drop)
    }

    fn ask<T: serde::de::DeserializeOwned>(&mut self, call: Call) -> Result<T> {
        Ok(self.session.call(call, self.subject.observer).map_err(|failure: Failure| failure)?)
    }

    /// Whether it still answers.
    pub(super) fn is_alive(&mut self) -> bool {
        self.stats().is_ok()
    }
}
