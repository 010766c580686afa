//! An index kept open, for programs that search many times: a search opens nothing while the
//! database is as it was.
//!
//! Two proofs that it is, cheapest first: the settled identity of the files (one `stat` each, see
//! [`DatabaseIdentity`]), and `PRAGMA data_version` on a connection that stays open, which SQLite
//! changes with every commit of anybody else's. The second needs no quiet time, so a search soon
//! after a write does not compare the rows again. Without either, the rows are compared.

mod like_faiss;
mod nearest;

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::catalog::Definition;
use crate::engine::Engine;
use crate::engine::api::{Plan, Skipped, Target};
use crate::engine::build::is_worn;
use crate::engine::rows::Rows;
use crate::engine::search::{View, keep, view};
use crate::error::{Error, ErrorKind, Result};
use crate::observe::Observer;
use crate::store::Id;
use crate::store::database::{Database, ReadTransaction};
use crate::store::identity::DatabaseIdentity;
use crate::types::Metric;

/// How often a search that waits for another's look at the database asks its observer.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// A search of a [`Live`] index.
#[derive(Debug, Clone)]
pub struct LiveRequest {
    /// What rows are compared with.
    pub vector: Vec<f32>,
    /// At most this many results.
    pub k: usize,
    /// How distances are computed, and ties are broken.
    pub scoring: Scoring,
    /// Ids that may be answers; `None`: all may.
    pub only: Option<Vec<Id>>,
    /// Ids left out.
    pub without: Vec<Id>,
}

/// How scores are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scoring {
    /// In float64 under the index's metric; ties by id.
    Exact,
    /// In float64 under another metric, over every row.
    ExactUnder(Metric),
    /// Squared L2 as faiss computes it in float32; ties in the order of the table. It takes no
    /// `only` and no `without`.
    LikeFaiss,
}

/// What a search of a [`Live`] index found.
#[derive(Debug, Clone)]
pub struct LiveAnswer {
    /// Ids and scores, closest first.
    pub matches: Vec<(Id, f64)>,
    /// The metric of the scores.
    pub metric: Metric,
    /// How it was found.
    pub plan: Plan,
    /// Whether so much has changed that a refresh would pay.
    pub worn: bool,
    /// What the user should know: damage that was mended, or what kept a plugin from helping.
    pub notices: Vec<String>,
}

/// One index of a database, kept open. Use it from any thread.
#[derive(Debug)]
pub struct Live {
    engine: Arc<Engine>,
    name: String,
    state: Mutex<State>,
    looked: Condvar,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Arc<Held>>,
    /// Files with this identity hold the rows of `held`.
    settled: Option<DatabaseIdentity>,
    /// A connection that has seen the rows of `held`; absent while a thread looks with it.
    seen: Option<Seen>,
    looking: bool,
}

/// What is searched as long as it is proven to be what the database holds.
#[derive(Debug)]
struct Held {
    definition: Definition,
    view: View,
}

/// A connection, and what it said when the rows were those of [`Held`].
#[derive(Debug)]
struct Seen {
    database: Database,
    files: Option<DatabaseIdentity>,
    version: i64,
}

/// What a look at the database found.
struct Look {
    held: Option<Arc<Held>>,
    settled: Option<DatabaseIdentity>,
    seen: Option<Seen>,
    notices: Vec<String>,
}

/// What is searched now, and what the user should know of how it came to be.
struct Current {
    /// `None`: nothing is built that could be used.
    held: Option<Arc<Held>>,
    notices: Vec<String>,
}

/// Lets others look, however the look ends.
struct Looking<'a>(&'a Live);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.lock().looking = false;
        self.0.looked.notify_all();
    }
}

impl Held {
    fn rows(&self) -> u64 {
        let View { generation, delta, .. } = &self.view;
        generation.base.rows() as u64 - delta.gone() + delta.tail_rows()
    }

    fn is_worn(&self) -> bool {
        is_worn(&self.view.generation.base, &self.view.delta)
    }

    fn plan(&self) -> Plan {
        Plan {
            index: Some(self.definition.name.clone()),
            reason: "it is held open".into(),
            rows: self.rows(),
            tail: self.view.delta.tail_rows(),
            diffed: self.view.diff.is_some(),
        }
    }
}

/// Refuses a query of another size than the rows have.
fn check_size(query: usize, rows: usize, of: &str) -> Result<()> {
    if query == rows {
        return Ok(());
    }
    let message = format!("the query has {query} dimensions, the rows of {of} have {rows}");
    Err(Error::new(ErrorKind::Invalid, message))
}

impl Live {
    /// The index called `name`; nothing is opened yet.
    pub fn new(engine: Arc<Engine>, name: impl Into<String>) -> Self {
        Self { engine, name: name.into(), state: Mutex::default(), looked: Condvar::new() }
    }

