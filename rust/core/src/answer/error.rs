//! What is wrong with an upstream's answer, as a type: never told apart by its text.

use std::fmt;

use crate::named_enum;
use crate::refusal::{MAX_MESSAGE_BYTES, Refusal};
use crate::secret::Secret;

named_enum! {
    /// Why an upstream's answer is not a success.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum StreamErrorKind {
        /// The upstream said so: an `error` object in an event, in a chunk, or in a whole answer.
        ErrorEvent = "error_event",
        /// An event that is not a JSON object, or not a chunk.
        InvalidEvent = "invalid_event",
        /// A line or an event beyond its cap.
        EventTooLarge = "event_too_large",
        /// A clean end without a finish reason.
        Truncated = "truncated",
        /// The connection died.
        Reset = "reset",
        /// Nothing came for the idle timeout.
        IdleTimeout = "idle_timeout",
        /// The whole exchange took longer than its total timeout.
        TotalTimeout = "upstream_timeout",
        /// This gateway is shutting down.
        Draining = "overloaded",
    }
}

impl StreamErrorKind {
    /// The `code` in the error frame that the client sees.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::IdleTimeout | Self::TotalTimeout => "upstream_timeout",
            Self::Draining => "overloaded",
            _ => "upstream_error",
        }
    }
}

/// An upstream's answer that is not a success: an error event, or an end that is not a proper end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// What happened.
    pub kind: StreamErrorKind,
    /// A sentence for the client. For [`StreamErrorKind::ErrorEvent`] the upstream's own, capped at
    /// [`StreamError::MAX_MESSAGE_BYTES`].
    pub message: String,
    /// The HTTP status that the upstream's error names or means.
    pub status: Option<u16>,
    /// The upstream's own name for the error, for the operator.
    pub code: Option<String>,
}

impl StreamError {
    /// An upstream's error message is cut at this length before it is shown.
    pub const MAX_MESSAGE_BYTES: usize = MAX_MESSAGE_BYTES;

    /// An error of this kind with its standard sentence.
    ///
    /// Some clients repeat a request only for words that they know: "try again later" (opencode), "connection
    /// lost", "timed out", "ended without" (pi). They stand where another attempt may help.
    #[must_use]
    pub fn new(kind: StreamErrorKind) -> Self {
        let message = match kind {
            StreamErrorKind::ErrorEvent => "The upstream reported an error.",
            StreamErrorKind::InvalidEvent => return Self::not_a("chat completion"),
            StreamErrorKind::EventTooLarge => "The upstream sent an event beyond the size limit.",
            StreamErrorKind::Truncated => "The answer ended without a finish reason. Try again later.",
            StreamErrorKind::Reset => {
                "Connection lost: the upstream broke off before the answer was complete. Try again later."
            }
            StreamErrorKind::IdleTimeout => {
                "The upstream timed out: it fell silent before the answer was complete. Try again later."
            }
            StreamErrorKind::TotalTimeout => {
                "The answer took longer than the time allowed for this upstream."
            }
            StreamErrorKind::Draining => {
                "Connection lost: the gateway is restarting, the answer is incomplete. Try again later."
            }
        };
        Self { kind, message: message.to_owned(), status: None, code: None }
    }

    /// What an upstream says of itself, without its key.
    #[must_use]
    pub fn told(refusal: Refusal, secret: &Secret) -> Self {
        let Refusal { status, code, message } = refusal.without(secret);
        let standard = Self::new(StreamErrorKind::ErrorEvent);
        Self { message: message.unwrap_or(standard.message), status, code, kind: standard.kind }
    }

    /// An event or an answer that is not what it should be.
    #[must_use]
    pub fn not_a(what: &str) -> Self {
        let message = format!("The upstream sent something that is no {what}.");
        Self { kind: StreamErrorKind::InvalidEvent, message, status: None, code: None }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.message, self.kind.as_str())
    }
}

impl std::error::Error for StreamError {}
