//! What is known of an exchange.

use std::time::Duration;

use llmgw_core::answer::summary::Summary;

use crate::error::ErrorKind;

/// What is known of an exchange: so far, or at its end.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the answer's bytes say.
    pub summary: Summary,
    /// From the start to the first good event; never set for a plain answer.
    pub first_event: Option<Duration>,
    /// Why it failed, in-band failures included.
    pub error_kind: Option<ErrorKind>,
}
