//! What is wrong with a document, and where.

use std::fmt;

/// What is wrong with the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// The input ends inside a value.
    UnexpectedEnd,
    /// A byte that can't stand here.
    UnexpectedByte,
    /// A raw control character inside a string.
    ControlCharacter,
    /// A backslash that begins no escape.
    InvalidEscape,
    /// A number with another grammar than JSON's.
    InvalidNumber,
    /// Deeper than [`super::MAX_DEPTH`].
    TooDeep,
    /// Something follows the value.
    TrailingData,
    /// The input is not UTF-8.
    InvalidUtf8,
}

/// A fault and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Byte offset in the input.
    pub offset: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            JsonErrorKind::UnexpectedEnd => "the input ends inside a value",
            JsonErrorKind::UnexpectedByte => "unexpected byte",
            JsonErrorKind::ControlCharacter => "raw control character in a string",
            JsonErrorKind::InvalidEscape => "invalid escape in a string",
            JsonErrorKind::InvalidNumber => "invalid number",
            JsonErrorKind::TooDeep => "nested too deep",
            JsonErrorKind::TrailingData => "something follows the value",
            JsonErrorKind::InvalidUtf8 => "invalid UTF-8",
        };
        formatter.write_str(what)
    }
}

impl std::error::Error for JsonError {}
