//! A database, plugins, and an engine that finds them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use simdex::engine::api::*;
use simdex::index::plugin::{Limits, PREFIX, Plugins};
use simdex::observe::Silent;
use simdex::{Engine, Metric};

use crate::common::{self, Scene};

pub const COLLECTION: &str = "posts";
pub const ROWS: usize = 1500;
pub const DIM: usize = 8;

/// A folder with plugins of these names.
pub struct Programs {
    folder: tempfile::TempDir,
}

impl Programs {
    pub fn new(names: &[&str]) -> Self {
        let programs = Self { folder: tempfile::tempdir().unwrap() };
        names.iter().for_each(|name| programs.install(name));
        programs
    }

    pub fn install(&self, name: &str) {
        let own = std::env::current_exe().unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(own, self.path(name)).unwrap();
        #[cfg(not(unix))]
        std::fs::copy(own, self.path(name)).map(drop).unwrap();
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        let file = format!("{PREFIX}{name}{}", std::env::consts::EXE_SUFFIX);
        self.folder.path().join(file)
    }

    pub fn plugins(&self) -> Plugins {
        Plugins::new(vec![self.folder.path().to_owned()], Limits::default())
    }

    /// Which give up on a search after so long.
    pub fn impatient(&self, search: Duration) -> Plugins {
        let limits = Limits { search, answer: 1 << 20, ..Limits::default() };
        Plugins::new(vec![self.folder.path().to_owned()], limits)
    }
}

pub fn scene() -> Scene {
    Scene::with_rows("wal", COLLECTION, ROWS, DIM)
}

pub fn engine(scene: &Scene, plugins: Plugins) -> Engine {
    scene.engine().with_plugins(plugins)
}

pub fn define(
    engine: &Engine,
    kind: &str,
    parameters: &[(&str, &str)],
) -> simdex::Result<IndexInfo> {
    let parameters =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let index = common::new_index("index", &[COLLECTION]);
    engine.define(NewIndex {
        kind: Some(kind.to_owned()),
        parameters: parameters.collect(),
        ..index
    })
}

pub fn built(scene: &Scene, plugins: Plugins, kind: &str, parameters: &[(&str, &str)]) -> Engine {
    let engine = engine(scene, plugins);
    define(&engine, kind, parameters).unwrap();
    engine.build("index", &Silent).unwrap();
    engine
}

pub fn query(seed: u64) -> Vec<f32> {
    common::Random(seed).vector(DIM)
}

pub fn search(engine: &Engine, query: &[f32]) -> Answer {
    let target = Target::Collection(COLLECTION.into(), Through::Default);
    engine.search(&common::by_vector(target, query, 10), &Silent).unwrap()
}

/// Whether a search is what the database gives; returns its notices.
pub fn assert_right(engine: &Engine, scene: &Scene, seed: u64) -> Vec<String> {
    let query = query(seed);
    let answer = search(engine, &query);
    let expected = common::naive(&scene.db, &[COLLECTION], &query, Metric::Cosine, 10, None);
    assert_eq!(common::rows(&answer), expected);
    assert_eq!(answer.plan.index.as_deref(), Some("index"));
    answer.notices
}

/// Lines that the testing plugin wrote.
pub fn lines(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