    /// The rows closest to a vector, as the database is at this moment. Where nothing is built yet
    /// they are read from the database.
    ///
    /// # Errors
    /// As [`Engine::search`].
    pub fn search(&self, request: &LiveRequest, observer: &dyn Observer) -> Result<LiveAnswer> {
        let Current { held, mut notices } = self.current(observer)?;
        let mut answer = match held {
            Some(held) => held.search(request, observer)?,
            None => self.scan(request, observer)?,
        };
        notices.append(&mut answer.notices);
        Ok(LiveAnswer { notices, ..answer })
    }

    /// How many rows there are and how many can't be searched, as of this moment; `None` where
    /// nothing is built.
    ///
    /// # Errors
    /// As [`Engine::search`].
    pub fn rows(&self, observer: &dyn Observer) -> Result<Option<(u64, Skipped)>> {
        let held = self.current(observer)?.held;
        Ok(held.map(|held| (held.rows(), held.view.skipped())))
    }

    /// Lets go of what is held: the next search opens what is built by then.
    pub fn forget(&self) {
        let mut state = self.lock();
        state.held = None;
        state.settled = None;
    }

    /// The index with the rows as they are now.
    fn current(&self, observer: &dyn Observer) -> Result<Current> {
        let files = DatabaseIdentity::of(&self.engine.location.database)?;
        let (held, seen) = {
            let mut state = self.lock();
            loop {
                if let Some(held) = &state.held
                    && state.settled.is_some()
                    && state.settled == files
                {
                    return Ok(Current { held: Some(Arc::clone(held)), notices: Vec::new() });
                }
                if !state.looking {
                    break;
                }
                observer.checkpoint()?;
                state = self.wait(state);
            }
            state.looking = true;
            (state.held.clone(), state.seen.take())
        };
        let looking = Looking(self);
        let looked = self.look(files, held, seen, observer);
        let mut state = self.lock();
        let found = looked.map(|Look { held, settled, seen, notices }| {
            state.held.clone_from(&held);
            state.settled = settled;
            state.seen = seen;
            Current { held, notices }
        });
        drop(state);
        drop(looking);
        found
    }

    /// Looks at the database: has anything changed, and if so, what?
    fn look(
        &self,
        files: Option<DatabaseIdentity>,
        held: Option<Arc<Held>>,
        seen: Option<Seen>,
        observer: &dyn Observer,
    ) -> Result<Look> {
        let same_file = |seen: &Seen| match (&seen.files, &files) {
            (Some(then), Some(now)) => then.is_of_same_file(now),
            _ => false,
        };
        // A connection to a file that another has replaced sees the old one.
        let database = match seen.filter(same_file) {
            Some(seen) => {
                if held.is_some() && seen.database.read()?.data_version()? == Some(seen.version) {
                    let settled = files.filter(|files| files.is_settled((self.engine.clock)()));
                    let notices = Vec::new();
                    return Ok(Look { held, settled, seen: Some(seen), notices });
                }
                seen.database
            }
            None => self.engine.database()?,
        };
        let mut notices = Vec::new();
        let target = Target::Index(self.name.clone());
        let scope = self.engine.scope(&target, &database.read()?, &mut notices)?;
        let generation = self.engine.generation(&scope, &database, &mut notices, observer)?;
        let read = database.read()?;
        let version = read.data_version()?;
        let files = read.identity().cloned();
        let rows = Rows::new(&scope.sources, &read)?;
        let view = match generation {
            Some(generation) => view(generation, &rows, scope.metric, observer)?,
            None => None,
        };
        read.confirm()?;
        let settled = read.settled_identity().cloned();
        let held = match (view, scope.index) {
            (Some(view), Some((definition, folder))) => {
                keep(&view, &folder, scope.metric, &read);
                Some(Arc::new(Held { definition, view }))
            }
            _ => None,
        };
        drop(read);
        let seen = version.map(|version| Seen { database, files, version });
        Ok(Look { held, settled, seen, notices })
    }

    /// Compares the query with every row that SQLite holds.
    fn scan(&self, request: &LiveRequest, observer: &dyn Observer) -> Result<LiveAnswer> {
        let database = self.engine.database()?;
        let target = Target::Index(self.name.clone());
        let read: ReadTransaction<'_> = database.read()?;
        let scope = self.engine.scope(&target, &read, &mut Vec::new())?;
        let rows = Rows::new(&scope.sources, &read)?;
        let answer = nearest::scan(request, &scope, &rows, observer)?;
        read.confirm()?;
        Ok(answer)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.looked.wait_timeout(state, BETWEEN_LOOKS);
        waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
    }
}
