//! Processes that stay up between searches, one an index.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};
use crate::index::Parameters;
use crate::index::plugin::call::Session;
use crate::index::plugin::scratch::{Scratch, Spool};
use crate::types::Metric;

/// At most this many processes stay up; the one used longest ago makes room.
const MOST: usize = 8;

/// How long a plugin that has failed is left alone. Searches are exact meanwhile, and don't each
/// wait for the same deadline.
const REST: Duration = Duration::from_secs(30);

/// What a process has loaded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spec {
    /// The plugin.
    pub(super) name: String,
    /// The file that its vectors are in: another one for each build. `None`: they are in memory,
    /// and the process is nobody else's.
    pub(super) vectors: Option<PathBuf>,
    pub(super) metric: Metric,
    pub(super) parameters: Parameters,
}

/// A place for a process.
#[derive(Debug, Default)]
pub(super) enum Slot {
    /// There is none yet.
    #[default]
    Empty,
    /// It can be searched.
    Ready(Box<Loaded>),
    /// It has failed.
    Failed {
        /// When.
        at: Instant,
        /// How.
        message: String,
    },
}

/// A process that can be searched.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) session: Session,
    /// Arrays of the request in hand.
    pub(super) scratch: Scratch,
    /// The vectors it was built from, for plugins that map them for good.
    pub(super) _spool: Option<Spool>,
}

impl Slot {
    /// The failure that it still rests from.
    pub(super) fn resting(&self) -> Option<Error> {
        match self {
            Slot::Failed { at, message } if at.elapsed() < REST => Some(Error::new(
                ErrorKind::Plugin,
                format!("{message} (it will be tried again {} s after that)", REST.as_secs()),
            )),
            _ => None,
        }
    }

    /// Remembers a failure.
    pub(super) fn fail(&mut self, error: &Error) {
        *self = Slot::Failed { at: Instant::now(), message: error.to_string() };
    }
}

/// The slots of indexes in use, the one used last at the end.
#[derive(Debug, Default)]
pub(super) struct Pool {
    slots: Vec<(Spec, Arc<Mutex<Slot>>)>,
}

impl Pool {
    /// The slot of a spec. A build of the same index that has been replaced loses its slot.
    pub(super) fn slot(&mut self, spec: Spec) -> Arc<Mutex<Slot>> {
        if spec.vectors.is_none() {
            return Arc::default();
        }
        let found = self.slots.iter().position(|(known, _)| *known == spec);
        let entry = match found {
            Some(at) => self.slots.remove(at),
            None => {
                let folder =
                    |spec: &Spec| spec.vectors.as_ref().and_then(|p| Some(p.parent()?.to_owned()));
                let own = folder(&spec);
                self.slots.retain(|(known, _)| folder(known) != own);
                if self.slots.len() == MOST {
                    self.slots.remove(0);
                }
                (spec, Arc::default())
            }
        };
        let slot = Arc::clone(&entry.1);
        self.slots.push(entry);
        slot
    }
}
