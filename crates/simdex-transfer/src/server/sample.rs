//! Some of the rows, to be read back.

use std::collections::HashMap;

use simdex::{Error, ErrorKind, Result};
use simdex_remote::{Collection, Record};

use super::failed;

/// How many rows at most.
const SAMPLE: usize = 64;

/// Rows spread over all that pass: once there are too many, every other one goes.
#[derive(Default)]
pub(super) struct Sample {
    kept: Vec<Record>,
    passed: u64,
    /// Every so many are kept: 2 to this power.
    spread: u32,
}

impl Sample {
    pub(super) fn add(&mut self, record: &Record) {
        if self.passed.trailing_zeros() >= self.spread || self.passed == 0 {
            if self.kept.len() == SAMPLE {
                let mut number = 0;
                self.kept.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
                self.spread += 1;
            }
            if self.passed.trailing_zeros() >= self.spread || self.passed == 0 {
                self.kept.push(record.clone());
            }
        }
        self.passed += 1;
    }

    /// Reads them back; returns how many.
    pub(super) fn verify(&self, there: &mut dyn Collection) -> Result<u64> {
        let ids: Vec<_> = self.kept.iter().map(|record| record.id.clone()).collect();
        let found = there.get(&ids).map_err(failed)?;
        let found: HashMap<_, _> =
            found.iter().map(|record| (record.id.as_str(), record)).collect();
        for sent in &self.kept {
            let wrong = match found.get(sent.id.as_str()) {
                None => "is not on the server",
                Some(found) if !there.is_same(found, sent) => "is another on the server",
                Some(_) => continue,
            };
            let message = format!("row `{}` {wrong}", sent.id);
            return Err(Error::new(ErrorKind::Invalid, message)
                .hint("if somebody else changed it meanwhile, run the command again"));
        }
        Ok(self.kept.len() as u64)
    }
}
