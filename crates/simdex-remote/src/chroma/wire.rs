//! The bodies of requests and answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::collection::Labels;
use crate::error::{Error, Fault, Result};
use crate::record::{Hit, Metadata, Only, Query, Record, Space, Spec};

/// What a server says of a collection.
#[derive(Debug, Deserialize)]
pub(super) struct Described {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) dimension: Option<usize>,
    #[serde(default)]
    pub(super) metadata: Option<Metadata>,
    #[serde(default)]
    configuration_json: Value,
}

impl Described {
    /// Refuses a collection that is not as one wants it.
    pub(super) fn check(&self, spec: &Spec) -> Result<()> {
        let name = &self.name;
        if let Some(dimension) = self.dimension
            && dimension != spec.dimensions
        {
            let wanted = spec.dimensions;
            let message =
                format!("the collection `{name}` has {dimension} dimensions, expected {wanted}");
            return Err(Error::new(Fault::Refused, message));
        }
        // Chroma's cloud has another structure, with a measure of the same names.
        let space = |kind: &str| self.configuration_json.get(kind)?.get("space")?.as_str();
        match space("hnsw").or_else(|| space("spann")) {
            Some(space) if Space::named(space) != Some(spec.space) => {
                let wanted = spec.space.name();
                let message =
                    format!("the collection `{name}` measures {space}, expected {wanted}");
                Err(Error::new(Fault::Refused, message))
            }
            _ => Ok(()),
        }
    }

    /// Its metadata that is text.
    pub(super) fn labels(&self) -> Labels {
        let metadata = self.metadata.iter().flatten();
        metadata
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect()
    }
}

/// What a server takes.
#[derive(Debug, Deserialize)]
pub(super) struct Limits {
    pub(super) max_batch_size: usize,
    #[serde(default)]
    pub(super) supports_base64_encoding: bool,
}

/// The request for a collection.
pub(super) fn create(spec: &Spec) -> Value {
    let mut hnsw = serde_json::Map::new();
    hnsw.insert("space".into(), json!(spec.space.name()));
    for (name, value) in [
        ("max_neighbors", spec.graph.neighbors),
        ("ef_construction", spec.graph.build_width),
        ("ef_search", spec.graph.search_width),
    ] {
        hnsw.extend(value.map(|value| (name.to_owned(), json!(value))));
    }
    let metadata = Some(&spec.labels).filter(|labels| !labels.is_empty());
    // Another process may be making the same.
    json!({
        "name": spec.name,
        "configuration": { "hnsw": hnsw },
        "metadata": metadata,
        "get_or_create": true,
    })
}

/// Records to put in.
#[derive(Debug, Serialize)]
pub(super) struct Payload<'a> {
    ids: Vec<&'a str>,
    embeddings: Embeddings<'a>,
    documents: Vec<Option<&'a str>>,
    metadatas: Vec<Option<Metadata>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Embeddings<'a> {
    Numbers(Vec<&'a [f32]>),
    /// Little-endian float32, in base64: half the bytes, and nothing to parse.
    Base64(Vec<String>),
}

impl<'a> Payload<'a> {
    pub(super) fn new(records: &'a [Record], base64: bool) -> Self {
        let encode = |record: &Record| {
            let bytes: Vec<u8> =
                record.vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            STANDARD.encode(bytes)
        };
        let embeddings = match base64 {
            true => Embeddings::Base64(records.iter().map(encode).collect()),
            false => Embeddings::Numbers(records.iter().map(|r| r.vector.as_slice()).collect()),
        };
        Self {
            ids: records.iter().map(|record| record.id.as_str()).collect(),
            embeddings,
            documents: records.iter().map(|record| record.document.as_deref()).collect(),
            metadatas: records.iter().map(|r| r.metadata.as_ref().and_then(flat)).collect(),
        }
    }
}

/// Metadata as Chroma takes it: nested values as JSON text, no nulls, and never nothing.
fn flat(metadata: &Metadata) -> Option<Metadata> {
    let value = |value: &Value| match value {
        Value::Null => None,
        Value::Array(_) | Value::Object(_) => Some(Value::String(value.to_string())),
        plain => Some(plain.clone()),
    };
    let pairs = metadata.iter().filter_map(|(name, old)| Some((name.clone(), value(old)?)));
    let flat: Metadata = pairs.collect();
    Some(flat).filter(|flat| !flat.is_empty())
}

/// Refuses metadata that Chroma refuses without saying whose it is, or drops without a word.
pub(super) fn check_facts(record: &Record) -> Result<()> {
    let taken = |name: &&String| name.is_empty() || name.starts_with(['#', '$']);
    let names = || record.metadata.iter().flatten().map(|(name, _)| name);
    let reason = match names().find(|name| taken(name) || name.starts_with("chroma:")) {
        None => return Ok(()),
        Some(name) => format!("Chroma takes no metadata named {name:?}"),
    };
    Err(Error::new(Fault::Unfit, reason).about(&record.id))
}

/// A record as Chroma keeps it.
pub(super) fn as_kept(record: &Record) -> Record {
    let metadata = record.metadata.as_ref().and_then(flat);
    Record { metadata, ..record.clone() }
}

/// Whether an upsert would leave something of the old record that the new one lacks.
pub(super) fn would_last(old: &Record, new: &Record) -> bool {
    let kept = new.metadata.as_ref().and_then(flat).unwrap_or_default();
    let facts = old.metadata.iter().flatten();
    (old.document.is_some() && new.document.is_none())
        || facts.into_iter().any(|(name, _)| !kept.contains_key(name))
}

