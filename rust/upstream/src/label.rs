//! What an answer's head calls its body.

use http::{HeaderMap, header};
use llmgw_core::answer::form::Form;

use crate::http1::ResponseHead;

pub(crate) const EVENT_STREAM: &str = "text/event-stream";
pub(crate) const JSON: &str = "application/json";

/// Of a success.
#[derive(Clone, Copy)]
pub(crate) struct Label {
    pub(crate) status: u16,
    /// What the body is, should its first bytes leave that open.
    pub(crate) form: Form,
}

impl Label {
    pub(crate) fn of(head: &ResponseHead) -> Self {
        Self { status: head.status.as_u16(), form: labelled(&head.headers) }
    }
}

fn labelled(headers: &HeaderMap) -> Form {
    match media_type(headers).as_deref() {
        Some(EVENT_STREAM) => Form::Events,
        Some(media_type) if is_json(media_type) => Form::Json,
        _ => Form::Other,
    }
}

/// The content type without parameters, in lower case.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(|media_type| media_type.trim().to_ascii_lowercase())
}

/// `application/json`, `text/json` or `…+json`.
fn is_json(media_type: &str) -> bool {
    media_type == JSON || media_type == "text/json" || media_type.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn media_types() {
        let rows = [
            ("application/json", Form::Json),
            ("Application/JSON; charset=utf-8", Form::Json),
            ("application/problem+json", Form::Json),
            ("text/json", Form::Json),
            ("text/event-stream;charset=UTF-8", Form::Events),
            ("text/html", Form::Other),
            ("", Form::Other),
        ];
        for (value, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            assert_eq!(labelled(&headers), expected, "{value}");
        }
        assert_eq!(labelled(&HeaderMap::new()), Form::Other);
    }
}
