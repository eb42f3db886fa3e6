//! What is known of an exchange.

use std::sync::Arc;
use std::time::Duration;

use llmgw_core::answer::summary::Summary;

use crate::error::{ErrorKind, ExchangeError};

/// What is known of an exchange: so far, or at its end.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the answer's bytes say.
    pub summary: Arc<Summary>,
    /// From the start to the first good event; never set for a plain answer.
    pub first_event: Option<Duration>,
    /// Why it failed, in-band failures included.
    pub error: Option<ExchangeError>,
}

impl Report {
    /// What kind of failure it was.
    #[must_use]
    pub fn error_kind(&self) -> Option<ErrorKind> {
        self.error.as_ref().map(|error| error.kind)
    }
}
