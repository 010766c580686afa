//! The facade every front end calls: open · define · build · refresh · search · verify.

pub mod api;

use api::*;

use crate::error::{Error, ErrorKind, Result};
use crate::observe::Observer;

/// One database and its indexes.
#[derive(Debug)]
pub struct Engine {
    location: Location,
}

fn stub<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Internal, "not written yet"))
}

#[allow(missing_docs, unused_variables)]
impl Engine {
    /// Checks that the database exists and can be read; creates nothing.
    pub fn open(location: Location) -> Result<Self> {
        Ok(Self { location })
    }
    pub fn location(&self) -> &Location {
        &self.location
    }
    pub fn collections(&self, observer: &dyn Observer) -> Result<Vec<CollectionInfo>> {
        stub()
    }
    pub fn indexes(&self) -> Result<Vec<IndexInfo>> {
        stub()
    }
    pub fn index(&self, name: &str) -> Result<IndexInfo> {
        stub()
    }
    pub fn define(&self, new: NewIndex) -> Result<IndexInfo> {
        stub()
    }
    pub fn build(&self, name: &str, observer: &dyn Observer) -> Result<Report> {
        stub()
    }
    pub fn refresh(&self, name: &str, observer: &dyn Observer) -> Result<Report> {
        stub()
    }
    pub fn verify(&self, name: &str, observer: &dyn Observer) -> Result<Verification> {
        stub()
    }
    pub fn drop_index(&self, name: &str) -> Result<()> {
        stub()
    }
    /// Makes `index` the default of `collections` (all that it covers when empty); returns them.
    pub fn set_default(&self, index: &str, collections: &[String]) -> Result<Vec<String>> {
        stub()
    }
    /// Leaves `collection` without a default; returns the index that was.
    pub fn clear_default(&self, collection: &str) -> Result<Option<String>> {
        stub()
    }
    /// The model whose vectors `target` holds, for queries by text.
    pub fn model(&self, target: &Target) -> Result<Option<String>> {
        stub()
    }
    pub fn search(&self, request: &SearchRequest, observer: &dyn Observer) -> Result<Answer> {
        stub()
    }
}
