//! Chroma, over its HTTP API, version 2.
//!
//! Written against Chroma 1.5. A collection has one vector space and one HNSW graph, which the
//! server extends as records arrive. Its own upsert keeps the document and the metadata that the
//! new record lacks; ours replaces the whole record.

mod http;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;

use crate::address::Address;
use crate::collection::{
    Collection, Cursor, Labels, Page, Position, Server, check_batch, check_query,
};
use crate::error::{Error, Fault, Result};
use crate::record::{Hit, Only, Query, Record, Spec};
use crate::retry::Patience;
use http::Http;
use wire::{Described, Found, Limits, Listed, Payload};

/// About this many bytes of vectors go into one request, whatever the server would take.
const BATCH_BYTES: usize = 8 << 20;

/// Ids asked for in one request.
const PAGE: usize = 20_000;

/// A Chroma server, or a database of Chroma's cloud.
#[derive(Debug, Clone)]
pub struct Chroma {
    http: Arc<Http>,
}

impl Chroma {
    /// The server at `address`, such as `http://localhost:8000`. The tenant and the database are
    /// parameters of the URL (`?tenant=…&database=…`), Chroma's defaults where they are absent.
    /// Nothing is sent yet.
    ///
    /// The certificate of an `https` server is checked against those that this machine trusts, or
    /// those in the file of the URL's parameter `sslrootcert`.
    ///
    /// `token` goes into the headers `x-chroma-token` and `Authorization: Bearer`; a user name and
    /// password in the address are used for basic authentication.
    ///
    /// # Errors
    /// `Invalid` for an address that is not HTTP, or through which a secret would cross a network
    /// unencrypted.
    pub fn new(address: &Address, token: Option<SecretString>, patience: Patience) -> Result<Self> {
        Ok(Self { http: Arc::new(Http::new(address, token, patience)?) })
    }

