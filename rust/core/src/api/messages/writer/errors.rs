//! Anthropic's types of errors, for what breaks a stream.

use crate::answer::error::{StreamError, StreamErrorKind};

/// The `type` of an error event. Clients try again by it.
pub(in crate::api) fn type_of(error: &StreamError) -> &'static str {
    match error.kind {
        StreamErrorKind::ErrorEvent => error.status.map_or(API_ERROR, type_of_status),
        StreamErrorKind::IdleTimeout | StreamErrorKind::TotalTimeout => "timeout_error",
        StreamErrorKind::Draining => "overloaded_error",
        StreamErrorKind::InvalidEvent
        | StreamErrorKind::EventTooLarge
        | StreamErrorKind::Truncated
        | StreamErrorKind::Reset => API_ERROR,
    }
}

const API_ERROR: &str = "api_error";

/// By the status that the upstream's error names or means. What is about the gateway's own key or account there (401, 403)
/// is nothing that the client could put right.
const fn type_of_status(status: u16) -> &'static str {
    match status {
        400 | 422 => "invalid_request_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        503 | 529 => "overloaded_error",
        _ => API_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_status_has_its_type() {
        let told = |status| StreamError { status, ..StreamError::new(StreamErrorKind::ErrorEvent) };
        for (error, expected) in [
            (told(None), "api_error"),
            (told(Some(400)), "invalid_request_error"),
            (told(Some(401)), "api_error"),
            (told(Some(403)), "api_error"),
            (told(Some(408)), "timeout_error"),
            (told(Some(413)), "request_too_large"),
            (told(Some(422)), "invalid_request_error"),
            (told(Some(429)), "rate_limit_error"),
            (told(Some(500)), "api_error"),
            (told(Some(503)), "overloaded_error"),
            (told(Some(504)), "timeout_error"),
            (told(Some(529)), "overloaded_error"),
            (StreamError::new(StreamErrorKind::InvalidEvent), "api_error"),
            (StreamError::new(StreamErrorKind::EventTooLarge), "api_error"),
            (StreamError::new(StreamErrorKind::Truncated), "api_error"),
            (StreamError::new(StreamErrorKind::Reset), "api_error"),
            (StreamError::new(StreamErrorKind::IdleTimeout), "timeout_error"),
            (StreamError::new(StreamErrorKind::TotalTimeout), "timeout_error"),
            (StreamError::new(StreamErrorKind::Draining), "overloaded_error"),
        ] {
            assert_eq!(type_of(&error), expected, "{error:?}");
        }
    }
}
