//! A server's engine as a kind of index.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use simdex_remote::{Graph, Patience, Server};

use super::ids::Ids;
use super::opened::RemoteIndex;
use super::{failure, place, sync};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Index, Job, Kind, Parameter, Parameters, Previous, Sections, check_parameters};
use crate::matrix::{Matrix, Slab};
use crate::observe::Observer;
use crate::types::Metric;

/// The section that says what was built where.
const RECORD: &str = "remote";

/// Parameters of every kind of this sort.
pub(super) const NAME: Parameter = Parameter {
    name: "name",
    default: "",
    about: "collection or table on the server (default: one of its own)",
    check: any,
};
pub(super) const TIMEOUT: Parameter = Parameter {
    name: "timeout",
    default: "10",
    about: "seconds that a search waits for the server",
    check: count,
};
pub(super) const ON_FAILURE: Parameter = Parameter {
    name: "on-failure",
    default: "exact",
    about: "when the server fails: compare all rows (exact), or fail (error)",
    check: on_failure,
};
pub(super) const NEIGHBORS: Parameter = Parameter {
    name: "neighbors",
    default: "16",
    about: "neighbours of a node of the server's HNSW graph",
    check: count,
};

/// What the engines differ in.
pub(super) struct Engine {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// Refuses parameters that hold secrets or name no server.
    pub(super) check: fn(&Parameters) -> Result<()>,
    /// The server of a definition. Sends nothing.
    pub(super) server: fn(&Parameters, Patience) -> Result<Box<dyn Server>>,
    /// The name of an index's collection that the user has not named.
    pub(super) default_name: fn(&str) -> String,
}

/// An engine as a kind.
pub(super) struct Remote(pub(super) &'static Engine);

/// What was built where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// The collection.
    pub(super) collection: String,
    /// Whose it is: a name that no other index has.
    pub(super) owner: String,
    /// The state of the collection that holds these rows.
    pub(super) sync: String,
}

impl Record {
    pub(super) fn read(sections: &Sections) -> Result<Self> {
        let damaged = |message: &str| Error::new(ErrorKind::Damaged, message);
        let bytes = sections.get(RECORD).ok_or_else(|| damaged("no record of the server"))?;
        serde_json::from_slice(bytes)
            .map_err(|error| damaged("the record of the server makes no sense").source(error))
    }

    pub(super) fn write(&self, sections: &mut Sections) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(|error| {
            Error::new(ErrorKind::Internal, "a record has no JSON form").source(error)
        })?;
        sections.insert(RECORD.into(), Slab::from_slice(&bytes));
        Ok(())
    }
}

impl Remote {
    /// A server for bulk work.
    pub(super) fn server(&self, parameters: &Parameters) -> Result<Box<dyn Server>> {
        (self.0.server)(parameters, Patience::default())
    }

    fn collection(&self, owner: &str, parameters: &Parameters) -> String {
        let named = parameters.get(NAME.name).filter(|name| !name.is_empty());
        named.cloned().unwrap_or_else(|| (self.0.default_name)(owner))
    }

    fn target(&self, job: &Job<'_>) -> Result<sync::Target> {
        let owner = job.name.ok_or_else(|| self.needs_a_name())?;
        Ok(sync::Target {
            server: self.server(job.parameters)?,
            collection: self.collection(owner, job.parameters),
            owner: owner.to_owned(),
            graph: graph(job.parameters),
        })
    }

    fn needs_a_name(&self) -> Error {
        let message = format!("kind `{}` indexes databases, and not vectors alone", self.0.name);
        Error::new(ErrorKind::Invalid, message)
    }
}

impl Kind for Remote {
    fn name(&self) -> &str {
        self.0.name
    }

    fn about(&self) -> &str {
        self.0.about
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn parameters(&self) -> &'static [Parameter] {
        self.0.parameters
    }

    fn check(&self, _: Metric, set: &Parameters) -> Result<()> {
        // First, because other errors repeat what was typed.
        (self.0.check)(set)?;
        check_parameters(self.0.parameters, self.0.name, set)?;
        self.server(set).map(|_| ())
    }

    fn updates(&self) -> bool {
        true
    }

    fn build(&self, _: &Matrix, _: Metric, _: &Parameters, _: &dyn Observer) -> Result<Sections> {
        Err(self.needs_a_name())
    }

