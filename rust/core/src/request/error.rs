//! Why a request body is refused, as a type: never told apart by its text.

use std::fmt;

use crate::named_enum;

named_enum! {
    /// Which rule of the contract a request body breaks. [`RequestErrorCode::as_str`] is the `code` on the wire.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum RequestErrorCode {
        /// No JSON: syntax, invalid UTF-8 or something after the value.
        InvalidJson = "invalid_json",
        /// A documented field has another JSON type than the documented one.
        InvalidType = "invalid_type",
        /// `model` or `messages` is absent.
        MissingField = "missing_field",
        /// A field that the gateway reads is there twice, so that two readers could read two different requests.
        DuplicateField = "duplicate_field",
        /// A field that only another API's bodies have.
        WrongApi = "wrong_api",
        /// A value that the API knows and this gateway can't serve.
        UnsupportedValue = "unsupported_value",
        /// The conversation that a request goes on with is not kept here.
        PreviousResponseNotFound = "previous_response_not_found",
        /// Nested deeper than [`crate::json::MAX_DEPTH`].
        TooDeep = "too_deep",
    }
}

/// A request body that is refused before anything is sent anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestError {
    /// The rule.
    pub code: RequestErrorCode,
    /// A sentence for the client. Never holds a value of the body.
    pub message: String,
    /// Path of the field, such as `messages[2].content[1]`; none where the body as a whole is to blame.
    pub param: Option<String>,
    /// Byte offset in the body.
    pub offset: usize,
}

impl fmt::Display for RequestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}, at byte {})", self.message, self.code.as_str(), self.offset)
    }
}

impl std::error::Error for RequestError {}
