//! What stops a scan: noted where it is seen, worded once it is known to be told.

use crate::json::path::path_at;
use crate::json::{JsonError, JsonErrorKind, MAX_DEPTH};

use super::error::{RequestError, RequestErrorCode};

/// What stops a scan, before it is worded.
pub(crate) enum Refusal {
    Json(JsonError),
    NoObject {
        offset: usize,
    },
    Field {
        code: RequestErrorCode,
        param: String,
        rule: String,
        offset: usize,
    },
    /// Of what is at the offset, or of a member of it. Its path is looked for when the error is worded.
    Place {
        code: RequestErrorCode,
        member: Option<&'static str>,
        rule: &'static str,
        offset: usize,
    },
}

impl From<JsonError> for Refusal {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl Refusal {
    /// `param` has another type than `expected`.
    pub(super) fn invalid_type(param: impl Into<String>, expected: &str, offset: usize) -> Self {
        Self::Field {
            code: RequestErrorCode::InvalidType,
            param: param.into(),
            rule: format!("must be {expected}"),
            offset,
        }
    }

    /// The value at this offset has another type than `rule` says (`must be a string`).
    pub(crate) const fn wrong_type(rule: &'static str, offset: usize) -> Self {
        Self::Place { code: RequestErrorCode::InvalidType, member: None, rule, offset }
    }

    /// The object at this offset lacks a member.
    pub(crate) const fn lacks(member: &'static str, offset: usize) -> Self {
        let code = RequestErrorCode::MissingField;
        Self::Place { code, member: Some(member), rule: "is required", offset }
    }

    /// A member comes a second time; its key is at this offset.
    pub(crate) const fn twice(member: &'static str, offset: usize) -> Self {
        let code = RequestErrorCode::DuplicateField;
        Self::Place { code, member: Some(member), rule: "must not be given twice", offset }
    }

    pub(super) fn missing(param: &str, rule: impl Into<String>, offset: usize) -> Self {
        let (code, param) = (RequestErrorCode::MissingField, param.to_owned());
        Self::Field { code, param, rule: rule.into(), offset }
    }

    pub(super) fn wrong_api(param: &str, rule: &str, offset: usize) -> Self {
        let (code, param) = (RequestErrorCode::WrongApi, param.to_owned());
        Self::Field { code, param, rule: rule.to_owned(), offset }
    }

    pub(super) fn duplicate(param: impl Into<String>, offset: usize) -> Self {
        Self::Field {
            code: RequestErrorCode::DuplicateField,
            param: param.into(),
            rule: "must not be given twice".to_owned(),
            offset,
        }
    }

    /// In words, for the client. `body` is what was scanned.
    pub(crate) fn into_error(self, body: &[u8]) -> RequestError {
        match self {
            Self::Place { code, member, rule, offset } => {
                let path = path_at(body, offset).into_iter().chain(member.map(str::to_owned));
                let param = path.collect::<Vec<_>>().join(".");
                Self::Field { code, param, rule: rule.to_owned(), offset }.into_error(body)
            }
            Self::Field { code, param, rule, offset } => {
                RequestError { code, message: format!("`{param}` {rule}."), param: Some(param), offset }
            }
            Self::NoObject { offset } => RequestError {
                code: RequestErrorCode::InvalidType,
                message: "The request body must be a JSON object.".to_owned(),
                param: None,
                offset,
            },
            Self::Json(JsonError { kind: JsonErrorKind::TooDeep, offset }) => RequestError {
                code: RequestErrorCode::TooDeep,
                message: format!("The request body is nested deeper than {MAX_DEPTH} levels."),
                param: path_at(body, offset),
                offset,
            },
            Self::Json(error) => RequestError {
                code: RequestErrorCode::InvalidJson,
                message: format!("The request body is not valid JSON: {error} at byte {}.", error.offset),
                param: path_at(body, error.offset),
                offset: error.offset,
            },
        }
    }
}