    fn open(
        &self,
        vectors: Matrix,
        metric: Metric,
        parameters: &Parameters,
        sections: &Sections,
    ) -> Result<Box<dyn Index>> {
        let job = Job { vectors: &vectors, metric, parameters, folder: None, name: None };
        self.open_in(&job, sections)
    }

    fn build_in(&self, job: &Job<'_>, observer: &dyn Observer) -> Result<Sections> {
        sync::sync(self.target(job)?, job, None, observer)
    }

    fn update_in(
        &self,
        job: &Job<'_>,
        previous: &Previous<'_>,
        observer: &dyn Observer,
    ) -> Result<Option<Sections>> {
        let before = Record::read(previous.sections)
            .and_then(|record| Ok((record, Ids::read(previous.sections, previous.rows)?)));
        // Without it all is looked up on the server.
        sync::sync(self.target(job)?, job, before.ok(), observer).map(Some)
    }

    fn settle(
        &self,
        job: &Job<'_>,
        sections: &Sections,
        observer: &dyn Observer,
    ) -> Result<Option<String>> {
        let ids = Ids::read(sections, job.vectors.rows())?;
        match sync::settle(self.target(job)?, &Record::read(sections)?, ids, sections, observer) {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            Err(error) => Ok(Some(format!(
                "rows that are gone are still on the server and will be removed by the next build: \
                 {error}"
            ))),
        }
    }

    fn forget(&self, name: &str, parameters: &Parameters) -> Result<Option<String>> {
        let collection = self.collection(name, parameters);
        let forgotten = (self.0.server)(parameters, Patience { repeats: 1, ..Patience::default() })
            .and_then(|server| sync::forget(&*server, &collection, name));
        Ok(forgotten.err().map(|error| {
            format!("`{collection}` may still be on the server, and was not removed: {error}")
        }))
    }

    fn open_in(&self, job: &Job<'_>, sections: &Sections) -> Result<Box<dyn Index>> {
        let record = Record::read(sections)?;
        let ids = Ids::read(sections, job.vectors.rows())?;
        Ok(Box::new(RemoteIndex::new(self.0, job, record, ids)))
    }
}

/// What searches want when the server fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// The exact answer.
    Exact,
    /// An error.
    Error,
}

impl OnFailure {
    pub(super) fn of(parameters: &Parameters) -> Self {
        match parameters.get(ON_FAILURE.name).map(String::as_str) {
            Some("error") => Self::Error,
            _ => Self::Exact,
        }
    }
}

/// How long a search waits.
pub(super) fn patience_of_searches(parameters: &Parameters) -> Patience {
    let seconds = number(parameters, TIMEOUT.name).unwrap_or(10);
    Patience::of_a_search(Duration::from_secs(seconds.into()))
}

/// The graph that a user wants.
pub(super) fn graph(parameters: &Parameters) -> Graph {
    Graph {
        neighbors: number(parameters, NEIGHBORS.name),
        build_width: number(parameters, "build-width"),
        search_width: number(parameters, "search-width"),
    }
}

fn number(parameters: &Parameters, name: &str) -> Option<u32> {
    parameters.get(name).and_then(|text| text.parse().ok())
}

/// Refuses secrets in `url`, and in other parameters that are addresses.
pub(super) fn check_addresses(
    set: &Parameters,
    variable: &str,
    others: &[(&str, &str)],
) -> Result<()> {
    if let Some(url) = set.get(place::URL) {
        place::check_plain(place::URL, url, variable)?;
    }
    for (name, variable) in others {
        let list = set.get(*name).map(String::as_str).unwrap_or_default();
        list.split(',')
            .filter(|url| !url.is_empty())
            .try_for_each(|url| place::check_plain(name, url, variable))?;
    }
    Ok(())
}

/// The server that `make` makes, as one of ours.
pub(super) fn boxed<S: Server + 'static>(
    made: Result<S, simdex_remote::Error>,
) -> Result<Box<dyn Server>> {
    made.map(|server| Box::new(server) as Box<dyn Server>).map_err(|error| failure(&error))
}

pub(super) fn any(_: &str) -> Result<(), String> {
    Ok(())
}

pub(super) fn count(value: &str) -> Result<(), String> {
    match value.parse::<u32>() {
        Ok(1..=100_000) => Ok(()),
        _ => Err("it is a whole number from 1 to 100000".into()),
    }
}

fn on_failure(value: &str) -> Result<(), String> {
    match value {
        "exact" | "error" => Ok(()),
        _ => Err("it is exact or error".into()),
    }
}