    fn described(&self, name: &str) -> Result<Option<Described>> {
        match self.http.get(&format!("collections/{}", http::escaped(name))) {
            Ok(described) => Ok(Some(described)),
            Err(error) if error.fault() == Fault::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn collection(&self, described: Described) -> Result<ChromaCollection> {
        let limits: Limits = self.http.get_root("pre-flight-checks")?;
        Ok(ChromaCollection { http: Arc::clone(&self.http), described, limits })
    }
}

impl Server for Chroma {
    fn version(&self) -> Result<String> {
        let version: String = self.http.get_root("version")?;
        Ok(format!("Chroma {version}"))
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Collection>> {
        check_name(&spec.name)?;
        // The server returns an existing collection as it is, whatever is asked of a new one.
        let described = match self.described(&spec.name)? {
            Some(described) => described,
            None => self.http.post("collections", &wire::create(spec))?,
        };
        described.check(spec)?;
        let mut collection = self.collection(described)?;
        collection.described.dimension.get_or_insert(spec.dimensions);
        Ok(Box::new(collection))
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Collection>>> {
        let Some(described) = self.described(name)? else { return Ok(None) };
        Ok(Some(Box::new(self.collection(described)?)))
    }

    fn remove(&self, name: &str) -> Result<bool> {
        match self.http.delete(&format!("collections/{}", http::escaped(name))) {
            Ok(()) => Ok(true),
            Err(error) if error.fault() == Fault::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Chroma's rule for names.
fn check_name(name: &str) -> Result<()> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let sound = (3..=512).contains(&name.len()) && name.chars().all(inner);
    if sound && ends(name.chars().next()) && ends(name.chars().last()) {
        return Ok(());
    }
    Err(Error::new(Fault::Invalid, format!("`{name}` can't be the name of a Chroma collection"))
        .hint("use 3 to 512 letters, digits, dots, hyphens and underscores, with a letter or digit at both ends"))
}

/// A collection on a Chroma server.
#[derive(Debug)]
struct ChromaCollection {
    http: Arc<Http>,
    described: Described,
    limits: Limits,
}

impl ChromaCollection {
    fn path(&self, what: &str) -> String {
        format!("collections/{}/{what}", http::escaped(&self.described.id))
    }

    /// The ids of records of which the server would keep something that the new ones lack.
    fn lasting(&self, records: &[Record]) -> Result<Vec<String>> {
        let ids: Vec<_> = records.iter().map(|record| record.id.as_str()).collect();
        let body = json!({ "ids": ids, "include": ["documents", "metadatas"] });
        let listed: Listed = self.http.post(&self.path("get"), &body)?;
        let new: HashMap<_, _> =
            records.iter().map(|record| (record.id.as_str(), record)).collect();
        let lasts =
            |old: &Record| new.get(old.id.as_str()).is_some_and(|new| wire::would_last(old, new));
        Ok(listed.records()?.into_iter().filter(lasts).map(|old| old.id).collect())
    }
}

impl Collection for ChromaCollection {
    fn largest_batch(&self) -> usize {
        let bytes = 4 * self.described.dimension.unwrap_or(1).max(1);
        (BATCH_BYTES / bytes).clamp(1, self.limits.max_batch_size.max(1))
    }

    fn upsert(&mut self, records: &[Record]) -> Result<()> {
        let dimensions = self
            .described
            .dimension
            .unwrap_or_else(|| records.first().map_or(0, |record| record.vector.len()));
        check_batch(records, dimensions, self.limits.max_batch_size)?;
        records.iter().try_for_each(wire::check_facts)?;
        if records.is_empty() {
            return Ok(());
        }
        let old = self.lasting(records)?;
        let payload = Payload::new(records, self.limits.supports_base64_encoding);
        let upsert = self.path("upsert");
        self.http.post_ignoring(&upsert, &payload)?;
        if old.is_empty() {
            return Ok(());
        }
        // Only now, when the server has shown that it takes the records.
        self.delete(&old)?;
        self.http.post_ignoring(&upsert, &payload)
    }

    fn delete(&mut self, ids: &[String]) -> Result<()> {
        // An empty list stands for no condition at all.
        if ids.is_empty() {
            return Ok(());
        }
        self.http.post_ignoring(&self.path("delete"), &json!({ "ids": ids }))
    }

    fn count(&mut self) -> Result<u64> {
        self.http.get(&self.path("count"))
    }

    fn get(&mut self, ids: &[String]) -> Result<Vec<Record>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let include = ["embeddings", "documents", "metadatas"];
        let body = json!({ "ids": ids, "include": include });
        let listed: Listed = self.http.post(&self.path("get"), &body)?;
        listed.records()
    }

    fn page(&mut self, from: &Cursor) -> Result<Page> {
        let offset = match from.0 {
            Position::Skipping(ids) => ids,
            Position::First | Position::After(_) => 0,
        };
        let body = json!({ "include": [], "limit": PAGE, "offset": offset });
        let listed: Listed = self.http.post(&self.path("get"), &body)?;
        let next = Cursor(Position::Skipping(offset + listed.ids.len()));
        let next = (listed.ids.len() == PAGE).then_some(next);
        Ok(Page { ids: listed.ids, next })
    }

    fn is_same(&self, read: &Record, given: &Record) -> bool {
        read.is_nearly(&wire::as_kept(given))
    }

    fn query(&mut self, query: &Query<'_>) -> Result<Vec<Vec<Hit>>> {
        check_query(query, self.described.dimension.unwrap_or(0))?;
        let none = matches!(query.only, Only::Ids([])) || query.k == 0;
        if query.vectors.is_empty() || none {
            return Ok(vec![Vec::new(); query.vectors.len()]);
        }
        let found: Found = self.http.post(&self.path("query"), &wire::query(query))?;
        found.hits(query.vectors.len())
    }

    fn labels(&mut self) -> Result<Labels> {
        self.described =
            self.http.get(&format!("collections/{}", http::escaped(&self.described.name)))?;
        Ok(self.described.labels())
    }

    fn set_labels(&mut self, labels: &Labels) -> Result<()> {
        // The server replaces all of them.
        let mut metadata =
            self.labels().map(|_| self.described.metadata.clone())?.unwrap_or_default();
        metadata.extend(labels.iter().map(|(name, value)| (name.clone(), json!(value))));
        let path = format!("collections/{}", http::escaped(&self.described.id));
        self.http.put_ignoring(&path, &json!({ "new_metadata": metadata }))
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_before_anything_is_sent() {
        for name in ["abc", "a.b-c_d", "0a0"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "ab", "a b", "_ab", "ab-", "äbc", &"a".repeat(513)] {
            assert_eq!(check_name(name).unwrap_err().fault(), Fault::Invalid, "{name}");
        }
    }
}
