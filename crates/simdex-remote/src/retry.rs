//! How long a server is waited for, and how often it is asked again.

use std::time::Duration;

use backon::{BlockingRetryable, ExponentialBuilder};

use crate::error::Result;

/// How long to wait, and how often to ask again after a failure that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the answer to one request. Building an index on the server takes as long as it takes.
    pub request: Duration,
    /// How often a request is repeated.
    pub repeats: usize,
    /// The pause before the first repeat; each later one is about twice as long, up to five seconds.
    pub pause: Duration,
}

const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Default for Patience {
    /// For bulk work: a server may restart meanwhile.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(120),
            repeats: 6,
            pause: Duration::from_millis(200),
        }
    }
}

impl Patience {
    /// For a person who waits: one repeat, for the connection that has gone stale.
    pub fn of_a_search(request: Duration) -> Self {
        let connect = request.min(Duration::from_secs(5));
        Self { connect, request, repeats: 1, pause: Duration::from_millis(20) }
    }

    /// Lets `work` happen until it succeeds or fails for good.
    pub(crate) fn repeat<T>(&self, work: impl FnMut() -> Result<T>) -> Result<T> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.pause)
            .with_max_delay(LONGEST_PAUSE.max(self.pause))
            .with_max_times(self.repeats)
            .with_jitter();
        work.retry(pauses)
            .when(crate::Error::may_pass)
            .notify(|error, pause| tracing::debug!(%error, ?pause, "asking the server again"))
            .call()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Fault};

    fn attempts(fault: Fault) -> usize {
        let patience = Patience { pause: Duration::from_micros(1), ..Patience::default() };
        let mut count = 0;
        let result: Result<()> = patience.repeat(|| {
            count += 1;
            Err(Error::new(fault, "no"))
        });
        assert_eq!(result.unwrap_err().fault(), fault);
        count
    }

    #[test]
    fn only_what_may_pass_is_repeated() {
        assert_eq!(attempts(Fault::Unreachable), 1 + Patience::default().repeats);
        assert_eq!(attempts(Fault::Refused), 1);
        assert_eq!(attempts(Fault::Denied), 1);
    }
}
