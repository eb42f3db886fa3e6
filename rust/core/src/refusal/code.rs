//! What a member for codes holds: an HTTP status, another number, a word.

use super::ERROR_STATUSES;
use crate::json::{Kind, Value};

/// What it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// An HTTP status of an error.
    Status(u16),
    /// Any other number or word that tells of a failure.
    Word(String),
    /// 0, 200, `ok` and the like.
    Success,
    /// Nothing that tells anything.
    None,
}

impl Code {
    pub(super) fn of(input: &[u8], value: Value) -> Self {
        match value.kind {
            Kind::Number => {
                let number = std::str::from_utf8(value.span.of(input)).unwrap_or_default();
                Self::of_number(number).unwrap_or(Self::None)
            }
            Kind::String => {
                value.as_text(input).map_or(Self::None, |text| Self::of_text(text.decode().trim_ascii()))
            }
            Kind::Object | Kind::Array | Kind::Boolean | Kind::Null => Self::None,
        }
    }

    fn of_text(text: &str) -> Self {
        if let Some(code) = Self::of_number(text) {
            return code;
        }
        // "429 Too Many Requests"
        if let Some((number, _)) = text.split_once(|sign: char| !sign.is_ascii_alphanumeric())
            && let Some(Self::Status(status)) = Self::of_number(number)
        {
            return Self::Status(status);
        }
        match &*text.to_ascii_lowercase() {
            "" | "none" | "null" | "unknown" => Self::None,
            "ok" | "success" | "succeeded" => Self::Success,
            _ => Self::Word(text.to_owned()),
        }
    }

    /// A whole number, also one that is written as `429.0`.
    fn of_number(text: &str) -> Option<Self> {
        let whole = text.strip_suffix(".0").unwrap_or(text);
        let number: i64 = whole.parse().ok()?;
        Some(match u16::try_from(number) {
            Ok(0 | 200..=299 | 20_000) => Self::Success,
            Ok(status) if ERROR_STATUSES.contains(&status) => Self::Status(status),
            _ => Self::Word(whole.to_owned()),
        })
    }
}
