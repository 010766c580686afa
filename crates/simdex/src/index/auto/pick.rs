//! Why a kind was picked.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the probe found. Times are seconds of one query on one thread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Reason {
    /// A scan of all rows is so short that nobody would notice a faster search.
    ShortScan { scan: f64 },
    /// No width of the walk was seen to reach the target, over all rows or some of them.
    OutOfReach { scan: f64, recall: f64, rows: usize },
    /// A graph would reach the target, but not enough faster to give exact answers up.
    NotFaster { scan: f64, walk: f64, recall: f64 },
    /// A graph reaches the target much faster.
    Faster { scan: f64, walk: f64, recall: f64 },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ShortScan { scan } => {
                write!(f, "a scan of all rows takes {}", milliseconds(scan))
            }
            Self::OutOfReach { scan, recall, rows } => write!(
                f,
                "a graph over {rows} rows misses the target recall of {recall} however wide it is \
                 searched; a scan takes {}",
                milliseconds(scan)
            ),
            Self::NotFaster { scan, walk, recall } => write!(
                f,
                "a graph takes {} for a recall of {recall}, an exact scan {}",
                milliseconds(walk),
                milliseconds(scan)
            ),
            Self::Faster { scan, walk, recall } => write!(
                f,
                "it takes {} for a recall of {recall}, an exact scan {}",
                milliseconds(walk),
                milliseconds(scan)
            ),
        }
    }
}

/// To two digits.
fn milliseconds(seconds: f64) -> String {
    match seconds * 1e3 {
        ms if ms < 0.095 => format!("{ms:.3} ms"),
        ms if ms < 0.95 => format!("{ms:.2} ms"),
        ms if ms < 9.5 => format!("{ms:.1} ms"),
        ms => format!("{ms:.0} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_sentences() {
        let short = Reason::ShortScan { scan: 0.000_412 };
        assert_eq!(short.to_string(), "a scan of all rows takes 0.41 ms");
        let faster = Reason::Faster { scan: 0.021_3, walk: 0.000_094, recall: 0.95 };
        assert_eq!(
            faster.to_string(),
            "it takes 0.094 ms for a recall of 0.95, an exact scan 21 ms"
        );
    }
}