/// The request for a search.
pub(super) fn query(query: &Query<'_>) -> Value {
    let mut body = json!({
        "query_embeddings": query.vectors,
        "n_results": query.k,
        "include": ["distances"],
    });
    match query.only {
        Only::All => {}
        Only::Ids(ids) => body["ids"] = json!(ids),
        Only::Matching(metadata) => {
            let equal = |(name, value): (&String, &Value)| json!({ name: { "$eq": value } });
            let mut conditions: Vec<_> = metadata.iter().map(equal).collect();
            match conditions.len() {
                0 => {}
                1 => body["where"] = conditions.remove(0),
                _ => body["where"] = json!({ "$and": conditions }),
            }
        }
    }
    body
}

/// Records as a server lists them.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) ids: Vec<String>,
    #[serde(default)]
    embeddings: Option<Vec<Vec<f32>>>,
    #[serde(default)]
    documents: Option<Vec<Option<String>>>,
    #[serde(default)]
    metadatas: Option<Vec<Option<Metadata>>>,
}

impl Listed {
    /// As records.
    ///
    /// # Errors
    /// `Refused` when the lists are of several lengths.
    pub(super) fn records(self) -> Result<Vec<Record>> {
        let count = self.ids.len();
        let embeddings = self.embeddings.unwrap_or_else(|| vec![Vec::new(); count]);
        let documents = self.documents.unwrap_or_else(|| vec![None; count]);
        let metadatas = self.metadatas.unwrap_or_else(|| vec![None; count]);
        if [embeddings.len(), documents.len(), metadatas.len()] != [count; 3] {
            return Err(nonsense("lists of several lengths"));
        }
        let rest = embeddings.into_iter().zip(documents).zip(metadatas);
        let record =
            |(id, ((vector, document), metadata))| Record { id, vector, document, metadata };
        Ok(self.ids.into_iter().zip(rest).map(record).collect())
    }
}

/// The answer to a search.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    ids: Vec<Vec<String>>,
    distances: Vec<Vec<Option<f64>>>,
}

impl Found {
    /// As hits, for so many queries.
    ///
    /// # Errors
    /// `Refused` when the lists don't fit.
    pub(super) fn hits(self, queries: usize) -> Result<Vec<Vec<Hit>>> {
        let lengths = |(ids, distances): (&Vec<_>, &Vec<_>)| ids.len() == distances.len();
        let fits = self.ids.len() == queries
            && self.distances.len() == queries
            && self.ids.iter().zip(&self.distances).all(lengths);
        if !fits {
            return Err(nonsense("lists of other lengths than asked for"));
        }
        let hit = |(id, distance): (String, Option<f64>)| {
            // No number means a distance that float32 can't hold.
            Hit { id, distance: distance.unwrap_or(f64::INFINITY) }
        };
        let lists = self.ids.into_iter().zip(self.distances);
        Ok(lists
            .map(|(ids, distances)| ids.into_iter().zip(distances).map(hit).collect())
            .collect())
    }
}

/// What is said of an answer that is none.
pub(super) fn nonsense(what: &str) -> Error {
    Error::new(Fault::Refused, format!("the Chroma server answers nonsense: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_flattened() {
        let given =
            json!({"n": 1, "t": "x", "b": true, "null": null, "list": [1, "a"], "map": {"k": 2}});
        let flat = flat(given.as_object().unwrap()).unwrap();
        let expected =
            json!({"n": 1, "t": "x", "b": true, "list": "[1,\"a\"]", "map": "{\"k\":2}"});
        assert_eq!(Value::Object(flat), expected);
        assert_eq!(super::flat(json!({"only": null}).as_object().unwrap()), None);
    }

    #[test]
    fn names_that_chroma_keeps_for_itself_are_refused() {
        let record = |name: &str| {
            let facts = json!({ name: 1, "other": 2 });
            Record::new("a", Vec::new()).with_metadata(facts.as_object().unwrap().clone())
        };
        for name in ["", "$a", "#a", "chroma:document"] {
            let error = check_facts(&record(name)).unwrap_err();
            assert_eq!(error.fault(), Fault::Unfit);
            assert!(error.to_string().starts_with("id \"a\": "), "{error}");
        }
        for name in ["a$", "chroma_a", "ä"] {
            assert!(check_facts(&record(name)).is_ok(), "{name}");
        }
    }

    #[test]
    fn several_conditions_are_all_asked_for() {
        let asked = |given: Value| {
            let given = given.as_object().unwrap().clone();
            query(&Query::new(&[], 1).among(Only::Matching(&given))).get("where").cloned()
        };
        assert_eq!(asked(json!({})), None);
        assert_eq!(asked(json!({"a": 1})), Some(json!({"a": {"$eq": 1}})));
        let both = json!({"$and": [{"a": {"$eq": 1}}, {"b": {"$eq": "x"}}]});
        assert_eq!(asked(json!({"a": 1, "b": "x"})), Some(both));
    }

    #[test]
    fn answers_that_do_not_fit_are_errors() {
        let found = |text: &str| serde_json::from_str::<Found>(text).unwrap().hits(1);
        assert_eq!(found(r#"{"ids":[["a"]],"distances":[[0.5]]}"#).unwrap()[0][0].id, "a");
        assert!(found(r#"{"ids":[["a"],[]],"distances":[[0.5]]}"#).is_err());
        assert!(found(r#"{"ids":[["a"]],"distances":[[]]}"#).is_err());
    }
}
