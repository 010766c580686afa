//! Rows that can't be carried elsewhere: how many, why, and which.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::Serialize;
use simdex::{Error, ErrorKind, Result};

/// How many ids of each reason are named.
const NAMED: usize = 10;

/// How many reasons are told apart.
const REASONS: usize = 20;

/// All that come later.
const OTHERS: &str = "another reason";

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
    reasons: BTreeMap<String, Named>,
}

/// How many rows, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Named {
    /// How many.
    pub rows: u64,
    /// The ids of the first ten.
    pub ids: Vec<String>,
}

impl Named {
    /// Takes a row in.
    pub fn add(&mut self, id: impl Display) {
        self.rows += 1;
        if self.ids.len() < NAMED {
            self.ids.push(id.to_string());
        }
    }
}

/// The ids that are named, and whether there are more.
impl Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.rows > self.ids.len() as u64 { ", …" } else { "" };
        write!(f, "{}{more}", self.ids.join(", "))
    }
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
        let mut reason = reason.to_string();
        // What servers say may have numbers in it that differ for every row.
        if self.reasons.len() >= REASONS && !self.reasons.contains_key(&reason) {
            reason = OTHERS.to_owned();
        }
        self.reasons.entry(reason).or_default().add(id);
        Ok(())
    }

    /// How many rows were left out.
    pub fn rows(&self) -> u64 {
        self.reasons.values().map(|reason| reason.rows).sum()
    }

    /// Every reason that occurred.
    pub fn reasons(&self) -> impl Iterator<Item = (&str, &Named)> {
        self.reasons.iter().map(|(text, reason)| (text.as_str(), reason))
    }
}
