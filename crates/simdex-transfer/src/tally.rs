//! Rows that can't be carried elsewhere: how many, why, and which.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Serialize;
use simdex::{Error, ErrorKind, Result};

/// How many ids of each reason are named.
const NAMED: usize = 10;

/// What becomes of rows that can't be carried elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// They are left out, counted and named.
    Skip,
    /// The first one is an error.
    Refuse,
}

/// Rows that were left out, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Tally {
    reasons: BTreeMap<String, Reason>,
}

/// The rows left out for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// How many.
    pub rows: u64,
    /// The ids of the first ten.
    pub ids: Vec<String>,
}

impl Tally {
    /// Takes a row that can't be carried elsewhere.
    ///
    /// # Errors
    /// `Invalid` where such rows are refused.
    pub fn add(&mut self, id: impl Display, reason: impl Display, bad: Bad) -> Result<()> {
        if bad == Bad::Refuse {
            let message = format!("row `{id}` can't be carried: {reason}");
            return Err(Error::new(ErrorKind::Invalid, message)
                .hint("without --strict such rows are left out and counted"));
        }
        let reason = self.reasons.entry(reason.to_string()).or_default();
        reason.rows += 1;
        if reason.ids.len() < NAMED {
            reason.ids.push(id.to_string());
        }
        Ok(())
    }

    /// How many rows were left out.
    pub fn rows(&self) -> u64 {
        self.reasons.values().map(|reason| reason.rows).sum()
    }

    /// Every reason that occurred.
    pub fn reasons(&self) -> impl Iterator<Item = (&str, &Reason)> {
        self.reasons.iter().map(|(text, reason)| (text.as_str(), reason))
    }
}
